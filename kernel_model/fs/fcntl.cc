// Mirrors: fs/fcntl.c, and of fs/file.c the duplicates.
#include <errno.h>
#include <fcntl.h>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/locks.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

// What F_SETFL may change.
constexpr unsigned SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_ASYNC;

int setfl(file* filp, unsigned flags) {
  if ((flags & O_DIRECT) != 0 && (filp->f_mode & FMODE_CAN_ODIRECT) == 0) return -EINVAL;
  filp->f_flags = (flags & SETFL_MASK) | (filp->f_flags & ~SETFL_MASK);
  return 0;
}

int Lock(file* filp, int cmd, struct flock* user_lock) {
  struct flock lock;
  if (copy_from_user(&lock, user_lock, sizeof(lock)) != 0) return -EFAULT;
  const void* const process = &current_files();
  if (cmd != F_GETLK && cmd != F_OFD_GETLK) return fcntl_setlk(filp, cmd, lock, process);
  if (const int error = fcntl_getlk(filp, cmd, &lock, process); error != 0) return error;
  return copy_to_user(user_lock, &lock, sizeof(lock)) == 0 ? 0 : -EFAULT;
}

}  // namespace

long sys_dup(int oldfd) {
  FileRef filp = fdget_raw(oldfd);
  if (!filp) return -EBADF;
  return current_files().Install(get_file(filp.get()), /*close_on_exec=*/false);
}

long sys_dup3(int oldfd, int newfd, int flags) {
  if ((flags & ~O_CLOEXEC) != 0 || oldfd == newfd) return -EINVAL;
  FileRef filp = fdget_raw(oldfd);
  if (!filp || newfd < 0 || newfd >= ModelFiles::kFdsMax) return -EBADF;
  return current_files().InstallAt(newfd, get_file(filp.get()), (flags & O_CLOEXEC) != 0);
}

long sys_fcntl(int fd, int cmd, unsigned long arg) {
  ModelFiles& files = current_files();
  FileRef filp = fdget_raw(fd);
  if (!filp) return -EBADF;
  // What can be done with an O_PATH fd as well.
  switch (cmd) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      if (arg >= static_cast<unsigned long>(ModelFiles::kFdsMax)) return -EINVAL;
      return files.Install(get_file(filp.get()), cmd == F_DUPFD_CLOEXEC, static_cast<int>(arg));
    case F_GETFD:
      return files.close_on_exec(fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
      files.set_close_on_exec(fd, (arg & FD_CLOEXEC) != 0);
      return 0;
    case F_GETFL:
      return filp->f_flags;
    default:
      break;
  }
  if ((filp->f_mode & FMODE_PATH) != 0) return -EBADF;
  switch (cmd) {
    case F_SETFL:
      return setfl(filp.get(), static_cast<unsigned>(arg));
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return Lock(filp.get(), cmd, reinterpret_cast<struct flock*>(arg));
    default:
      return -EINVAL;
  }
}

long sys_flock(int fd, int operation) {
  FileRef filp = fdget(fd);
  return filp ? flock_lock_file(filp.get(), operation) : -EBADF;
}

}  // namespace aiolab
