#include "tools/preload/tick.h"

#include <linux/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <atomic>

#include "tools/preload/clock.h"
#include "tools/preload/death.h"
#include "tools/preload/notes.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/thread_state.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

// How often the thread looks, and what it takes for a client that computes: so much CPU time, or so many looks, with
// work to do and nobody who came to do it. Looks, not real time: on a machine that stood still, both stood still.
constexpr int64_t kLookIntervalNs = 20'000'000;
constexpr int64_t kSpinCpuNs = 100'000'000;
constexpr int kIdleLooks = 50;
// With several threads a run does not repeat anyway, and one of them may sleep where we cannot see it.
constexpr int kIdleLooksWithThreads = 2;
constexpr int64_t kTickIntervalNs = 1'000'000;
// A client that spun once spins again, between any two of its requests, and the run has nothing more to lose: as often
// as the host's timers allow, and whenever nobody has come since the last look.
constexpr int64_t kSpinAgainIntervalNs = 20'000;
// What may run in one go, before the client is given a chance to see it.
constexpr int kEventsPerTick = 64;

std::atomic<bool> started{false};

RealFunction<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)> real_pthread_create("pthread_create");

int64_t ProcessCpuNs() {
  timespec cpu = {};
  RawSyscall(__NR_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &cpu);
  return ToNs(cpu);
}

void TickUntilSomebodyComes(Machine& machine) {
  const uint64_t entries = machine.entries();
  while (machine.entries() == entries && machine.has_events()) {
    bool ran = false;
    for (int i = 0; i < kEventsPerTick && machine.entries() == entries && machine.Tick(); ++i) ran = true;
    if (ran) {
      NotReplayable(
          "a client looked at its ring without a system call, or slept where the model does not see it, and a tick "
          "from outside let the model run");
    }
    SleepAndFinishTheDying(kSpinAgainIntervalNs);
  }
}

// A client that waits on the host comes back for its alarm by itself, so that is given time to happen.
constexpr int64_t kAlarmLeewayNs = 100'000'000;

// A client that makes no call lets no virtual time pass. Its alarm goes off when the real time is over.
struct Silence {
  uint64_t entries = 0;
  int64_t since_ns = 0;  // real time
};

void RingAlarmOfSilentClient(Machine& machine, Silence& silent) {
  const int64_t now_ns = HostMonotonicNs();
  if (machine.entries() != silent.entries) silent = {machine.entries(), now_ns};
  const int64_t alarm_ns = machine.alarm_ns();
  if (alarm_ns == kNoDeadline || alarm_ns - machine.NowNs() > now_ns - silent.since_ns - kAlarmLeewayNs) return;
  NotReplayable("a timer of the client went off while it made no call");
  machine.TickAlarm();
  silent.since_ns = now_ns;
}

void* Run(void*) {
  Me().is_ours = true;
  RawSyscall(__NR_prctl, PR_SET_NAME, "aiolab-tick");
  uint64_t entries = 0;
  int64_t cpu_ns = 0;
  int idle_looks = 0;
  Silence silent;
  const bool virtual_clock = VirtualClock();
  bool has_ticked = false;
  for (;;) {
    SleepAndFinishTheDying(!virtual_clock ? kTickIntervalNs : has_ticked ? kSpinAgainIntervalNs : kLookIntervalNs);
    Machine* machine = TheMachine();
    if (machine == nullptr) continue;
    if (!virtual_clock) {
      // What is due is due, whoever has been here.
      for (int i = 0; i < kEventsPerTick && machine->Tick(); ++i) {
      }
      continue;
    }
    RingAlarmOfSilentClient(*machine, silent);
    if (machine->entries() != entries || !machine->has_events()) {
      entries = machine->entries();
      cpu_ns = ProcessCpuNs();
      idle_looks = 0;
      continue;
    }
    ++idle_looks;
    if (has_ticked || ProcessCpuNs() - cpu_ns > kSpinCpuNs ||
        idle_looks >= (SingleThreaded() ? kIdleLooks : kIdleLooksWithThreads)) {
      TickUntilSomebodyComes(*machine);
      has_ticked = true;
    }
  }
  return nullptr;
}

}  // namespace

void StartTick() {
  if (started.exchange(true)) return;
  const uint64_t all = ~uint64_t{0} & ~(uint64_t{1} << (SIGSEGV - 1)) & ~(uint64_t{1} << (SIGBUS - 1));
  uint64_t before = 0;
  RawSyscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, size_t{256} << 10);
  pthread_t thread;
  if (real_pthread_create(&thread, &attributes, Run, nullptr) != 0) {
    started = false;
  } else {
    FinisherIsThere();
  }
  pthread_attr_destroy(&attributes);
  RawSyscall(__NR_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof(before));
}

void ForgetTick() { started = false; }

}  // namespace aiolab::preload
