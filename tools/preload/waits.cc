#include "tools/preload/waits.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
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
#include "uapi/aio_abi.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

// With other threads about, one of which may give the model work and then sleep where nobody sees it.
constexpr int64_t kSliceNs = 2'000'000;

int64_t DeadlineNs(int64_t now_ns, int64_t timeout_ns) {
  return timeout_ns < 0 || timeout_ns > kNoDeadline - now_ns ? kNoDeadline : now_ns + timeout_ns;
}

// `call(timeout_ns)` makes the host call: 0 is a look, negative means no limit. It returns 0 if the time ran out, else
// what the client is to get.
long WaitForHost(absl::FunctionRef<long(int64_t timeout_ns)> call, int64_t timeout_ns) {
  const ScopedSignalDelivery signals;
  Machine& machine = *TheMachine();
  const int64_t deadline_ns = DeadlineNs(machine.NowNs(), timeout_ns);
  long ret = 0;
  const auto ready = [&] { return (ret = call(0)) != 0; };
  for (;;) {
    switch (machine.RunWhileWaiting(ready, deadline_ns)) {
      case Machine::WaitResult::kReady:
        return ret;
      case Machine::WaitResult::kTimedOut:
        return 0;
      case Machine::WaitResult::kInterrupted:
        return -EINTR;
      case Machine::WaitResult::kIdle:
        break;
    }
    if (Me().deferred_count > 0) return -EINTR;
    const int64_t now_ns = machine.NowNs();
    if (deadline_ns <= now_ns) return 0;
    int64_t slice_ns = deadline_ns == kNoDeadline ? -1 : deadline_ns - now_ns;
    const bool whole = SingleThreaded() || (slice_ns >= 0 && slice_ns <= kSliceNs);
    if (!whole) slice_ns = kSliceNs;
    const int64_t real_before_ns = HostMonotonicNs();
    ret = call(slice_ns);
    if (VirtualClock()) {
      const int64_t elapsed_ns = HostMonotonicNs() - real_before_ns;
      // A timeout is exact, so that it repeats.
      machine.AdvanceTo(ret == 0 && whole ? deadline_ns : std::min(now_ns + elapsed_ns, deadline_ns));
    }
    if (ret == -EINTR) pthread_testcancel();
    if (ret != 0) return ret;
    if (whole) return 0;
  }
}

// A mask as the kernel takes it, without what must not be blocked.
struct KernelMask {
  explicit KernelMask(const sigset_t* mask) : given(mask != nullptr) {
    if (given) without = WithoutFaults(*mask);
  }
  const sigset_t* get() const { return given ? &without : nullptr; }
  const bool given;
  sigset_t without;
};

struct Timeout {
  explicit Timeout(int64_t ns) : infinite(ns < 0), time(ToTimespec(ns)) {}
  timespec* get() { return infinite ? nullptr : &time; }
  const bool infinite;
  timespec time;
};

int64_t TimeoutNs(const timespec* timeout) { return timeout == nullptr ? -1 : ToNs(*timeout); }

bool IsValid(const timespec* time) {
  return time == nullptr || (time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < kNanosecondsPerSecond);
}

int SetErrno(long ret) {
  if (ret >= 0) return static_cast<int>(ret);
  errno = static_cast<int>(-ret);
  return -1;
}

}  // namespace

long WaitInPoll(pollfd* fds, nfds_t nfds, int64_t timeout_ns, const sigset_t* mask) {
  const KernelMask kernel_mask(mask);
  return WaitForHost(
      [&](int64_t ns) {
        Timeout timeout(ns);
        return RawSyscall(__NR_ppoll, fds, nfds, timeout.get(), kernel_mask.get(), kKernelSigsetSize);
      },
      timeout_ns);
}

long WaitInEpoll(int epfd, epoll_event* events, int maxevents, int64_t timeout_ns, const sigset_t* mask) {
  const KernelMask kernel_mask(mask);
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
  const KernelMask kernel_mask(mask);
  const size_t bytes = (static_cast<size_t>(nfds) + 63) / 64 * 8;
  fd_set* const sets[3] = {read, write, except};
  // A call that finds nothing clears the sets; the next one needs them again.
  std::vector<char> asked(3 * bytes);
  for (size_t i = 0; i < 3; ++i) {
    if (sets[i] != nullptr) memcpy(&asked[i * bytes], sets[i], bytes);
  }
  return WaitForHost(
      [&](int64_t ns) {
        Timeout timeout(ns);
        for (size_t i = 0; i < 3; ++i) {
          if (sets[i] != nullptr) memcpy(sets[i], &asked[i * bytes], bytes);
        }
        const struct {
          const sigset_t* mask;
          size_t size;
        } signals = {kernel_mask.get(), kKernelSigsetSize};
        return RawSyscall(__NR_pselect6, nfds, read, write, except, timeout.get(), &signals);
      },
      timeout_ns);
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
      /*timeout_ns=*/-1);
  return ret == -EINTR ? ret : RawSyscall(__NR_read, fd, buf, count);
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
  const long ret = WaitForHost([&](int64_t sleep_ns) { return really ? host_sleep(sleep_ns) : 0L; }, ns);
  *remaining_ns = std::max<int64_t>(deadline_ns - machine.NowNs(), 0);
  return ret;
}

long SleepOnClock(clockid_t clock, int flags, const timespec* request, timespec* remaining) {
  if (!IsValid(request)) return -EINVAL;
  int64_t ns = ToNs(*request);
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
  if (ret == -EINTR && remaining != nullptr && (flags & TIMER_ABSTIME) == 0) *remaining = ToTimespec(remaining_ns);
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

int64_t MillisecondsNs(int timeout_ms) { return timeout_ms < 0 ? -1 : int64_t{timeout_ms} * 1'000'000; }

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

INTERPOSE(int, nanosleep, (const timespec* request, timespec* remaining)) {
  if (!SleepsHere()) return real_nanosleep(request, remaining);
  return SetErrno(SleepOnClock(CLOCK_MONOTONIC, 0, request, remaining));
}

INTERPOSE(int, clock_nanosleep, (clockid_t clock, int flags, const timespec* request, timespec* remaining)) {
  if (SleepsHere()) return static_cast<int>(-SleepOnClock(clock, flags, request, remaining));
  if (!VirtualClock() || (flags & TIMER_ABSTIME) == 0) return real_clock_nanosleep(clock, flags, request, remaining);
  const timespec moment = RealMoment(clock, *request);
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
  if (!ThreadInModel() || !IsValid(timeout)) return real_ppoll(fds, nfds, timeout, mask);
  return SetErrno(WaitInPoll(fds, nfds, TimeoutNs(timeout), mask));
}

INTERPOSE(int, __ppoll_chk, (pollfd * fds, nfds_t nfds, const timespec* timeout, const sigset_t* mask, size_t)) {
  if (!ThreadInModel() || !IsValid(timeout)) return real_ppoll(fds, nfds, timeout, mask);
  return SetErrno(WaitInPoll(fds, nfds, TimeoutNs(timeout), mask));
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
  if (!ThreadInModel() || !IsValid(timeout)) return real_epoll_pwait2(epfd, events, maxevents, timeout, mask);
  return SetErrno(WaitInEpoll(epfd, events, maxevents, TimeoutNs(timeout), mask));
}

INTERPOSE(int, select, (int nfds, fd_set* read, fd_set* write, fd_set* except, timeval* timeout)) {
  if (!ThreadInModel() || (timeout != nullptr && (timeout->tv_sec < 0 || timeout->tv_usec < 0))) {
    return real_select(nfds, read, write, except, timeout);
  }
  const int64_t timeout_ns = timeout == nullptr ? -1 : ToNs({timeout->tv_sec, 0}) + timeout->tv_usec * 1000;
  const int64_t before_ns = ClientNowNs(/*look=*/false);
  const int ret = SetErrno(WaitInSelect(nfds, read, write, except, timeout_ns, nullptr));
  if (timeout != nullptr) {
    const int64_t rest_ns = std::max<int64_t>(timeout_ns - (ClientNowNs(/*look=*/false) - before_ns), 0);
    *timeout = {rest_ns / kNanosecondsPerSecond, rest_ns % kNanosecondsPerSecond / 1000};
  }
  return ret;
}

INTERPOSE(int, pselect,
          (int nfds, fd_set* read, fd_set* write, fd_set* except, const timespec* timeout, const sigset_t* mask)) {
  if (!ThreadInModel() || !IsValid(timeout)) return real_pselect(nfds, read, write, except, timeout, mask);
  return SetErrno(WaitInSelect(nfds, read, write, except, TimeoutNs(timeout), mask));
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
