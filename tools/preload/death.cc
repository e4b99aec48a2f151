#include "tools/preload/death.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>

#include <atomic>

#include "kernel_model/machine.h"
#include "tools/preload/clock.h"
#include "tools/preload/process.h"
#include "tools/preload/thread_state.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

// How long the report may take, real time. One that waits for a lock which the dying thread holds never comes.
constexpr int64_t kFinishNsMax = 3'000'000'000;

// Who sends another signal after that time wants an end, whatever it costs. What comes earlier may be the same one by
// two ways: from the terminal or the supervisor, and from `aiolab run`.
constexpr int64_t kImpatienceNs = 300'000'000;

enum Work : uint32_t {
  kNothing,
  kReport,         // the thread dies inside the model, which nobody may enter any more
  kExitAndReport,  // it dies outside
  kDone,
};

std::atomic<uint32_t> work{kNothing};
std::atomic<long> dying_tid{0};
std::atomic<int> dying_of{0};
std::atomic<bool> finisher_is_there{false};

void FutexWait(std::atomic<uint32_t>& word, uint32_t value, int64_t timeout_ns) {
  const timespec timeout = ToTimespec(timeout_ns);
  RawSyscall(__NR_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, &timeout);
}

void SetWork(uint32_t value) {
  work = value;
  RawSyscall(__NR_futex, reinterpret_cast<uint32_t*>(&work), FUTEX_WAKE_PRIVATE, INT_MAX);
}

[[noreturn]] void StopForEver() {
  for (;;) {
    const timespec long_time = {3600, 0};
    RawSyscall(__NR_nanosleep, &long_time, nullptr);
  }
}

void WaitForReport() {
  const int64_t until_ns = HostMonotonicNs() + kFinishNsMax;
  SetWork(Machine::InsideModel() ? kReport : kExitAndReport);
  for (uint32_t now; (now = work) != kDone;) {
    const int64_t left_ns = until_ns - HostMonotonicNs();
    if (left_ns <= 0) return;
    FutexWait(work, now, left_ns);
  }
}

// By the bare system call: the C library's knows of handlers that this is none of.
void SetDefaultAction(int signal) {
  struct {
    uint64_t handler, flags, restorer, mask;
  } action = {};
  RawSyscall(__NR_rt_sigaction, signal, &action, nullptr, sizeof(action.mask));
}

}  // namespace

void DieOf(int signal, const siginfo_t& info) {
  if (Me().is_ours && work != kNothing) {
    // The work itself crashed. The one who waits for it dies of its own signal.
    SetWork(kDone);
    StopForEver();
  }
  long nobody = 0;
  const long tid = RawSyscall(__NR_gettid);
  if (OwnsMemory() && HasReport() && finisher_is_there && !Me().is_ours) {
    if (dying_tid.compare_exchange_strong(nobody, tid)) {
      dying_of = signal;
      WaitForReport();
    } else if (nobody != tid) {
      StopForEver();
    }
  }
  SetDefaultAction(signal);
  // Pending until the handler returns, to where the signal came.
  siginfo_t same = info;
  same.si_signo = signal;
  RawSyscall(__NR_rt_tgsigqueueinfo, RawSyscall(__NR_getpid), tid, signal, &same);
}

bool IsOwnFault(const siginfo_t& info) {
  switch (info.si_signo) {
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
    case SIGSYS:
      return info.si_code > 0;
    case SIGABRT:
      return info.si_code <= 0 && info.si_pid == RawSyscall(__NR_getpid);
    default:
      return false;
  }
}

bool CanWaitForSwitchingPoint(const siginfo_t& info) {
  const ThreadState& me = Me();
  return !IsOwnFault(info) && (me.deferred_count == 0 || HostMonotonicNs() - me.deferred_since_ns < kImpatienceNs);
}

void StopIfDying() {
  const long dying = dying_tid.load(std::memory_order_relaxed);
  if (dying != 0 && dying != RawSyscall(__NR_gettid) && !Me().is_ours && OwnsMemory()) StopForEver();
}

void ForgetDeath() {
  work = kNothing;
  dying_tid = 0;
  finisher_is_there = false;
}

void SleepAndFinishTheDying(int64_t ns) {
  if (work == kNothing) FutexWait(work, kNothing, ns);
  const uint32_t asked = work;
  if (asked != kReport && asked != kExitAndReport) return;
  FinishForDeath(dying_of, /*exit_aio=*/asked == kExitAndReport);
  SetWork(kDone);
  StopForEver();
}

void FinisherIsThere() { finisher_is_there = true; }

}  // namespace aiolab::preload
