#include "tools/preload/timers.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "kernel_model/machine.h"
#include "tools/preload/clock.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/signals.h"
#include "tools/preload/user_memory.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

std::atomic<int64_t> interval_ns{0};

int64_t ToNs(const timeval& time) { return preload::ToNs({time.tv_sec, time.tv_usec * 1000}); }
timeval ToTimeval(int64_t ns) { return {ns / kNanosecondsPerSecond, ns % kNanosecondsPerSecond / 1000}; }

bool IsValid(const timeval& time) { return time.tv_sec >= 0 && time.tv_usec >= 0 && time.tv_usec < 1'000'000; }

// A timer that runs has at least a microsecond to go.
itimerval Look(const Machine& machine) {
  const int64_t alarm_ns = machine.alarm_ns();
  if (alarm_ns == kNoDeadline) return {ToTimeval(interval_ns), {0, 0}};
  return {ToTimeval(interval_ns), ToTimeval(std::max<int64_t>(alarm_ns - machine.NowNs(), 1000))};
}

}  // namespace

bool TimerHere() { return VirtualClock() && TheMachine() != nullptr && !Machine::InsideModel() && OwnsMemory(); }

long SetTimer(const itimerval* timer, itimerval* old) {
  itimerval given = {};
  if (timer != nullptr && ReadUser(timer, &given) != 0) return -EFAULT;
  if (!IsValid(given.it_value) || !IsValid(given.it_interval)) return -EINVAL;
  const ScopedSignalDelivery signals;
  Machine& machine = *TheMachine();
  const itimerval before = Look(machine);
  if (timer == nullptr) return WriteUser(old, before);
  const int64_t value_ns = ToNs(given.it_value);
  const int64_t now_ns = machine.NowNs();
  interval_ns = value_ns == 0 ? 0 : ToNs(given.it_interval);
  machine.SetAlarm(value_ns == 0 || value_ns > kNoDeadline - now_ns ? kNoDeadline : now_ns + value_ns);
  return old == nullptr ? 0 : WriteUser(old, before);
}

unsigned SetAlarmSeconds(unsigned seconds) {
  const itimerval timer = {{0, 0}, {static_cast<time_t>(seconds), 0}};
  itimerval old;
  (void)SetTimer(&timer, &old);
  // As the kernel rounds: to the nearest, but what runs is never 0.
  const bool up = old.it_value.tv_usec >= 500'000 || (old.it_value.tv_sec == 0 && old.it_value.tv_usec != 0);
  return static_cast<unsigned>(old.it_value.tv_sec) + (up ? 1 : 0);
}

int64_t OnAlarm() {
  const int64_t now_ns = TheMachine()->NowNs();
  siginfo_t info = {};
  info.si_signo = SIGALRM;
  info.si_code = SI_KERNEL;
  const long pid = RawSyscall(__NR_getpid);
  // Only the main thread may speak for the kernel.
  if (RawSyscall(__NR_rt_sigqueueinfo, pid, SIGALRM, &info) != 0) RawSyscall(__NR_kill, pid, SIGALRM);
  return interval_ns == 0 ? kNoDeadline : now_ns + interval_ns;
}

void TakeTimerFromHost() {
  if (!TimerHere()) return;
  const itimerval none = {};
  itimerval timer = {};
  RawSyscall(__NR_setitimer, ITIMER_REAL, &none, &timer);
  if (ToNs(timer.it_value) != 0) (void)SetTimer(&timer, nullptr);
}

void GiveTimerToHost() {
  if (!TimerHere() || TheMachine()->alarm_ns() == kNoDeadline) return;
  const itimerval none = {};
  itimerval timer = {};
  (void)SetTimer(&none, &timer);
  RawSyscall(__NR_setitimer, ITIMER_REAL, &timer, nullptr);
}

namespace {

RealFunction<unsigned(unsigned)> real_alarm("alarm");
RealFunction<useconds_t(useconds_t, useconds_t)> real_ualarm("ualarm");
RealFunction<int(int, const itimerval*, itimerval*)> real_setitimer("setitimer");
RealFunction<int(int, itimerval*)> real_getitimer("getitimer");

int Result(long ret) {
  if (ret == 0) return 0;
  errno = static_cast<int>(-ret);
  return -1;
}

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

INTERPOSE(unsigned, alarm, (unsigned seconds)) { return TimerHere() ? SetAlarmSeconds(seconds) : real_alarm(seconds); }

INTERPOSE(useconds_t, ualarm, (useconds_t value, useconds_t interval)) {
  if (!TimerHere()) return real_ualarm(value, interval);
  const itimerval timer = {{interval / 1'000'000, interval % 1'000'000}, {value / 1'000'000, value % 1'000'000}};
  itimerval old;
  (void)SetTimer(&timer, &old);
  return static_cast<useconds_t>(old.it_value.tv_sec * 1'000'000 + old.it_value.tv_usec);
}

INTERPOSE(int, setitimer, (int which, const itimerval* timer, itimerval* old)) {
  if (which != ITIMER_REAL || !TimerHere()) return real_setitimer(which, timer, old);
  const itimerval none = {};  // as the kernel takes a null pointer
  return Result(SetTimer(timer == nullptr ? &none : timer, old));
}

INTERPOSE(int, getitimer, (int which, itimerval* timer)) {
  if (which != ITIMER_REAL || !TimerHere()) return real_getitimer(which, timer);
  return Result(SetTimer(nullptr, timer));
}
