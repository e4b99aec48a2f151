#include "tools/preload/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "kernel_model/profile.h"
#include "kernel_model/sim/fault_lint.h"
#include "kernel_model/sim/replay_token.h"
#include "kernel_model/sim/seeded_bug.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/simfs_spec.h"
#include "tools/aiolab/trace_file.h"
#include "tools/preload/clock.h"
#include "tools/preload/death.h"
#include "tools/preload/next_boot.h"
#include "tools/preload/notes.h"
#include "tools/preload/proc_files.h"
#include "tools/preload/run_setup.h"
#include "tools/preload/scoped_mutex.h"
#include "tools/preload/signals.h"
#include "tools/preload/simfs_cwd.h"
#include "tools/preload/simfs_mount.h"
#include "tools/preload/stuck.h"
#include "tools/preload/thread_state.h"
#include "tools/preload/tick.h"
#include "tools/preload/timers.h"
#include "tools/preload/write_recording.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

// A longer token goes to a file, which the runner moves to where it stays: nobody copies it by hand.
constexpr size_t kTokenInReportMax = 200;  // bytes

enum class Phase { kNew, kStarting, kActive, kInactive };

// Everything that goes with one machine. Never destroyed: clients do I/O from destructors.
struct Lab {
  std::unique_ptr<Chooser> chooser;
  const ReplayChooser* replay = nullptr;  // the chooser, if it replays, and if not
  const SeededChooser* seeded = nullptr;
  std::unique_ptr<TraceSink> sink;
  std::string trace_text;  // until a rank says where it goes
  std::unique_ptr<TraceFile> trace;
  std::unique_ptr<Machine> machine;
  std::unique_ptr<EmulatedSyscalls> kernel;
  int rank = 0;
  int64_t start_ns = 0;       // client time
  int64_t real_start_ns = 0;  // host time
  bool finished = false;
};

// In static storage without constructors: the first interposed call may come before this library's are run.
std::atomic<Phase> phase{Phase::kNew};
const RunSetup* run = nullptr;
std::atomic<Lab*> lab{nullptr};
pthread_mutex_t lab_mutex = PTHREAD_MUTEX_INITIALIZER;

// A page that reads as zeros in a child with its own memory, however it was made.
std::atomic<long>* owner_pid = nullptr;
std::atomic<bool> has_had_threads{false};
std::atomic<bool> has_relatives{false};
std::atomic<bool> is_child{false};  // of fork: what the C library believes is about the parent
int forks = 0;

// With simulated files the child goes on with the parent's machine, of which it has a copy. Machine::Entry finds out by
// itself.
void KeepFilesInChild(Lab& mine) {
  mine.rank = 0;
  mine.finished = false;
  // The token is the parent's run: what the child asks from here on it does not know.
  mine.replay = nullptr;
  mine.trace_text.clear();
  mine.trace.reset();
  WriteRecordingInChild();
  mine.real_start_ns = HostMonotonicNs();
}

// The child of fork has one thread, a copy of the memory, and nothing of the parent's machine.
void BecomeChild() {
  const int64_t now_ns = Me().last_clock_ns;
  pthread_mutex_init(&lab_mutex, nullptr);
  ForgetNotes();
  if (Lab* const mine = lab.load(); mine != nullptr && run->simfs != nullptr) {
    KeepFilesInChild(*mine);
  } else if (lab.exchange(nullptr) != nullptr) {
    ++forks;
  }
  has_had_threads = false;
  has_relatives = true;
  is_child = true;
  ThreadState& me = Me();
  me.is_client = false;
  me.deferred_count = 0;
  me.clock_offset_ns = 0;
  ForgetTick();
  ForgetDeath();
  ForgetProcFiles();
  ForgetSignals();
  RestartClock(std::max(now_ns, TimeWithoutMachineNs()));
  owner_pid->store(RawSyscall(__NR_getpid));
}

// A child's copy of the disk has nothing under way. Everything is written back as well, or the model would do that
// while the parent waits for the child, and how far it comes is the host's business: the run would not repeat. But a
// run that looks for a missing fsync must not have one made here.
void SettleForFork() {
  Lab* const mine = lab.load();
  if (mine != nullptr && run->simfs != nullptr && OwnsMemory() && !Machine::InsideModel()) {
    if (!run->config.record_writes) return SettleSimfs(*mine->machine);
    mine->machine->Settle();
    WriteRecordingBeforeFork();
  }
}

// fork() runs the handlers; a child by the bare system call is found by the page at its next call of ours.
void LookForFork() {
  if (owner_pid->load(std::memory_order_relaxed) == 0) [[unlikely]]
    BecomeChild();
}

void Start() {
  const char* variable = getenv(kRunVariable);
  if (variable == nullptr) {
    phase = Phase::kInactive;
    return;
  }
  run = ReadRunSetup(variable);
  const long page = RawSyscall(__NR_mmap, nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  RawSyscall(__NR_madvise, page, 4096, MADV_WIPEONFORK);
  owner_pid = new (reinterpret_cast<void*>(page)) std::atomic<long>(RawSyscall(__NR_getpid));
  InitSignals();
  if (run->config.clock == RunClock::kVirtual) {
    TrapTimeStampCounter(true);
    TrapCpuid();
  }
  at_quick_exit(Finish);  // the first to be registered runs last
  pthread_atfork(
      SettleForFork, [] { has_relatives = true; }, LookForFork);
  phase = Phase::kActive;
  if (run->boot != nullptr) RestartClock(run->boot->client_ns);
  if (run->simfs != nullptr) StartSimfsCwd();
}

void WriteTrace(Lab& mine, absl::string_view text) {
  if (mine.trace == nullptr) {
    mine.trace_text.append(text.data(), text.size());
  } else {
    mine.trace->Append(text);
  }
}

void Claim(Lab& mine) {
  const absl::StatusOr<int> rank = ClaimRank(run->config.run_dir);
  // Without a run directory there is nobody to report to; the client goes on.
  if (!rank.ok()) return;
  mine.rank = *rank;
  WriteRecordingGoesTo(*rank);
  if (run->config.trace_format.empty()) return;
  mine.trace = std::make_unique<TraceFile>(TracePathOfRank(run->config, *rank), TailPath(run->config.run_dir, *rank));
  mine.trace->Append(mine.trace_text);
  mine.trace_text.clear();
}

void NoteSeveralThreads(const Lab& mine) {
  if (mine.machine->had_several_threads()) {
    NotReplayable("several threads of the client entered the model; the order in which they came is not recorded");
  }
}

// What the client does from here on is not what the token was made for.
void EndDivergedReplay(const std::string& why) {
  NotReplayable(why);
  // Of a child that has its parent's machine the token says nothing.
  if (const Lab* const mine = lab.load(); mine != nullptr && is_child && mine->replay == nullptr) return;
  AddFinding(absl::StrCat("this run is not the one of the replay token: ", why));
  EndByFinding();
}

// It is the first process of a boot, on the machine of the boot before.
bool GoesOn(const Lab& mine) { return run->boot != nullptr && mine.rank == 1; }

std::unique_ptr<Chooser> NewChooser(Lab& mine) {
  // A token is the run of the first process that made a context.
  const bool replays = !run->replay_token.empty() && mine.rank <= 1;
  Chooser::Recording before;
  if (GoesOn(mine)) before = *DecodeReplayToken(run->boot->token, run->identity);
  std::unique_ptr<Chooser> chooser;
  if (replays) {
    auto replay = std::make_unique<ReplayChooser>(*DecodeReplayToken(run->replay_token, run->identity),
                                                  EndDivergedReplay, before.answers.size());
    mine.replay = replay.get();
    chooser = std::move(replay);
  } else {
    auto seeded = std::make_unique<SeededChooser>(GoesOn(mine) ? run->boot->chooser_state : run->config.seed);
    mine.seeded = seeded.get();
    chooser = std::move(seeded);
  }
  chooser->GoOnFrom(std::move(before));
  return chooser;
}

// A fault rule has cut the power.
[[noreturn]] void EndByPowerCut(const Lab& mine, absl::string_view rule, bool reboots) {
  NoteSeveralThreads(mine);
  const bool boots = reboots && mine.rank == 1;
  if (reboots && !boots) {
    AddWarning(absl::StrCat("the fault rule ", rule, " boots the machine of the client's first process, and this is ",
                            "another: its power went for good"));
  }
  WriteReport();
  if (!boots) ExitNow(kPowerCutExitStatus);
  BootRecord record;
  record.rule = std::string(rule);
  record.token = EncodeReplayToken(run->identity, mine.chooser->recording());
  if (mine.seeded != nullptr) record.chooser_state = mine.seeded->state();
  record.client_ns = mine.start_ns + mine.machine->NowNs();
  const absl::Status failed = LeaveToNextBoot(*mine.machine, std::move(record));
  AddFinding(absl::StrCat("the machine cannot boot again after the fault rule ", rule, ": ", failed.message()));
  EndByFinding();
}

// Of a process that goes on: what it was before the power went, but for its disks.
void GoOn(Lab& mine) {
  mine.machine->AdvanceTo(run->boot->ran_ns);
  mine.start_ns -= run->boot->ran_ns;
  for (const std::string& why : run->boot->not_replayable_because) NotReplayable(why);
}

Lab* NewLab(bool ranked) {
  Lab* mine = new Lab;
  mine->start_ns = ClientNowNs(/*look=*/false);
  mine->real_start_ns = HostMonotonicNs();
  // Which process goes on with the machine of the last boot is to be known now.
  if (ranked || run->boot != nullptr) Claim(*mine);
  mine->chooser = NewChooser(*mine);
  if (!run->config.trace_format.empty()) {
    mine->sink = std::make_unique<TextTraceSink>([mine](absl::string_view text) { WriteTrace(*mine, text); },
                                                 /*flush_bytes=*/1);
  }
  MachineOptions options;
  options.chooser = mine->chooser.get();
  options.profile = FindProfile(run->config.profile);
  if (!run->config.seeded_bug.empty()) options.bug = FindSeededBug(run->config.seeded_bug)->bug;
  options.nr_cpus = run->config.cpus;
  options.clock = run->config.clock == RunClock::kVirtual ? ClockMode::kVirtual : ClockMode::kHost;
  options.trace_sink = mine->sink.get();
  options.host_files = true;
  options.model_files_too = run->simfs != nullptr;
  options.on_stuck = OnStuck;
  options.on_alarm = OnAlarm;
  options.on_power_cut = [mine](absl::string_view rule, bool reboots) { EndByPowerCut(*mine, rule, reboots); };
  options.patience_alone = HangPatience(/*alone=*/true);
  options.patience_with_threads = HangPatience(/*alone=*/false);
  options.other_threads = [] { return !SingleThreaded(); };
  mine->machine = std::make_unique<Machine>(options);
  // The parent's rings are still mapped in a child; its own lie at the next address, the same in every run.
  for (int i = 0; i < forks; ++i) mine->machine->mm().rings.AfterForkInChild();
  mine->kernel = std::make_unique<EmulatedSyscalls>(*mine->machine);
  if (GoesOn(*mine)) GoOn(*mine);
  if (run->simfs != nullptr) {
    const absl::Status status =
        GoesOn(*mine) ? MountSimfsOfLastBoot(*mine->machine) : MountSimfs(*mine->machine, *run->simfs, nullptr);
    if (!status.ok() && GoesOn(*mine)) {
      AddFinding(
          absl::StrCat("the machine does not boot after the fault rule ", run->boot->rule, ": ", status.message()));
      lab.store(mine);
      EndByFinding();
    }
    if (!status.ok()) RefuseRun(run->config.run_dir, status.message());
    mine->start_ns -= SimfsSetupNs();
    mine->machine->StartClient(GoesOn(*mine) ? run->boot->ran_ns : 0);
  }
  // What goes wrong goes wrong for the client, not for a file system in the making.
  for (const FaultRule& rule : run->fault_rules) mine->machine->AddFaultRule(rule);
  if (GoesOn(*mine)) RestoreFaultCounts(*mine->machine, *run->boot);
  return mine;
}

Lab& EnterLab(bool ranked) {
  Lab* mine = lab.load(std::memory_order_acquire);
  if (mine == nullptr || (ranked && mine->rank == 0)) [[unlikely]] {
    const ScopedMutex lock(lab_mutex);
    mine = lab.load();
    if (mine == nullptr) {
      mine = NewLab(ranked);
      lab.store(mine, std::memory_order_release);
      TakeTimerFromHost();
    }
    if (ranked && mine->rank == 0) Claim(*mine);
  }
  Me().is_client = true;
  return *mine;
}

void AddSimfsTo(Lab& mine, RunReport* report) {
  report->simfs = ReportOfSimfs(*mine.machine);
  if (is_child && report->simfs.bytes_written > 0) {
    AddWarning(absl::StrCat("this process wrote to its own copy of the files under ", run->simfs->prefix,
                            ", made when it was forked; its parent does not see that"));
  }
}

}  // namespace

bool Active() {
  const Phase now = phase.load(std::memory_order_acquire);
  if (now == Phase::kActive) [[likely]] {
    LookForFork();
    return true;
  }
  if (now != Phase::kNew) return false;
  // What Start() itself calls finds it in progress, and goes to the C library.
  Phase expected = Phase::kNew;
  if (!phase.compare_exchange_strong(expected, Phase::kStarting)) return false;
  Start();
  return phase.load() == Phase::kActive;
}

const RunConfig& Config() { return run->config; }

Machine* TheMachine() {
  Lab* mine = lab.load(std::memory_order_acquire);
  return mine == nullptr ? nullptr : mine->machine.get();
}

EmulatedSyscalls& Kernel(bool setup) {
  Lab& mine = EnterLab(/*ranked=*/setup);
  if (setup) {
    StartTick();
    CatchEndingSignals();
  }
  return *mine.kernel;
}

Machine& EnterRankedMachine() { return *EnterLab(/*ranked=*/true).machine; }

bool HasFaultRule(FaultSite site) { return HasFaultRuleAt(run->fault_rules, site); }
const SimfsSpec* TheSimfsSpec() { return run == nullptr ? nullptr : run->simfs.get(); }

int64_t MachineStartNs() { return lab.load(std::memory_order_acquire)->start_ns; }

bool SingleThreaded() {
  if (has_had_threads.load(std::memory_order_relaxed)) return false;
  // Our own tick thread ends glibc's belief; before it is there, glibc knows of threads that came by another way.
  return __libc_single_threaded != 0 || is_child.load(std::memory_order_relaxed) ||
         lab.load(std::memory_order_relaxed) != nullptr;
}

bool Alone() { return SingleThreaded() && !has_relatives.load(std::memory_order_relaxed); }

void NoteThreadCreation() {
  if (has_had_threads.load(std::memory_order_relaxed)) return;
  if (VirtualClock()) StartOutsideClock();
  has_had_threads = true;
}

bool ThreadInModel() {
  return Active() && TheMachine() != nullptr && !Machine::InsideModel() && !Me().is_ours &&
         (Me().is_client || SingleThreaded());
}

bool OwnsMemory() { return owner_pid != nullptr && owner_pid->load() == RawSyscall(__NR_getpid); }

int Rank() {
  const Lab* mine = lab.load();
  return mine == nullptr ? 0 : mine->rank;
}

bool HasReport() { return Rank() != 0; }

std::string CommandName() {
  // Not the calling thread's, which may be ours.
  return std::string(absl::StripAsciiWhitespace(ReadFile("/proc/self/comm").value_or("unknown")));
}

void WriteReport(int killed_by, bool interim) {
  Lab* mine = lab.load();
  if (mine == nullptr) return;
  if (mine->trace != nullptr) mine->trace->Flush();
  if (mine->rank == 0) return;
  if (run->config.clock == RunClock::kHost) NotReplayable("the model's timers used the real clock (--clock=host)");
  if (mine->machine->waited_for_outside()) {
    NotReplayable("it slept until something came from outside the model; when it came is not recorded");
  }
  if (SignalCameFromOutside()) NotReplayable("a signal came from outside; when it comes is not recorded");
  RunReport report;
  report.rank = mine->rank;
  report.command = CommandName();
  report.killed_by = killed_by;
  report.power_cut = mine->machine->power_is_off();
  report.interim = interim;
  report.operations = mine->machine->Operations();
  const kernel_stats& stats = mine->machine->kernel().stats;
  report.retries = stats.retries;
  report.kicks = stats.kicks;
  report.plugs = stats.plugs;
  report.bios = stats.bios;
  if (run->simfs != nullptr) AddSimfsTo(*mine, &report);
  for (const FaultRuleCounts& counts : mine->machine->FaultCounts()) {
    report.faults.push_back(
        {counts.text, counts.occasions, counts.hits, counts.first_ns, counts.last_ns, counts.unfired_because});
  }
  report.virtual_time_ns = mine->machine->NowNs() - SimfsSetupNs();
  report.real_time_ns = HostMonotonicNs() - mine->real_start_ns;
  Notes notes = NotesSoFar();
  report.not_replayable_because = std::move(notes.not_replayable);
  report.findings = std::move(notes.findings);
  report.warnings = std::move(notes.warnings);
  report.replayable = report.not_replayable_because.empty();
  report.token = EncodeReplayToken(run->identity, mine->chooser->recording());
  if (report.token.size() > kTokenInReportMax) {
    report.token_path = absl::StrCat(run->config.run_dir, "/token.", report.rank);
    if (ReplaceFile(report.token_path, report.token).ok()) {
      report.token.clear();
    } else {
      report.token_path.clear();
    }
  }
  if (mine->trace != nullptr && mine->trace->begun()) report.trace_path = mine->trace->path();
  if (mine->trace != nullptr) report.trace_error = mine->trace->error();
  (void)WriteRunReport(run->config.run_dir, report);
}

void EndByFinding() {
  NoteSeveralThreads(*lab.load());
  WriteReport();
  ExitNow(kFindingExitStatus);
}

void FinishForExec() {
  Lab* mine = phase.load() == Phase::kActive && Active() ? lab.load() : nullptr;
  if (mine == nullptr || !OwnsMemory() || mine->finished || Machine::InsideModel()) return;
  mine->finished = true;
  NoteSeveralThreads(*mine);  // before this thread, which may not have been one of them, enters too
  {
    const ScopedSignalDelivery signals;
    mine->machine->ExitAio();
    FinishWriteRecording();
    if (run->simfs != nullptr && mine->rank == 1) {
      const absl::Status exported = ExportSimfs(*mine->machine, *run->simfs);
      if (!exported.ok()) AddFinding(absl::StrCat("--simfs: to=", run->simfs->to, ": ", exported.message()));
    }
  }
  WriteReport();
  mine->finished = false;  // after an exec that failed there is more to report
}

void FinishForDeath(int signal, bool exit_aio) {
  Lab* mine = lab.load();
  NoteSeveralThreads(*mine);
  if (exit_aio) mine->machine->ExitAio();
  if (mine->replay != nullptr && !mine->replay->finished()) {
    NotReplayable(
        absl::StrCat("a signal ended it with ", mine->replay->remaining(), " of the token's answers not asked for"));
  }
  WriteReport(signal);
}

void Finish() {
  FinishForExec();
  const Lab* mine = phase.load() == Phase::kActive ? lab.load() : nullptr;
  if (mine == nullptr || !OwnsMemory() || Machine::InsideModel()) return;
  if (mine->replay != nullptr && !mine->replay->finished()) {
    EndDivergedReplay(
        absl::StrCat("it ended with ", mine->replay->remaining(), " of the token's answers not asked for"));
  }
}

void ExitNow(int status) {
  for (;;) RawSyscall(__NR_exit_group, status);
}

namespace {

thread_local ThreadState thread_state = {};

__attribute__((constructor)) void Load() { (void)Active(); }

__attribute__((destructor)) void Unload() { Finish(); }

}  // namespace

ThreadState& Me() { return thread_state; }

}  // namespace aiolab::preload
