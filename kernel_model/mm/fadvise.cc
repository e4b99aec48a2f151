// Advice, as far as it changes what is cached or read ahead.
#include <fcntl.h>

#include <algorithm>
#include <limits>

#include "kernel_model/mm/folio.h"

namespace aiolab {
namespace {

void DropRange(inode& node, loff_t offset, loff_t last_byte) {
  address_space& mapping = *node.i_mapping;
  const uint64_t last_page = static_cast<uint64_t>(last_byte) >> kPageShift;
  mapping.writepages(mapping, static_cast<uint64_t>(offset) >> kPageShift, last_page,
                     std::numeric_limits<uint64_t>::max(), /*sync=*/false);
  // A page of which only a part is not needed stays, but for the last one of the file.
  const uint64_t first = (static_cast<uint64_t>(offset) + kPageSize - 1) >> kPageShift;
  const uint64_t behind =
      last_byte == node.i_size - 1 ? last_page + 1 : (static_cast<uint64_t>(last_byte) + 1) >> kPageShift;
  if (first < behind) invalidate_inode_pages2_range(mapping, first, behind - 1);
}

}  // namespace

void generic_fadvise(file* filp, loff_t offset, loff_t len, int advice) {
  file_ra_state& ra = filp->f_ra;
  const uint64_t usual_ra_pages = file_ra_state().ra_pages;
  loff_t last_byte = 0;
  if (len == 0 || __builtin_add_overflow(offset, len - 1, &last_byte)) last_byte = MAX_LFS_FILESIZE;
  switch (advice) {
    case POSIX_FADV_NORMAL:
      ra.ra_pages = usual_ra_pages;
      filp->f_mode &= ~FMODE_RANDOM;
      break;
    case POSIX_FADV_RANDOM:
      filp->f_mode |= FMODE_RANDOM;
      break;
    case POSIX_FADV_SEQUENTIAL:
      ra.ra_pages = 2 * usual_ra_pages;
      filp->f_mode &= ~FMODE_RANDOM;
      break;
    case POSIX_FADV_WILLNEED: {
      const uint64_t first = static_cast<uint64_t>(offset) >> kPageShift;
      const uint64_t last = static_cast<uint64_t>(last_byte) >> kPageShift;
      force_page_cache_ra(*filp->f_inode->i_mapping, filp, first, last - first + 1);
      break;
    }
    case POSIX_FADV_DONTNEED:
      DropRange(*filp->f_inode, offset, last_byte);
      break;
    default:
      break;
  }
}

}  // namespace aiolab
