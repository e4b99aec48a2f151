#include "kernel_model/kernel/mutex.h"

#include <errno.h>

#include "kernel_model/kernel/sched.h"

namespace aiolab {
namespace {

bool IsLocked(const mutex& lock) { return lock.owner != nullptr && lock.owner_forks == current_kernel().forks; }

}  // namespace

int mutex_lock(mutex& lock) {
  BUG_ON(lock.owner == current_task && IsLocked(lock));
  if (IsLocked(lock) && wait_event(lock.wait, [&lock] { return !IsLocked(lock); }) != SleepResult::kDone) {
    return -EDEADLK;
  }
  lock.owner = current_task;
  lock.owner_forks = current_kernel().forks;
  return 0;
}

void mutex_unlock(mutex& lock) {
  BUG_ON(lock.owner != current_task);
  lock.owner = nullptr;
  wake_up_all(lock.wait);
}

}  // namespace aiolab
