#include "tools/preload/waits.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/functional/function_ref.h"
#include "kernel_model/machine.h"
#include "tools/preload/clock.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/signals.h"
#include "tools/preload/simfs.h"
#include "tools/preload/thread_state.h"
#include "tools/preload/user_memory.h"
#include "uapi/aio_abi.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

int64_t DeadlineNs(int64_t now_ns, int64_t timeout_ns) {
  return timeout_ns < 0 || timeout_ns > kNoDeadline - now_ns ? kNoDeadline : now_ns + timeout_ns;
}

// As Machine::WaitForHost. `restarts`: the call is one that goes on behind a handler with SA_RESTART. In a run that
// looks for a missing fsync the model is patient: time that the client did not ask for would hide it.
long WaitForHost(absl::FunctionRef<long(int64_t timeout_ns)> call, int64_t timeout_ns, bool restarts = false,
                 bool patient = Config().record_writes) {
  const ScopedSignalDelivery signals;
  Machine& machine = *TheMachine();
  ThreadState& me = Me();
  const int64_t deadline_ns = DeadlineNs(machine.NowNs(), timeout_ns);
  me.handler_interrupts = false;
  for (;;) {
    const long ret = machine.WaitForHost(call, deadline_ns, patient);
    if (ret != -EINTR) return ret;
    pthread_testcancel();
    if (!restarts || me.handler_interrupts) return ret;
    DeliverDeferredSignals();
  }
}

struct Timeout {
  explicit Timeout(int64_t ns) : infinite(ns < 0), time(ToTimespec(ns)) {}
  timespec* get() { return infinite ? nullptr : &time; }
  const bool infinite;
  timespec time;
};

int SetErrno(long ret) {
  if (ret >= 0) return static_cast<int>(ret);
  errno = static_cast<int>(-ret);
  return -1;
}

}  // namespace

long WaitInPoll(pollfd* fds, nfds_t nfds, int64_t timeout_ns, const sigset_t* mask) {
  const UserMask kernel_mask(mask);
  if (kernel_mask.error != 0) return kernel_mask.error;
  return WaitForHost(
      [&](int64_t ns) {
        Timeout timeout(ns);
        return RawSyscall(__NR_ppoll, fds, nfds, timeout.get(), kernel_mask.get(), kKernelSigsetSize);
      },
      timeout_ns);
}

long WaitInEpoll(int epfd, epoll_event* events, int maxevents, int64_t timeout_ns, const sigset_t* mask) {
  const UserMask kernel_mask(mask);
  if (kernel_mask.error != 0) return kernel_mask.error;
  return WaitForHost(
      [&](int64_t ns) {
        // Up: a wait that ends early would be one more turn.
        const int64_t timeout_ms = ns < 0 ? -1 : std::min<int64_t>((ns + 999'999) / 1'000'000, 2'000'000'000);
        return RawSyscall(__NR_epoll_pwait, epfd, events, maxevents, timeout_ms, kernel_mask.get(), kKernelSigsetSize);
      },
      timeout_ns);
}

long WaitInSelect(int nfds, fd_set* read, fd_set* write, fd_set* except, int64_t timeout_ns, const sigset_t* mask) {
  if (nfds < 0) return -EINVAL;
  const UserMask kernel_mask(mask);
  if (kernel_mask.error != 0) return kernel_mask.error;
  const size_t bytes = (static_cast<size_t>(nfds) + 63) / 64 * 8;
  fd_set* const sets[3] = {read, write, except};
  std::vector<char> asked(3 * bytes);
  for (size_t i = 0; i < 3; ++i) {
    if (sets[i] != nullptr && CopyPinned(&asked[i * bytes], sets[i], bytes) != 0) return -EFAULT;
  }
  // A call that finds nothing clears the sets; the next one needs them again.
  std::vector<char> found;
  const long ret = WaitForHost(
      [&](int64_t ns) {
        Timeout timeout(ns);
        found = asked;
        char* now[3] = {};
        for (size_t i = 0; i < 3; ++i) {
          if (sets[i] != nullptr) now[i] = &found[i * bytes];
        }
        const struct {
          const sigset_t* mask;
          size_t size;
        } signals = {kernel_mask.get(), kKernelSigsetSize};
        return RawSyscall(__NR_pselect6, nfds, now[0], now[1], now[2], timeout.get(), &signals);
      },
      timeout_ns);
  for (size_t i = 0; i < 3 && ret >= 0; ++i) {
    if (sets[i] != nullptr && CopyPinned(sets[i], &found[i * bytes], bytes) != 0) return -EFAULT;
  }
  return ret;
}

long WaitInRead(int fd, void* buf, size_t count) {
  // What never blocks is not worth a look: regular files are always ready.
  const long ret = WaitForHost(
      [fd](int64_t ns) {
        pollfd poll = {fd, POLLIN, 0};
        Timeout timeout(ns);
        const long ready = RawSyscall(__NR_ppoll, &poll, 1, timeout.get(), nullptr, 0);
        if (ready != 0 || ns != 0) return ready;
        const long flags = RawSyscall(__NR_fcntl, fd, F_GETFL);
        return flags < 0 || (flags & O_NONBLOCK) != 0 ? 1L : 0L;
      },
      /*timeout_ns=*/-1, /*restarts=*/true);
  return ret == -EINTR ? ret : RawSyscall(__NR_read, fd, buf, count);
}

long WaitForSignal(const sigset_t* set, siginfo_t* info, int64_t timeout_ns) {
  const long ret = WaitForHost(
      [&](int64_t ns) {
        Timeout timeout(ns);
        const long signal = RawSyscall(__NR_rt_sigtimedwait, set, info, timeout.get(), kKernelSigsetSize);
        return signal == -EAGAIN ? 0 : signal;
      },
      timeout_ns);
  return ret == 0 ? -EAGAIN : ret;
}

long WaitForChild(absl::FunctionRef<long(int options)> wait, int options) {
  if ((options & WNOHANG) != 0) return wait(options);
  return WaitForHost(
      [&](int64_t ns) {
        if (ns < 0) return wait(options);
        const int64_t until_ns = HostMonotonicNs() + ns;
        for (;;) {
          const long ret = wait(options | WNOHANG);
          const int64_t left_ns = until_ns - HostMonotonicNs();
          if (ret != 0 || left_ns <= 0) return ret;
          Timeout timeout(std::min<int64_t>(left_ns, 1'000'000));
          if (RawSyscall(__NR_nanosleep, timeout.get(), nullptr) == -EINTR) return -long{EINTR};
        }
      },
      /*timeout_ns=*/-1, /*restarts=*/true);
}

// Its result does not tell whether there was a child, only what it wrote does.
long WaitId(idtype_t type, id_t id, siginfo_t* info, int options, rusage* usage) {
  if ((options & WNOHANG) != 0) return RawSyscall(__NR_waitid, type, id, info, options, usage);
  siginfo_t mine = {};
  const long ret = WaitForChild(
      [&](int flags) {
        mine.si_pid = 0;
        const long waited = RawSyscall(__NR_waitid, type, id, &mine, flags, usage);
        return waited == 0 && mine.si_pid != 0 ? 1L : waited;
      },
      options);
  if (ret > 0 && info != nullptr && WriteUser(info, mine) != 0) return -EFAULT;
  return std::min(ret, 0L);
}

bool SleepsHere() { return ThreadInModel() || (VirtualClock() && TheMachine() == nullptr && SingleThreaded()); }

long Sleep(int64_t ns, int64_t* remaining_ns) {
  const auto host_sleep = [](int64_t sleep_ns) {
    timespec time = ToTimespec(sleep_ns);
    return sleep_ns == 0 ? 0L : RawSyscall(__NR_nanosleep, &time, nullptr);
  };
  *remaining_ns = 0;
  if (!ThreadInModel()) {
    // Others may be waited for here, a child for example, so real time has to pass; how much is the client's own wish.
    const int64_t before_ns = HostMonotonicNs();
    const long ret = host_sleep(ns);
    const int64_t slept_ns = ret == 0 ? ns : std::min(ns, HostMonotonicNs() - before_ns);
    AdvanceWithoutMachine(slept_ns);
    *remaining_ns = ns - slept_ns;
    return ret;
  }
  Machine& machine = *TheMachine();
  const int64_t deadline_ns = DeadlineNs(machine.NowNs(), ns);
  const bool really = !VirtualClock() || !Alone();
  const long ret = WaitForHost([&](int64_t sleep_ns) { return really ? host_sleep(sleep_ns) : 0L; }, ns,
                               /*restarts=*/false, /*patient=*/false);
  *remaining_ns = std::max<int64_t>(deadline_ns - machine.NowNs(), 0);
  return ret;
}

long SleepOnClock(clockid_t clock, int flags, const timespec* request, timespec* remaining) {
  timespec time;
  if (const long error = ReadUser(request, &time); error != 0) return error;
  if (!IsValid(time)) return -EINVAL;
  int64_t ns = ToNs(time);
  if ((flags & TIMER_ABSTIME) != 0) {
    int64_t shows_ns;
    if (VirtualClock()) {
      shows_ns = ClockShowsNs(clock, ClientNowNs(/*look=*/false));
    } else {
      timespec now;
      const long ret = RawSyscall(__NR_clock_gettime, clock, &now);
      if (ret != 0) return ret;
      shows_ns = ToNs(now);
    }
    if (shows_ns < 0) return -EINVAL;
    ns = std::max<int64_t>(ns - shows_ns, 0);
  }
  int64_t remaining_ns;
  const long ret = Sleep(ns, &remaining_ns);
  if (ret == -EINTR && remaining != nullptr && (flags & TIMER_ABSTIME) == 0 &&
      WriteUser(remaining, ToTimespec(remaining_ns)) != 0) {
    return -EFAULT;
  }
  return ret;
}

namespace {

RealFunction<int(const timespec*, timespec*)> real_nanosleep("nanosleep");
RealFunction<int(clockid_t, int, const timespec*, timespec*)> real_clock_nanosleep("clock_nanosleep");
RealFunction<int(useconds_t)> real_usleep("usleep");
RealFunction<unsigned(unsigned)> real_sleep("sleep");
RealFunction<int()> real_sched_yield("sched_yield");
RealFunction<int(pollfd*, nfds_t, int)> real_poll("poll");
RealFunction<int(pollfd*, nfds_t, const timespec*, const sigset_t*)> real_ppoll("ppoll");
RealFunction<int(int, epoll_event*, int, int)> real_epoll_wait("epoll_wait");
RealFunction<int(int, epoll_event*, int, int, const sigset_t*)> real_epoll_pwait("epoll_pwait");
RealFunction<int(int, epoll_event*, int, const timespec*, const sigset_t*)> real_epoll_pwait2("epoll_pwait2");
RealFunction<int(int, fd_set*, fd_set*, fd_set*, timeval*)> real_select("select");
RealFunction<int(int, fd_set*, fd_set*, fd_set*, const timespec*, const sigset_t*)> real_pselect("pselect");
RealFunction<ssize_t(int, void*, size_t)> real_read("read");
RealFunction<int()> real_pause("pause");
RealFunction<int(const sigset_t*)> real_sigsuspend("sigsuspend");
RealFunction<int(const sigset_t*, siginfo_t*, const timespec*)> real_sigtimedwait("sigtimedwait");
RealFunction<int(const sigset_t*, siginfo_t*)> real_sigwaitinfo("sigwaitinfo");
RealFunction<int(const sigset_t*, int*)> real_sigwait("sigwait");
RealFunction<pid_t(pid_t, int*, int, rusage*)> real_wait4("wait4");
RealFunction<int(idtype_t, id_t, siginfo_t*, int)> real_waitid("waitid");

int64_t MillisecondsNs(int timeout_ms) { return timeout_ms < 0 ? -1 : int64_t{timeout_ms} * 1'000'000; }

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above
using aiolab::RawSyscall;

INTERPOSE(int, nanosleep, (const timespec* request, timespec* remaining)) {
  if (!SleepsHere()) return real_nanosleep(request, remaining);
  return SetErrno(SleepOnClock(CLOCK_MONOTONIC, 0, request, remaining));
}

INTERPOSE(int, clock_nanosleep, (clockid_t clock, int flags, const timespec* request, timespec* remaining)) {
  if (SleepsHere()) return static_cast<int>(-SleepOnClock(clock, flags, request, remaining));
  timespec time;
  if (!VirtualClock() || (flags & TIMER_ABSTIME) == 0 || ReadUser(request, &time) != 0) {
    return real_clock_nanosleep(clock, flags, request, remaining);
  }
  const timespec moment = RealMoment(clock, time);
  return real_clock_nanosleep(clock, flags, &moment, remaining);
}

INTERPOSE(int, usleep, (useconds_t us)) {
  if (!SleepsHere()) return real_usleep(us);
  int64_t remaining_ns;
  return SetErrno(Sleep(int64_t{us} * 1000, &remaining_ns));
}

INTERPOSE(unsigned, sleep, (unsigned seconds)) {
  if (!SleepsHere()) return real_sleep(seconds);
  int64_t remaining_ns;
  (void)Sleep(seconds * kNanosecondsPerSecond, &remaining_ns);
  return static_cast<unsigned>((remaining_ns + kNanosecondsPerSecond - 1) / kNanosecondsPerSecond);
}

INTERPOSE(int, sched_yield, ()) {
  if (ThreadInModel()) {
    const ScopedSignalDelivery signals;
    TheMachine()->LookAtClock();
  }
  return real_sched_yield();
}

INTERPOSE(int, poll, (pollfd * fds, nfds_t nfds, int timeout_ms)) {
  if (!ThreadInModel()) return real_poll(fds, nfds, timeout_ms);
  return SetErrno(WaitInPoll(fds, nfds, MillisecondsNs(timeout_ms), nullptr));
}

INTERPOSE(int, __poll_chk, (pollfd * fds, nfds_t nfds, int timeout_ms, size_t)) {
  if (!ThreadInModel()) return real_poll(fds, nfds, timeout_ms);
  return SetErrno(WaitInPoll(fds, nfds, MillisecondsNs(timeout_ms), nullptr));
}

INTERPOSE(int, ppoll, (pollfd * fds, nfds_t nfds, const timespec* timeout, const sigset_t* mask)) {
  if (!ThreadInModel()) return real_ppoll(fds, nfds, timeout, mask);
  const UserTimeout given(timeout);
  return SetErrno(given.error != 0 ? given.error : WaitInPoll(fds, nfds, given.ns, mask));
}

INTERPOSE(int, __ppoll_chk, (pollfd * fds, nfds_t nfds, const timespec* timeout, const sigset_t* mask, size_t)) {
  if (!ThreadInModel()) return real_ppoll(fds, nfds, timeout, mask);
  const UserTimeout given(timeout);
  return SetErrno(given.error != 0 ? given.error : WaitInPoll(fds, nfds, given.ns, mask));
}

INTERPOSE(int, epoll_wait, (int epfd, epoll_event* events, int maxevents, int timeout_ms)) {
  if (!ThreadInModel()) return real_epoll_wait(epfd, events, maxevents, timeout_ms);
  return SetErrno(WaitInEpoll(epfd, events, maxevents, MillisecondsNs(timeout_ms), nullptr));
}

INTERPOSE(int, epoll_pwait, (int epfd, epoll_event* events, int maxevents, int timeout_ms, const sigset_t* mask)) {
  if (!ThreadInModel()) return real_epoll_pwait(epfd, events, maxevents, timeout_ms, mask);
  return SetErrno(WaitInEpoll(epfd, events, maxevents, MillisecondsNs(timeout_ms), mask));
}

INTERPOSE(int, epoll_pwait2,
          (int epfd, epoll_event* events, int maxevents, const timespec* timeout, const sigset_t* mask)) {
  if (!ThreadInModel()) return real_epoll_pwait2(epfd, events, maxevents, timeout, mask);
  const UserTimeout given(timeout);
  return SetErrno(given.error != 0 ? given.error : WaitInEpoll(epfd, events, maxevents, given.ns, mask));
}

INTERPOSE(int, select, (int nfds, fd_set* read, fd_set* write, fd_set* except, timeval* timeout)) {
  if (!ThreadInModel()) return real_select(nfds, read, write, except, timeout);
  timeval time = {};
  if (timeout != nullptr && ReadUser<timeval>(timeout, &time) != 0) return SetErrno(-EFAULT);
  if (time.tv_sec < 0 || time.tv_usec < 0) return SetErrno(-EINVAL);
  const int64_t timeout_ns = timeout == nullptr ? -1 : ToNs({time.tv_sec, 0}) + time.tv_usec * 1000;
  const int64_t before_ns = ClientNowNs(/*look=*/false);
  const long ret = WaitInSelect(nfds, read, write, except, timeout_ns, nullptr);
  if (timeout != nullptr) {
    const int64_t rest_ns = std::max<int64_t>(timeout_ns - (ClientNowNs(/*look=*/false) - before_ns), 0);
    // The kernel takes no notice either if that cannot be written.
    (void)WriteUser<timeval>(timeout, {rest_ns / kNanosecondsPerSecond, rest_ns % kNanosecondsPerSecond / 1000});
  }
  return SetErrno(ret);
}

INTERPOSE(int, pselect,
          (int nfds, fd_set* read, fd_set* write, fd_set* except, const timespec* timeout, const sigset_t* mask)) {
  if (!ThreadInModel()) return real_pselect(nfds, read, write, except, timeout, mask);
  const UserTimeout given(timeout);
  return SetErrno(given.error != 0 ? given.error : WaitInSelect(nfds, read, write, except, given.ns, mask));
}

INTERPOSE(ssize_t, read, (int fd, void* buf, size_t count)) {
  if (OnSimfs(fd)) return WithErrno(CallModel(__NR_read, fd, buf, count));
  if (!ThreadInModel()) return real_read(fd, buf, count);
  const long ret = WaitInRead(fd, buf, count);
  if (ret >= 0) return ret;
  errno = static_cast<int>(-ret);
  return -1;
}

INTERPOSE(ssize_t, __read_chk, (int fd, void* buf, size_t count, size_t)) {
  return aiolab_interposed_read(fd, buf, count);
}

INTERPOSE(int, pause, ()) {
  if (!ThreadInModel()) return real_pause();
  return SetErrno(WaitInPoll(nullptr, 0, /*timeout_ns=*/-1, nullptr));
}

INTERPOSE(int, sigsuspend, (const sigset_t* mask)) {
  if (!ThreadInModel()) return real_sigsuspend(mask);
  return SetErrno(WaitInPoll(nullptr, 0, /*timeout_ns=*/-1, mask));
}

INTERPOSE(int, sigtimedwait, (const sigset_t* set, siginfo_t* info, const timespec* timeout)) {
  if (!ThreadInModel()) return real_sigtimedwait(set, info, timeout);
  const UserTimeout given(timeout);
  return SetErrno(given.error != 0 ? given.error : WaitForSignal(set, info, given.ns));
}

INTERPOSE(int, sigwaitinfo, (const sigset_t* set, siginfo_t* info)) {
  if (!ThreadInModel()) return real_sigwaitinfo(set, info);
  return SetErrno(WaitForSignal(set, info, /*timeout_ns=*/-1));
}

// Not ended by a handler, and gives the error back.
INTERPOSE(int, sigwait, (const sigset_t* set, int* signal)) {
  if (!ThreadInModel()) return real_sigwait(set, signal);
  long ret;
  while ((ret = WaitForSignal(set, nullptr, /*timeout_ns=*/-1)) == -EINTR) {
  }
  if (ret < 0) return static_cast<int>(-ret);
  *signal = static_cast<int>(ret);
  return 0;
}

INTERPOSE(pid_t, wait4, (pid_t pid, int* status, int options, rusage* usage)) {
  if (!ThreadInModel()) return real_wait4(pid, status, options, usage);
  return SetErrno(WaitForChild([&](int flags) { return RawSyscall(__NR_wait4, pid, status, flags, usage); }, options));
}

INTERPOSE(pid_t, wait3, (int* status, int options, rusage* usage)) {
  return aiolab_interposed_wait4(-1, status, options, usage);
}

INTERPOSE(pid_t, waitpid, (pid_t pid, int* status, int options)) {
  return aiolab_interposed_wait4(pid, status, options, nullptr);
}

INTERPOSE(pid_t, wait, (int* status)) { return aiolab_interposed_wait4(-1, status, 0, nullptr); }

INTERPOSE(int, waitid, (idtype_t type, id_t id, siginfo_t* info, int options)) {
  if (!ThreadInModel() || (options & WNOHANG) != 0) return real_waitid(type, id, info, options);
  return SetErrno(WaitId(type, id, info, options, nullptr));
}
