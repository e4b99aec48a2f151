// The lock that lets one client thread at a time into the model: fair, so a thread that runs the model for everybody
// cannot starve the others.
#ifndef KERNEL_MODEL_SIM_BATON_H_
#define KERNEL_MODEL_SIM_BATON_H_

#include <atomic>
#include <cstdint>

namespace aiolab {

// A ticket lock that sleeps in futex(2). Async-signal-safe; nothing is allocated. Not recursive.
class Baton {
 public:
  void Lock();
  void Unlock();

  // True while another thread waits for the lock. Requires: held by the caller.
  bool contended() const {
    return next_ticket_.load(std::memory_order_relaxed) - now_serving_.load(std::memory_order_relaxed) > 1;
  }

 private:
  std::atomic<uint32_t> next_ticket_{0};
  std::atomic<uint32_t> now_serving_{0};
};

// A place where one thread sleeps on the host until another wakes it. Not a file descriptor: some clients close every
// one they find.
class Sleeper {
 public:
  enum class Result { kWoken, kInterrupted, kTimedOut };

  // Forgets earlier wake-ups; a Wake() after this ends the next Sleep() at once.
  uint32_t Prepare() const { return word_.load(std::memory_order_acquire); }
  // Sleeps until a Wake() after the Prepare() that gave `ticket`, a signal handler has run, or `timeout_ns` of real
  // time has passed (negative: no limit).
  Result Sleep(uint32_t ticket, int64_t timeout_ns);
  // Async-signal-safe; from any thread.
  void Wake();

 private:
  std::atomic<uint32_t> word_{0};
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_BATON_H_
