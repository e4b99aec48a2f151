// Wait queues: who wants to know when something happens.
//
// Mirrors: include/linux/wait.h, kernel/sched/wait.c.
#ifndef KERNEL_MODEL_KERNEL_WAIT_H_
#define KERNEL_MODEL_KERNEL_WAIT_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "kernel_model/kernel/list.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab {

struct wait_queue_entry;

// Called for each entry at a wake-up; `key` is what happened (poll events) or 0. May take the entry off the queue.
// Returns non-zero if it woke somebody.
using wait_queue_func_t = int (*)(wait_queue_entry* entry, uint32_t key);

struct wait_queue_entry {
  list_head entry;
  wait_queue_func_t func = nullptr;
  void* private_data = nullptr;
};

struct wait_queue_head {
  list_head head;
};

inline bool waitqueue_active(const wait_queue_head& head) { return !list_empty(&head.head); }
inline void add_wait_queue(wait_queue_head& head, wait_queue_entry* entry) { list_add_tail(&entry->entry, &head.head); }
inline void remove_wait_queue(wait_queue_entry* entry) { list_del_init(&entry->entry); }

// Calls every entry, in the order in which they queued. Entries that queue meanwhile wait for the next wake-up.
void wake_up_all(wait_queue_head& head, uint32_t key = 0);

// Wakes the task in private_data; the entry stays.
int default_wake_function(wait_queue_entry* entry, uint32_t key);

// The current task sleeps on `head` until `condition`. See schedule_until.
SleepResult wait_event(wait_queue_head& head, absl::FunctionRef<bool()> condition, int64_t deadline_ns = kNoDeadline,
                       bool interruptible = false);

// The same for whoever may be a request: with `leave` nobody sleeps, and `leave` is on the queue if the condition does
// not hold yet. 0, -EIOCBRETRY (the caller returns, and is called again when `leave` is woken) or -EIO (it never will
// hold, and the machine was told to go on). Requires: `leave` is on no queue.
int wait_event_or_leave(wait_queue_head& head, wait_queue_entry* leave, absl::FunctionRef<bool()> condition);

}  // namespace aiolab

#endif  // KERNEL_MODEL_KERNEL_WAIT_H_
