#include "kernel_model/kernel/wait.h"

#include <errno.h>

#include "uapi/errno_name.h"

namespace aiolab {

void wake_up_all(wait_queue_head& head, uint32_t key) {
  list_head woken;
  list_replace_init(&head.head, &woken);
  while (!list_empty(&woken)) {
    wait_queue_entry* entry = list_entry(woken.next, wait_queue_entry, entry);
    // Back on the queue first: the function decides whether it stays.
    list_del_init(&entry->entry);
    list_add_tail(&entry->entry, &head.head);
    entry->func(entry, key);
  }
}

int default_wake_function(wait_queue_entry* entry, uint32_t) {
  wake_up_process(*static_cast<task_struct*>(entry->private_data));
  return 1;
}

SleepResult wait_event(wait_queue_head& head, absl::FunctionRef<bool()> condition, int64_t deadline_ns,
                       bool interruptible) {
  wait_queue_entry entry;
  entry.func = default_wake_function;
  entry.private_data = &current();
  add_wait_queue(head, &entry);
  const SleepResult result = schedule_until(condition, deadline_ns, interruptible);
  remove_wait_queue(&entry);
  return result;
}

int wait_event_or_leave(wait_queue_head& head, wait_queue_entry* leave, absl::FunctionRef<bool()> condition) {
  if (condition()) return 0;
  if (leave == nullptr) return wait_event(head, condition) == SleepResult::kDone ? 0 : -EIO;
  BUG_ON(!list_empty(&leave->entry));
  add_wait_queue(head, leave);
  return -EIOCBRETRY;
}

}  // namespace aiolab
