// Work that runs later, in a worker's context.
//
// Mirrors: include/linux/workqueue.h, kernel/workqueue.c.
// Differs: a worker is not a thread. Its turn is an event of the executor, on whatever client's stack runs the model;
// it never sleeps.
#ifndef KERNEL_MODEL_KERNEL_WORKQUEUE_H_
#define KERNEL_MODEL_KERNEL_WORKQUEUE_H_

#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "kernel_model/kernel/list.h"
#include "kernel_model/sim/executor.h"

namespace aiolab {

struct kernel_state;
struct task_struct;
struct work_struct;

using work_func_t = void (*)(work_struct* work);

struct work_struct {
  list_head entry;
  work_func_t func = nullptr;
  const char* name = "";  // the function's, for traces
};

inline void INIT_WORK(work_struct* work, work_func_t func, const char* name) {
  work->func = func;
  work->name = name;
}

// One worker, first in first out. Between queueing and execution passes the time that a sleeping worker takes to get a
// CPU.
class workqueue_struct {
 public:
  workqueue_struct(kernel_state& kernel, absl::string_view name);
  ~workqueue_struct();
  workqueue_struct(const workqueue_struct&) = delete;
  workqueue_struct& operator=(const workqueue_struct&) = delete;

  // False if `work` was pending already.
  bool queue_work(work_struct* work);
  bool pending() const { return !list_empty(&pending_); }
  void ResetAfterFork();

 private:
  static void RunWorker(Executor::Event& event);

  // First, so that an Event& is a Turn&.
  struct Turn : Executor::Event {
    workqueue_struct* wq;
  };

  kernel_state& kernel_;
  const std::unique_ptr<task_struct> worker_;
  list_head pending_;
  Turn turn_;
};

inline bool queue_work(workqueue_struct& wq, work_struct* work) { return wq.queue_work(work); }
// On the current kernel's system_wq.
bool schedule_work(work_struct* work);

}  // namespace aiolab

#endif  // KERNEL_MODEL_KERNEL_WORKQUEUE_H_
