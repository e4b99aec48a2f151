// Opening, closing and asking after files of the model's own.
//
// Mirrors: fs/open.c, fs/fcntl.c, fs/stat.c, mm/memfd.c.
// Differs: see namei.h for which names there are. Results as in uapi/syscalls.h, on behalf of the current task.
#ifndef KERNEL_MODEL_FS_OPEN_H_
#define KERNEL_MODEL_FS_OPEN_H_

#include <sys/stat.h>
#include <sys/types.h>

namespace aiolab {

long sys_openat(int dirfd, const char* user_path, int flags, mode_t mode);
long sys_unlinkat(int dirfd, const char* user_path, int flags);
long sys_memfd_create(const char* user_name, unsigned flags);
long sys_close(int fd);
long sys_dup(int oldfd);
// F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL; others are -EINVAL.
long sys_fcntl(int fd, int cmd, unsigned long arg);
long sys_fstat(int fd, struct stat* user_stat);
long sys_ftruncate(int fd, loff_t length);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_OPEN_H_
