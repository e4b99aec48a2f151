// libaio's functions and glibc's syscall(), as far as they lead to the model.
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "kernel_model/emulated_syscalls.h"
#include "tools/preload/clock.h"
#include "tools/preload/descriptors.h"
#include "tools/preload/life.h"
#include "tools/preload/old_abi.h"
#include "tools/preload/proc_files.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/signals.h"
#include "tools/preload/simfs.h"
#include "tools/preload/timers.h"
#include "tools/preload/user_memory.h"
#include "tools/preload/waits.h"
#include "uapi/host_syscalls.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

// The emulated kernel, or the real one in a process that nobody asked us into.
AioSyscalls& KernelOrHost(bool setup = false) {
  static HostSyscalls host;
  if (!Active()) return host;
  return Kernel(setup);
}

long IoSetup(unsigned nr_events, aio_context_t* ctxp) {
  if (Active()) ApplyAioMaxNr();
  FindUsersOfOldAbi();
  const ScopedSignalDelivery signals;
  return KernelOrHost(/*setup=*/true).io_setup(nr_events, ctxp);
}

long IoDestroy(aio_context_t ctx) {
  const ScopedSignalDelivery signals;
  return KernelOrHost().io_destroy(ctx);
}

long IoSubmit(aio_context_t ctx, long nr, iocb** iocbpp) {
  const ScopedSignalDelivery signals;
  return KernelOrHost().io_submit(ctx, nr, iocbpp);
}

long IoCancel(aio_context_t ctx, iocb* request, io_event* result) {
  const ScopedSignalDelivery signals;
  return KernelOrHost().io_cancel(ctx, request, result);
}

long IoGetevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) {
  const ScopedSignalDelivery signals;
  return KernelOrHost().io_getevents(ctx, min_nr, nr, events, timeout);
}

long IoPgetevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout,
                  const aio_sigset* usig) {
  const ScopedSignalDelivery signals;
  if (!Active()) return KernelOrHost().io_pgetevents(ctx, min_nr, nr, events, timeout, usig);
  // A mask that blocks faults would turn the next bad pointer into the end of the process. One that cannot be read is
  // left to the model.
  aio_sigset sigset = {};
  uint64_t mask = 0;
  const long pid = RawSyscall(__NR_getpid);
  const auto read = [pid](void* to, const void* from, size_t size) {
    const iovec local = {to, size};
    const iovec remote = {const_cast<void*>(from), size};
    return RawSyscall(__NR_process_vm_readv, pid, &local, 1, &remote, 1, 0) == static_cast<long>(size);
  };
  if (usig == nullptr || !read(&sigset, usig, sizeof(sigset)) || sigset.sigmask == nullptr ||
      sigset.sigsetsize != sizeof(mask) || !read(&mask, sigset.sigmask, sizeof(mask))) {
    return Kernel(/*setup=*/false).io_pgetevents(ctx, min_nr, nr, events, timeout, usig);
  }
  mask &= ~(uint64_t{1} << (SIGSEGV - 1)) & ~(uint64_t{1} << (SIGBUS - 1));
  sigset.sigmask = reinterpret_cast<const sigset_t*>(&mask);
  return Kernel(/*setup=*/false).io_pgetevents(ctx, min_nr, nr, events, timeout, &sigset);
}

// struct sigaction as the system call takes it.
struct KernelSigaction {
  void* handler;
  unsigned long flags;
  void* restorer;
  uint64_t mask;
};

long RtSigaction(int signal, const KernelSigaction* action, KernelSigaction* old) {
  struct sigaction client = {};
  struct sigaction client_old = {};
  if (action != nullptr) {
    KernelSigaction given;
    if (const long error = ReadUser(action, &given); error != 0) return error;
    client.sa_handler = reinterpret_cast<sighandler_t>(given.handler);
    client.sa_flags = static_cast<int>(given.flags);
    memcpy(&client.sa_mask, &given.mask, sizeof(given.mask));
  }
  const int error = ClientSigaction(signal, action == nullptr ? nullptr : &client, &client_old);
  if (error != 0) return -error;
  if (old == nullptr) return 0;
  KernelSigaction before = {reinterpret_cast<void*>(client_old.sa_handler),
                            static_cast<unsigned long>(client_old.sa_flags), nullptr, 0};
  memcpy(&before.mask, &client_old.sa_mask, sizeof(before.mask));
  return WriteUser(old, before);
}

long RtSigprocmask(int how, const uint64_t* set, uint64_t* old) {
  sigset_t client = {};
  sigset_t client_old = {};
  if (set != nullptr && CopyPinned(&client, set, sizeof(*set)) != 0) return -EFAULT;
  const int error = ClientSigmask(how, set == nullptr ? nullptr : &client, &client_old);
  if (error != 0) return -error;
  return old != nullptr && CopyPinned(old, &client_old, sizeof(*old)) != 0 ? -EFAULT : 0;
}

long ClockGettime(clockid_t clock, timespec* time) {
  if (ClockShowsNs(clock, 0) < 0) return RawSyscall(__NR_clock_gettime, clock, time);
  const ScopedSignalDelivery signals;
  return WriteUser(time, ToTimespec(ClockShowsNs(clock, ClientNowNs(/*look=*/true))));
}

template <typename T>
T As(long argument) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<T>(argument);
  } else {
    return static_cast<T>(argument);
  }
}

// The same handlers as behind the functions of these names. False: the C library's syscall() is to do it.
bool SyscallOfAio(long nr, const long (&a)[6], long* ret) {
  switch (nr) {
    case __NR_io_setup:
      *ret = IoSetup(static_cast<unsigned>(a[0]), As<aio_context_t*>(a[1]));
      return true;
    case __NR_io_destroy:
      *ret = IoDestroy(As<aio_context_t>(a[0]));
      return true;
    case __NR_io_submit:
      *ret = IoSubmit(As<aio_context_t>(a[0]), a[1], As<iocb**>(a[2]));
      return true;
    case __NR_io_cancel:
      *ret = IoCancel(As<aio_context_t>(a[0]), As<iocb*>(a[1]), As<io_event*>(a[2]));
      return true;
    case __NR_io_getevents:
      *ret = IoGetevents(As<aio_context_t>(a[0]), a[1], a[2], As<io_event*>(a[3]), As<timespec*>(a[4]));
      return true;
    case __NR_io_pgetevents:
      *ret = IoPgetevents(As<aio_context_t>(a[0]), a[1], a[2], As<io_event*>(a[3]), As<timespec*>(a[4]),
                          As<const aio_sigset*>(a[5]));
      return true;
    case __NR_io_uring_setup:
      *ret = -ENOSYS;
      return true;
    default:
      return false;
  }
}

bool SyscallOfProcess(long nr, const long (&a)[6], long* ret) {
  bool ours = false;
  switch (nr) {
    case __NR_open:
      *ret = OpenProcFile(As<const char*>(a[0]), static_cast<int>(a[1]), &ours);
      return ours;
    case __NR_openat:
      *ret = OpenProcFile(As<const char*>(a[1]), static_cast<int>(a[2]), &ours);
      return ours;
    case __NR_close:
      *ret = Close(static_cast<int>(a[0]));
      return true;
    case __NR_close_range:
      *ret = CloseRange(static_cast<unsigned>(a[0]), static_cast<unsigned>(a[1]), static_cast<unsigned>(a[2]));
      return true;
    case __NR_dup2:
      *ret = DupTo(static_cast<int>(a[0]), static_cast<int>(a[1]), 0, /*is_dup3=*/false);
      return true;
    case __NR_dup3:
      *ret = DupTo(static_cast<int>(a[0]), static_cast<int>(a[1]), static_cast<int>(a[2]), /*is_dup3=*/true);
      return true;
    case __NR_fadvise64:
      *ret = 0;
      return AdviseModel(static_cast<int>(a[0]), a[1], a[2], static_cast<int>(a[3]));
    case __NR_rt_sigaction:
      *ret = RtSigaction(static_cast<int>(a[0]), As<const KernelSigaction*>(a[1]), As<KernelSigaction*>(a[2]));
      return true;
    case __NR_rt_sigprocmask:
      *ret = RtSigprocmask(static_cast<int>(a[0]), As<const uint64_t*>(a[1]), As<uint64_t*>(a[2]));
      return true;
    case __NR_exit_group:
      Finish();
      return false;
    case __NR_execve:
      *ret = ExecAt(AT_FDCWD, As<const char*>(a[0]), As<char* const*>(a[1]), As<char* const*>(a[2]), 0);
      return true;
    case __NR_execveat:
      *ret = ExecAt(static_cast<int>(a[0]), As<const char*>(a[1]), As<char* const*>(a[2]), As<char* const*>(a[3]),
                    static_cast<int>(a[4]));
      return true;
    default:
      return false;
  }
}

bool SyscallOfClock(long nr, const long (&a)[6], long* ret) {
  if (VirtualClock() && nr == __NR_clock_gettime) {
    *ret = ClockGettime(static_cast<clockid_t>(a[0]), As<timespec*>(a[1]));
    return true;
  }
  if (VirtualClock() && (nr == __NR_gettimeofday || nr == __NR_time)) {
    timespec now;
    *ret = ClockGettime(CLOCK_REALTIME, &now);
    if (nr == __NR_time) *ret = now.tv_sec;
    long error = 0;
    if (nr == __NR_time && a[0] != 0) error = WriteUser<time_t>(As<time_t*>(a[0]), now.tv_sec);
    if (nr == __NR_gettimeofday && a[0] != 0) {
      error = WriteUser<timeval>(As<timeval*>(a[0]), {now.tv_sec, now.tv_nsec / 1000});
    }
    if (error != 0) *ret = error;
    return true;
  }
  if (nr == __NR_alarm && TimerHere()) {
    *ret = SetAlarmSeconds(static_cast<unsigned>(a[0]));
    return true;
  }
  if ((nr == __NR_setitimer || nr == __NR_getitimer) && a[0] == ITIMER_REAL && TimerHere()) {
    const bool set = nr == __NR_setitimer;
    const itimerval none = {};
    const auto* timer = set && a[1] == 0 ? &none : As<const itimerval*>(a[1]);
    *ret = set ? SetTimer(timer, As<itimerval*>(a[2])) : SetTimer(nullptr, As<itimerval*>(a[1]));
    return true;
  }
  if (SleepsHere() && nr == __NR_nanosleep) {
    *ret = SleepOnClock(CLOCK_MONOTONIC, 0, As<const timespec*>(a[0]), As<timespec*>(a[1]));
    return true;
  }
  if (SleepsHere() && nr == __NR_clock_nanosleep) {
    *ret = SleepOnClock(static_cast<clockid_t>(a[0]), static_cast<int>(a[1]), As<const timespec*>(a[2]),
                        As<timespec*>(a[3]));
    return true;
  }
  return false;
}

int64_t MillisecondsNs(long timeout_ms) {
  return static_cast<int>(timeout_ms) < 0 ? -1 : int64_t{static_cast<int>(timeout_ms)} * 1'000'000;
}

bool SyscallOfWait(long nr, const long (&a)[6], long* ret) {
  if (!ThreadInModel()) return false;
  switch (nr) {
    case __NR_poll:
      *ret = WaitInPoll(As<pollfd*>(a[0]), As<nfds_t>(a[1]), MillisecondsNs(a[2]), nullptr);
      return true;
    case __NR_ppoll: {
      const UserTimeout timeout(As<const timespec*>(a[2]));
      if (timeout.error == 0 && a[3] != 0 && a[4] != kKernelSigsetSize) {
        *ret = -EINVAL;
      } else {
        *ret = timeout.error != 0
                   ? timeout.error
                   : WaitInPoll(As<pollfd*>(a[0]), As<nfds_t>(a[1]), timeout.ns, As<const sigset_t*>(a[3]));
      }
      return true;
    }
    case __NR_epoll_wait:
      *ret = WaitInEpoll(static_cast<int>(a[0]), As<epoll_event*>(a[1]), static_cast<int>(a[2]), MillisecondsNs(a[3]),
                         nullptr);
      return true;
    case __NR_epoll_pwait:
      if (a[4] != 0 && a[5] != kKernelSigsetSize) {
        *ret = -EINVAL;
      } else {
        *ret = WaitInEpoll(static_cast<int>(a[0]), As<epoll_event*>(a[1]), static_cast<int>(a[2]), MillisecondsNs(a[3]),
                           As<const sigset_t*>(a[4]));
      }
      return true;
    case __NR_pause:
      *ret = WaitInPoll(nullptr, 0, /*timeout_ns=*/-1, nullptr);
      return true;
    case __NR_wait4:
      *ret = WaitForChild([&](int options) { return RawSyscall(__NR_wait4, a[0], a[1], options, a[3]); },
                          static_cast<int>(a[2]));
      return true;
    case __NR_waitid:
      *ret = WaitId(static_cast<idtype_t>(a[0]), static_cast<id_t>(a[1]), As<siginfo_t*>(a[2]), static_cast<int>(a[3]),
                    As<rusage*>(a[4]));
      return true;
    case __NR_read:
      *ret = WaitInRead(static_cast<int>(a[0]), As<void*>(a[1]), static_cast<size_t>(a[2]));
      return true;
    default:
      return false;
  }
}

RealFunction<long(long, long, long, long, long, long, long)> real_syscall("syscall");

// How many there are, nobody says: like the C library's own syscall(), this reads all that there can be. What was not
// passed is whatever lies on the caller's stack, which AddressSanitizer need not know.
__attribute__((no_sanitize("address"))) void ReadArguments(va_list arguments, long (&a)[6]) {
  for (long& argument : a) argument = va_arg(arguments, long);
}

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above
using aiolab::aio_sigset;

INTERPOSE(int, io_setup, (int nr_events, aio_context_t* ctxp)) {
  return static_cast<int>(IoSetup(static_cast<unsigned>(nr_events), ctxp));
}

INTERPOSE(int, io_destroy, (aio_context_t ctx)) { return static_cast<int>(IoDestroy(ctx)); }

INTERPOSE(int, io_submit, (aio_context_t ctx, long nr, iocb** iocbpp)) {
  return static_cast<int>(IoSubmit(ctx, nr, iocbpp));
}

INTERPOSE(int, io_cancel, (aio_context_t ctx, iocb* request, io_event* result)) {
  if (UsesOldAbi(__builtin_return_address(0), OldFunction::kIoCancel)) {
    io_event event;
    return static_cast<int>(IoCancel(ctx, request, &event));
  }
  return static_cast<int>(IoCancel(ctx, request, result));
}

INTERPOSE(int, io_getevents, (aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout)) {
  if (UsesOldAbi(__builtin_return_address(0), OldFunction::kIoGetevents)) {
    // (ctx, nr, events, timeout), and the timeout stays as it is.
    const auto* old_timeout = reinterpret_cast<const timespec*>(events);
    timespec copy = {};
    if (old_timeout != nullptr && ReadUser(old_timeout, &copy) != 0) return -EFAULT;
    return static_cast<int>(
        IoGetevents(ctx, 1, min_nr, reinterpret_cast<io_event*>(nr), old_timeout == nullptr ? nullptr : &copy));
  }
  return static_cast<int>(IoGetevents(ctx, min_nr, nr, events, timeout));
}

INTERPOSE(int, io_pgetevents,
          (aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout, const sigset_t* mask)) {
  const aio_sigset usig = {mask, aiolab::kKernelSigsetSize};
  return static_cast<int>(IoPgetevents(ctx, min_nr, nr, events, timeout, &usig));
}

INTERPOSE(long, syscall, (long nr, ...)) {
  va_list arguments;
  va_start(arguments, nr);
  long a[6];
  ReadArguments(arguments, a);
  va_end(arguments);
  long ret;
  if (!Active() || !((HasSimfs() && SimfsSyscall(nr, a, &ret)) || SyscallOfAio(nr, a, &ret) ||
                     SyscallOfWait(nr, a, &ret) || SyscallOfClock(nr, a, &ret) || SyscallOfProcess(nr, a, &ret))) {
    return real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  if (ret >= 0 || ret < -4095) return ret;
  errno = static_cast<int>(-ret);
  return -1;
}

// A client that finds io_uring sleeps in it, where the model cannot see it; one that does not falls back to AIO or to
// poll.
#define INTERPOSE_URING(name, parameters) \
  INTERPOSE(int, name, parameters) { return -ENOSYS; }
INTERPOSE_URING(io_uring_queue_init, (unsigned, void*, unsigned))
INTERPOSE_URING(io_uring_queue_init_params, (unsigned, void*, void*))
INTERPOSE_URING(io_uring_queue_init_mem, (unsigned, void*, void*, void*, size_t))
INTERPOSE_URING(io_uring_setup, (unsigned, void*))
