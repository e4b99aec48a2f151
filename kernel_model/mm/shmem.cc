#include "kernel_model/mm/shmem.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

namespace aiolab {
namespace {

// What one file may take of the host's memory: 4 GiB. -ENOSPC behind it, as on a tmpfs with a size.
constexpr size_t kPagesMax = size_t{1} << 20;

constexpr uint64_t kBlocksPerPage = kPageSize / 512;

ssize_t shmem_read_range(kiocb* iocb, iov_iter* iter, size_t n);
ssize_t shmem_write_range(kiocb* iocb, iov_iter* iter, size_t n);
loff_t shmem_size(file* filp) { return filp->f_inode->i_size; }

constexpr address_space_operations shmem_aops = {
    .read_range = shmem_read_range,
    .write_range = shmem_write_range,
    .size = shmem_size,
};

struct shmem_inode_info : inode {
  explicit shmem_inode_info(const shmem_backing& backing) : mapping(shmem_aops) {
    mapping.readahead = backing.readahead;
    mapping.direct_IO = backing.direct_IO;
  }
  address_space mapping;
  std::map<uint64_t, std::unique_ptr<std::array<char, kPageSize>>> pages;  // by index; one that is absent is a hole
};

shmem_inode_info& SHMEM_I(inode& node) { return static_cast<shmem_inode_info&>(node); }

void shmem_truncate(shmem_inode_info& info, loff_t size) {
  if (size < info.i_size) {
    const uint64_t offset = static_cast<uint64_t>(size) % kPageSize;
    const uint64_t first_gone = (static_cast<uint64_t>(size) + kPageSize - 1) >> kPageShift;
    info.pages.erase(info.pages.lower_bound(first_gone), info.pages.end());
    // What lies behind the end has to be zero when the file grows again.
    const auto last = info.pages.find(static_cast<uint64_t>(size) >> kPageShift);
    if (offset != 0 && last != info.pages.end()) memset(last->second->data() + offset, 0, kPageSize - offset);
    info.i_blocks = info.pages.size() * kBlocksPerPage;
  }
  info.i_size = size;
}

int shmem_setattr(inode& node, const iattr& attr) {
  if ((attr.ia_valid & ATTR_SIZE) != 0) shmem_truncate(SHMEM_I(node), attr.ia_size);
  setattr_copy(node, attr);
  return 0;
}

constexpr inode_operations shmem_inode_operations = {
    .setattr = shmem_setattr,
};

ssize_t shmem_read_range(kiocb* iocb, iov_iter* iter, size_t n) {
  shmem_inode_info& info = SHMEM_I(*iocb->ki_filp->f_inode);
  const loff_t pos = iocb->ki_pos;
  if (pos >= info.i_size) return 0;
  n = std::min({n, iter->count, static_cast<size_t>(info.i_size - pos)});
  size_t done = 0;
  while (done < n) {
    const uint64_t at = static_cast<uint64_t>(pos) + done;
    const size_t offset = at % kPageSize;
    const size_t piece = std::min(kPageSize - offset, n - done);
    const auto page = info.pages.find(at >> kPageShift);
    const size_t copied = page == info.pages.end() ? iov_iter_zero(piece, iter)
                                                   : copy_to_iter(page->second->data() + offset, piece, iter);
    done += copied;
    if (copied < piece) break;
  }
  return done == 0 && n > 0 ? -EFAULT : static_cast<ssize_t>(done);
}

ssize_t shmem_write_range(kiocb* iocb, iov_iter* iter, size_t n) {
  shmem_inode_info& info = SHMEM_I(*iocb->ki_filp->f_inode);
  n = std::min(n, iter->count);
  size_t done = 0;
  ssize_t error = -EFAULT;
  while (done < n) {
    const uint64_t at = static_cast<uint64_t>(iocb->ki_pos) + done;
    const size_t offset = at % kPageSize;
    const size_t piece = std::min(kPageSize - offset, n - done);
    auto page = info.pages.find(at >> kPageShift);
    if (page == info.pages.end()) {
      if (info.pages.size() >= kPagesMax) {
        error = -ENOSPC;
        break;
      }
      page = info.pages.emplace(at >> kPageShift, std::make_unique<std::array<char, kPageSize>>()).first;
      info.i_blocks = info.pages.size() * kBlocksPerPage;
    }
    const size_t copied = copy_from_iter(page->second->data() + offset, piece, iter);
    done += copied;
    if (copied > 0) info.i_size = std::max(info.i_size, static_cast<loff_t>(at + copied));
    if (copied < piece) break;
  }
  return done == 0 && n > 0 ? error : static_cast<ssize_t>(done);
}

ssize_t shmem_file_read_iter(kiocb* iocb, iov_iter* to) {
  address_space& mapping = SHMEM_I(*iocb->ki_filp->f_inode).mapping;
  if (mapping.direct_IO != nullptr && (iocb->ki_flags & IOCB_DIRECT) != 0) return mapping.direct_IO(iocb, to, mapping);
  return filemap_read(iocb, to, mapping);
}

ssize_t shmem_file_write_iter(kiocb* iocb, iov_iter* from) {
  const ssize_t allowed = generic_write_checks(iocb, from);
  if (allowed <= 0) return allowed;
  address_space& mapping = SHMEM_I(*iocb->ki_filp->f_inode).mapping;
  // One that is cut short is not worth a direct write: the kernel falls back to the page cache in such cases too.
  const bool whole = static_cast<size_t>(allowed) == from->count;
  if (mapping.direct_IO != nullptr && (iocb->ki_flags & IOCB_DIRECT) != 0 && whole) {
    return mapping.direct_IO(iocb, from, mapping);
  }
  // What may not be written is hidden for the time being: the iterator tells the caller what is left.
  const size_t refused = from->count - static_cast<size_t>(allowed);
  from->count -= refused;
  const ssize_t written = filemap_write(iocb, from, mapping);
  from->count += refused;
  return written;
}

// Where the next page is that is there (SEEK_DATA) or is not (SEEK_HOLE), at or behind `offset`; the end of the file if
// there is none.
loff_t NextPage(const shmem_inode_info& info, loff_t offset, bool there) {
  uint64_t index = static_cast<uint64_t>(offset) >> kPageShift;
  auto page = info.pages.lower_bound(index);
  if (there) {
    if (page == info.pages.end()) return info.i_size;
    index = page->first;
  } else {
    for (; page != info.pages.end() && page->first == index; ++page) ++index;
  }
  return std::min(std::max(offset, static_cast<loff_t>(index << kPageShift)), info.i_size);
}

loff_t shmem_file_llseek(file* filp, loff_t offset, int whence) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return generic_file_llseek(filp, offset, whence);
  const shmem_inode_info& info = SHMEM_I(*filp->f_inode);
  if (offset < 0 || offset >= info.i_size) return -ENXIO;
  const loff_t found = NextPage(info, offset, whence == SEEK_DATA);
  if (whence == SEEK_DATA && found >= info.i_size) return -ENXIO;
  return filp->f_pos = found;
}

constexpr file_operations shmem_file_operations = {
    .name = "tmpfs",
    .read_iter = shmem_file_read_iter,
    .write_iter = shmem_file_write_iter,
    .fsync = noop_fsync,
    .llseek = shmem_file_llseek,
};

}  // namespace

std::shared_ptr<inode> shmem_get_inode(mode_t mode, const shmem_backing& backing) {
  auto info = std::make_shared<shmem_inode_info>(backing);
  info->i_mode = mode;
  info->i_op = &shmem_inode_operations;
  info->i_fop = &shmem_file_operations;
  info->i_fmode = FMODE_CAN_ODIRECT;
  return info;
}

address_space& shmem_mapping(inode& node) { return SHMEM_I(node).mapping; }

}  // namespace aiolab
