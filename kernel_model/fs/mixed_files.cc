#include "kernel_model/fs/mixed_files.h"

#include <errno.h>
#include <fcntl.h>

#include <utility>

#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

// High up, where no client expects its next fd.
constexpr int kPlaceholderFrom = 1000;

}  // namespace

MixedFiles::MixedFiles(std::unique_ptr<HostFiles> host) : host_(std::move(host)) {
  const long fd = RawSyscall(__NR_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  BUG_ON(fd < 0);
  // With few fds allowed it stays where it is.
  const long high = RawSyscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, kPlaceholderFrom);
  placeholder_ = static_cast<int>(high < 0 ? fd : high);
  if (high >= 0) RawSyscall(__NR_close, fd);
}

MixedFiles::~MixedFiles() {
  CloseAll();
  RawSyscall(__NR_close, placeholder_);
}

file* MixedFiles::fget(int fd) { return has(fd) ? ModelFiles::fget(fd) : host_->fget(fd); }

int MixedFiles::eventfd_ctx_fdget(int fd, std::shared_ptr<eventfd_ctx>* ctx) {
  return has(fd) ? ModelFiles::eventfd_ctx_fdget(fd, ctx) : host_->eventfd_ctx_fdget(fd, ctx);
}

void MixedFiles::Mark(int fd, bool here) {
  std::atomic<uint64_t>& word = bits_[static_cast<unsigned>(fd) / 64];
  const uint64_t bit = uint64_t{1} << (fd % 64);
  word.store(here ? word.load() | bit : word.load() & ~bit);
}

int MixedFiles::ReserveFd(int from, bool close_on_exec) {
  const long fd = RawSyscall(__NR_fcntl, placeholder_, close_on_exec ? F_DUPFD_CLOEXEC : F_DUPFD, from);
  if (fd < 0) return static_cast<int>(fd);
  if (fd >= kFdsMax) {
    RawSyscall(__NR_close, fd);
    return -EMFILE;
  }
  Mark(static_cast<int>(fd), true);
  return static_cast<int>(fd);
}

int MixedFiles::ReserveFdAt(int fd, bool close_on_exec) {
  // The client closes what was there by this.
  if (!has(fd) && !host_->WillClose(fd)) return -EBADF;
  const long ret = RawSyscall(__NR_dup3, placeholder_, fd, close_on_exec ? O_CLOEXEC : 0);
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
