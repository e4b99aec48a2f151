#include "kernel_model/emulated_syscalls.h"

#include <errno.h>
namespace aiolab {
long EmulatedSyscalls::io_setup(unsigned nr_events, aio_context_t* ctxp) {
  Machine::Entry entry(machine_, "io_setup");
  return entry.Return(sys_io_setup(nr_events, ctxp));
}
long EmulatedSyscalls::io_destroy(aio_context_t ctx) {
  Machine::Entry entry(machine_, "io_destroy");
  return entry.Return(sys_io_destroy(ctx));
}
long EmulatedSyscalls::io_submit(aio_context_t ctx, long nr, iocb** iocbpp) {
  Machine::Entry entry(machine_, "io_submit");
  return entry.Return(sys_io_submit(ctx, nr, iocbpp));
}
long EmulatedSyscalls::io_cancel(aio_context_t ctx, iocb* iocb, io_event* result) {
  Machine::Entry entry(machine_, "io_cancel");
  return entry.Return(sys_io_cancel(ctx, iocb, result));
}
long EmulatedSyscalls::io_getevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) {
  Machine::Entry entry(machine_, "io_getevents");
  return entry.Return(sys_io_getevents(ctx, min_nr, nr, events, timeout));
}
long EmulatedSyscalls::io_pgetevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout,
                                     const aio_sigset* usig) {
  Machine::Entry entry(machine_, "io_pgetevents");
  return entry.Return(sys_io_pgetevents(ctx, min_nr, nr, events, timeout, usig));
}
long EmulatedSyscalls::openat(int dirfd, const char* pathname, int flags, mode_t mode) {
  (void)machine_;
  (void)dirfd;
  (void)pathname;
  (void)flags;
  (void)mode;
  return -ENOSYS;
}
long EmulatedSyscalls::memfd_create(const char* name, unsigned flags) {
  (void)machine_;
  (void)name;
  (void)flags;
  return -ENOSYS;
}
long EmulatedSyscalls::pipe2(int pipefd[2], int flags) {
  (void)machine_;
  (void)pipefd;
  (void)flags;
  return -ENOSYS;
}
long EmulatedSyscalls::eventfd2(unsigned initval, int flags) {
  (void)machine_;
  (void)initval;
  (void)flags;
  return -ENOSYS;
}
long EmulatedSyscalls::close(int fd) {
  (void)machine_;
  (void)fd;
  return -ENOSYS;
}
long EmulatedSyscalls::dup(int oldfd) {
  (void)machine_;
  (void)oldfd;
  return -ENOSYS;
}
long EmulatedSyscalls::fcntl(int fd, int cmd, unsigned long arg) {
  (void)machine_;
  (void)fd;
  (void)cmd;
  (void)arg;
  return -ENOSYS;
}
long EmulatedSyscalls::read(int fd, void* buf, size_t count) {
  (void)machine_;
  (void)fd;
  (void)buf;
  (void)count;
  return -ENOSYS;
}
long EmulatedSyscalls::write(int fd, const void* buf, size_t count) {
  (void)machine_;
  (void)fd;
  (void)buf;
  (void)count;
  return -ENOSYS;
}
long EmulatedSyscalls::pread64(int fd, void* buf, size_t count, loff_t pos) {
  (void)machine_;
  (void)fd;
  (void)buf;
  (void)count;
  (void)pos;
  return -ENOSYS;
}
long EmulatedSyscalls::pwrite64(int fd, const void* buf, size_t count, loff_t pos) {
  (void)machine_;
  (void)fd;
  (void)buf;
  (void)count;
  (void)pos;
  return -ENOSYS;
}
long EmulatedSyscalls::preadv2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) {
  (void)machine_;
  (void)fd;
  (void)iov;
  (void)iovcnt;
  (void)pos;
  (void)flags;
  return -ENOSYS;
}
long EmulatedSyscalls::pwritev2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) {
  (void)machine_;
  (void)fd;
  (void)iov;
  (void)iovcnt;
  (void)pos;
  (void)flags;
  return -ENOSYS;
}
long EmulatedSyscalls::lseek(int fd, loff_t offset, int whence) {
  (void)machine_;
  (void)fd;
  (void)offset;
  (void)whence;
  return -ENOSYS;
}
long EmulatedSyscalls::fstat(int fd, struct stat* statbuf) {
  (void)machine_;
  (void)fd;
  (void)statbuf;
  return -ENOSYS;
}
long EmulatedSyscalls::ftruncate(int fd, loff_t length) {
  (void)machine_;
  (void)fd;
  (void)length;
  return -ENOSYS;
}
long EmulatedSyscalls::fsync(int fd) {
  (void)machine_;
  (void)fd;
  return -ENOSYS;
}
long EmulatedSyscalls::fdatasync(int fd) {
  (void)machine_;
  (void)fd;
  return -ENOSYS;
}
long EmulatedSyscalls::unlinkat(int dirfd, const char* pathname, int flags) {
  (void)machine_;
  (void)dirfd;
  (void)pathname;
  (void)flags;
  return -ENOSYS;
}
long EmulatedSyscalls::ppoll(pollfd* fds, nfds_t nfds, timespec* timeout, const sigset_t* sigmask, size_t sigsetsize) {
  (void)machine_;
  (void)fds;
  (void)nfds;
  (void)timeout;
  (void)sigmask;
  (void)sigsetsize;
  return -ENOSYS;
}
long EmulatedSyscalls::epoll_create1(int flags) {
  (void)machine_;
  (void)flags;
  return -ENOSYS;
}
long EmulatedSyscalls::epoll_ctl(int epfd, int op, int fd, epoll_event* event) {
  (void)machine_;
  (void)epfd;
  (void)op;
  (void)fd;
  (void)event;
  return -ENOSYS;
}
long EmulatedSyscalls::epoll_pwait(int epfd, epoll_event* events, int maxevents, int timeout_ms,
                                   const sigset_t* sigmask, size_t sigsetsize) {
  (void)machine_;
  (void)epfd;
  (void)events;
  (void)maxevents;
  (void)timeout_ms;
  (void)sigmask;
  (void)sigsetsize;
  return -ENOSYS;
}
}  // namespace aiolab
