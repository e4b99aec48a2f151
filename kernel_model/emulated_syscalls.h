// The model behind the interface: what HostSyscalls is to the real kernel, this is to a Machine.
#ifndef KERNEL_MODEL_EMULATED_SYSCALLS_H_
#define KERNEL_MODEL_EMULATED_SYSCALLS_H_

#include "kernel_model/machine.h"
#include "uapi/syscalls.h"

namespace aiolab {

// Safe to use from any thread. File and poll calls that go to the host let the machine run on while they wait.
class EmulatedSyscalls : public Syscalls {
 public:
  // Which files the file and poll calls are about.
  enum class Files {
    kClients,  // those that a client of this machine has: the host's with MachineOptions::host_files
    kModels,   // the model's own, which with model_files_too stand beside the host's
  };
  // The machine must outlive this.
  explicit EmulatedSyscalls(Machine& machine, Files files = Files::kClients)
      : machine_(machine), on_host_(files == Files::kClients && machine.host_files() != nullptr) {}

  long io_setup(unsigned nr_events, aio_context_t* ctxp) override;
  long io_destroy(aio_context_t ctx) override;
  long io_submit(aio_context_t ctx, long nr, iocb** iocbpp) override;
  long io_cancel(aio_context_t ctx, iocb* iocb, io_event* result) override;
  long io_getevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) override;
  long io_pgetevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout,
                     const aio_sigset* usig) override;

  long openat(int dirfd, const char* pathname, int flags, mode_t mode) override;
  long memfd_create(const char* name, unsigned flags) override;
  long pipe2(int pipefd[2], int flags) override;
  long eventfd2(unsigned initval, int flags) override;
  long close(int fd) override;
  long dup(int oldfd) override;
  long fcntl(int fd, int cmd, unsigned long arg) override;
  long read(int fd, void* buf, size_t count) override;
  long write(int fd, const void* buf, size_t count) override;
  long pread64(int fd, void* buf, size_t count, loff_t pos) override;
  long pwrite64(int fd, const void* buf, size_t count, loff_t pos) override;
  long preadv2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) override;
  long pwritev2(int fd, const iovec* iov, int iovcnt, loff_t pos, int flags) override;
  long lseek(int fd, loff_t offset, int whence) override;
  long fstat(int fd, struct stat* statbuf) override;
  long ftruncate(int fd, loff_t length) override;
  long fsync(int fd) override;
  long fdatasync(int fd) override;
  long unlinkat(int dirfd, const char* pathname, int flags) override;
  long mkdirat(int dirfd, const char* pathname, mode_t mode) override;
  long linkat(int olddirfd, const char* oldpath, int newdirfd, const char* newpath, int flags) override;
  long symlinkat(const char* target, int newdirfd, const char* linkpath) override;
  long readlinkat(int dirfd, const char* pathname, char* buf, int bufsiz) override;
  long renameat2(int olddirfd, const char* oldpath, int newdirfd, const char* newpath, unsigned flags) override;
  long newfstatat(int dirfd, const char* pathname, struct stat* statbuf, int flags) override;
  long statx(int dirfd, const char* pathname, int flags, unsigned mask, struct statx* statxbuf) override;
  long statfs(const char* pathname, struct statfs* buf) override;
  long fstatfs(int fd, struct statfs* buf) override;
  long faccessat2(int dirfd, const char* pathname, int mode, int flags) override;
  long fchmod(int fd, mode_t mode) override;
  long utimensat(int dirfd, const char* pathname, const timespec* times, int flags) override;
  long truncate(const char* pathname, loff_t length) override;
  long fallocate(int fd, int mode, loff_t offset, loff_t len) override;
  long fadvise64(int fd, loff_t offset, loff_t len, int advice) override;
  long getdents64(int fd, void* dirp, unsigned count) override;
  long dup3(int oldfd, int newfd, int flags) override;
  long ioctl(int fd, unsigned cmd, unsigned long arg) override;
  long flock(int fd, int operation) override;
  long sync() override;
  long syncfs(int fd) override;
  long sync_file_range(int fd, loff_t offset, loff_t nbytes, unsigned flags) override;

  long ppoll(pollfd* fds, nfds_t nfds, timespec* timeout, const sigset_t* sigmask, size_t sigsetsize) override;
  long epoll_create1(int flags) override;
  long epoll_ctl(int epfd, int op, int fd, epoll_event* event) override;
  long epoll_pwait(int epfd, epoll_event* events, int maxevents, int timeout_ms, const sigset_t* sigmask,
                   size_t sigsetsize) override;

 private:
  Machine& machine_;
  const bool on_host_;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_EMULATED_SYSCALLS_H_
