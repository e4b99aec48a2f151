// The one door from a client to a kernel, real or emulated.
//
// Every method is the system call of that name, in the kernel's own convention: the result is >= 0, or -errno; `errno`
// is neither read nor set. Pointers are the client's: a bad one is -EFAULT, never a crash.
//
//   iocb read;               // filled in by the client
//   iocb* batch[] = {&read};
//   long taken = kernel.io_submit(ctx, 1, batch);   // 1, or -EAGAIN, -EBADF, ...
//
// HostSyscalls is the real kernel, EmulatedSyscalls the model; a client that holds a Syscalls& cannot tell which it
// has. Methods may be called from several threads at once.
#ifndef UAPI_SYSCALLS_H_
#define UAPI_SYSCALLS_H_

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>

#include "uapi/aio_abi.h"

namespace aiolab {

class AioSyscalls {
 public:
  virtual ~AioSyscalls() = default;
  virtual long io_setup(unsigned nr_events, aio_context_t* ctxp) = 0;
  virtual long io_destroy(aio_context_t ctx) = 0;
  virtual long io_submit(aio_context_t ctx, long nr, iocb** iocbpp) = 0;
  virtual long io_cancel(aio_context_t ctx, iocb* iocb, io_event* result) = 0;
  virtual long io_getevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) = 0;
  virtual long io_pgetevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout,
                             const aio_sigset* usig) = 0;
};

// The calls that make, fill and look at the files which AIO works on.
class FileSyscalls {
 public:
  virtual ~FileSyscalls() = default;
  virtual long openat(int dirfd, const char* pathname, int flags, mode_t mode) = 0;
  virtual long memfd_create(const char* name, unsigned flags) = 0;
  virtual long pipe2(int pipefd[2], int flags) = 0;
  virtual long eventfd2(unsigned initval, int flags) = 0;
  virtual long close(int fd) = 0;
  virtual long dup(int oldfd) = 0;
  virtual long fcntl(int fd, int cmd, unsigned long arg) = 0;
  virtual long read(int fd, void* buf, size_t count) = 0;
  virtual long write(int fd, const void* buf, size_t count) = 0;
  virtual long pread64(int fd, void* buf, size_t count, loff_t pos) = 0;
  virtual long pwrite64(int fd, const void* buf, size_t count, loff_t pos) = 0;
  virtual long preadv2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) = 0;
  virtual long pwritev2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) = 0;
  virtual long lseek(int fd, loff_t offset, int whence) = 0;
  virtual long fstat(int fd, struct stat* statbuf) = 0;
  virtual long ftruncate(int fd, loff_t length) = 0;
  virtual long fsync(int fd) = 0;
  virtual long fdatasync(int fd) = 0;
  virtual long unlinkat(int dirfd, const char* pathname, int flags) = 0;
  virtual long mkdirat(int dirfd, const char* pathname, mode_t mode) = 0;
  virtual long linkat(int olddirfd, const char* oldpath, int newdirfd, const char* newpath, int flags) = 0;
  virtual long symlinkat(const char* target, int newdirfd, const char* linkpath) = 0;
  virtual long readlinkat(int dirfd, const char* pathname, char* buf, int bufsiz) = 0;
  virtual long renameat2(int olddirfd, const char* oldpath, int newdirfd, const char* newpath, unsigned flags) = 0;
  virtual long newfstatat(int dirfd, const char* pathname, struct stat* statbuf, int flags) = 0;
  virtual long statx(int dirfd, const char* pathname, int flags, unsigned mask, struct statx* statxbuf) = 0;
  virtual long statfs(const char* pathname, struct statfs* buf) = 0;
  virtual long fstatfs(int fd, struct statfs* buf) = 0;
  virtual long faccessat2(int dirfd, const char* pathname, int mode, int flags) = 0;
  virtual long fchmod(int fd, mode_t mode) = 0;
  virtual long utimensat(int dirfd, const char* pathname, const timespec* times, int flags) = 0;
  virtual long truncate(const char* pathname, loff_t length) = 0;
  virtual long fallocate(int fd, int mode, loff_t offset, loff_t len) = 0;
  virtual long fadvise64(int fd, loff_t offset, loff_t len, int advice) = 0;
  virtual long getdents64(int fd, void* dirp, unsigned count) = 0;
  virtual long dup3(int oldfd, int newfd, int flags) = 0;
  virtual long ioctl(int fd, unsigned cmd, unsigned long arg) = 0;
  virtual long flock(int fd, int operation) = 0;
  virtual long sync() = 0;
  virtual long syncfs(int fd) = 0;
  virtual long sync_file_range(int fd, loff_t offset, loff_t nbytes, unsigned flags) = 0;

  // Those that the kernel has for old times' sake, by those above.
  long readv(int fd, const iovec* iov, int iovcnt) { return preadv2(fd, iov, iovcnt, /*pos=*/-1, /*flags=*/0); }
  long writev(int fd, const iovec* iov, int iovcnt) { return pwritev2(fd, iov, iovcnt, /*pos=*/-1, /*flags=*/0); }
  long preadv(int fd, const iovec* iov, int iovcnt, loff_t pos) {
    return pos < 0 ? -EINVAL : preadv2(fd, iov, iovcnt, pos, /*flags=*/0);
  }
  long pwritev(int fd, const iovec* iov, int iovcnt, loff_t pos) {
    return pos < 0 ? -EINVAL : pwritev2(fd, iov, iovcnt, pos, /*flags=*/0);
  }
};

// The calls in which a client waits for a file, an eventfd among them, instead of in io_getevents.
class PollSyscalls {
 public:
  virtual ~PollSyscalls() = default;
  virtual long ppoll(pollfd* fds, nfds_t nfds, timespec* timeout, const sigset_t* sigmask, size_t sigsetsize) = 0;
  virtual long epoll_create1(int flags) = 0;
  virtual long epoll_ctl(int epfd, int op, int fd, epoll_event* event) = 0;
  virtual long epoll_pwait(int epfd, epoll_event* events, int maxevents, int timeout_ms, const sigset_t* sigmask,
                           size_t sigsetsize) = 0;
};

class Syscalls : public AioSyscalls, public FileSyscalls, public PollSyscalls {};

}  // namespace aiolab

#endif  // UAPI_SYSCALLS_H_
