// Mirrors: fs/stat.c.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <string>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/namei.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/statx_abi.h"

namespace aiolab {
namespace {

constexpr unsigned kStatxReserved = 0x80000000;

int cp_new_stat(const kstat& stat, struct stat* user_stat) {
  struct stat status = {};
  status.st_dev = stat.dev;
  status.st_ino = stat.ino;
  status.st_mode = stat.mode;
  status.st_nlink = stat.nlink;
  status.st_rdev = stat.rdev;
  status.st_size = stat.size;
  status.st_blksize = stat.blksize;
  status.st_blocks = static_cast<blkcnt_t>(stat.blocks);
  status.st_atim = stat.atime;
  status.st_mtim = stat.mtime;
  status.st_ctim = stat.ctime;
  return copy_to_user(user_stat, &status, sizeof(status)) == 0 ? 0 : -EFAULT;
}

statx_timestamp StatxTime(const timespec& time) {
  statx_timestamp stamp = {};
  stamp.tv_sec = time.tv_sec;
  stamp.tv_nsec = static_cast<uint32_t>(time.tv_nsec);
  return stamp;
}

int cp_statx(const kstat& stat, unsigned mask, struct statx* user_statx) {
  struct statx status = {};
  // Asked for or not, the basic ones cost nothing.
  constexpr unsigned kAskedFor = STATX_DIOALIGN | STATX_WRITE_ATOMIC;
  status.stx_mask = stat.result_mask & (mask | ~kAskedFor);
  status.stx_blksize = stat.blksize;
  status.stx_attributes = stat.attributes;
  status.stx_attributes_mask = stat.attributes_mask;
  status.stx_nlink = stat.nlink;
  status.stx_mode = static_cast<uint16_t>(stat.mode);
  status.stx_ino = stat.ino;
  status.stx_size = static_cast<uint64_t>(stat.size);
  status.stx_blocks = stat.blocks;
  status.stx_atime = StatxTime(stat.atime);
  status.stx_mtime = StatxTime(stat.mtime);
  status.stx_ctime = StatxTime(stat.ctime);
  status.stx_btime = StatxTime(stat.btime);
  status.stx_rdev_major = major(stat.rdev);
  status.stx_rdev_minor = minor(stat.rdev);
  status.stx_dev_major = major(stat.dev);
  status.stx_dev_minor = minor(stat.dev);
  status.stx_mnt_id = stat.mnt_id;
  if ((status.stx_mask & STATX_DIOALIGN) != 0) {
    status.stx_dio_mem_align = stat.dio_mem_align;
    status.stx_dio_offset_align = stat.dio_offset_align;
  }
  if ((status.stx_mask & STATX_WRITE_ATOMIC) != 0) {
    status.stx_attributes_mask |= STATX_ATTR_WRITE_ATOMIC;
    if (stat.atomic_write_unit_max > 0) {
      status.stx_attributes |= STATX_ATTR_WRITE_ATOMIC;
      SetAtomicWrite(&status, {stat.atomic_write_unit_min, stat.atomic_write_unit_max, /*segments_max=*/1});
    }
  }
  return copy_to_user(user_statx, &status, sizeof(status)) == 0 ? 0 : -EFAULT;
}

int StatOf(const inode& node, const vfsmount* mount, kstat* stat) {
  if (mount != nullptr) {
    stat->mnt_id = mount->mnt_id;
    stat->result_mask |= STATX_MNT_ID;
  }
  return vfs_getattr(node, stat);
}

int vfs_fstat(int fd, kstat* stat) {
  const FileRef filp = fdget_raw(fd);
  return filp ? StatOf(*filp->f_inode, filp->f_path.mnt.get(), stat) : -EBADF;
}

// With AT_EMPTY_PATH no path at all, or an empty one, means the fd itself, which need not be in any tree.
int vfs_statx(int dirfd, const char* user_path, int flags, kstat* stat) {
  if ((flags & AT_EMPTY_PATH) != 0 && dirfd >= 0) {
    char first = '\0';
    if (user_path != nullptr && copy_from_user(&first, user_path, 1) != 0) return -EFAULT;
    if (first == '\0') return vfs_fstat(dirfd, stat);
  }
  path found;
  const unsigned lookup =
      ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0 : LOOKUP_FOLLOW) | ((flags & AT_EMPTY_PATH) != 0 ? LOOKUP_EMPTY : 0);
  if (const int error = user_path_at(dirfd, user_path, lookup, &found); error != 0) return error;
  return StatOf(*found.entry->d_inode, found.mnt.get(), stat);
}

}  // namespace

long sys_fstat(int fd, struct stat* user_stat) {
  kstat stat;
  if (const int error = vfs_fstat(fd, &stat); error != 0) return error;
  return cp_new_stat(stat, user_stat);
}

long sys_newfstatat(int dirfd, const char* user_path, struct stat* user_stat, int flags) {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) != 0) return -EINVAL;
  kstat stat;
  if (const int error = vfs_statx(dirfd, user_path, flags, &stat); error != 0) return error;
  return cp_new_stat(stat, user_stat);
}

long sys_statx(int dirfd, const char* user_path, int flags, unsigned mask, struct statx* user_statx) {
  if ((mask & kStatxReserved) != 0) return -EINVAL;
  if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE) return -EINVAL;
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) != 0) return -EINVAL;
  kstat stat;
  if (const int error = vfs_statx(dirfd, user_path, flags, &stat); error != 0) return error;
  return cp_statx(stat, mask, user_statx);
}

long sys_readlinkat(int dirfd, const char* user_path, char* user_buf, int size) {
  if (size <= 0) return -EINVAL;
  path found;
  if (const int error = user_path_at(dirfd, user_path, LOOKUP_EMPTY, &found); error != 0) return error;
  if (found.entry == nullptr) return -ENOENT;
  inode& node = *found.entry->d_inode;
  if (!S_ISLNK(node.i_mode)) return found.entry->d_name.empty() ? -ENOENT : -EINVAL;
  std::string target;
  if (const int error = node.i_op->get_link(node, &target); error != 0) return error;
  const size_t length = std::min(target.size(), static_cast<size_t>(size));
  return copy_to_user(user_buf, target.data(), length) == 0 ? static_cast<long>(length) : -EFAULT;
}

}  // namespace aiolab
