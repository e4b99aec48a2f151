#include "kernel_model/kernel/sched.h"

#include <cstdio>
#include <cstdlib>

#include "kernel_model/kernel/fault_inject.h"

namespace aiolab {

ScopedCurrent::ScopedCurrent(task_struct& task) : outer_(current_task) {
  current_task = &task;
  task.kernel->trace.SetContext(task.comm, task.cpu);
}

ScopedCurrent::~ScopedCurrent() {
  current_task = outer_;
  if (outer_ != nullptr) outer_->kernel->trace.SetContext(outer_->comm, outer_->cpu);
}

SleepResult schedule_until(absl::FunctionRef<bool()> condition, int64_t deadline_ns, bool interruptible) {
  task_struct& task = current();
  BUG_ON(task.host_tid == 0);
  if (condition()) return SleepResult::kDone;
  if (interruptible && fault_armed(FaultSite::kSignal) && fault_signal()) [[unlikely]]
    return SleepResult::kSignal;
  if (task.kernel->sched_submit_work != nullptr) task.kernel->sched_submit_work(task);

  const auto sigpending = [&task] {
    return task.sigpending.load(std::memory_order_relaxed) || task.kernel->power_off;
  };
  const absl::FunctionRef<bool()> signal_pending = sigpending;
  Executor::Wait wait = {condition, deadline_ns, interruptible ? &signal_pending : nullptr};
  const Executor::StopReason reason = task.kernel->executor.BlockUntil(task.sleeper, wait);
  // Another thread may have been inside while this one slept.
  current_task = &task;
  task.kernel->trace.SetContext(task.comm, task.cpu);
  switch (reason) {
    case Executor::StopReason::kDone:
      return SleepResult::kDone;
    case Executor::StopReason::kTimedOut:
      return SleepResult::kTimedOut;
    case Executor::StopReason::kInterrupted:
      return SleepResult::kSignal;
    case Executor::StopReason::kStuck:
      return SleepResult::kStuck;
  }
  return SleepResult::kStuck;
}

void wake_up_process(task_struct& task) {
  if (task.host_tid != 0 && &task != current_task) task.kernel->executor.Wake(task.sleeper);
}

void BugAt(const char* file, int line, const char* condition) {
  fprintf(stderr, "aiolab: a bug in the model: %s at %s:%d\n", condition, file, line);
  abort();
}

}  // namespace aiolab
