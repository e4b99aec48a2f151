// The synchronous calls on files of the model's own.
//
// Mirrors: fs/read_write.c, fs/sync.c.
// Results as in uapi/syscalls.h, on behalf of the current task, which sleeps where it has to; -ERESTARTSYS if a signal
// ended that.
#ifndef KERNEL_MODEL_FS_READ_WRITE_H_
#define KERNEL_MODEL_FS_READ_WRITE_H_

#include <sys/types.h>
#include <sys/uio.h>

#include "kernel_model/fs/fs.h"

namespace aiolab {

long sys_read(int fd, void* buf, size_t count);
long sys_write(int fd, const void* buf, size_t count);
long sys_pread64(int fd, void* buf, size_t count, loff_t pos);
long sys_pwrite64(int fd, const void* buf, size_t count, loff_t pos);
// `pos` -1: the file's own position.
long sys_preadv2(int fd, const iovec* user_iov, int iovcnt, loff_t pos, int flags);
long sys_pwritev2(int fd, const iovec* user_iov, int iovcnt, loff_t pos, int flags);
long sys_lseek(int fd, loff_t offset, int whence);
// `datasync`: fdatasync.
long sys_fsync(int fd, int datasync);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_READ_WRITE_H_
