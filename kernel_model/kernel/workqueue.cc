#include "kernel_model/kernel/workqueue.h"

#include "kernel_model/kernel/sched.h"

namespace aiolab {
namespace {

// From the wake-up of an idle worker to its first instruction: a context switch and a little scheduling, as measured on
// idle machines.
constexpr int64_t kWorkerWakeUpNs = 2000;

}  // namespace

workqueue_struct::workqueue_struct(kernel_state& kernel, absl::string_view name)
    : kernel_(kernel), worker_(std::make_unique<task_struct>()) {
  worker_->kernel = &kernel;
  worker_->comm = std::string(name);
  turn_.run = RunWorker;
  turn_.wq = this;
}

workqueue_struct::~workqueue_struct() { kernel_.executor.Cancel(turn_); }

bool workqueue_struct::queue_work(work_struct* work) {
  if (!list_empty(&work->entry)) return false;
  list_add_tail(&work->entry, &pending_);
  TRACE_EVENT("workqueue_queue_work", {{"work", work->name}, {"workqueue", worker_->comm}});
  if (!Executor::armed(turn_)) kernel_.executor.At(turn_, kernel_.executor.NowNs() + kWorkerWakeUpNs);
  return true;
}

void workqueue_struct::RunWorker(Executor::Event& event) {
  workqueue_struct& wq = *static_cast<Turn&>(event).wq;
  if (list_empty(&wq.pending_)) return;
  work_struct* work = list_entry(wq.pending_.next, work_struct, entry);
  list_del_init(&work->entry);
  ScopedCurrent as_worker(*wq.worker_);
  const char* const name = work->name;
  TRACE_EVENT("workqueue_execute_start", {{"work", name}});
  work->func(work);  // may free `work`
  TRACE_EVENT("workqueue_execute_end", {{"work", name}});
  if (!list_empty(&wq.pending_) && !Executor::armed(wq.turn_)) {
    wq.kernel_.executor.At(wq.turn_, wq.kernel_.executor.NowNs());
  }
}

void workqueue_struct::ResetAfterFork() {
  while (!list_empty(&pending_)) list_del_init(pending_.next);
}

bool schedule_work(work_struct* work) { return current_kernel().system_wq.queue_work(work); }

}  // namespace aiolab
