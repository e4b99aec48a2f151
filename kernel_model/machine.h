// One emulated machine with one client process on it: the composition root. It owns every kernel "global" (the clock,
// the workqueues, aio_nr, the disks, the files) and lets client threads in.
//
//   SeededChooser chooser(7);
//   Machine machine({.chooser = &chooser});
//   EmulatedSyscalls kernel(machine);     // a Syscalls, as HostSyscalls is
//
#ifndef KERNEL_MODEL_MACHINE_H_
#define KERNEL_MODEL_MACHINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "kernel_model/fs/aio.h"
#include "kernel_model/kernel/sched.h"
#include "kernel_model/profile.h"
#include "kernel_model/sim/chooser.h"
#include "kernel_model/sim/executor.h"
#include "kernel_model/sim/fault_rules.h"
#include "kernel_model/sim/seeded_bug.h"
#include "kernel_model/sim/trace.h"

namespace aiolab {

class DiskObserver;
class HostFiles;
class SectorStore;
class SimDisk;
struct vm_state;

// The name of a simfs' device node.
inline constexpr char kDeviceNode[] = "dev0";

// A file system on a disk of its own.
struct SimfsOptions {
  std::string path = "/data";                // where it is mounted; a folder, made if it is not there
  std::string disk = "nvme,size=1G";         // see ParseSimDisk()
  std::string error_model = "ext4-ordered";  // what a failed fsync leaves: see fs/simfs/simfs.h
  bool device_node = true;                   // PATH/dev0 is a second disk of that kind, without a file system
  // What is on the disks, that of the device node from DiskObserver::kSectorsPerDisk on; it is copied. Null: an empty
  // file system is made.
  const SectorStore* contents = nullptr;
  // What SavedDisks() said where this file system was before, instead of `contents`; it is not kept. Null: it is new.
  const std::string* saved_disks = nullptr;
  // Sees everything that reaches the disks, mkfs included: that of the device node is disk 1. Must outlive the machine.
  // Null: none.
  DiskObserver* observer = nullptr;
};
struct fs_struct;

struct MachineOptions {
  Chooser* chooser = nullptr;  // required; must outlive the machine
  const Profile* profile = &kDefaultProfile;
  SeededBug bug = SeededBug::kNone;
  int nr_cpus = 4;  // possible CPUs, at least 1: io_setup sizes its rings by them
  ClockMode clock = ClockMode::kVirtual;
  TraceSink* trace_sink = nullptr;  // null: no trace; must outlive the machine
  // The machine's one disk. By default an NVMe disk with room for any file of the host.
  SimDiskParameters disk = {};
  // The fds are the host's (hostfs), as under the preload library. Otherwise the machine has files of its own.
  bool host_files = false;
  // With host_files: files of the model may be open beside them (MixedFiles). Which names are its own, the client's
  // side decides.
  bool model_files_too = false;
  // Told when a client waits for what can never happen (`certain`), or for what nothing known will bring. True ends the
  // wait; false goes on waiting. Default: print the finding and abort.
  std::function<bool(const std::string& finding, bool certain)> on_stuck = nullptr;
  // Whether another thread of the client may still enter. Default: whether another thread that has entered is alive.
  std::function<bool()> other_threads = nullptr;
  // The alarm has gone off, inside the model. Returns when it does so again, in NowNs() time; kNoDeadline for never.
  std::function<int64_t()> on_alarm = nullptr;
  // A fault rule has cut the power, and the disks hold what is left; `reboots` if it is one with `reboot`. Null: every
  // call returns -EIO from then on, as after PowerCut(). Must not return if host_files.
  std::function<void(absl::string_view rule, bool reboots)> on_power_cut = nullptr;
  // The machine could not boot after a fault rule's `reboot`: what Reboot() said. Called inside the model. If it
  // returns, the power stays off. Default: print why and abort.
  std::function<void(const absl::Status& why)> on_boot_failure = nullptr;
  // When a client that waits with nothing in the model due is a case for on_stuck.
  Executor::Patience patience_alone = Executor::Options().alone;
  Executor::Patience patience_with_threads = {};
  std::vector<FaultRule> fault_rules = {};  // from ParseFaultRules()
  // File systems on disks of the machine's own, made and mounted when it boots. A bad one aborts; who wants to hear of
  // it calls MountSimfs().
  std::vector<SimfsOptions> simfs = {};
};

class Machine {
 public:
  explicit Machine(MachineOptions options);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // A client thread inside the machine, for a scope: takes the baton, becomes current, charges the cost of a system
  // call and runs what is due before and after. `syscall` (a literal, "io_submit") goes into the trace as sys_enter_
  // and sys_exit_. Not recursive.
  class Entry {
   public:
    Entry(Machine& machine, const char* syscall);
    // The same for something that costs `cost_ns` of virtual time.
    Entry(Machine& machine, const char* syscall, int64_t cost_ns);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    // Notes the result for the trace and gives it back.
    long Return(long result) {
      result_ = result;
      return result;
    }

   private:
    Machine& machine_;
    const char* const syscall_;
    long result_ = 0;
  };

  // Mounts a file system on the folder `path`, which is made if it is not there. It stays for the machine's life, and
  // goes with it. The calling thread counts as a client from now on. An error says what is wrong with the path.
  absl::Status Mount(absl::string_view path, std::unique_ptr<super_block> sb);

  // Lets everything end that is under way and can end soon, so that a copy of the machine's memory is one of a machine
  // at rest.
  void Settle();

  kernel_state& kernel() { return kernel_; }
  fs_struct& fs() { return *fs_; }
  mm_struct& mm() { return mm_; }
  files_struct& files() { return *files_; }
  // Null unless the files are the host's.
  HostFiles* host_files() { return host_files_; }
  // The client is about to close a host fd: requests in flight on it go on by a duplicate. Takes no virtual time. False
  // if `fd` is such a duplicate, which the client may not close. Requires: host_files, !InsideModel().
  bool WillCloseHostFd(int fd);
  // The same for all from `first` to `last`. Returns the duplicates among them, in ascending order.
  std::vector<int> WillCloseHostFds(unsigned first, unsigned last);
  // The client is about to sync a host fd: 0, or the -errno with which a fault rule ends that. With such a rule it
  // takes a system call's time. Requires: host_files, !InsideModel().
  long FaultAtHostFsync(int fd);
  // The client says that it will not need the bytes of its fd any more: HostFiles::AdviseDontNeed. Requires the same.
  bool AdviseDontNeedOfHostFd(int fd, loff_t offset, loff_t len);
  Trace& trace() { return trace_; }
  SimDisk& disk() { return *disk_; }

  // Virtual (or host) nanoseconds since the machine was made. Takes no lock.
  int64_t NowNs() const { return executor_.NowNs(); }

  // The calling thread has made at least one call on this machine. Requires: !InsideModel().
  bool IsClientThread() { return FindThisTask() != nullptr; }
  // The calling thread is inside the machine now, for example in a signal handler that interrupted it there.
  static bool InsideModel() { return current_task != nullptr; }
  // Ends an interruptible sleep of the calling thread with EINTR, now or at its next. Async-signal-safe. Requires:
  // InsideModel().
  static void InterruptCurrent();
  // Takes back an InterruptCurrent() that has been delivered. Requires: !InsideModel().
  void ClearInterrupt();

  // A look at a clock, or another call that the model has nothing to do with: costs a little virtual time and runs what
  // is due.
  int64_t LookAtClock();

  // Runs the model while the calling thread waits for something of the host, and if only the host can wake it, sleeps
  // there until it does. `call(timeout_ns)` makes the call of the host that the client waits in: 0 is a look, negative
  // means no limit. It returns 0 if the time ran out, otherwise what the client is to get. Virtual time follows the
  // sleep; with other threads of the client about, which may give the model work and then sleep where nobody sees it,
  // the thread looks up from the sleep every now and then. `patient`: the host gets some seconds of its own time
  // before anything happens that is more than a second of the model's ahead. What the host does in a moment is no
  // reason for the model to write everything back.
  //
  // Returns what `call` did, 0 if the deadline has passed, or -EINTR after InterruptCurrent().
  long WaitForHost(absl::FunctionRef<long(int64_t timeout_ns)> call, int64_t deadline_ns, bool patient = false);
  // Time has passed on the host while the thread slept there: virtual time follows.
  void AdvanceTo(int64_t when_ns);

  // The client's alarm (ITIMER_REAL): MachineOptions::on_alarm is called at `when_ns`, in NowNs() time; kNoDeadline for
  // never. See Executor::SetAlarm.
  void SetAlarm(int64_t when_ns);
  int64_t alarm_ns() const { return executor_.alarm_ns(); }
  // Lets it go off now, for a client that makes no call.
  void TickAlarm();

  // Runs one event, for a client that looks at its ring in memory and makes no call; waits for a client that is inside.
  // False if there is none. With the host's clock, only one that is due.
  bool Tick();
  // From any thread.
  uint64_t entries() const { return kernel_.entries.load(std::memory_order_relaxed); }
  bool has_events() const { return executor_.has_events(); }

  // What the last thread's exit or an exec does: waits for every request in flight that can end by itself, then drops
  // the contexts. The alarm never goes off. A thread that is no client does not become one by it.
  void ExitAio();

  // In a child of fork: drops the parent's contexts, requests and locks. Called by Entry too, when it finds itself in a
  // child.
  void AfterForkInChild();

  // Two client threads have been inside: the order in which they came is not in the recording.
  bool had_several_threads() const { return threads_seen_.load(std::memory_order_relaxed) > 1; }

  // A client slept until something came that is not the model's (a byte in a pipe of the host, a child's end): what
  // time it was then is not in the recording.
  bool waited_for_outside() const { return waited_for_outside_.load(std::memory_order_relaxed); }

  // By opcode ("PREAD") what became of requests ("ok", "short", "-EIO"), and iocbs that io_submit refused ("refused
  // -EAGAIN").
  std::map<std::string, std::map<std::string, uint64_t>> Operations() const;

  // ---- Power: machine_power.cc.

  // Adds a disk, which stays for the machine's life.
  SimDisk& AddDisk(const SimDiskParameters& parameters);
  // Adds a disk with an empty file system and mounts it; after a reboot it is mounted again, as it is then. The calling
  // thread counts as a client from now on. INVALID_ARGUMENT or FAILED_PRECONDITION say what is wrong.
  absl::Status MountSimfs(const SimfsOptions& options);
  // The disk below a MountSimfs(), by path; null if there is none.
  SimDisk* DiskOf(absl::string_view path);
  // The disks below a MountSimfs(), by path, as they are without power. Requires: there is one.
  std::string SavedDisks(absl::string_view path) const;

  // The power goes: of each disk survives what SimDisk::PowerCut() says, of the kernel nothing. Every call returns -EIO
  // from now on until Reboot(), those that sleep now, too; fds are dead. From a client's thread, outside of calls.
  // Requires: !host_files.
  void PowerCut();
  // The same in the middle of whatever happens when the model runs its event number `event`, counted from 1 since the
  // machine was made: kernel().executor.events_run() is the number of the last.
  void CutPowerAtEvent(uint64_t event);
  bool power_is_off() const { return kernel_.power_off; }
  // Boots again, after a PowerCut() if there was none: no file is open, no context is there, /tmp is empty, and what
  // MountSimfs() mounted is recovered. An error says which file system could not be. Requires: no thread is in a call.
  //
  // After a fault rule's `reboot` nobody needs to call it: the next system call does so, once those have ended that
  // were under way when the power went.
  absl::Status Reboot();

  // What came before was done for the client, and not by it: times in the trace, in fault rules that are added from now
  // on and in their counts are from here. Otherwise they are from when the machine was made. `ran_ns`: so long has it
  // run already, before a boot that another process made.
  void StartClient(int64_t ran_ns = 0) { kernel_.client_start_ns = NowNs() - ran_ns; }

  // Fault rules that come and go while the machine runs; see FaultEngine. None of these takes virtual time. Requires:
  // !InsideModel().
  int AddFaultRule(FaultRule rule);
  void RemoveFaultRule(int rule);
  FaultRuleCounts CountsOfFaultRule(int rule);
  std::vector<FaultRuleCounts> FaultCounts();
  // Until ResumeFaults() no rule strikes, and none counts: for what is not the client's doing.
  void PauseFaults();
  void ResumeFaults();
  // How many completions hold(tag) holds now.
  int CountHeld(absl::string_view tag);
  // Runs the model until hold(tag) holds `count` completions. False if it has nothing left to do before that.
  bool RunUntilHeld(absl::string_view tag, int count);
  // Lets go of what hold(tag) holds. Returns how many there were.
  int Release(absl::string_view tag);

  // Drops the modelled page cache, as /proc/sys/vm/drop_caches does.
  void DropCaches();

 private:
  friend class Entry;
  struct SimfsMount {
    SimfsOptions options;
    SimDisk* disk;
    SimDisk* device;  // null: no node
  };
  // Inside for a moment, on nobody's behalf: who looks in so is no client, and is not counted as one. A handler that
  // runs meanwhile finds InsideModel(), and stays out.
  class Visit;
  task_struct& ThisTask();
  struct PowerCutEvent : Executor::Event {
    Machine* machine = nullptr;
    uint32_t tear_bytes = 0;
    bool reboots = false;
    std::string rule;
  };
  void LosePower(const PowerCutEvent& cut);
  void LosePowerNext(const Fault& fault);
  void MakeNamespace();
  void DropKernelState();
  // Where these say "inside", the caller is, as a client.
  absl::Status RebootInside();
  absl::Status MountInside(absl::string_view path, std::unique_ptr<super_block> sb);
  absl::Status MountSimfsInside(const SimfsMount& mount);
  // `task` is about to begin a system call, and a rule has rebooted the machine: sleeps until it is the one to boot, or
  // the machine has booted. Requires: the baton.
  void AwaitBoot(task_struct& task);
  // Inside.
  void BootAgain();
  void WakeEveryone();
  task_struct* FindThisTask();
  enum class WaitResult {
    kReady,     // ready() is true
    kTimedOut,  // the deadline has passed
    kIdle,      // the model has nothing left to do before the deadline: only the host can wake the caller
    kInterrupted,
  };
  // Never sleeps on the host with the virtual clock. Requires: inside.
  // kIdle, too, if the next event is more than `ahead_ns_max` ahead.
  WaitResult RunUntil(absl::FunctionRef<bool()> ready, int64_t deadline_ns, int64_t ahead_ns_max);
  std::string FindStuck();
  void CountStepsFor(const FaultRule& rule);
  FaultRuleCounts FromClientStart(FaultRuleCounts counts) const;
  int64_t OnAlarm();
  bool OnStuck(const std::string& finding, bool certain);
  bool OtherThreadsAlive();

  const MachineOptions options_;
  const uint64_t id_;
  Executor executor_;
  Trace trace_;
  kernel_state kernel_;
  mm_struct mm_;
  const std::unique_ptr<vm_state> vm_;
  const std::unique_ptr<SimDisk> disk_;
  std::vector<std::unique_ptr<SimDisk>> disks_;  // added, beside disk_
  std::vector<SimfsMount> simfs_mounts_;
  std::unique_ptr<fs_struct> fs_;
  std::unique_ptr<files_struct> files_;
  PowerCutEvent power_cut_;
  int entries_now_ = 0;                                // calls that are under way
  bool reboot_due_ = false;                            // the power went by a rule's `reboot`, and nobody has booted yet
  bool booting_ = false;                               // somebody does
  HostFiles* host_files_ = nullptr;                    // files_, if they are the host's
  std::map<int, std::unique_ptr<task_struct>> tasks_;  // by thread id
  char* fork_canary_;                        // a page that the kernel clears in a child: non-zero in the parent
  std::atomic<uint64_t> looks_in_a_row_{0};  // at the clock, with no system call between
  std::atomic<int> threads_seen_{0};
  std::atomic<bool> waited_for_outside_{false};
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_MACHINE_H_
