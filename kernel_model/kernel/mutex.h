// A lock that is kept while its owner sleeps. For clients only: a worker cannot wait for it.
//
//   if (const int error = mutex_lock(sb.s_dir_lock); error != 0) return error;
//
// Mirrors: include/linux/mutex.h.
#ifndef KERNEL_MODEL_KERNEL_MUTEX_H_
#define KERNEL_MODEL_KERNEL_MUTEX_H_

#include "kernel_model/kernel/wait.h"

namespace aiolab {

struct task_struct;

struct mutex {
  task_struct* owner = nullptr;
  int owner_forks = 0;  // kernel_state::forks of the owner: a lock that was held at a fork is free in the child
  wait_queue_head wait;
};

// Sleeps until the lock is the current task's. 0, or -EDEADLK if it never will be, and the machine was told to go on
// without. Requires: the task does not hold it.
int mutex_lock(mutex& lock);
void mutex_unlock(mutex& lock);

// Holds a mutex for a scope, if it got it.
class MutexGuard {
 public:
  explicit MutexGuard(mutex& lock) : lock_(lock), error_(mutex_lock(lock)) {}
  ~MutexGuard() {
    if (error_ == 0) mutex_unlock(lock_);
  }
  MutexGuard(const MutexGuard&) = delete;
  MutexGuard& operator=(const MutexGuard&) = delete;

  // What mutex_lock returned.
  int error() const { return error_; }

 private:
  mutex& lock_;
  const int error_;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_KERNEL_MUTEX_H_
