// The system calls on names and files of the model's own, beside reads and writes (read_write.h).
//
// Mirrors: include/linux/syscalls.h, as far as they go; each stands in the .cc that the kernel has it in.
//
// Results as in uapi/syscalls.h, on behalf of the current task, which sleeps where it has to; -ERESTARTSYS if a signal
// ended that.
#ifndef KERNEL_MODEL_FS_SYSCALLS_H_
#define KERNEL_MODEL_FS_SYSCALLS_H_

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct statfs;

namespace aiolab {

// namei.cc
long sys_mkdirat(int dirfd, const char* user_path, mode_t mode);
long sys_unlinkat(int dirfd, const char* user_path, int flags);
long sys_linkat(int old_dirfd, const char* user_old, int new_dirfd, const char* user_new, int flags);
long sys_symlinkat(const char* user_target, int new_dirfd, const char* user_new);
// RENAME_WHITEOUT is -EINVAL.
long sys_renameat2(int old_dirfd, const char* user_old, int new_dirfd, const char* user_new, unsigned flags);

// open.cc
long sys_openat(int dirfd, const char* user_path, int flags, mode_t mode);
long sys_memfd_create(const char* user_name, unsigned flags);
long sys_close(int fd);
long sys_truncate(const char* user_path, loff_t length);
long sys_ftruncate(int fd, loff_t length);
long sys_fallocate(int fd, int mode, loff_t offset, loff_t len);
long sys_faccessat2(int dirfd, const char* user_path, int mode, int flags);
long sys_fchmod(int fd, mode_t mode);

// fcntl.cc
long sys_dup(int oldfd);
long sys_dup3(int oldfd, int newfd, int flags);
// F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, and the locks; others are -EINVAL.
long sys_fcntl(int fd, int cmd, unsigned long arg);
long sys_flock(int fd, int operation);

// stat.cc
long sys_fstat(int fd, struct stat* user_stat);
long sys_newfstatat(int dirfd, const char* user_path, struct stat* user_stat, int flags);
long sys_statx(int dirfd, const char* user_path, int flags, unsigned mask, struct statx* user_statx);
long sys_readlinkat(int dirfd, const char* user_path, char* user_buf, int size);

// statfs.cc
long sys_statfs(const char* user_path, struct statfs* user_statfs);
long sys_fstatfs(int fd, struct statfs* user_statfs);

// readdir.cc, ioctl.cc, utimes.cc
long sys_getdents64(int fd, void* user_entries, unsigned size);
long sys_ioctl(int fd, unsigned cmd, unsigned long arg);
long sys_utimensat(int dirfd, const char* user_path, const timespec* user_times, int flags);

// sync.cc, fadvise.cc
long sys_sync();
long sys_syncfs(int fd);
long sys_sync_file_range(int fd, loff_t offset, loff_t nbytes, unsigned flags);
long sys_fadvise64(int fd, loff_t offset, loff_t len, int advice);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_SYSCALLS_H_
