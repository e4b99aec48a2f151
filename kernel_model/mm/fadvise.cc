// What a client says it will do with a file, for the page cache.
//
// Mirrors: generic_fadvise() in mm/fadvise.c.
// Differs: POSIX_FADV_NOREUSE is taken and means nothing, as the cache has no order by use.
#include <errno.h>
#include <fcntl.h>

#include <limits>

#include "kernel_model/mm/folio.h"

namespace aiolab {
namespace {

// Starts to write what is dirty, and drops what is clean: a part of a page at either end stays, unless the file ends
// there.
void DropRange(address_space& mapping, uint64_t first_byte, uint64_t last_byte) {
  filemap_fdatawrite(mapping, first_byte >> kPageShift, last_byte >> kPageShift);
  const uint64_t first = (first_byte + kPageSize - 1) >> kPageShift;
  uint64_t end = (last_byte >> kPageShift) + 1;
  const auto size = static_cast<uint64_t>(mapping.host->i_size);
  if ((last_byte + 1) % kPageSize != 0 && last_byte + 1 != size) --end;
  if (first < end) invalidate_inode_pages2_range(mapping, first, end - 1);
}

}  // namespace

int generic_fadvise(file* filp, loff_t offset, loff_t len, int advice) {
  constexpr uint64_t kEndless = std::numeric_limits<loff_t>::max();
  address_space& mapping = *filp->f_inode->i_mapping;
  const auto first_byte = static_cast<uint64_t>(offset);
  const uint64_t end = first_byte + static_cast<uint64_t>(len);
  const uint64_t last_byte = len == 0 || end > kEndless ? kEndless : end - 1;
  switch (advice) {
    case POSIX_FADV_NORMAL:
      filp->f_ra.ra_pages = file_ra_state().ra_pages;
      filp->f_mode &= ~FMODE_RANDOM;
      return 0;
    case POSIX_FADV_RANDOM:
      filp->f_mode |= FMODE_RANDOM;
      return 0;
    case POSIX_FADV_SEQUENTIAL:
      filp->f_ra.ra_pages = file_ra_state().ra_pages * 2;
      filp->f_mode &= ~FMODE_RANDOM;
      return 0;
    case POSIX_FADV_WILLNEED:
      force_page_cache_readahead(*filp, first_byte >> kPageShift,
                                 (last_byte >> kPageShift) - (first_byte >> kPageShift) + 1);
      return 0;
    case POSIX_FADV_NOREUSE:
      return 0;
    case POSIX_FADV_DONTNEED:
      DropRange(mapping, first_byte, last_byte);
      return 0;
  }
  return -EINVAL;
}

}  // namespace aiolab
