#include "tools/preload/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>

#include <algorithm>
#include <vector>

#include "kernel_model/machine.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/signals.h"
#include "tools/preload/simfs.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

// The child of vfork has the parent's memory, but fds of its own.
bool ModelHasFds() { return Active() && TheMachine() != nullptr && !Machine::InsideModel() && OwnsMemory(); }

// Whether the client may close `fd`; the model is ready for that.
bool MayClose(int fd) {
  if (!ModelHasFds()) return true;
  const ScopedSignalDelivery signals;
  return TheMachine()->WillCloseHostFd(fd);
}

int Result(long ret) {
  if (ret >= 0) return static_cast<int>(ret);
  errno = static_cast<int>(-ret);
  return -1;
}

RealFunction<int(int)> real_close("close");
RealFunction<int(FILE*)> real_fclose("fclose");

}  // namespace

long Close(int fd) {
  if (OnSimfs(fd) && OwnsMemory()) return CallModel(__NR_close, fd);
  return MayClose(fd) ? RawSyscall(__NR_close, fd) : -EBADF;
}

long CloseRange(unsigned first, unsigned last, unsigned flags) {
  if (first <= last && (flags & CLOSE_RANGE_CLOEXEC) == 0 && ModelHasFds()) {
    if (simfs_files.load() != nullptr) CloseSimfsRange(first, last);
    for (const int kept : TheMachine()->WillCloseHostFds(first, last)) {
      const unsigned fd = static_cast<unsigned>(kept);
      if (fd > first) {
        const long ret = RawSyscall(__NR_close_range, first, fd - 1, flags);
        if (ret < 0) return ret;
      }
      if (fd == last) return 0;
      first = fd + 1;
    }
  }
  return RawSyscall(__NR_close_range, first, last, flags);
}

long DupTo(int oldfd, int newfd, int flags, bool is_dup3) {
  if (oldfd == newfd && !is_dup3 && OnSimfs(oldfd)) return newfd;
  if (oldfd != newfd && (OnSimfs(oldfd) || OnSimfs(newfd)) && OwnsMemory()) return DupSimfsTo(oldfd, newfd, flags);
  if (oldfd != newfd && !MayClose(newfd)) return -EBADF;
  return is_dup3 ? RawSyscall(__NR_dup3, oldfd, newfd, flags) : RawSyscall(__NR_dup2, oldfd, newfd);
}

bool AdviseModel(int fd, off_t offset, off_t length, int advice) {
  if (advice != POSIX_FADV_DONTNEED || !ModelHasFds()) return false;
  const ScopedSignalDelivery signals;
  return TheMachine()->AdviseDontNeedOfHostFd(fd, offset, length);
}

}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

// The C library's, as it is a cancellation point.
INTERPOSE(int, close, (int fd)) {
  if (OnSimfs(fd) && OwnsMemory()) return Result(CallModel(__NR_close, fd));
  return MayClose(fd) ? real_close(fd) : Result(-EBADF);
}

INTERPOSE(int, fclose, (FILE * stream)) {
  const int errno_before = errno;
  const int fd = fileno(stream);
  errno = errno_before;
  // A simulated file is closed by its stream.
  if (fd >= 0 && !OnSimfs(fd)) MayClose(fd);
  return real_fclose(stream);
}

INTERPOSE(int, close_range, (unsigned first, unsigned last, int flags)) {
  return Result(CloseRange(first, last, static_cast<unsigned>(flags)));
}

INTERPOSE(void, closefrom, (int first)) { CloseRange(static_cast<unsigned>(std::max(first, 0)), ~0u, 0); }

INTERPOSE(int, dup2, (int oldfd, int newfd)) { return Result(DupTo(oldfd, newfd, 0, /*is_dup3=*/false)); }

INTERPOSE(int, dup3, (int oldfd, int newfd, int flags)) { return Result(DupTo(oldfd, newfd, flags, /*is_dup3=*/true)); }
