// Pages to and from the device.
//
// Mirrors: fs/iomap/buffered-io.c, fs/iomap/ioend.c.
#include <errno.h>
#include <string.h>

#include <algorithm>
#include <limits>

#include "kernel_model/block/blkdev.h"
#include "kernel_model/fs/iomap.h"
#include "kernel_model/mm/folio.h"

namespace aiolab {
namespace {

constexpr unsigned kSectorsPerPageShift = kPageShift - SECTOR_SHIFT;
constexpr uint64_t kPagesPerBioMax = 256;

bio* NewBio(address_space& mapping, blk_opf_t opf, sector_t sector, uint64_t first, uint64_t nr) {
  bio* const made = bio_alloc(*mapping.bdev, opf, sector, static_cast<uint32_t>(nr << kPageShift));
  made->bi_inode = mapping.host_reference.lock();
  for (uint64_t index = first; index < first + nr; ++index) {
    folio* const page = filemap_get_folio(mapping, index);
    made->bi_io_vec.push_back({page->bytes, kPageSize, /*bv_user=*/false, page});
  }
  return made;
}

void ReadEndIo(bio* bio) {
  for (const bio_vec& piece : bio->bi_io_vec) folio_end_read(piece.bv_folio, bio->bi_status == 0);
  bio_put(bio);
}

// Reads locked folios. Pages without blocks are zeros, which is what they are already.
void iomap_read_folios(address_space& mapping, uint64_t first, uint64_t nr, bool ahead, int64_t request) {
  const uint64_t end = first + nr;
  while (first < end) {
    block_map map;
    const uint64_t wanted = std::min(end - first, kPagesPerBioMax);
    const int error = mapping.a_ops.map_blocks(*mapping.host, first, wanted, /*allocate=*/false, &map);
    const uint64_t n = error != 0 ? wanted : std::min(map.nr_pages, wanted);
    BUG_ON(n == 0);
    if (error == 0 && map.type == block_map::kMapped) {
      bio* const bio = NewBio(mapping, REQ_OP_READ | (ahead ? REQ_RAHEAD : 0), map.sector, first, n);
      bio->bi_request = request;
      bio->bi_end_io = ReadEndIo;
      submit_bio(bio);
    } else {
      for (uint64_t index = first; index < first + n; ++index) {
        folio* const page = filemap_get_folio(mapping, index);
        if (error == 0) memset(page->bytes, 0, kPageSize);
        folio_end_read(page, error == 0);
      }
    }
    first += n;
  }
}

// The file system hears of it first: who waits for the pages may look at their blocks.
//
// Mirrors: iomap_finish_ioend.
void WriteEndIo(bio* bio) {
  const folio& first_page = *bio->bi_io_vec.front().bv_folio;
  address_space& mapping = *first_page.mapping;
  const uint64_t first = first_page.index;
  const uint64_t nr = bio->bi_io_vec.size();
  const auto new_disk_size = static_cast<loff_t>(reinterpret_cast<uintptr_t>(bio->bi_private));
  if (mapping.a_ops.end_write != nullptr) {
    mapping.a_ops.end_write(*mapping.host, first, nr, new_disk_size, bio->bi_status);
  }
  mapping_set_error(mapping, bio->bi_status);
  for (const bio_vec& piece : bio->bi_io_vec) folio_end_writeback(piece.bv_folio);
  wake_up_all(mapping.writeback_wait);
  bio_put(bio);
}

// The first run of pages to write at or behind `first`, at most `nr_max`. 0 pages: there is none up to `last`.
struct Run {
  uint64_t first;
  uint64_t nr;
};
Run NextRun(const address_space& mapping, uint64_t first, uint64_t last, uint64_t nr_max) {
  Run run = {first, 0};
  for (auto at = mapping.dirty_pages.lower_bound(first); at != mapping.dirty_pages.end() && *at <= last; ++at) {
    if (run.nr == nr_max || (run.nr > 0 && *at != run.first + run.nr)) break;
    if (filemap_get_folio(mapping, *at)->writeback) {
      if (run.nr > 0) break;
      continue;
    }
    if (run.nr++ == 0) run.first = *at;
  }
  return run;
}

// Pages that can have no place stay in the cache, clean and lost, and whoever syncs the file is told.
void GiveUp(address_space& mapping, const Run& run, int error) {
  mapping_set_error(mapping, error);
  for (uint64_t index = run.first; index < run.first + run.nr; ++index) {
    folio_cancel_dirty(filemap_get_folio(mapping, index));
  }
}

uint64_t iomap_writepages(address_space& mapping, uint64_t first, uint64_t last, uint64_t nr_max, bool sync) {
  inode& node = *mapping.host;
  // What the file is when the last bio ends may be up to somebody else.
  const std::shared_ptr<inode> keep = mapping.host_reference.lock();
  uint64_t started = 0;
  blk_plug plug;
  blk_start_plug(&plug);
  while (started < nr_max) {
    Run run = NextRun(mapping, first, last, std::min(nr_max - started, kPagesPerBioMax));
    if (run.nr == 0) break;
    block_map map;
    const int error = mapping.a_ops.map_blocks(node, run.first, run.nr, /*allocate=*/true, &map);
    if (error != 0) {
      GiveUp(mapping, run, error);
    } else {
      run.nr = std::min(run.nr, map.nr_pages);
      BUG_ON(run.nr == 0 || map.type == block_map::kHole || map.type == block_map::kDelayed);
      for (uint64_t index = run.first; index < run.first + run.nr; ++index) {
        folio_start_writeback(filemap_get_folio(mapping, index));
      }
      const loff_t end = std::min<loff_t>(node.i_size, static_cast<loff_t>((run.first + run.nr) << kPageShift));
      bio* const bio = NewBio(mapping, REQ_OP_WRITE | (sync ? REQ_SYNC : 0), map.sector, run.first, run.nr);
      bio->bi_private = reinterpret_cast<void*>(static_cast<uintptr_t>(end));
      bio->bi_end_io = WriteEndIo;
      TRACE_EVENT("writeback_pages", {{"ino", node.i_ino}, {"index", run.first}, {"nr", run.nr}, {"bio", bio->bi_id}});
      if (mapping.write_fault != 0) [[unlikely]] {
        bio->bi_status = mapping.write_fault;
        bio_endio(bio);
      } else {
        submit_bio(bio);
      }
    }
    started += run.nr;
    first = run.first + run.nr;
    if (first > last || first == 0) break;
  }
  blk_finish_plug(&plug);
  return started;
}

}  // namespace

void iomap_init_mapping(address_space& mapping, const std::shared_ptr<inode>& node, block_device& bdev,
                        const mapping_limits& limits) {
  mapping.host = node.get();
  mapping.host_reference = node;
  mapping.vm = current_kernel().vm;
  mapping.bdev = &bdev;
  mapping.limits = limits;
  mapping.read_folios = iomap_read_folios;
  mapping.writepages = iomap_writepages;
  mapping.direct_IO = iomap_direct_IO;
  list_add_tail(&mapping.mapping_list, &mapping.vm->mappings);
  node->i_mapping = &mapping;
}

}  // namespace aiolab
