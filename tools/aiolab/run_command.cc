#include "tools/aiolab/run_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/aiolab/boot_record.h"
#include "tools/aiolab/client_check.h"
#include "tools/aiolab/fault_sources.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/help.h"
#include "tools/aiolab/install_paths.h"
#include "tools/aiolab/simfs_directories.h"
#include "tools/aiolab/temporary_directory.h"
#include "tools/aiolab/trace_file.h"
#include "tools/aiolab/wal_demo.h"

namespace aiolab {
namespace {

namespace fs = std::filesystem;

constexpr char kPreloadLibrary[] = "tools/preload/libaiolab_preload.so";

std::string EnvironmentVariable(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

absl::StatusOr<std::string> FindPreloadLibrary(const std::string& named) {
  if (named.empty()) {
    const absl::StatusOr<std::string> found = FindInstalled(kPreloadLibrary);
    if (found.ok()) return found;
    return absl::NotFoundError(absl::StrCat(found.status().message(), ". --preload-library=FILE names another"));
  }
  if (access(named.c_str(), R_OK) != 0)
    return FileError(errno, absl::StrCat("--preload-library=", named), "cannot be read");
  return fs::absolute(named).string();
}

absl::StatusOr<std::string> ReadReplay(const std::string& replay) {
  if (replay.empty() || replay[0] != '@') return replay;
  const absl::StatusOr<std::string> contents = ReadFile(replay.substr(1));
  if (!contents.ok()) return absl::NotFoundError(absl::StrCat("--replay=@", contents.status().message()));
  const std::string token(absl::StripAsciiWhitespace(*contents));
  if (token.empty()) return absl::InvalidArgumentError(absl::StrCat("--replay=", replay, ": the file is empty"));
  return token;
}

absl::Status CheckTokenText(const std::string& token) {
  for (const char c : token) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(
          "--replay: the token holds a blank or another character that no token has; was it cut or wrapped?");
    }
  }
  return absl::OkStatus();
}

// The loader splits LD_PRELOAD at blanks and colons, so a library in a directory that has one goes by a link.
absl::StatusOr<std::string> NameForLoader(const std::string& library, const std::string& run_dir) {
  if (library.find_first_of(" :") == std::string::npos) return library;
  const std::string link = run_dir + "/preload.so";
  if (link.find_first_of(" :") != std::string::npos) {
    return absl::FailedPreconditionError(absl::StrCat(
        library, ": LD_PRELOAD cannot name a file with a blank or a colon in its path, and TMPDIR has one too"));
  }
  if (symlink(library.c_str(), link.c_str()) != 0) return FileError(errno, link, "cannot be made");
  return link;
}

// What the first process of a boot has recorded goes on in the first process of the next one.
void ForgetTokensOfEarlierBoots(std::vector<RankFiles>& ranks) {
  const RankFiles* last = nullptr;
  for (const RankFiles& rank : ranks) {
    if (rank.rank == 1 && rank.has_report) last = &rank;
  }
  for (RankFiles& rank : ranks) {
    if (rank.rank != 1 || &rank == last) continue;
    rank.report.token.clear();
    rank.report.token_path.clear();
  }
}

// A token file in the run's directory would go with it. Only the first process's is of use: no replay takes another's.
// A replay makes no second file of the same token.
void KeepTokenFiles(const PreparedRun& run, const std::string& run_dir, std::vector<RankFiles>& ranks) {
  for (RankFiles& rank : ranks) {
    std::string& path = rank.report.token_path;
    std::string& token = rank.report.token;
    if (rank.rank == 1 && !run.token_path.empty() && !token.empty() && ReplaceFile(run.token_path, token).ok()) {
      path = run.token_path;
      token.clear();
    }
    if (!absl::StartsWith(path, run_dir + "/")) continue;
    const std::string in_run_dir = std::exchange(path, "");
    if (rank.rank != 1) continue;
    if (!run.replayed_from.empty() && ReadFile(in_run_dir).value_or("") == run.replay_token) {
      path = run.replayed_from;
      continue;
    }
    std::string kept = run.token_path;
    if (kept.empty()) {
      kept = (fs::path(run_dir).parent_path() / "aiolab-token.XXXXXX").string();
      const int fd = mkstemp(kept.data());
      if (fd < 0) continue;
      close(fd);
    }
    std::error_code error;
    fs::rename(in_run_dir, kept, error);
    if (!error) path = kept;
  }
}

// Earlier runs' traces would pass for this one's, if no process of this one makes a context.
void RemoveTraces(const std::string& trace_path) {
  std::error_code ignored;
  for (int boot = 1; boot <= kBootsMax; ++boot) {
    const std::string path = TracePathOfBoot(trace_path, boot);
    if (fs::is_regular_file(path, ignored)) fs::remove(path, ignored);
  }
}

// What a process that was killed has left of its trace outside its file. One that still runs writes it itself.
void RecoverTraces(const RunConfig& config, std::vector<RankFiles>& ranks) {
  if (config.trace_format.empty()) return;
  for (RankFiles& rank : ranks) {
    if (rank.runs) continue;
    const absl::Status status = RecoverTrace(TracePathOfRank(config, rank.rank), TailPath(config.run_dir, rank.rank));
    if (!status.ok() && rank.report.trace_error.empty()) rank.report.trace_error = std::string(status.message());
  }
}

// What every process has recorded, and what the client said meanwhile.
void ReadRecordings(RunOutcome& outcome) {
  const std::string& run_dir = outcome.config.run_dir;
  outcome.output = ReadFile(OutputPath(run_dir)).value_or("");
  for (const RankFiles& rank : outcome.ranks) {
    const std::string path = RecordingOfRank(run_dir, rank.rank);
    if (!rank.runs) (void)RecoverTrace(path, RecordingTailOfRank(run_dir, rank.rank));
    absl::StatusOr<std::string> recording = ReadFile(path);
    if (recording.ok() && !recording->empty()) outcome.recordings[rank.rank] = *std::move(recording);
  }
}

// Passes on what the file at `path` has from byte `offset` on. How much that was.
size_t ShowFrom(const std::string& path, size_t offset) {
  const std::string text = ReadFile(path).value_or("");
  if (text.size() <= offset) return 0;
  fwrite(text.data() + offset, 1, text.size() - offset, stdout);
  fflush(stdout);
  return text.size() - offset;
}

// Passes on what the client's processes have to say while they run.
class Hints {
 public:
  explicit Hints(std::string run_dir) : run_dir_(std::move(run_dir)) {}
  void PrintNew() {
    const std::string text = ReadHints(run_dir_, printed_);
    if (text.empty()) return;
    printed_ += text.size();
    for (const absl::string_view line : absl::StrSplit(absl::StripTrailingAsciiWhitespace(text), '\n')) {
      fprintf(stderr, "aiolab: %s\n", std::string(line).c_str());
    }
  }

 private:
  const std::string run_dir_;
  size_t printed_ = 0;
};

int Refuse(const absl::Status& status) {
  fprintf(stderr, "aiolab run: %s\n", std::string(status.message()).c_str());
  return kUsageExitStatus;
}

// Runs the client until it ends or its power goes, and adds what became of it to `outcome`. True: it is to run again.
absl::StatusOr<bool> RunOneBoot(const PreparedRun& run, const RunConfig& config, const std::string& preload,
                                const std::string& path, const std::vector<std::string>& argv, RunOutcome& outcome) {
  std::error_code ignored;
  fs::create_directory(config.run_dir, ignored);
  Hints hints(config.run_dir);
  ProgramSetup setup;
  setup.environment = {{kRunVariable, SerializeRunConfig(config)}, {"LD_PRELOAD", preload}};
  if (config.record_writes) setup.out = OutputPath(config.run_dir);
  size_t shown = 0;  // bytes of the client's output
  setup.look = [&] {
    if (run.show_hints) hints.PrintNew();
    if (config.record_writes && run.show_output) shown += ShowFrom(setup.out, shown);
  };
  if (!RuleThatReboots(config.fault_rules).empty()) {
    setup.power_is_off = [&config] { return ReadBootRecord(config.run_dir, /*disks=*/false).ok(); };
    setup.mark = kRunVariable;
  }
  const absl::StatusOr<ProgramEnd> end = RunToItsEnd(path, argv, setup);
  if (!end.ok()) return end.status();
  if (!config.boot_from.empty()) RemoveSavedDisks(config.boot_from);
  for (const pid_t pid : end->left) {
    fprintf(stderr, "aiolab: process %d of the client was killed with the power, but has not ended yet\n", pid);
  }
  outcome.end = *end;
  outcome.refusal = ReadRefusal(config.run_dir);
  const absl::StatusOr<BootRecord> next = ReadBootRecord(config.run_dir, /*disks=*/false);
  std::vector<RankFiles> ranks = ReadRankFiles(config.run_dir);
  RecoverTraces(config, ranks);
  for (RankFiles& rank : ranks) {
    rank.boot = static_cast<int>(outcome.reboots.size()) + 1;
    outcome.ranks.push_back(std::move(rank));
  }
  if (!next.ok()) return false;
  // Who was told to end, but not in time, has gone with the power.
  if (end->passed_on != 0) {
    outcome.end = {.signal = end->passed_on};
    return false;
  }
  outcome.end = {.status = kPowerCutExitStatus};
  outcome.reboots.push_back(next->rule);
  return outcome.reboots.size() < kBootsMax;
}

int RunClient(const RunOptions& options, const PreparedRun& run) {
  const absl::StatusOr<std::string> path = FindClientToRun(options.client[0]);
  if (!path.ok()) return Refuse(path.status());
  const absl::StatusOr<RunOutcome> outcome = RunUnderModel(run, *path, options.client);
  if (!outcome.ok()) return Refuse(outcome.status());
  fputs((options.json ? JsonReport(*outcome) : TextReport(*outcome)).c_str(), stderr);
  return ExitStatus(*outcome);
}

}  // namespace

absl::StatusOr<std::string> CheckWritable(const std::string& flag, const std::string& path) {
  const fs::path absolute = fs::absolute(path);
  std::error_code error;
  if (fs::is_directory(absolute, error)) return absl::InvalidArgumentError(absl::StrCat(flag, " is a directory"));
  if (access(absolute.c_str(), F_OK) == 0) {
    if (access(absolute.c_str(), W_OK) != 0) return FileError(errno, flag, "cannot be written");
  } else {
    // To root, access() promises too much.
    const int fd = open(absolute.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return FileError(errno, flag, absl::StrCat("cannot be made in ", absolute.parent_path().string()));
    close(fd);
    fs::remove(absolute, error);
  }
  return absolute.string();
}

absl::StatusOr<std::string> FindClientToRun(const std::string& name) {
  const std::string path_variable = EnvironmentVariable("PATH");
  absl::StatusOr<std::string> path = FindClient(name, path_variable);
  if (!path.ok()) return path;
  if (const absl::Status check = CheckClient(*path, path_variable); !check.ok()) return check;
  return path;
}

absl::StatusOr<PreparedRun> PrepareRun(const RunOptions& options) {
  PreparedRun run;
  run.config.seed = options.seed;
  run.config.profile = options.profile;
  run.config.cpus = options.cpus;
  run.config.clock = options.clock;
  run.config.seeded_bug = options.seeded_bug;
  run.config.hang_after_s = options.hang_after_s;
  absl::StatusOr<std::string> rules =
      CollectFaultRules(EnvironmentVariable(kFaultVariable), options.fault_file, options.faults);
  if (!rules.ok()) return rules.status();
  run.config.fault_rules = *std::move(rules);
  if (options.simfs.empty()) {
    const absl::Status status = CheckRulesOnHostFiles(run.config.fault_rules);
    if (!status.ok()) return status;
  }
  run.show_hints = !options.json;
  if (!options.simfs.empty()) {
    absl::StatusOr<std::string> simfs = PrepareSimfs(options.simfs);
    if (!simfs.ok()) return simfs.status();
    run.config.simfs = *std::move(simfs);
  }
  if (!options.trace_path.empty()) {
    absl::StatusOr<std::string> trace_path =
        CheckWritable(absl::StrCat("--trace=text:", options.trace_path), options.trace_path);
    if (!trace_path.ok()) return trace_path.status();
    run.config.trace_format = "text";
    run.config.trace_path = *std::move(trace_path);
  }
  absl::StatusOr<std::string> token = ReadReplay(options.replay);
  if (!token.ok()) return token.status();
  const absl::Status token_status = CheckTokenText(*token);
  if (!token_status.ok()) return token_status;
  run.replay_token = *token;
  if (token->size() <= kReplayTokenSizeMax) run.config.replay_token = *std::move(token);
  if (absl::StartsWith(options.replay, "@")) run.replayed_from = fs::absolute(options.replay.substr(1)).string();
  absl::StatusOr<std::string> library = FindPreloadLibrary(options.preload_library);
  if (!library.ok()) return library.status();
  run.preload_library = *std::move(library);
  return run;
}

absl::StatusOr<RunOutcome> RunUnderModel(const PreparedRun& run, const std::string& path,
                                         const std::vector<std::string>& argv) {
  const std::string reboots = RuleThatReboots(run.config.fault_rules);
  if (run.config.record_writes && !reboots.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--fault: ", reboots, ": `aiolab crash` takes the power at every point itself; reboot is for `aiolab run`"));
  }
  const absl::StatusOr<std::unique_ptr<TemporaryDirectory>> directory = TemporaryDirectory::Make("aiolab-run");
  if (!directory.ok()) return directory.status();
  RunOutcome outcome;
  outcome.config = run.config;
  outcome.client = argv;
  outcome.program = HowToCallAgain();
  outcome.config.run_dir = (*directory)->path();
  if (!run.replay_token.empty() && run.config.replay_token.empty()) {
    outcome.config.replay_path = outcome.config.run_dir + "/replay.token";
    const absl::Status status = CreateFile(outcome.config.replay_path, run.replay_token);
    if (!status.ok()) return status;
  }
  RemoveTraces(run.config.trace_path);
  const absl::StatusOr<std::string> library = NameForLoader(run.preload_library, outcome.config.run_dir);
  if (!library.ok()) return library.status();
  const std::string preloaded_before = EnvironmentVariable("LD_PRELOAD");
  const std::string preload = preloaded_before.empty() ? *library : absl::StrCat(*library, ":", preloaded_before);
  RunConfig config = outcome.config;
  absl::StatusOr<bool> boots = true;
  while (*boots) {
    boots = RunOneBoot(run, config, preload, path, argv, outcome);
    if (!boots.ok()) return boots.status();
    const int next = static_cast<int>(outcome.reboots.size()) + 1;
    config.boot_from = config.run_dir;
    config.run_dir = absl::StrCat(outcome.config.run_dir, "/boot.", next);
    config.trace_path = TracePathOfBoot(outcome.config.trace_path, next);
  }
  if (run.config.record_writes) ReadRecordings(outcome);
  ForgetTokensOfEarlierBoots(outcome.ranks);
  KeepTokenFiles(run, outcome.config.run_dir, outcome.ranks);
  return outcome;
}

int RunCommand(const std::vector<std::string>& arguments) {
  const absl::StatusOr<RunOptions> options = ParseRunArguments(arguments);
  if (!options.ok()) return Refuse(options.status());
  if (options->help) {
    fputs(RunHelp().c_str(), stdout);
    return 0;
  }
  const absl::StatusOr<PreparedRun> run = PrepareRun(*options);
  if (!run.ok()) return Refuse(run.status());
  if (!options->client.empty()) return RunClient(*options, *run);
  const absl::StatusOr<int> status = RunWalDemo(*options, *run);
  return status.ok() ? *status : Refuse(status.status());
}

}  // namespace aiolab
