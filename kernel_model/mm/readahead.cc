// How much to read before somebody asks for it.
//
// A reader that goes on where it was gets a window of pages, of which the first part is what it asked for. One page of
// the window carries a mark: its reader is told to ask for the next, twice or four times as large until it is
// ra_pages (128 KiB), so that a steady reader never waits. A reader that jumps gets what it asks for.
//
// Mirrors: mm/readahead.c.
#include <algorithm>

#include "kernel_model/mm/folio.h"

namespace aiolab {
namespace {

// The window that a stream begins with, and the one that follows a window of `size`. Pages.
uint64_t InitialWindow(uint64_t req_count, uint64_t max_pages) {
  uint64_t size = 1;
  while (size < req_count) size *= 2;
  if (size <= max_pages / 32) return size * 4;
  return size <= max_pages / 4 ? size * 2 : max_pages;
}
uint64_t NextWindow(uint64_t size, uint64_t max_pages) {
  if (size < max_pages / 16) return size * 4;
  return size <= max_pages / 2 ? size * 2 : max_pages;
}

// Reads what is absent of `nr` pages from `start`, and marks the page `lookahead` before their end.
//
// Mirrors: do_page_cache_ra, page_cache_ra_unbounded.
void do_page_cache_ra(address_space& mapping, kiocb* iocb, uint64_t start, uint64_t nr, uint64_t lookahead) {
  const loff_t size = mapping.host->i_size;
  if (size == 0) return;
  const uint64_t end = std::min(start + nr, ((static_cast<uint64_t>(size) - 1) >> kPageShift) + 1);
  const uint64_t marked = start + nr - lookahead;
  uint64_t first_absent = start;
  const auto read_up_to = [&](uint64_t behind) {
    if (behind > first_absent) {
      mapping.read_folios(mapping, first_absent, behind - first_absent, /*ahead=*/true, iocb->ki_id);
    }
    first_absent = behind + 1;
  };
  for (uint64_t index = start; index < end; ++index) {
    if (filemap_get_folio(mapping, index) != nullptr) {
      read_up_to(index);
      continue;
    }
    folio* const page = filemap_add_folio(mapping, index);
    page->readahead = lookahead > 0 && index == marked;
    page->dropbehind = (iocb->ki_flags & IOCB_DONTCACHE) != 0;
    folio_lock(page);
  }
  if (end > start) read_up_to(end);
}

// The largest request of most devices.
constexpr uint64_t kIoPages = 256;

// A read that wants more than a window gets that.
uint64_t LargestWindow(const file_ra_state& ra, uint64_t req_count) {
  return std::max(ra.ra_pages, std::min(req_count, kIoPages));
}

// How many pages up to `index` - 1 are there, without a gap. At most `max`.
uint64_t CachedBefore(const address_space& mapping, uint64_t index, uint64_t max) {
  uint64_t nr = 0;
  while (nr < max && nr < index && filemap_get_folio(mapping, index - 1 - nr) != nullptr) ++nr;
  return nr;
}

}  // namespace

void filemap_read_folio(address_space& mapping, kiocb* iocb, uint64_t index) {
  folio* page = filemap_get_folio(mapping, index);
  if (page == nullptr) page = filemap_add_folio(mapping, index);
  page->error = false;
  folio_lock(page);
  mapping.read_folios(mapping, index, 1, /*ahead=*/false, iocb->ki_id);
}

void page_cache_sync_ra(address_space& mapping, kiocb* iocb, uint64_t index, uint64_t req_count) {
  file& filp = *iocb->ki_filp;
  file_ra_state& ra = filp.f_ra;
  if (ra.ra_pages == 0) return do_page_cache_ra(mapping, iocb, index, 1, 0);
  if ((filp.f_mode & FMODE_RANDOM) != 0) return do_page_cache_ra(mapping, iocb, index, req_count, 0);

  const uint64_t max_pages = LargestWindow(ra, req_count);
  const uint64_t prev_index = static_cast<uint64_t>(ra.prev_pos) >> kPageShift;
  const bool follows = ra.prev_pos >= 0 && index - prev_index <= 1;
  if (index == 0 || req_count > max_pages || follows) {
    ra.start = index;
    ra.size = InitialWindow(req_count, max_pages);
    ra.async_size = ra.size > req_count ? ra.size - req_count : ra.size / 2;
    return do_page_cache_ra(mapping, iocb, ra.start, ra.size, ra.async_size);
  }
  // Another stream may have come by here: its pages are still there.
  uint64_t cached = CachedBefore(mapping, index, max_pages);
  if (cached <= req_count) return do_page_cache_ra(mapping, iocb, index, req_count, 0);
  if (cached == index) cached *= 2;
  ra.start = index;
  ra.size = std::min(cached + req_count, max_pages);
  ra.async_size = 1;
  do_page_cache_ra(mapping, iocb, ra.start, ra.size, ra.async_size);
}

void force_page_cache_readahead(const file& filp, uint64_t first, uint64_t nr) {
  kiocb iocb;  // of nobody
  do_page_cache_ra(*filp.f_inode->i_mapping, &iocb, first, std::min(nr, LargestWindow(filp.f_ra, nr)), 0);
}

void page_cache_async_ra(address_space& mapping, kiocb* iocb, folio* marked, uint64_t req_count) {
  file_ra_state& ra = iocb->ki_filp->f_ra;
  if (ra.ra_pages == 0 || marked->writeback) return;
  marked->readahead = false;
  const uint64_t max_pages = LargestWindow(ra, req_count);
  if (marked->index == ra.start + ra.size - ra.async_size) {
    ra.start += ra.size;
    ra.size = std::max(ra.size, NextWindow(ra.size, max_pages));
  } else {
    // The mark of another reader's window: go on behind what is there.
    uint64_t start = marked->index + 1;
    while (start - marked->index <= max_pages && filemap_get_folio(mapping, start) != nullptr) ++start;
    if (start - marked->index > max_pages) return;
    ra.size = NextWindow(start - marked->index + req_count, max_pages);
    ra.start = start;
  }
  ra.async_size = ra.size;
  do_page_cache_ra(mapping, iocb, ra.start, ra.size, ra.async_size);
}

}  // namespace aiolab
