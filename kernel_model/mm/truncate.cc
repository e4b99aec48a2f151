// How pages go.
#include <errno.h>
#include <string.h>

#include <limits>

#include "kernel_model/mm/folio.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr uint64_t kLastPage = std::numeric_limits<uint64_t>::max();

// Sleeps until the page at `index` is neither being read nor being written. It may be gone then: null.
int WaitForIdle(address_space& mapping, uint64_t index, folio** found) {
  for (;;) {
    folio* const page = filemap_get_folio(mapping, index);
    *found = page;
    if (page == nullptr || (!page->locked && !page->writeback)) return 0;
    folio_get(page);
    const int error = wait_event_or_leave(page->wait, nullptr, [page] { return !page->locked && !page->writeback; });
    folio_put(page);
    if (error != 0) return error;
  }
}

}  // namespace

int truncate_inode_pages_range(address_space& mapping, uint64_t first, uint64_t last) {
  for (auto at = mapping.i_pages.lower_bound(first); at != mapping.i_pages.end() && at->first <= last;
       at = mapping.i_pages.lower_bound(first)) {
    first = at->first;
    folio* page = nullptr;
    if (const int error = WaitForIdle(mapping, first, &page); error != 0) return error;
    if (page != nullptr) filemap_remove_folio(page);
  }
  return 0;
}

int truncate_pagecache(inode& node, loff_t new_size) {
  address_space& mapping = *node.i_mapping;
  const auto size = static_cast<uint64_t>(new_size);
  const size_t offset = size % kPageSize;
  if (offset > 0) {
    folio* page = nullptr;
    if (const int error = WaitForIdle(mapping, size >> kPageShift, &page); error != 0) return error;
    if (page != nullptr) memset(page->bytes + offset, 0, kPageSize - offset);
  }
  return truncate_inode_pages_range(mapping, (size + kPageSize - 1) >> kPageShift, kLastPage);
}

int truncate_pagecache_block(inode& node, loff_t from) {
  address_space& mapping = *node.i_mapping;
  const uint64_t index = static_cast<uint64_t>(from) >> kPageShift;
  const size_t offset = static_cast<uint64_t>(from) % kPageSize;
  if (offset == 0) return 0;
  kiocb iocb;  // of nobody: it sleeps
  for (bool has_read = false;; has_read = true) {
    folio* page = nullptr;
    if (const int error = WaitForIdle(mapping, index, &page); error != 0) return error;
    if (page != nullptr && page->uptodate) {
      memset(page->bytes + offset, 0, kPageSize - offset);
      // A hole's page has no block to get zeros.
      block_map map;
      const int error = mapping.a_ops.map_blocks(node, index, 1, /*allocate=*/false, &map);
      if (error == 0 && map.type == block_map::kMapped) folio_mark_dirty(page);
      return error;
    }
    if (page != nullptr && page->error && has_read) return -EIO;
    filemap_read_folio(mapping, &iocb, index);
  }
}

int invalidate_inode_pages2_range(address_space& mapping, uint64_t first, uint64_t last) {
  int result = 0;
  for (auto at = mapping.i_pages.lower_bound(first); at != mapping.i_pages.end() && at->first <= last;
       at = mapping.i_pages.lower_bound(first)) {
    folio* const page = at->second;
    first = page->index + 1;
    if (page->locked || page->dirty || page->writeback) {
      result = -EBUSY;
    } else {
      filemap_remove_folio(page);
    }
    if (first == 0) break;
  }
  return result;
}

}  // namespace aiolab
