// Mirrors: fs/ioctl.c.
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {

long sys_ioctl(int fd, unsigned cmd, unsigned long arg) {
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  switch (cmd) {
    case FIOCLEX:
    case FIONCLEX:
      current_files().set_close_on_exec(fd, cmd == FIOCLEX);
      return 0;
    case FIONBIO: {
      int on = 0;
      if (copy_from_user(&on, reinterpret_cast<const int*>(arg), sizeof(on)) != 0) return -EFAULT;
      filp->f_flags = on != 0 ? filp->f_flags | O_NONBLOCK : filp->f_flags & ~static_cast<unsigned>(O_NONBLOCK);
      return 0;
    }
    case FIONREAD: {
      if (!S_ISREG(filp->f_inode->i_mode)) break;
      const auto left = static_cast<int>(filp->f_inode->i_size - filp->f_pos);
      return copy_to_user(reinterpret_cast<int*>(arg), &left, sizeof(left)) == 0 ? 0 : -EFAULT;
    }
    default:
      break;
  }
  return filp->f_op->ioctl == nullptr ? -ENOTTY : filp->f_op->ioctl(filp.get(), cmd, arg);
}

}  // namespace aiolab
