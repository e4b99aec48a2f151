#include "kernel_model/sim/baton.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <time.h>

#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1000000000;

// A futex wait without a timeout is restarted after a handler with SA_RESTART; one with a timeout never is. A day
// stands for "for ever".
constexpr int64_t kLongestSleepNs = 86400 * kNanosecondsPerSecond;

long FutexWait(std::atomic<uint32_t>& word, uint32_t expected, int64_t timeout_ns) {
  timespec timeout = {timeout_ns / kNanosecondsPerSecond, timeout_ns % kNanosecondsPerSecond};
  return RawSyscall(__NR_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, expected, &timeout);
}

void FutexWakeAll(std::atomic<uint32_t>& word) {
  RawSyscall(__NR_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT_MAX);
}

}  // namespace

void Baton::Lock() {
  const uint32_t ticket = next_ticket_.fetch_add(1, std::memory_order_relaxed);
  for (;;) {
    const uint32_t serving = now_serving_.load(std::memory_order_acquire);
    if (serving == ticket) return;
    FutexWait(now_serving_, serving, kLongestSleepNs);
  }
}

void Baton::Unlock() {
  const uint32_t serving = now_serving_.load(std::memory_order_relaxed) + 1;
  now_serving_.store(serving, std::memory_order_release);
  if (next_ticket_.load(std::memory_order_relaxed) != serving) FutexWakeAll(now_serving_);
}

Sleeper::Result Sleeper::Sleep(uint32_t ticket, int64_t timeout_ns) {
  if (timeout_ns < 0 || timeout_ns > kLongestSleepNs) timeout_ns = kLongestSleepNs;
  switch (FutexWait(word_, ticket, timeout_ns)) {
    case -EINTR:
      return Result::kInterrupted;
    case -ETIMEDOUT:
      return Result::kTimedOut;
    default:
      return Result::kWoken;
  }
}

void Sleeper::Wake() {
  word_.fetch_add(1, std::memory_order_release);
  FutexWakeAll(word_);
}

}  // namespace aiolab
