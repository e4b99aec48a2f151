// Mirrors: fs/utimes.c.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/namei.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

bool nsec_valid(long nsec) { return nsec == UTIME_OMIT || nsec == UTIME_NOW || (nsec >= 0 && nsec <= 999'999'999); }

// `times`: access, modification.
int vfs_utimes(inode& node, const timespec (&times)[2]) {
  iattr attr;
  attr.ia_valid = ATTR_CTIME;
  attr.ia_ctime = current_time();
  if (times[0].tv_nsec != UTIME_OMIT) {
    attr.ia_valid |= ATTR_ATIME;
    attr.ia_atime = times[0].tv_nsec == UTIME_NOW ? attr.ia_ctime : times[0];
  }
  if (times[1].tv_nsec != UTIME_OMIT) {
    attr.ia_valid |= ATTR_MTIME;
    attr.ia_mtime = times[1].tv_nsec == UTIME_NOW ? attr.ia_ctime : times[1];
  }
  return notify_change(node, attr);
}

}  // namespace

long sys_utimensat(int dirfd, const char* user_path, const timespec* user_times, int flags) {
  timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (user_times != nullptr) {
    if (copy_from_user(times, user_times, sizeof(times)) != 0) return -EFAULT;
    if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT) return 0;
  }
  if (!nsec_valid(times[0].tv_nsec) || !nsec_valid(times[1].tv_nsec)) return -EINVAL;
  // Without a path it is futimens.
  if (user_path == nullptr && dirfd != AT_FDCWD) {
    if (flags != 0) return -EINVAL;
    const FileRef filp = fdget(dirfd);
    return filp ? vfs_utimes(*filp->f_inode, times) : -EBADF;
  }
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return -EINVAL;
  path found;
  const unsigned lookup =
      ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0 : LOOKUP_FOLLOW) | ((flags & AT_EMPTY_PATH) != 0 ? LOOKUP_EMPTY : 0);
  if (const int error = user_path_at(dirfd, user_path, lookup, &found); error != 0) return error;
  return vfs_utimes(*found.entry->d_inode, times);
}

}  // namespace aiolab
