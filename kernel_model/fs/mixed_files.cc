#include "kernel_model/fs/mixed_files.h"

#include <errno.h>
#include <fcntl.h>

#include <utility>

#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

// A new one each time: a client may close every fd that it has not opened itself.
long OpenPlaceholder() { return RawSyscall(__NR_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); }

}  // namespace

MixedFiles::MixedFiles(std::unique_ptr<HostFiles> host) : host_(std::move(host)) {}

MixedFiles::~MixedFiles() { CloseAll(); }

file* MixedFiles::fget(int fd) { return has(fd) ? ModelFiles::fget(fd) : host_->fget(fd); }

int MixedFiles::eventfd_ctx_fdget(int fd, eventfd_ctx** ctx) {
  return has(fd) ? ModelFiles::eventfd_ctx_fdget(fd, ctx) : host_->eventfd_ctx_fdget(fd, ctx);
}

void MixedFiles::Mark(int fd, bool here) {
  std::atomic<uint64_t>& word = bits_[static_cast<unsigned>(fd) / 64];
  const uint64_t bit = uint64_t{1} << (fd % 64);
  word.store(here ? word.load() | bit : word.load() & ~bit);
}

int MixedFiles::ReserveFd(int from, bool close_on_exec) {
  long fd = OpenPlaceholder();
  if (fd >= 0 && fd < from) {
    const long low = fd;
    fd = RawSyscall(__NR_fcntl, low, F_DUPFD_CLOEXEC, from);
    RawSyscall(__NR_close, low);
  }
  if (fd >= kFdsMax) {
    RawSyscall(__NR_close, fd);
    return -EMFILE;
  }
  if (fd < 0) return static_cast<int>(fd);
  if (!close_on_exec) RawSyscall(__NR_fcntl, fd, F_SETFD, 0);
  Mark(static_cast<int>(fd), true);
  return static_cast<int>(fd);
}

int MixedFiles::ReserveFdAt(int fd, bool close_on_exec) {
  // The client closes what was there by this.
  if (!host_->WillClose(fd)) return -EBADF;
  const long placeholder = OpenPlaceholder();
  if (placeholder < 0) return static_cast<int>(placeholder);
  const long ret = placeholder == fd ? fd : RawSyscall(__NR_dup3, placeholder, fd, close_on_exec ? O_CLOEXEC : 0);
  if (placeholder != fd) {
    RawSyscall(__NR_close, placeholder);
  } else if (!close_on_exec) {
    RawSyscall(__NR_fcntl, fd, F_SETFD, 0);
  }
  if (ret >= 0) Mark(fd, true);
  return static_cast<int>(ret);
}

void MixedFiles::ReleaseFd(int fd) {
  Mark(fd, false);
  if (fd != keep_number_) RawSyscall(__NR_close, fd);
}

int MixedFiles::CloseKeepingNumber(int fd) {
  keep_number_ = fd;
  const int ret = Close(fd);
  keep_number_ = -1;
  return ret;
}

}  // namespace aiolab
