#include "kernel_model/mm/shmem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>

#include "absl/strings/string_view.h"
#include "kernel_model/fs/libfs.h"

namespace aiolab {
namespace {

constexpr long TMPFS_MAGIC = 0x01021994;
constexpr uint64_t kBlocksPerPage = kPageSize / 512;
// Behind the last byte that a file can have.
constexpr uint64_t kEndOfPages = uint64_t{1} << 63;

ssize_t shmem_read_range(kiocb* iocb, iov_iter* iter, size_t n);
ssize_t shmem_write_range(kiocb* iocb, iov_iter* iter, size_t n);
loff_t shmem_size(file* filp) { return filp->f_inode->i_size; }

constexpr address_space_operations shmem_aops = {
    .read_range = shmem_read_range,
    .write_range = shmem_write_range,
    .size = shmem_size,
};

struct shmem_sb_info : super_block {
  shmem_sb_info(const shmem_backing& backing, uint64_t max_blocks) : backing(backing), max_blocks(max_blocks) {}
  ~shmem_sb_info() override { s_root.reset(); }  // while what evict_inode counts is still there

  const shmem_backing backing;
  const uint64_t max_blocks;  // pages
  uint64_t used_blocks = 0;
  uint64_t last_ino = 0;
};

using Page = std::array<char, kPageSize>;

struct shmem_inode_info : inode {
  explicit shmem_inode_info(const shmem_backing& backing) : mapping(shmem_aops) {
    mapping.readahead = backing.readahead;
    mapping.direct_IO = backing.direct_IO;
    mapping.swaps = true;
  }

  address_space mapping;
  // By index. One that is absent is a hole; a null one has been allocated by fallocate and never been written.
  std::map<uint64_t, std::unique_ptr<Page>> pages;
};

shmem_sb_info& SHMEM_SB(super_block& sb) { return static_cast<shmem_sb_info&>(sb); }
shmem_inode_info& SHMEM_I(inode& node) { return static_cast<shmem_inode_info&>(node); }

// `info` has got or lost pages.
void shmem_recalc(shmem_inode_info& info) {
  shmem_sb_info& sb = SHMEM_SB(*info.i_sb);
  const uint64_t blocks = info.pages.size() * kBlocksPerPage;
  sb.used_blocks = sb.used_blocks - info.i_blocks / kBlocksPerPage + info.pages.size();
  info.i_blocks = blocks;
}

uint64_t shmem_room(const shmem_inode_info& info) {
  const shmem_sb_info& sb = SHMEM_SB(*info.i_sb);
  return sb.max_blocks - sb.used_blocks;
}

// Takes [start, end) out of the file: pages that it covers are holes again, the rest of others is zero.
void shmem_undo_range(shmem_inode_info& info, uint64_t start, uint64_t end) {
  const auto zero = [&info](uint64_t from, uint64_t to) {
    const auto page = info.pages.find(from >> kPageShift);
    if (from >= to || page == info.pages.end() || page->second == nullptr) return;
    memset(page->second->data() + from % kPageSize, 0, to - from);
  };
  const uint64_t first_whole = (start + kPageSize - 1) / kPageSize * kPageSize;
  const uint64_t end_whole = end / kPageSize * kPageSize;
  if (first_whole > end_whole) {
    zero(start, end);
    return;
  }
  zero(start, first_whole);
  zero(end_whole, end);
  info.pages.erase(info.pages.lower_bound(first_whole >> kPageShift), info.pages.lower_bound(end_whole >> kPageShift));
  shmem_recalc(info);
}

int shmem_setattr(inode& node, const iattr& attr) {
  if ((attr.ia_valid & ATTR_SIZE) != 0) {
    shmem_inode_info& info = SHMEM_I(node);
    // What lies behind the end has to be zero when the file grows again.
    if (attr.ia_size < info.i_size) shmem_undo_range(info, static_cast<uint64_t>(attr.ia_size), kEndOfPages);
    info.i_size = attr.ia_size;
  }
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
    const bool empty = page == info.pages.end() || page->second == nullptr;
    const size_t copied = empty ? iov_iter_zero(piece, iter) : copy_to_iter(page->second->data() + offset, piece, iter);
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
      if (shmem_room(info) == 0) {
        error = -ENOSPC;
        break;
      }
      page = info.pages.emplace(at >> kPageShift, nullptr).first;
      shmem_recalc(info);
    }
    if (page->second == nullptr) page->second = std::make_unique<Page>();
    const size_t copied = copy_from_iter(page->second->data() + offset, piece, iter);
    done += copied;
    if (copied > 0) info.i_size = std::max(info.i_size, static_cast<loff_t>(at + copied));
    if (copied < piece) break;
  }
  return done == 0 && n > 0 ? error : static_cast<ssize_t>(done);
}

ssize_t shmem_file_read_iter(kiocb* iocb, iov_iter* to) {
  file_accessed(iocb->ki_filp);
  address_space& mapping = SHMEM_I(*iocb->ki_filp->f_inode).mapping;
  if (mapping.direct_IO != nullptr && (iocb->ki_flags & IOCB_DIRECT) != 0) return mapping.direct_IO(iocb, to, mapping);
  return filemap_read(iocb, to, mapping);
}

ssize_t shmem_file_write_iter(kiocb* iocb, iov_iter* from) {
  const ssize_t allowed = generic_write_checks(iocb, from);
  if (allowed <= 0) return allowed;
  file_update_time(iocb->ki_filp);
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

// Where the next page with data is (SEEK_DATA) or the next without (SEEK_HOLE), at or behind `offset`; the end of the
// file if there is none.
loff_t NextPage(const shmem_inode_info& info, loff_t offset, bool with_data) {
  uint64_t index = static_cast<uint64_t>(offset) >> kPageShift;
  auto page = info.pages.lower_bound(index);
  if (with_data) {
    while (page != info.pages.end() && page->second == nullptr) ++page;
    if (page == info.pages.end()) return info.i_size;
    index = page->first;
  } else {
    for (; page != info.pages.end() && page->first == index && page->second != nullptr; ++page) ++index;
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

long shmem_fallocate(file* filp, int mode, loff_t offset, loff_t len) {
  shmem_inode_info& info = SHMEM_I(*filp->f_inode);
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) != 0) return -EOPNOTSUPP;
  const loff_t end = offset + len;
  if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
    file_update_time(filp);
    shmem_undo_range(info, static_cast<uint64_t>(offset), static_cast<uint64_t>(end));
    return 0;
  }
  // The limit counts for KEEP_SIZE too.
  if (const int error = inode_newsize_ok(info, end); error != 0) return error;
  const uint64_t first = static_cast<uint64_t>(offset) >> kPageShift;
  const uint64_t behind = (static_cast<uint64_t>(end) + kPageSize - 1) >> kPageShift;
  if (behind - first > SHMEM_SB(*info.i_sb).max_blocks) return -ENOSPC;
  const auto there = std::distance(info.pages.lower_bound(first), info.pages.lower_bound(behind));
  if (behind - first - static_cast<uint64_t>(there) > shmem_room(info)) return -ENOSPC;
  file_update_time(filp);
  for (uint64_t index = first; index < behind; ++index) info.pages.emplace(index, nullptr);
  shmem_recalc(info);
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0) info.i_size = std::max(info.i_size, end);
  return 0;
}

constexpr file_operations shmem_file_operations = {
    .name = "tmpfs",
    .read_iter = shmem_file_read_iter,
    .write_iter = shmem_file_write_iter,
    .fsync = noop_fsync,
    .llseek = shmem_file_llseek,
    .fallocate = shmem_fallocate,
};

int shmem_create(inode& dir, absl::string_view name, mode_t mode, std::shared_ptr<inode>* made);
int shmem_tmpfile(inode& dir, mode_t mode, std::shared_ptr<inode>* made);
int shmem_symlink(inode& dir, absl::string_view name, absl::string_view target);
int shmem_mkdir(inode& dir, absl::string_view name, mode_t mode);

constexpr inode_operations shmem_dir_inode_operations = {
    .lookup = simple_lookup,
    .create = shmem_create,
    .tmpfile = shmem_tmpfile,
    .link = simple_link,
    .unlink = simple_unlink,
    .symlink = shmem_symlink,
    .mkdir = shmem_mkdir,
    .rmdir = simple_rmdir,
    .rename = simple_rename,
};

std::shared_ptr<inode> shmem_new_dir(shmem_sb_info& sb, mode_t mode) {
  return simple_new_dir(sb, ++sb.last_ino, mode, shmem_dir_inode_operations);
}

std::shared_ptr<inode> shmem_get_inode(super_block& sb, mode_t mode) {
  shmem_sb_info& info_sb = SHMEM_SB(sb);
  std::shared_ptr<shmem_inode_info> info = new_inode(sb, std::make_unique<shmem_inode_info>(info_sb.backing));
  info->i_ino = ++info_sb.last_ino;
  info->i_mode = mode;
  info->i_op = &shmem_inode_operations;
  info->i_fop = &shmem_file_operations;
  info->i_fmode = FMODE_CAN_ODIRECT;
  return info;
}

int shmem_create(inode& dir, absl::string_view name, mode_t mode, std::shared_ptr<inode>* made) {
  *made = shmem_get_inode(*dir.i_sb, mode);
  simple_add(dir, name, *made);
  return 0;
}

int shmem_tmpfile(inode& dir, mode_t mode, std::shared_ptr<inode>* made) {
  *made = shmem_get_inode(*dir.i_sb, mode);
  (*made)->i_nlink = 0;
  return 0;
}

int shmem_symlink(inode& dir, absl::string_view name, absl::string_view target) {
  simple_add(dir, name, simple_new_symlink(*dir.i_sb, ++SHMEM_SB(*dir.i_sb).last_ino, target));
  return 0;
}

int shmem_mkdir(inode& dir, absl::string_view name, mode_t mode) {
  simple_add(dir, name, shmem_new_dir(SHMEM_SB(*dir.i_sb), mode));
  return 0;
}

int shmem_statfs(super_block& sb, struct statfs* status) {
  const shmem_sb_info& info = SHMEM_SB(sb);
  status->f_type = TMPFS_MAGIC;
  status->f_blocks = info.max_blocks;
  status->f_bfree = status->f_bavail = info.max_blocks - info.used_blocks;
  return 0;
}

void shmem_evict_inode(inode& node) {
  if (!S_ISREG(node.i_mode)) return;
  SHMEM_I(node).pages.clear();
  shmem_recalc(SHMEM_I(node));
}

constexpr super_operations shmem_ops = {
    .statfs = shmem_statfs,
    .evict_inode = shmem_evict_inode,
};

}  // namespace

std::unique_ptr<super_block> MakeTmpfs(const shmem_backing& backing, uint64_t size_bytes) {
  auto sb = std::make_unique<shmem_sb_info>(backing, size_bytes >> kPageShift);
  sb->s_type = "tmpfs";
  sb->s_op = &shmem_ops;
  sb->s_root = shmem_new_dir(*sb, 01777);
  return sb;
}

}  // namespace aiolab
