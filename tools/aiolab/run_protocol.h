// What `aiolab run` and the preload library inside the client's processes say to each other.
//
// Down: one environment variable, AIOLAB_RUN, holds the RunConfig. It is inherited by every process that the client
// starts. Up: files in RunConfig::run_dir, a directory that lives as long as the run. A process claims a rank at its
// first io_setup, or its first call
// on a simulated file (file rank.N), and writes what it did when it ends (file report.N.json). Only the runner prints.
//
//   in the preload library, at load:        absl::StatusOr<RunConfig> config = ParseRunConfig(getenv(kRunVariable));
//                                           if it cannot be obeyed: WriteRefusal(run_dir, why),
//                                           _exit(kRefusedExitStatus)
//   at the first io_setup of a process:     absl::StatusOr<int> rank = ClaimRank(config->run_dir);
//   at its end:                             WriteRunReport(config->run_dir, report);
//
// Files are opened, written and renamed by raw system calls, so a library that interposes the C library's functions may
// call everything here from inside its own.
#ifndef TOOLS_AIOLAB_RUN_PROTOCOL_H_
#define TOOLS_AIOLAB_RUN_PROTOCOL_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aiolab {

inline constexpr char kRunVariable[] = "AIOLAB_RUN";

// The exit status of a process that the preload library ends because of a finding (a hang, a lost request), and of
// `aiolab run` if that process was the client itself.
inline constexpr int kFindingExitStatus = 3;

// The exit status of a process whose machine lost its power by a fault rule, and of `aiolab run` if that process was
// the client itself. It ends where it is: nothing of it runs after that.
inline constexpr int kPowerCutExitStatus = 4;

// The exit status of a process whose preload library cannot obey the RunConfig. It leaves WriteRefusal's file behind
// and ends before the client's main().
inline constexpr int kRefusedExitStatus = 2;

// A longer replay token goes to a file: one environment string may hold 128 KiB in all.
inline constexpr size_t kReplayTokenSizeMax = 64 << 10;  // bytes

// A run ends with the power cut of this boot: a rule may reboot for ever.
inline constexpr int kBootsMax = 50;

// After so many seconds, unless --hang-after says otherwise.
inline constexpr int kHangAfterS = 30;

enum class RunClock {
  kVirtual,  // the model's time, which a replay repeats
  kHost,     // the real clock behind the model's timers
};

struct RunConfig {
  uint64_t seed = 1;
  std::string profile = "retry";
  int cpus = 4;  // of the emulated machine, at least 1
  RunClock clock = RunClock::kVirtual;
  std::string trace_format;  // "text", or empty for no trace
  std::string trace_path;    // absolute; of rank 1, see TracePathOfRank
  std::string replay_token;  // empty: not a replay. At most kReplayTokenSizeMax; a longer one is in replay_path
  std::string replay_path;   // absolute
  std::string seeded_bug;    // the name of a deliberate bug, or empty
  std::string simfs;         // as ParseSimfsSpec takes it; empty: every file is the host's
  std::string fault_rules;   // as ParseFaultRules() takes them, or empty
  // Real seconds that a client may wait for what nothing known can bring: 0 is for ever, -1 is kHangAfterS in a process
  // with one thread and for ever in others.
  int hang_after_s = -1;
  std::string run_dir;  // absolute
  // The run_dir of the boot before this one, whose BootRecord (boot_record.h) says where the first process goes on;
  // empty: this is the first boot.
  std::string boot_from;
  // Write down what reaches the simulated disk, and how much the client has said by then: RecordingOfRank().
  bool record_writes = false;

  friend bool operator==(const RunConfig&, const RunConfig&) = default;
};

// The value of AIOLAB_RUN: percent-encoded key=value pairs joined by '&'.
std::string SerializeRunConfig(const RunConfig& config);

// The inverse. INVALID_ARGUMENT names the key, the value and what would be right; an unknown or a missing key is an
// error too, since it means that the runner and the preload library are of different builds.
absl::StatusOr<RunConfig> ParseRunConfig(absl::string_view text);

// The token to replay, from replay_token or from the file at replay_path; empty if this run is no replay.
absl::StatusOr<std::string> ReadReplayToken(const RunConfig& config);

// Takes the lowest free rank (1, 2, ...) of the run for the calling process; the claim also names its pid and command.
// Ranks are in the order of the claims; processes may call at the same time.
absl::StatusOr<int> ClaimRank(absl::string_view run_dir);

// Where rank `rank` writes its trace: trace_path for 1, trace_path.N for the others; empty without a trace.
std::string TracePathOfRank(const RunConfig& config, int rank);

// The trace_path of boot `boot`, if that of the first is `trace_path`: with .bootN behind it.
std::string TracePathOfBoot(const std::string& trace_path, int boot);

// With record_writes: where rank `rank` writes its log (kernel_model/drivers/block/write_log.h), the file that outlives
// the process with what is not there yet (trace_file.h), and where the client's standard output goes. How long that is
// at some time, the client has promised by then.
std::string RecordingOfRank(absl::string_view run_dir, int rank);
std::string RecordingTailOfRank(absl::string_view run_dir, int rank);
std::string OutputPath(absl::string_view run_dir);

// What a process did with files under --simfs. Counts are since the process, or the one that it was forked from, began.
struct SimfsReport {
  uint64_t files = 0;  // that are there at the end, directories too
  uint64_t bytes_written = 0;
  uint64_t disk_requests = 0;
  uint64_t merges = 0;
  uint64_t flushes = 0;

  friend bool operator==(const SimfsReport&, const SimfsReport&) = default;
};

// What became of one fault rule in one process, or in all of them.
struct FaultHits {
  std::string rule;
  uint64_t occasions = 0;  // that fitted its filter
  uint64_t hits = 0;
  int64_t first_ns = -1;  // of the hits, in the process's virtual time; -1: none
  int64_t last_ns = -1;
  std::string unfired_because;  // as in FaultRuleCounts

  friend bool operator==(const FaultHits&, const FaultHits&) = default;
};

// What one process did. It holds no pid and no address, so that two runs of one token give the same report, except for
// real_time_ns.
struct RunReport {
  int rank = 0;
  std::string command;  // the process's name, as in /proc/self/comm
  // As Machine::Operations().
  std::map<std::string, std::map<std::string, uint64_t>> operations;
  uint64_t retries = 0;  // attempts that ended in -EIOCBRETRY
  uint64_t kicks = 0;    // wake-ups that queued a request for another attempt
  uint64_t plugs = 0;    // blk_start_plug ... blk_finish_plug
  uint64_t bios = 0;
  SimfsReport simfs;  // zeros without --simfs
  int64_t virtual_time_ns = 0;
  int64_t real_time_ns = 0;
  bool replayable = false;
  std::vector<std::string> not_replayable_because;  // empty if replayable
  std::vector<std::string> findings;                // each may have several lines
  std::vector<std::string> warnings;                // what the client should know about how it was run
  std::vector<FaultHits> faults;                    // one for each rule
  std::string token;                                // to replay this process, or
  std::string token_path;                           // the file that holds it
  std::string trace_path;                           // empty: none was written
  std::string trace_error;                          // why it is not whole, or empty
  int killed_by = 0;                                // the signal that is about to end it, or 0
  bool power_cut = false;                           // by a fault rule, which is about to end it
  bool interim = false;                             // written when it began to wait for what may never come

  friend bool operator==(const RunReport&, const RunReport&) = default;
};

std::string RunReportToJson(const RunReport& report);
absl::StatusOr<RunReport> RunReportFromJson(absl::string_view text);

// Writes report.N.json, all of it or nothing.
absl::Status WriteRunReport(absl::string_view run_dir, const RunReport& report);

// Tells the runner why this run cannot be: an unknown profile, a token of another version. The first writer wins.
absl::Status WriteRefusal(absl::string_view run_dir, absl::string_view why);

// Tells the user something while the client runs on: `hint` is one line or several.
absl::Status WriteHint(absl::string_view run_dir, absl::string_view hint);

// The runner's side: what was written by WriteHint, from byte `offset` on.
std::string ReadHints(absl::string_view run_dir, size_t offset);

// The runner's side: what the files of one rank say.
struct RankFiles {
  int rank = 0;
  int boot = 1;  // of the machine, by the fault `reboot`
  pid_t pid = 0;
  bool runs = false;  // still
  std::string command;
  bool has_report = false;    // false: the process was killed before it could write one, or still runs
  absl::Status report_error;  // has_report, but it cannot be read
  RunReport report;           // has_report and report_error.ok()
};

// Every rank that was claimed, from 1.
std::vector<RankFiles> ReadRankFiles(absl::string_view run_dir);

// What WriteRefusal wrote, or empty.
std::string ReadRefusal(absl::string_view run_dir);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_RUN_PROTOCOL_H_
