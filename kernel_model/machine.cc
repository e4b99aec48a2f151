#include "kernel_model/machine.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernel_model/block/blkdev.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/hostfs.h"
#include "kernel_model/fs/mixed_files.h"
#include "kernel_model/fs/namei.h"
#include "kernel_model/fs/namespace.h"
#include "kernel_model/mm/folio.h"
#include "kernel_model/mm/uaccess.h"
#include "kernel_model/model_files.h"
#include "uapi/errno_name.h"
#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

// What a system call costs beside its work, and what a look at a clock does, on today's machines.
constexpr int64_t kSyscallNs = 200;
constexpr int64_t kLookAtClockNs = 50;

constexpr int64_t kSettleNs = 1'000'000'000;
// Of the host's time: on a busy machine a child may take seconds to end.
constexpr int64_t kPatienceNs = 5'000'000'000;

// A client that looks at the clock and does nothing else waits for a time to come. After so many looks in a row each
// costs twice as much, so that a second of virtual time takes it some ten thousand looks and not twenty million.
constexpr uint64_t kLooksPerDoubling = 256;
constexpr uint64_t kDoublingsMax = 8;

// How long a thread sleeps on the host before it looks whether another has given the model work.
constexpr int64_t kHostSliceNs = 2'000'000;

std::atomic<uint64_t> next_machine_id{1};

// The task of this thread on the machine that it used last, so that finding it again costs nothing.
thread_local uint64_t cached_machine_id = 0;
thread_local task_struct* cached_task = nullptr;

// The client that this thread is while it is inside. current_task is another while a worker or an interrupt runs on its
// stack.
thread_local task_struct* entered_task = nullptr;

bool DefaultOnStuck(const std::string& finding, bool) {
  fprintf(stderr, "aiolab: the client waits for ever: %s\n", finding.c_str());
  abort();
}

// A page that a fork clears in the child. Comparing process ids would not do: a clone that shares memory has another
// one.
char* MakeForkCanary() {
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) abort();
  madvise(page, 4096, MADV_WIPEONFORK);
  *static_cast<char*>(page) = 1;
  return static_cast<char*>(page);
}

}  // namespace

Machine::Machine(MachineOptions options)
    : options_(std::move(options)),
      id_(next_machine_id++),
      executor_(
          *options_.chooser,
          {.clock = options_.clock,
           .find_stuck = [this] { return FindStuck(); },
           .other_threads = options_.other_threads ? options_.other_threads : [this] { return OtherThreadsAlive(); },
           .on_stuck = [this](const std::string& finding, bool certain) { return OnStuck(finding, certain); },
           .on_alarm = [this] { return OnAlarm(); },
           .alone = options_.patience_alone,
           .with_others = options_.patience_with_threads}),
      kernel_(executor_, *options_.chooser, trace_, *options_.profile, options_.bug, options_.nr_cpus),
      vm_(std::make_unique<vm_state>(kernel_)),
      disk_(std::make_unique<SimDisk>(kernel_, options_.disk)),
      fork_canary_(MakeForkCanary()) {
  InstallFaultHandler(sigaction);
  trace_.set_sink(options_.trace_sink);
  for (const FaultRule& rule : options_.fault_rules) {
    CountStepsFor(rule);
    kernel_.faults.Add(rule);
  }
  kernel_.disk = disk_.get();
  kernel_.vm = vm_.get();
  kernel_.sched_submit_work = blk_schedule_flush_plug;
  kernel_.cut_power = [this](const Fault& fault) { LosePowerNext(fault); };
  MakeNamespace();
  if (options_.host_files) {
    auto host = std::make_unique<HostFiles>(kernel_);
    host_files_ = host.get();
    if (options_.model_files_too) {
      files_ = std::make_unique<MixedFiles>(std::move(host));
    } else {
      files_ = std::move(host);
    }
  } else {
    files_ = std::make_unique<ModelFiles>();
  }
  for (const SimfsOptions& simfs : options_.simfs) {
    const absl::Status mounted = MountSimfs(simfs);
    if (mounted.ok()) continue;
    fprintf(stderr, "aiolab: MachineOptions::simfs: %s\n", mounted.ToString().c_str());
    abort();
  }
}

void Machine::MakeNamespace() {
  ScopedCurrent as_kernel(kernel_.irq);
  fs_ = MakeModelNamespace(*options_.profile);
  kernel_.irq.fs = nullptr;
}

Machine::~Machine() {
  {
    Entry entry(*this, nullptr);
    DropKernelState();
  }
  executor_.Cancel(power_cut_);
  trace_.Flush();
  munmap(fork_canary_, 4096);
  if (cached_machine_id == id_) cached_machine_id = 0;
}

class Machine::Visit {
 public:
  explicit Visit(Machine& machine) : machine_(machine) {
    BUG_ON(current_task != nullptr);
    machine_.executor_.Enter();
    current_task = &machine_.kernel_.irq;
  }
  ~Visit() {
    current_task = nullptr;
    machine_.executor_.Leave();
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

 private:
  Machine& machine_;
};

task_struct& Machine::ThisTask() {
  if (cached_machine_id == id_) return *cached_task;
  const int tid = static_cast<int>(RawSyscall(__NR_gettid));
  std::unique_ptr<task_struct>& task = tasks_[tid];
  if (task == nullptr) {
    task = std::make_unique<task_struct>();
    task->kernel = &kernel_;
    task->host_tid = tid;
    task->comm = absl::StrCat("client/", ++threads_seen_);
    task->mm = &mm_;
    task->files = files_.get();
    task->fs = fs_.get();
    // A fault on a blocked signal would kill the process instead of ending a copy.
    const uint64_t faults = (uint64_t{1} << (SIGSEGV - 1)) | (uint64_t{1} << (SIGBUS - 1));
    RawSyscall(__NR_rt_sigprocmask, SIG_UNBLOCK, &faults, nullptr, sizeof(faults));
  }
  cached_machine_id = id_;
  cached_task = task.get();
  return *task;
}

absl::Status Machine::Mount(absl::string_view path, std::unique_ptr<super_block> sb) {
  Entry entry(*this, nullptr, /*cost_ns=*/0);
  return MountInside(path, std::move(sb));
}

absl::Status Machine::MountInside(absl::string_view path_name, std::unique_ptr<super_block> sb) {
  if (path_name.empty() || path_name.front() != '/' || path_name == "/") {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot mount on \"", path_name, "\": give an absolute path below /, such as /data"));
  }
  for (size_t end = 1; end < path_name.size(); ++end) {
    end = std::min(path_name.find('/', end), path_name.size());
    const absl::string_view folder = path_name.substr(0, end);
    const int error = kern_mkdir(folder, 0755);
    if (error == 0 || error == -EEXIST) continue;
    return absl::FailedPreconditionError(absl::StrCat("cannot mount on ", path_name, ": the folder ", folder,
                                                      " cannot be made: ", ErrnoDescription(-error)));
  }
  path at;
  if (const int error = kern_path(path_name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &at); error != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot mount on ", path_name, ": it has to be a folder: ", ErrnoDescription(-error)));
  }
  MountAt(*fs_, at, std::move(sb));
  return absl::OkStatus();
}

void Machine::Settle() {
  Entry entry(*this, nullptr, /*cost_ns=*/0);
  // What the disk is at comes within that time of what it did before; a timer of seconds is no work under way.
  for (int64_t next_ns = executor_.NextEventNs(); next_ns != kNoDeadline && next_ns - executor_.NowNs() < kSettleNs;
       next_ns = executor_.NextEventNs()) {
    executor_.AdvanceTo(next_ns);
  }
}

// Null for a thread that is no client.
task_struct* Machine::FindThisTask() {
  if (cached_machine_id == id_) return cached_task;
  const Visit visit(*this);
  const auto found = tasks_.find(static_cast<int>(RawSyscall(__NR_gettid)));
  return found == tasks_.end() ? nullptr : found->second.get();
}

Machine::Entry::Entry(Machine& machine, const char* syscall) : Entry(machine, syscall, kSyscallNs) {}

Machine::Entry::Entry(Machine& machine, const char* syscall, int64_t cost_ns) : machine_(machine), syscall_(syscall) {
  if (*machine.fork_canary_ == 0) machine.AfterForkInChild();
  machine.executor_.Enter();
  task_struct& task = machine.ThisTask();
  BUG_ON(current_task != nullptr);
  const bool is_syscall = syscall_ != nullptr;
  if (is_syscall && (machine.reboot_due_ || machine.booting_)) [[unlikely]]
    machine.AwaitBoot(task);
  current_task = entered_task = &task;
  ++machine.entries_now_;
  machine.trace_.SetContext(task.comm, task.cpu);
  machine.kernel_.entries.fetch_add(1, std::memory_order_relaxed);
  if (is_syscall) machine.looks_in_a_row_ = 0;
  if (is_syscall && machine.reboot_due_) [[unlikely]]
    machine.BootAgain();
  machine.executor_.Charge(cost_ns);
  machine.executor_.RunDue();
  if (is_syscall) TRACE_EVENT(absl::StrCat("sys_enter_", syscall_), {});
}

Machine::Entry::~Entry() {
  if (syscall_ != nullptr) TRACE_EVENT(absl::StrCat("sys_exit_", syscall_), {{"ret", ResultName(result_)}});
  machine_.executor_.RunDue();
  current_task = entered_task = nullptr;
  if (--machine_.entries_now_ == 0 && machine_.reboot_due_) [[unlikely]]
    machine_.WakeEveryone();
  machine_.executor_.Leave();
}

void Machine::InterruptCurrent() {
  if (entered_task == nullptr) return;  // who ticks never sleeps in the model
  entered_task->sigpending.store(true, std::memory_order_relaxed);
  entered_task->sleeper.Wake();
}

void Machine::ClearInterrupt() {
  if (task_struct* const task = FindThisTask()) task->sigpending.store(false, std::memory_order_relaxed);
}

int64_t Machine::LookAtClock() {
  const uint64_t doublings = std::min(looks_in_a_row_.fetch_add(1) / kLooksPerDoubling, kDoublingsMax);
  Entry entry(*this, nullptr, kLookAtClockNs << doublings);
  return executor_.NowNs();
}

Machine::WaitResult Machine::RunUntil(absl::FunctionRef<bool()> ready, int64_t deadline_ns, int64_t ahead_ns_max) {
  for (;;) {
    if (ready()) return WaitResult::kReady;
    if (current().sigpending) return WaitResult::kInterrupted;
    const int64_t next_ns = executor_.NextEventNs();
    if (next_ns == kNoDeadline && !executor_.has_watches()) return WaitResult::kIdle;
    if (next_ns == kNoDeadline) {
      executor_.PollWatches();
      if (!executor_.has_events()) return ready() ? WaitResult::kReady : WaitResult::kIdle;
      continue;
    }
    const int64_t limit_ns = std::min(deadline_ns, executor_.alarm_ns());
    if (next_ns > limit_ns) {
      executor_.AdvanceTo(limit_ns);
      if (limit_ns < deadline_ns) continue;
      return WaitResult::kTimedOut;
    }
    if (next_ns - executor_.NowNs() > ahead_ns_max) return WaitResult::kIdle;
    // With the host's clock this waits for real.
    executor_.BlockUntil(current().sleeper,
                         {.done = [&, run = executor_.events_run()] { return executor_.events_run() > run; },
                          .deadline_ns = deadline_ns});
  }
}

long Machine::WaitForHost(absl::FunctionRef<long(int64_t timeout_ns)> call, int64_t deadline_ns, bool patient) {
  long ret = 0;
  const auto ready = [&] { return (ret = call(0)) != 0; };
  const int64_t impatient_ns = patient ? HostMonotonicNs() + kPatienceNs : 0;
  for (;;) {
    patient = patient && HostMonotonicNs() < impatient_ns;
    const std::atomic<bool>* sigpending = nullptr;
    bool alone = false;
    {
      Entry entry(*this, nullptr);
      const WaitResult result = RunUntil(ready, deadline_ns, patient ? kSettleNs : kNoDeadline);
      if (result == WaitResult::kReady) return ret;
      if (result == WaitResult::kTimedOut) return 0;
      if (result == WaitResult::kInterrupted) return -EINTR;
      sigpending = &current().sigpending;
      alone = !executor_.other_threads();
    }
    if (sigpending->load(std::memory_order_relaxed)) return -EINTR;
    const int64_t now_ns = NowNs();
    if (deadline_ns <= now_ns) return 0;
    const int64_t limit_ns = std::min(deadline_ns, alarm_ns());
    int64_t slice_ns = limit_ns == kNoDeadline ? -1 : std::max<int64_t>(limit_ns - now_ns, 0);
    const bool whole = !patient && (alone || (slice_ns >= 0 && slice_ns <= kHostSliceNs));
    if (!whole) slice_ns = kHostSliceNs;
    const int64_t host_before_ns = HostMonotonicNs();
    ret = call(slice_ns);
    if (options_.clock == ClockMode::kVirtual) {
      const int64_t elapsed_ns = HostMonotonicNs() - host_before_ns;
      // A timeout is exact, so that it repeats.
      const bool timed_out = ret == 0 && whole;
      if (!timed_out) waited_for_outside_.store(true, std::memory_order_relaxed);
      AdvanceTo(timed_out ? limit_ns : std::min(now_ns + elapsed_ns, limit_ns));
    }
    if (ret != 0) return ret;
    if (whole && limit_ns == deadline_ns) return 0;
  }
}

void Machine::AdvanceTo(int64_t when_ns) {
  Entry entry(*this, nullptr);
  executor_.AdvanceTo(when_ns);
}

// Not an Entry: who ticks is no client, and is not counted as one.
bool Machine::Tick() {
  const Visit visit(*this);
  const int64_t next_ns = executor_.NextEventNs();
  const bool due = next_ns != kNoDeadline && (options_.clock == ClockMode::kVirtual || next_ns <= executor_.NowNs());
  if (due) executor_.AdvanceTo(next_ns);
  return due;
}

void Machine::ExitAio() {
  SetAlarm(kNoDeadline);
  if (IsClientThread()) {
    Entry entry(*this, nullptr);
    exit_aio(mm_);
  } else {
    task_struct task;
    task.kernel = &kernel_;
    task.comm = "exit";
    task.mm = &mm_;
    task.files = files_.get();
    executor_.Enter();
    {
      const ScopedCurrent as_task(task);
      exit_aio(mm_);
    }
    executor_.Leave();
  }
  trace_.Flush();
}

// The parent's threads, locks and requests are not here; its rings are, but they are the parent's.
void Machine::AfterForkInChild() {
  *fork_canary_ = 1;
  executor_.ResetAfterFork();
  for (workqueue_struct* wq : {&kernel_.system_wq, &kernel_.aio_wq, &kernel_.kblockd_workqueue}) wq->ResetAfterFork();
  ++kernel_.forks;
  // What was before, the parent counts.
  kernel_.stats = {};
  mm_.operations.clear();
  {
    ScopedCurrent as_kernel(kernel_.irq);
    disk_->ForgetRequests(bio_put);
    for (const std::unique_ptr<SimDisk>& disk : disks_) disk->ForgetRequests(bio_put);
    ForgetContexts(mm_);
    vm_->ResetAfterFork();
  }
  for (auto& [tid, task] : tasks_) task.release();  // another thread's stack may still point at it
  tasks_.clear();
  threads_seen_ = 0;
  entries_now_ = 0;
  booting_ = false;  // another thread was
  cached_machine_id = 0;
  current_task = entered_task = nullptr;
}

int64_t Machine::OnAlarm() {
  TRACE_EVENT("itimer_expire", {{"which", "ITIMER_REAL"}});
  return options_.on_alarm();
}

void Machine::SetAlarm(int64_t when_ns) {
  const Visit visit(*this);
  executor_.SetAlarm(when_ns);
}

void Machine::TickAlarm() {
  const Visit visit(*this);
  if (alarm_ns() != kNoDeadline) executor_.AdvanceTo(alarm_ns());
}

bool Machine::OnStuck(const std::string& finding, bool certain) {
  const task_struct& task = current();
  const std::string who =
      task.describe_sleep == nullptr ? "" : absl::StrCat(task.comm, " ", (*task.describe_sleep)(), ": ");
  return (options_.on_stuck ? options_.on_stuck : DefaultOnStuck)(
      finding == Executor::kNobodyCame ? who + finding : finding, certain);
}
std::string Machine::FindStuck() { return DescribeStuckRequests(mm_); }

bool Machine::OtherThreadsAlive() {
  const long pid = RawSyscall(__NR_getpid);
  return std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
    return entry.second.get() != current_task && RawSyscall(__NR_tgkill, pid, entry.first, 0) == 0;
  });
}

std::map<std::string, std::map<std::string, uint64_t>> Machine::Operations() const {
  std::map<std::string, std::map<std::string, uint64_t>> operations;
  for (const auto& [key, count] : mm_.operations) {  // tidy: allow hash-order: into a sorted map
    const uint32_t outcome = key & 0xffff & ~kAioOperationRefused;
    const std::string result = outcome == kAioOperationOk      ? "ok"
                               : outcome == kAioOperationShort ? "short"
                                                               : ResultName(1 - static_cast<long>(outcome));
    const absl::string_view prefix = (key & kAioOperationRefused) != 0 ? "refused " : "";
    operations[AioOpcodeName(static_cast<uint16_t>(key >> 16))][absl::StrCat(prefix, result)] += count;
  }
  return operations;
}

// Not an Entry: threads that never do I/O close files too, and are no clients by that.
bool Machine::WillCloseHostFd(int fd) {
  const Visit visit(*this);
  return host_files_->WillClose(fd);
}

std::vector<int> Machine::WillCloseHostFds(unsigned first, unsigned last) {
  const Visit visit(*this);
  return host_files_->WillCloseRange(first, last);
}

bool Machine::AdviseDontNeedOfHostFd(int fd, loff_t offset, loff_t len) {
  const Visit visit(*this);
  return host_files_->AdviseDontNeed(fd, offset, len);
}

void Machine::DropCaches() {
  Entry entry(*this, nullptr);
  if (host_files_ != nullptr) host_files_->DropCaches();
  vm_->DropCaches();
}

}  // namespace aiolab
