// The client's clocks. They begin at a fixed moment, so that a run repeats on another day.
//
// A client thread, and the only thread of a process, reads the model's clock, and each look costs it some virtual time.
// Another thread reads a clock that keeps up with the model's and goes on with the real one.
#ifndef TOOLS_PRELOAD_CLOCK_H_
#define TOOLS_PRELOAD_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace aiolab::preload {

inline constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

inline int64_t ToNs(const timespec& time) {
  // Beyond 292 years is for ever.
  if (time.tv_sec > 9'000'000'000) return 9'000'000'000 * kNanosecondsPerSecond;
  return time.tv_sec * kNanosecondsPerSecond + time.tv_nsec;
}
inline timespec ToTimespec(int64_t ns) {
  if (ns < 0) ns = 0;
  return {ns / kNanosecondsPerSecond, ns % kNanosecondsPerSecond};
}

// The calling thread's time since the client's beginning, ns. Never goes back. `look`: it costs what a look at the
// clock costs.
int64_t ClientNowNs(bool look);

// Lets the time of a single-threaded process without a machine pass.
void AdvanceWithoutMachine(int64_t ns);
int64_t TimeWithoutMachineNs();

// From now on the process has several threads, whose clock follows the real one.
void StartOutsideClock();
// In a child of fork, or in a process that goes on in the next boot: one thread again, and its time goes on from
// `now_ns`.
void RestartClock(int64_t now_ns);

// What `clock` shows at client time `now_ns`; -1 if it is not one that we keep.
int64_t ClockShowsNs(clockid_t clock, int64_t now_ns);

// A moment on the client's `clock` as the moment on the real one that is as far away.
timespec RealMoment(clockid_t clock, const timespec& client_moment);

// The time-stamp counter, one tick a nanosecond: makes rdtsc trap in the calling thread and its descendants, or not.
void TrapTimeStampCounter(bool trap);
// Makes cpuid trap, where the processor can do that: it will say that the counter's rate varies. A client that believes
// it reads the clock by a call, which costs a hundredth of a trap. Inherited by threads and children, not through exec.
void TrapCpuid();
// Emulates rdtsc, rdtscp or cpuid if that is where `ucontext` stands. Requires: it is of a general protection fault
// (SIGSEGV, SI_KERNEL).
bool EmulateInstruction(void* ucontext);

// For a scope in which the thread starts another program, whose loader reads the time-stamp counter before our handler
// is there.
class ScopedRealTimeStampCounter {
 public:
  ScopedRealTimeStampCounter();
  ~ScopedRealTimeStampCounter();
  ScopedRealTimeStampCounter(const ScopedRealTimeStampCounter&) = delete;
  ScopedRealTimeStampCounter& operator=(const ScopedRealTimeStampCounter&) = delete;

 private:
  const bool trapped_;
};

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_CLOCK_H_
