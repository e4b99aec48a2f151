// Mirrors: mm/fadvise.c.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/syscalls.h"

namespace aiolab {

long sys_fadvise64(int fd, loff_t offset, loff_t len, int advice) {
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if (S_ISFIFO(filp->f_inode->i_mode)) return -ESPIPE;
  if (len < 0) return -EINVAL;
  if (advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE) return -EINVAL;
  return filp->f_op->fadvise == nullptr ? 0 : filp->f_op->fadvise(filp.get(), offset, len, advice);
}

}  // namespace aiolab
