// A lock that many may share or one may have, and that is kept while its owner sleeps or waits for its next attempt.
//
// Nothing here sleeps: who does not get the lock waits on sem.wait as it can (a task sleeps, a request leaves its
// entry) and tries again.
//
// Mirrors: include/linux/rwsem.h.
// Differs: whoever tries first gets a lock that has become free; there is no queue.
#ifndef KERNEL_MODEL_KERNEL_RWSEM_H_
#define KERNEL_MODEL_KERNEL_RWSEM_H_

#include "kernel_model/kernel/wait.h"

namespace aiolab {

struct rw_semaphore {
  // Who has it to himself: a task_struct or a kiocb. Null: nobody.
  const void* owner = nullptr;
  int readers = 0;
  int forks = 0;         // kernel_state::forks of whoever has it: a lock that was held at a fork is free in the child
  wait_queue_head wait;  // woken when it is released
};

// Whether the caller has the lock now. Requires: `owner` does not have it already.
bool down_write_trylock(rw_semaphore& sem, const void* owner);
bool down_read_trylock(rw_semaphore& sem);
void up_write(rw_semaphore& sem, const void* owner);
void up_read(rw_semaphore& sem);

}  // namespace aiolab

#endif  // KERNEL_MODEL_KERNEL_RWSEM_H_
