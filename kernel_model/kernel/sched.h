// Tasks: who runs kernel code. Every client thread has one; so have the workers and the interrupts, which run on a
// client's stack.
//
// Mirrors: include/linux/sched.h, as far as the model needs it.
#ifndef KERNEL_MODEL_KERNEL_SCHED_H_
#define KERNEL_MODEL_KERNEL_SCHED_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "kernel_model/kernel/slab.h"
#include "kernel_model/kernel/workqueue.h"
#include "kernel_model/profile.h"
#include "kernel_model/sim/executor.h"
#include "kernel_model/sim/fault_rules.h"
#include "kernel_model/sim/seeded_bug.h"
#include "kernel_model/sim/trace.h"

namespace aiolab {

struct blk_plug;
struct block_device;
struct kernel_state;
struct mm_struct;
struct files_struct;
struct fs_struct;
struct vm_state;

struct task_struct {
  kernel_state* kernel = nullptr;
  std::string comm;                // as traces show it
  int cpu = 0;                     // where it runs now, 0..nr_cpus-1
  mm_struct* mm = nullptr;         // whose memory user copies mean; null in an interrupt and in a worker without use_mm
  files_struct* files = nullptr;   // whose fds fget means
  fs_struct* fs = nullptr;         // which names it sees, and from where; null in workers and interrupts
  blk_plug* plug = nullptr;        // requests held back until blk_finish_plug or until the task sleeps
  Sleeper sleeper;                 // where its thread waits on the host
  std::atomic<bool> sigpending{};  // a signal wants to end an interruptible sleep
  // What it sleeps for, for people; null while it does not sleep, or where nobody says.
  const absl::FunctionRef<std::string()>* describe_sleep = nullptr;
  int host_tid = 0;  // the thread, for looking whether it still lives; 0 for workers and interrupts
};

// What the model counts for its report. All are events since the machine was made, or since its process was forked.
struct kernel_stats {
  uint64_t retries = 0;  // attempts that ended with -EIOCBRETRY
  uint64_t kicks = 0;    // wake-ups of a waiting request
  uint64_t plugs = 0;    // blk_start_plug that took effect
  uint64_t bios = 0;     // bios made, the pieces of split ones too
  // Requests made of bios, flushes of the flush machine among them; and bios and requests that became part of another.
  uint64_t requests = 0;
  uint64_t merges = 0;
  uint64_t flushes = 0;        // of volatile caches, by disks
  uint64_t bytes_written = 0;  // by clients, to files of a file system of the model
};

// What every part of the model stands on: the clock, the choices, the trace and the workqueues. Owned by the Machine.
struct kernel_state {
  kernel_state(Executor& executor, Chooser& chooser, Trace& trace, const Profile& profile, SeededBug bug, int nr_cpus)
      : executor(executor),
        chooser(chooser),
        trace(trace),
        profile(profile),
        bug(bug),
        nr_cpus(nr_cpus),
        faults(chooser),
        system_wq(*this, "kworker/events"),
        aio_wq(*this, "kworker/aio"),
        kblockd_workqueue(*this, "kworker/kblockd") {
    irq.kernel = this;
    irq.comm = "irq";
  }

  Executor& executor;
  Chooser& chooser;
  Trace& trace;
  const Profile& profile;
  const SeededBug bug;
  const int nr_cpus;  // possible CPUs
  FaultEngine faults;
  list_head held_back;  // by fault rules: fault_inject.h
  workqueue_struct system_wq;
  workqueue_struct aio_wq;             // runs the retries
  workqueue_struct kblockd_workqueue;  // dispatches requests
  task_struct irq;                     // what interrupts run as
  kernel_stats stats;
  kmem_cache dio_cache;              // of blockdev_direct_IO
  kmem_cache iomap_dio_cache;        // of iomap_dio_rw
  std::atomic<uint64_t> entries{0};  // calls into the model so far; one that is going on has the last number
  block_device* disk = nullptr;      // the machine's one disk
  // The date at executor time 0, in nanoseconds of Unix time: 2025-01-01 00:00:00 UTC, so that runs repeat.
  int64_t realtime_start_ns = 1'735'689'600'000'000'000;
  int64_t client_start_ns = 0;  // executor time from which the trace and fault rules count: Machine::StartClient()
  vm_state* vm = nullptr;       // the page cache
  // There was a power cut: devices fail everything, interruptible sleeps end, and what is left of the kernel only
  // unwinds.
  bool power_off = false;
  // A fault rule cuts the power: it goes as the next thing that happens, so that nobody is in the middle of something.
  // Requires: CutsPower(fault.kind). Set by the machine.
  std::function<void(const Fault& fault)> cut_power;
  int forks = 0;  // how many forks lie between this process and the one that made the machine
  // Called before a task sleeps: flushes its plug. Set by the block layer.
  void (*sched_submit_work)(task_struct& task) = nullptr;
};

// The task on whose behalf kernel code runs on this thread; null outside the model.
inline thread_local task_struct* current_task = nullptr;
inline task_struct& current() { return *current_task; }
inline kernel_state& current_kernel() { return *current_task->kernel; }

// Makes `task` the current one for a scope.
class ScopedCurrent {
 public:
  explicit ScopedCurrent(task_struct& task);
  ~ScopedCurrent();
  ScopedCurrent(const ScopedCurrent&) = delete;
  ScopedCurrent& operator=(const ScopedCurrent&) = delete;

 private:
  task_struct* const outer_;
};

inline int smp_processor_id() { return current().cpu; }

// Adds to the trace under the current task and time. The fields are evaluated only if the trace is on.
#define TRACE_EVENT(name, ...)                                                                  \
  do {                                                                                          \
    ::aiolab::kernel_state& trace_kernel = ::aiolab::current_kernel();                          \
    if (trace_kernel.trace.enabled()) {                                                         \
      trace_kernel.trace.SetTime(trace_kernel.executor.NowNs() - trace_kernel.client_start_ns); \
      trace_kernel.trace.Add(name, __VA_ARGS__);                                                \
    }                                                                                           \
  } while (false)

enum class SleepResult { kDone, kTimedOut, kSignal, kStuck };

// Sleeps until `condition` holds, `deadline_ns` (executor time) passes or, if `interruptible`, a signal comes. Flushes
// the task's plug first, as a task that sleeps must not hold back what it waits for. Only clients may sleep: in a
// worker or an interrupt this is a bug of the model and aborts.
SleepResult schedule_until(absl::FunctionRef<bool()> condition, int64_t deadline_ns, bool interruptible);

// Lets `task` look at its condition again.
void wake_up_process(task_struct& task);

// A bug of the model, never of the client: says where and aborts.
[[noreturn]] void BugAt(const char* file, int line, const char* condition);
#define BUG_ON(condition)                              \
  do {                                                 \
    if (condition) [[unlikely]]                        \
      ::aiolab::BugAt(__FILE__, __LINE__, #condition); \
  } while (false)

}  // namespace aiolab

#endif  // KERNEL_MODEL_KERNEL_SCHED_H_
