#include "kernel_model/emulated_syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "kernel_model/fs/aio.h"
#include "kernel_model/fs/eventfd.h"
#include "kernel_model/fs/eventpoll.h"
#include "kernel_model/fs/hostfs.h"
#include "kernel_model/fs/pipe.h"
#include "kernel_model/fs/read_write.h"
#include "kernel_model/fs/select.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/kernel/signal.h"
#include "uapi/errno_name.h"
#include "uapi/host_syscalls.h"

namespace aiolab {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1000000000;
constexpr int64_t kNanosecondsPerMillisecond = 1000000;

HostSyscalls& Host() {
  static HostSyscalls& host = *new HostSyscalls;
  return host;
}

// One system call of the model. The signals that it sent are delivered behind it, when the thread is outside.
template <typename Call>
long Syscall(Machine& machine, const char* name, Call call) {
  long result;
  {
    Machine::Entry entry(machine, name);
    result = machine.power_is_off() ? -EIO : WithoutRestart(call());
    // Whatever it had got to, nobody is there to tell.
    if (machine.power_is_off()) result = -EIO;
    entry.Return(result);
  }
  deliver_signals();
  return result;
}

// For ppoll.
struct HostTimeout {
  explicit HostTimeout(int64_t ns) : infinite(ns < 0), time{ns / kNanosecondsPerSecond, ns % kNanosecondsPerSecond} {}
  timespec* get() { return infinite ? nullptr : &time; }
  const bool infinite;
  timespec time;
};

// A read or write that waits only for `events` of its file.
template <typename Call>
long HostReadOrWrite(Machine& machine, int fd, short events, Call call) {
  const long flags = Host().fcntl(fd, F_GETFL, 0);
  if (flags < 0 || (flags & O_NONBLOCK) != 0) return call();
  const auto wait = [&](int64_t timeout_ns) {
    pollfd request = {fd, events, 0};
    HostTimeout timeout(timeout_ns);
    return Host().ppoll(&request, 1, timeout.get(), nullptr, 0);
  };
  // Whatever it is that ended the wait, the call itself says it best, except for a signal that has been handled.
  const long waited = machine.WaitForHost(wait, kNoDeadline);
  return waited == -EINTR ? waited : call();
}

long HostPpoll(Machine& machine, pollfd* fds, nfds_t nfds, timespec* timeout, const sigset_t* sigmask,
               size_t sigsetsize) {
  int64_t deadline_ns = kNoDeadline;
  {
    Machine::Entry entry(machine, nullptr);
    if (const int error = ReadTimeout(timeout, &deadline_ns); error != 0) return error;
  }
  const auto wait = [&](int64_t timeout_ns) {
    HostTimeout host_timeout(timeout_ns);
    return Host().ppoll(fds, nfds, host_timeout.get(), sigmask, sigsetsize);
  };
  return machine.WaitForHost(wait, deadline_ns);
}

long HostEpollPwait(Machine& machine, int epfd, epoll_event* events, int maxevents, int timeout_ms,
                    const sigset_t* sigmask, size_t sigsetsize) {
  const int64_t deadline_ns = timeout_ms < 0 ? kNoDeadline : machine.NowNs() + timeout_ms * kNanosecondsPerMillisecond;
  const auto wait = [&](int64_t timeout_ns) {
    // Rounded up, as a wait may not end early.
    const int64_t left_ms =
        timeout_ns < 0 ? -1 : (timeout_ns + kNanosecondsPerMillisecond - 1) / kNanosecondsPerMillisecond;
    return Host().epoll_pwait(epfd, events, maxevents, static_cast<int>(left_ms), sigmask, sigsetsize);
  };
  return machine.WaitForHost(wait, deadline_ns);
}

}  // namespace

long EmulatedSyscalls::io_setup(unsigned nr_events, aio_context_t* ctxp) {
  return Syscall(machine_, "io_setup", [&] { return sys_io_setup(nr_events, ctxp); });
}

long EmulatedSyscalls::io_destroy(aio_context_t ctx) {
  return Syscall(machine_, "io_destroy", [&] { return sys_io_destroy(ctx); });
}

long EmulatedSyscalls::io_submit(aio_context_t ctx, long nr, iocb** iocbpp) {
  return Syscall(machine_, "io_submit", [&] { return sys_io_submit(ctx, nr, iocbpp); });
}

long EmulatedSyscalls::io_cancel(aio_context_t ctx, iocb* iocb, io_event* result) {
  return Syscall(machine_, "io_cancel", [&] { return sys_io_cancel(ctx, iocb, result); });
}

long EmulatedSyscalls::io_getevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) {
  return Syscall(machine_, "io_getevents", [&] { return sys_io_getevents(ctx, min_nr, nr, events, timeout); });
}

long EmulatedSyscalls::io_pgetevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout,
                                     const aio_sigset* usig) {
  return Syscall(machine_, "io_pgetevents", [&] { return sys_io_pgetevents(ctx, min_nr, nr, events, timeout, usig); });
}

long EmulatedSyscalls::openat(int dirfd, const char* pathname, int flags, mode_t mode) {
  if (on_host_) return Host().openat(dirfd, pathname, flags, mode);
  return Syscall(machine_, "openat", [&] { return sys_openat(dirfd, pathname, flags, mode); });
}

long EmulatedSyscalls::memfd_create(const char* name, unsigned flags) {
  if (on_host_) return Host().memfd_create(name, flags);
  return Syscall(machine_, "memfd_create", [&] { return sys_memfd_create(name, flags); });
}

long EmulatedSyscalls::pipe2(int pipefd[2], int flags) {
  if (on_host_) return Host().pipe2(pipefd, flags);
  return Syscall(machine_, "pipe2", [&] { return sys_pipe2(pipefd, flags); });
}

long EmulatedSyscalls::eventfd2(unsigned initval, int flags) {
  if (on_host_) return Host().eventfd2(initval, flags);
  return Syscall(machine_, "eventfd2", [&] { return sys_eventfd2(initval, flags); });
}

long EmulatedSyscalls::close(int fd) {
  if (!on_host_) return Syscall(machine_, "close", [&] { return sys_close(fd); });
  {
    Machine::Entry entry(machine_, nullptr);
    machine_.host_files()->WillClose(fd);
  }
  return Host().close(fd);
}

long EmulatedSyscalls::dup(int oldfd) {
  if (on_host_) return Host().dup(oldfd);
  return Syscall(machine_, "dup", [&] { return sys_dup(oldfd); });
}

long EmulatedSyscalls::fcntl(int fd, int cmd, unsigned long arg) {
  if (on_host_) return Host().fcntl(fd, cmd, arg);
  return Syscall(machine_, "fcntl", [&] { return sys_fcntl(fd, cmd, arg); });
}

long EmulatedSyscalls::read(int fd, void* buf, size_t count) {
  if (on_host_) {
    return HostReadOrWrite(machine_, fd, POLLIN, [&] { return Host().read(fd, buf, count); });
  }
  return Syscall(machine_, "read", [&] { return sys_read(fd, buf, count); });
}

long EmulatedSyscalls::write(int fd, const void* buf, size_t count) {
  if (on_host_) {
    return HostReadOrWrite(machine_, fd, POLLOUT, [&] { return Host().write(fd, buf, count); });
  }
  return Syscall(machine_, "write", [&] { return sys_write(fd, buf, count); });
}

long EmulatedSyscalls::pread64(int fd, void* buf, size_t count, loff_t pos) {
  if (on_host_) return Host().pread64(fd, buf, count, pos);
  return Syscall(machine_, "pread64", [&] { return sys_pread64(fd, buf, count, pos); });
}

long EmulatedSyscalls::pwrite64(int fd, const void* buf, size_t count, loff_t pos) {
  if (on_host_) return Host().pwrite64(fd, buf, count, pos);
  return Syscall(machine_, "pwrite64", [&] { return sys_pwrite64(fd, buf, count, pos); });
}

long EmulatedSyscalls::preadv2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) {
  if (on_host_) return Host().preadv2(fd, iov, iovcnt, pos, flags);
  return Syscall(machine_, "preadv2", [&] { return sys_preadv2(fd, iov, iovcnt, pos, flags); });
}

long EmulatedSyscalls::pwritev2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) {
  if (on_host_) return Host().pwritev2(fd, iov, iovcnt, pos, flags);
  return Syscall(machine_, "pwritev2", [&] { return sys_pwritev2(fd, iov, iovcnt, pos, flags); });
}

long EmulatedSyscalls::lseek(int fd, loff_t offset, int whence) {
  if (on_host_) return Host().lseek(fd, offset, whence);
  return Syscall(machine_, "lseek", [&] { return sys_lseek(fd, offset, whence); });
}

long EmulatedSyscalls::fstat(int fd, struct stat* statbuf) {
  if (on_host_) return Host().fstat(fd, statbuf);
  return Syscall(machine_, "fstat", [&] { return sys_fstat(fd, statbuf); });
}

long EmulatedSyscalls::ftruncate(int fd, loff_t length) {
  if (on_host_) return Host().ftruncate(fd, length);
  return Syscall(machine_, "ftruncate", [&] { return sys_ftruncate(fd, length); });
}

long EmulatedSyscalls::fsync(int fd) {
  if (on_host_) {
    const long error = machine_.FaultAtHostFsync(fd);
    return error != 0 ? error : Host().fsync(fd);
  }
  return Syscall(machine_, "fsync", [&] { return sys_fsync(fd, /*datasync=*/0); });
}

long EmulatedSyscalls::fdatasync(int fd) {
  if (on_host_) {
    const long error = machine_.FaultAtHostFsync(fd);
    return error != 0 ? error : Host().fdatasync(fd);
  }
  return Syscall(machine_, "fdatasync", [&] { return sys_fsync(fd, /*datasync=*/1); });
}

long EmulatedSyscalls::unlinkat(int dirfd, const char* pathname, int flags) {
  if (on_host_) return Host().unlinkat(dirfd, pathname, flags);
  return Syscall(machine_, "unlinkat", [&] { return sys_unlinkat(dirfd, pathname, flags); });
}

long EmulatedSyscalls::mkdirat(int dirfd, const char* pathname, mode_t mode) {
  if (on_host_) return Host().mkdirat(dirfd, pathname, mode);
  return Syscall(machine_, "mkdirat", [&] { return sys_mkdirat(dirfd, pathname, mode); });
}

long EmulatedSyscalls::linkat(int olddirfd, const char* oldpath, int newdirfd, const char* newpath, int flags) {
  if (on_host_) return Host().linkat(olddirfd, oldpath, newdirfd, newpath, flags);
  return Syscall(machine_, "linkat", [&] { return sys_linkat(olddirfd, oldpath, newdirfd, newpath, flags); });
}

long EmulatedSyscalls::symlinkat(const char* target, int newdirfd, const char* linkpath) {
  if (on_host_) return Host().symlinkat(target, newdirfd, linkpath);
  return Syscall(machine_, "symlinkat", [&] { return sys_symlinkat(target, newdirfd, linkpath); });
}

long EmulatedSyscalls::readlinkat(int dirfd, const char* pathname, char* buf, int bufsiz) {
  if (on_host_) return Host().readlinkat(dirfd, pathname, buf, bufsiz);
  return Syscall(machine_, "readlinkat", [&] { return sys_readlinkat(dirfd, pathname, buf, bufsiz); });
}

long EmulatedSyscalls::renameat2(int olddirfd, const char* oldpath, int newdirfd, const char* newpath, unsigned flags) {
  if (on_host_) return Host().renameat2(olddirfd, oldpath, newdirfd, newpath, flags);
  return Syscall(machine_, "renameat2", [&] { return sys_renameat2(olddirfd, oldpath, newdirfd, newpath, flags); });
}

long EmulatedSyscalls::newfstatat(int dirfd, const char* pathname, struct stat* statbuf, int flags) {
  if (on_host_) return Host().newfstatat(dirfd, pathname, statbuf, flags);
  return Syscall(machine_, "newfstatat", [&] { return sys_newfstatat(dirfd, pathname, statbuf, flags); });
}

long EmulatedSyscalls::statx(int dirfd, const char* pathname, int flags, unsigned mask, struct statx* statxbuf) {
  if (on_host_) return Host().statx(dirfd, pathname, flags, mask, statxbuf);
  return Syscall(machine_, "statx", [&] { return sys_statx(dirfd, pathname, flags, mask, statxbuf); });
}

long EmulatedSyscalls::statfs(const char* pathname, struct statfs* buf) {
  if (on_host_) return Host().statfs(pathname, buf);
  return Syscall(machine_, "statfs", [&] { return sys_statfs(pathname, buf); });
}

long EmulatedSyscalls::fstatfs(int fd, struct statfs* buf) {
  if (on_host_) return Host().fstatfs(fd, buf);
  return Syscall(machine_, "fstatfs", [&] { return sys_fstatfs(fd, buf); });
}

long EmulatedSyscalls::faccessat2(int dirfd, const char* pathname, int mode, int flags) {
  if (on_host_) return Host().faccessat2(dirfd, pathname, mode, flags);
  return Syscall(machine_, "faccessat2", [&] { return sys_faccessat2(dirfd, pathname, mode, flags); });
}

long EmulatedSyscalls::fchmod(int fd, mode_t mode) {
  if (on_host_) return Host().fchmod(fd, mode);
  return Syscall(machine_, "fchmod", [&] { return sys_fchmod(fd, mode); });
}

long EmulatedSyscalls::utimensat(int dirfd, const char* pathname, const timespec* times, int flags) {
  if (on_host_) return Host().utimensat(dirfd, pathname, times, flags);
  return Syscall(machine_, "utimensat", [&] { return sys_utimensat(dirfd, pathname, times, flags); });
}

long EmulatedSyscalls::truncate(const char* pathname, loff_t length) {
  if (on_host_) return Host().truncate(pathname, length);
  return Syscall(machine_, "truncate", [&] { return sys_truncate(pathname, length); });
}

long EmulatedSyscalls::fallocate(int fd, int mode, loff_t offset, loff_t len) {
  if (on_host_) return Host().fallocate(fd, mode, offset, len);
  return Syscall(machine_, "fallocate", [&] { return sys_fallocate(fd, mode, offset, len); });
}

long EmulatedSyscalls::fadvise64(int fd, loff_t offset, loff_t len, int advice) {
  if (on_host_) return Host().fadvise64(fd, offset, len, advice);
  return Syscall(machine_, "fadvise64", [&] { return sys_fadvise64(fd, offset, len, advice); });
}

long EmulatedSyscalls::getdents64(int fd, void* dirp, unsigned count) {
  if (on_host_) return Host().getdents64(fd, dirp, count);
  return Syscall(machine_, "getdents64", [&] { return sys_getdents64(fd, dirp, count); });
}

long EmulatedSyscalls::dup3(int oldfd, int newfd, int flags) {
  if (!on_host_) {
    return Syscall(machine_, "dup3", [&] { return sys_dup3(oldfd, newfd, flags); });
  }
  if (oldfd != newfd) {
    Machine::Entry entry(machine_, nullptr);
    machine_.host_files()->WillClose(newfd);
  }
  return Host().dup3(oldfd, newfd, flags);
}

long EmulatedSyscalls::ioctl(int fd, unsigned cmd, unsigned long arg) {
  if (on_host_) return Host().ioctl(fd, cmd, arg);
  return Syscall(machine_, "ioctl", [&] { return sys_ioctl(fd, cmd, arg); });
}

long EmulatedSyscalls::flock(int fd, int operation) {
  if (on_host_) return Host().flock(fd, operation);
  return Syscall(machine_, "flock", [&] { return sys_flock(fd, operation); });
}

long EmulatedSyscalls::sync() {
  if (on_host_) return Host().sync();
  return Syscall(machine_, "sync", [&] { return sys_sync(); });
}

long EmulatedSyscalls::syncfs(int fd) {
  if (on_host_) return Host().syncfs(fd);
  return Syscall(machine_, "syncfs", [&] { return sys_syncfs(fd); });
}

long EmulatedSyscalls::sync_file_range(int fd, loff_t offset, loff_t nbytes, unsigned flags) {
  if (on_host_) return Host().sync_file_range(fd, offset, nbytes, flags);
  return Syscall(machine_, "sync_file_range", [&] { return sys_sync_file_range(fd, offset, nbytes, flags); });
}

long EmulatedSyscalls::ppoll(pollfd* fds, nfds_t nfds, timespec* timeout, const sigset_t* sigmask, size_t sigsetsize) {
  if (on_host_) return HostPpoll(machine_, fds, nfds, timeout, sigmask, sigsetsize);
  return Syscall(machine_, "ppoll", [&] { return sys_ppoll(fds, nfds, timeout, sigmask, sigsetsize); });
}

long EmulatedSyscalls::epoll_create1(int flags) {
  if (on_host_) return Host().epoll_create1(flags);
  return Syscall(machine_, "epoll_create1", [&] { return sys_epoll_create1(flags); });
}

long EmulatedSyscalls::epoll_ctl(int epfd, int op, int fd, epoll_event* event) {
  if (on_host_) return Host().epoll_ctl(epfd, op, fd, event);
  return Syscall(machine_, "epoll_ctl", [&] { return sys_epoll_ctl(epfd, op, fd, event); });
}

long EmulatedSyscalls::epoll_pwait(int epfd, epoll_event* events, int maxevents, int timeout_ms,
                                   const sigset_t* sigmask, size_t sigsetsize) {
  if (on_host_) {
    return HostEpollPwait(machine_, epfd, events, maxevents, timeout_ms, sigmask, sigsetsize);
  }
  return Syscall(machine_, "epoll_pwait",
                 [&] { return sys_epoll_pwait(epfd, events, maxevents, timeout_ms, sigmask, sigsetsize); });
}

}  // namespace aiolab
