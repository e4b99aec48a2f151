#include "uapi/host_syscalls.h"

#include <fcntl.h>

#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

// The kernel takes a file position of pread64 and its kin whole, but of preadv2 and its kin in two halves, of which a
// 64-bit kernel reads the low one only.
constexpr long kPosHigh = 0;

}  // namespace

long HostSyscalls::io_setup(unsigned nr_events, aio_context_t* ctxp) {
  return RawSyscall(__NR_io_setup, nr_events, ctxp);
}

long HostSyscalls::io_destroy(aio_context_t ctx) { return RawSyscall(__NR_io_destroy, ctx); }

long HostSyscalls::io_submit(aio_context_t ctx, long nr, iocb** iocbpp) {
  return RawSyscall(__NR_io_submit, ctx, nr, iocbpp);
}

long HostSyscalls::io_cancel(aio_context_t ctx, iocb* iocb, io_event* result) {
  return RawSyscall(__NR_io_cancel, ctx, iocb, result);
}

long HostSyscalls::io_getevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) {
  return RawSyscall(__NR_io_getevents, ctx, min_nr, nr, events, timeout);
}

long HostSyscalls::io_pgetevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout,
                                 const aio_sigset* usig) {
  return RawSyscall(__NR_io_pgetevents, ctx, min_nr, nr, events, timeout, usig);
}

long HostSyscalls::openat(int dirfd, const char* pathname, int flags, mode_t mode) {
  return RawSyscall(__NR_openat, dirfd, pathname, flags, mode);
}

long HostSyscalls::memfd_create(const char* name, unsigned flags) { return RawSyscall(__NR_memfd_create, name, flags); }

long HostSyscalls::pipe2(int pipefd[2], int flags) { return RawSyscall(__NR_pipe2, pipefd, flags); }

long HostSyscalls::eventfd2(unsigned initval, int flags) { return RawSyscall(__NR_eventfd2, initval, flags); }

long HostSyscalls::close(int fd) { return RawSyscall(__NR_close, fd); }

long HostSyscalls::dup(int oldfd) { return RawSyscall(__NR_dup, oldfd); }

long HostSyscalls::fcntl(int fd, int cmd, unsigned long arg) { return RawSyscall(__NR_fcntl, fd, cmd, arg); }

long HostSyscalls::read(int fd, void* buf, size_t count) { return RawSyscall(__NR_read, fd, buf, count); }

long HostSyscalls::write(int fd, const void* buf, size_t count) { return RawSyscall(__NR_write, fd, buf, count); }

long HostSyscalls::pread64(int fd, void* buf, size_t count, loff_t pos) {
  return RawSyscall(__NR_pread64, fd, buf, count, pos);
}

long HostSyscalls::pwrite64(int fd, const void* buf, size_t count, loff_t pos) {
  return RawSyscall(__NR_pwrite64, fd, buf, count, pos);
}

long HostSyscalls::preadv2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) {
  return RawSyscall(__NR_preadv2, fd, iov, iovcnt, pos, kPosHigh, flags);
}

long HostSyscalls::pwritev2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) {
  return RawSyscall(__NR_pwritev2, fd, iov, iovcnt, pos, kPosHigh, flags);
}

long HostSyscalls::lseek(int fd, loff_t offset, int whence) { return RawSyscall(__NR_lseek, fd, offset, whence); }

// glibc's struct stat is the kernel's on every 64-bit system.
long HostSyscalls::fstat(int fd, struct stat* statbuf) { return RawSyscall(__NR_fstat, fd, statbuf); }

long HostSyscalls::ftruncate(int fd, loff_t length) { return RawSyscall(__NR_ftruncate, fd, length); }

long HostSyscalls::fsync(int fd) { return RawSyscall(__NR_fsync, fd); }

long HostSyscalls::fdatasync(int fd) { return RawSyscall(__NR_fdatasync, fd); }

long HostSyscalls::unlinkat(int dirfd, const char* pathname, int flags) {
  return RawSyscall(__NR_unlinkat, dirfd, pathname, flags);
}

long HostSyscalls::mkdirat(int dirfd, const char* pathname, mode_t mode) {
  return RawSyscall(__NR_mkdirat, dirfd, pathname, mode);
}

long HostSyscalls::linkat(int olddirfd, const char* oldpath, int newdirfd, const char* newpath, int flags) {
  return RawSyscall(__NR_linkat, olddirfd, oldpath, newdirfd, newpath, flags);
}

long HostSyscalls::symlinkat(const char* target, int newdirfd, const char* linkpath) {
  return RawSyscall(__NR_symlinkat, target, newdirfd, linkpath);
}

long HostSyscalls::readlinkat(int dirfd, const char* pathname, char* buf, int bufsiz) {
  return RawSyscall(__NR_readlinkat, dirfd, pathname, buf, bufsiz);
}

long HostSyscalls::renameat2(int olddirfd, const char* oldpath, int newdirfd, const char* newpath, unsigned flags) {
  return RawSyscall(__NR_renameat2, olddirfd, oldpath, newdirfd, newpath, flags);
}

long HostSyscalls::newfstatat(int dirfd, const char* pathname, struct stat* statbuf, int flags) {
  return RawSyscall(__NR_newfstatat, dirfd, pathname, statbuf, flags);
}

long HostSyscalls::statx(int dirfd, const char* pathname, int flags, unsigned mask, struct statx* statxbuf) {
  return RawSyscall(__NR_statx, dirfd, pathname, flags, mask, statxbuf);
}

long HostSyscalls::statfs(const char* pathname, struct statfs* buf) { return RawSyscall(__NR_statfs, pathname, buf); }

long HostSyscalls::fstatfs(int fd, struct statfs* buf) { return RawSyscall(__NR_fstatfs, fd, buf); }

long HostSyscalls::faccessat2(int dirfd, const char* pathname, int mode, int flags) {
  return RawSyscall(__NR_faccessat2, dirfd, pathname, mode, flags);
}

long HostSyscalls::fchmod(int fd, mode_t mode) { return RawSyscall(__NR_fchmod, fd, mode); }

long HostSyscalls::utimensat(int dirfd, const char* pathname, const timespec* times, int flags) {
  return RawSyscall(__NR_utimensat, dirfd, pathname, times, flags);
}

long HostSyscalls::truncate(const char* pathname, loff_t length) { return RawSyscall(__NR_truncate, pathname, length); }

long HostSyscalls::fallocate(int fd, int mode, loff_t offset, loff_t len) {
  return RawSyscall(__NR_fallocate, fd, mode, offset, len);
}

long HostSyscalls::fadvise64(int fd, loff_t offset, loff_t len, int advice) {
  return RawSyscall(__NR_fadvise64, fd, offset, len, advice);
}

long HostSyscalls::getdents64(int fd, void* dirp, unsigned count) {
  return RawSyscall(__NR_getdents64, fd, dirp, count);
}

long HostSyscalls::dup3(int oldfd, int newfd, int flags) { return RawSyscall(__NR_dup3, oldfd, newfd, flags); }

long HostSyscalls::ioctl(int fd, unsigned cmd, unsigned long arg) { return RawSyscall(__NR_ioctl, fd, cmd, arg); }

long HostSyscalls::flock(int fd, int operation) { return RawSyscall(__NR_flock, fd, operation); }

long HostSyscalls::sync() { return RawSyscall(__NR_sync); }

long HostSyscalls::syncfs(int fd) { return RawSyscall(__NR_syncfs, fd); }

long HostSyscalls::sync_file_range(int fd, loff_t offset, loff_t nbytes, unsigned flags) {
  return RawSyscall(__NR_sync_file_range, fd, offset, nbytes, flags);
}

long HostSyscalls::ppoll(pollfd* fds, nfds_t nfds, timespec* timeout, const sigset_t* sigmask, size_t sigsetsize) {
  return RawSyscall(__NR_ppoll, fds, nfds, timeout, sigmask, sigsetsize);
}

long HostSyscalls::epoll_create1(int flags) { return RawSyscall(__NR_epoll_create1, flags); }

long HostSyscalls::epoll_ctl(int epfd, int op, int fd, epoll_event* event) {
  return RawSyscall(__NR_epoll_ctl, epfd, op, fd, event);
}

long HostSyscalls::epoll_pwait(int epfd, epoll_event* events, int maxevents, int timeout_ms, const sigset_t* sigmask,
                               size_t sigsetsize) {
  return RawSyscall(__NR_epoll_pwait, epfd, events, maxevents, timeout_ms, sigmask, sigsetsize);
}

}  // namespace aiolab
