#include "tools/aiolab/crash_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "tools/aiolab/crash_checker.h"
#include "tools/aiolab/crash_files.h"
#include "tools/aiolab/crash_flags.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/help.h"
#include "tools/aiolab/install_paths.h"
#include "tools/aiolab/report.h"
#include "tools/aiolab/run_command.h"
#include "tools/aiolab/simfs_spec.h"
#include "tools/aiolab/wal/log_format.h"
#include "tools/crash/crash_search.h"
#include "tools/crash/dm_log_writes.h"

namespace aiolab {
namespace {

constexpr char kLogName[] = "/log";  // of the embedded client, below the prefix

int Refuse(const absl::Status& status) {
  fprintf(stderr, "aiolab crash: %s\n", std::string(status.message()).c_str());
  return kUsageExitStatus;
}

// Each line behind "aiolab: ".
void Say(absl::string_view text) {
  for (const absl::string_view line : absl::StrSplit(absl::StripTrailingAsciiWhitespace(text), '\n')) {
    fprintf(stderr, "aiolab: %s\n", std::string(line).c_str());
  }
}

// One line that is written over, on a terminal only.
class Progress {
 public:
  void Show(uint64_t points_done, uint64_t points, uint64_t images) {
    if (!terminal_) return;
    fprintf(stderr, "\raiolab: crash point %llu of %llu, %llu images checked ",
            static_cast<unsigned long long>(points_done + 1), static_cast<unsigned long long>(points),
            static_cast<unsigned long long>(images));
    shown_ = true;
  }
  void Clear() {
    if (std::exchange(shown_, false)) fputs("\r\033[K", stderr);
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  bool shown_ = false;
};

// What the embedded client has promised: the number in its last whole line.
uint64_t RecordsPromised(absl::string_view output) {
  uint64_t records = 0;
  for (const absl::string_view line : absl::StrSplit(output.substr(0, output.rfind('\n') + 1), '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    uint64_t number;
    if (words.size() == 2 && words[0] == "acknowledged" && absl::SimpleAtoi(words[1], &number)) records = number;
  }
  return records;
}

absl::StatusOr<std::string> CheckWal(Syscalls& kernel, const std::string& path, absl::string_view output) {
  const uint64_t promised = RecordsPromised(output);
  std::string bytes;
  const long fd = kernel.openat(AT_FDCWD, path.c_str(), O_RDONLY, 0);
  if (fd < 0 && promised > 0) return absl::StrCat(path, " is not there, and ", promised, " records were acknowledged");
  char piece[4096];
  long count = 0;
  while (fd >= 0 && (count = kernel.read(static_cast<int>(fd), piece, sizeof(piece))) > 0) {
    bytes.append(piece, static_cast<size_t>(count));
  }
  if (fd >= 0) kernel.close(static_cast<int>(fd));
  if (count < 0) return absl::StrCat(path, " cannot be read");
  const wal::LogCheck check = wal::CheckLog(bytes);
  if (check.records >= promised) return std::string();
  return absl::StrCat(promised, " records were acknowledged, but only ", check.records, " are there, in a log of ",
                      bytes.size(), " bytes", check.problem.empty() ? "" : ": ", check.problem);
}

// The log of the process that worked on the files, and what the client had promised at the end. Where several did, each
// on files of its own, it is the one with the most crash points, and of several the last: a child of fork's begins with
// what its parent did before.
absl::StatusOr<WriteLog> LogOf(const RunOutcome& outcome, const std::string& prefix) {
  WriteLog found;
  int rank_of_found = 0;
  int logs = 0;
  for (const auto& [rank, recording] : outcome.recordings) {
    absl::StatusOr<WriteLog> log = ParseWriteLog(recording);
    if (!log.ok()) return log.status();
    if (!log->HasOwnWork()) continue;
    ++logs;
    if (rank_of_found != 0 && log->last_crash_point < found.last_crash_point) continue;
    found = *std::move(log);
    rank_of_found = rank;
  }
  if (logs == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the client wrote nothing below ", prefix,
                     ", so there is nothing to lose; --simfs=PREFIX says where it writes"));
  }
  if (logs > 1) {
    Say(absl::StrCat("WARNING: ", logs, " processes wrote to files below ", prefix,
                     ", each to files of its own; only those of process ", rank_of_found, " are looked at"));
  }
  // A client that was killed could not say it any more.
  if (outcome.output.size() > (found.marks.empty() ? 0 : found.marks.back().acknowledged)) {
    found.marks.push_back(
        {found.last_crash_point, outcome.output.size(), found.marks.empty() ? "" : found.marks.back().note});
  }
  return found;
}

// The last line of what was promised, for the report.
std::string PromiseText(absl::string_view output) {
  if (output.empty()) return "The client had promised nothing.";
  const absl::string_view text = absl::StripTrailingAsciiWhitespace(output);
  return absl::StrCat("The client had promised ", output.size(),
                      " bytes of output; the last line: ", text.substr(text.rfind('\n') + 1));
}

// A rule of --fault has done something.
bool FaultStruck(const RunOutcome& outcome) {
  const std::vector<FaultHits> faults = Totals(outcome).faults;
  return std::any_of(faults.begin(), faults.end(), [](const FaultHits& fault) { return fault.hits > 0; });
}

// Calls `write` for each disk that the client used, with the file for what is to be said of it: `path` itself is that
// of the file system's disk.
absl::Status ForEachDisk(const std::string& path, const WriteLog& log,
                         const std::function<absl::Status(uint64_t disk, const std::string& path)>& write) {
  absl::Status status = write(0, path);
  if (status.ok() && log.Uses(1)) status = write(1, absl::StrCat(path, ".", kDeviceNode));
  return status;
}

absl::Status MakeDirectory(const std::string& path) {
  return mkdir(path.c_str(), 0755) == 0 ? absl::OkStatus()
                                        : FileError(errno, absl::StrCat("--export-files=", path),
                                                    "it has to be a new directory, and cannot be made");
}

class CrashRun {
 public:
  explicit CrashRun(CrashCommandOptions options)
      : options_(std::move(options)), spec_(*ParseSimfsSpec(options_.run.simfs)) {}

  absl::StatusOr<int> Run();

 private:
  absl::Status Prepare();
  absl::StatusOr<int> Search();
  absl::Status ReportViolation(const CrashViolation& violation);
  absl::Status ExportFiles(const CrashViolation& violation, absl::string_view promised);
  CrashFiles FilesOf(FileSyscalls& kernel, const SectorStore& contents) const {
    return {kernel, spec_.prefix, contents, log_.Uses(1) ? disk_.size_bytes : 0};
  }
  SimfsOptions Mount() const { return {.path = spec_.prefix, .disk = spec_.disk, .error_model = spec_.error_model}; }
  bool IsDemo() const { return options_.run.client.empty(); }

  const CrashCommandOptions options_;
  const SimfsSpec spec_;
  const SimDiskParameters disk_ = *ParseSimDisk(spec_.disk);
  PreparedRun run_;
  std::string client_;  // its file
  std::vector<std::string> argv_;
  std::string files_path_;
  std::string image_path_;
  std::string log_path_;
  std::unique_ptr<CommandChecker> checker_;  // null: the embedded client's
  RunOutcome outcome_;
  WriteLog log_;
};

// All that can be refused, before anything runs.
absl::Status CrashRun::Prepare() {
  absl::StatusOr<PreparedRun> run = PrepareRun(options_.run);
  if (!run.ok()) return run.status();
  run_ = *std::move(run);
  run_.config.record_writes = true;
  if (IsDemo()) {
    absl::StatusOr<std::string> wal = FindInstalled("tools/aiolab/wal/wal");
    if (!wal.ok()) return wal.status();
    argv_ = {*wal, options_.rename_before_fsync ? "rename-before-fsync" : "rotate", spec_.prefix + kLogName, "24", "2"};
    run_.show_output = false;
  } else {
    argv_ = options_.run.client;
  }
  absl::StatusOr<std::string> client = FindClientToRun(argv_[0]);
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  for (const auto& [flag, given, path] : {std::tuple("--export-image=", &options_.export_image, &image_path_),
                                          std::tuple("--export-log=", &options_.export_log, &log_path_)}) {
    if (given->empty()) continue;
    absl::StatusOr<std::string> writable = CheckWritable(absl::StrCat(flag, *given), *given);
    if (!writable.ok()) return writable.status();
    *path = *std::move(writable);
  }
  if (!options_.export_files.empty()) {
    files_path_ = std::filesystem::absolute(options_.export_files).string();
    if (const absl::Status status = MakeDirectory(files_path_); !status.ok()) return status;
    rmdir(files_path_.c_str());
  }
  if (IsDemo()) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<CommandChecker>> checker =
      CommandChecker::Make(options_.check, options_.check_seconds_max);
  if (!checker.ok()) return checker.status();
  checker_ = *std::move(checker);
  return absl::OkStatus();
}

absl::StatusOr<int> CrashRun::Run() {
  if (const absl::Status status = Prepare(); !status.ok()) return status;
  absl::StatusOr<RunOutcome> outcome = RunUnderModel(run_, client_, argv_);
  if (!outcome.ok()) return outcome.status();
  if (!outcome->refusal.empty()) return absl::FailedPreconditionError(outcome->refusal);
  outcome_ = *std::move(outcome);
  fputs(NotesReport(outcome_).c_str(), stderr);
  if (outcome_.end.ShellStatus() != 0) {
    Say(absl::StrCat("WARNING: the client ended with status ", outcome_.end.ShellStatus(),
                     "; crashes are those of what it did until then"));
  }
  absl::StatusOr<WriteLog> log = LogOf(outcome_, spec_.prefix);
  if (!log.ok()) return log.status();
  log_ = *std::move(log);
  if (!log_path_.empty()) {
    const absl::Status status = ForEachDisk(log_path_, log_, [this](uint64_t disk, const std::string& path) {
      return ReplaceFile(path, ToDmLogWrites(log_, disk_.logical_block_size, disk));
    });
    if (!status.ok()) return status;
  }
  return Search();
}

absl::StatusOr<int> CrashRun::Search() {
  CrashSearchOptions search;
  search.simfs = Mount();
  search.profile = run_.config.profile;
  search.seed = run_.config.seed;
  search.points_max = options_.points_max;
  search.images_max = options_.images_max;
  Progress progress;
  search.progress = [&progress](uint64_t done, uint64_t points, uint64_t images) {
    progress.Show(done, points, images);
  };
  const CrashChecker checker = [&](const CrashedMachine& crashed) {
    const absl::string_view output = absl::string_view(outcome_.output).substr(0, crashed.acknowledged);
    if (checker_ == nullptr) return CheckWal(crashed.kernel, spec_.prefix + kLogName, output);
    return checker_->Check(FilesOf(crashed.kernel, crashed.contents), output);
  };
  const absl::StatusOr<std::string> without_crash = CheckWithoutCrash(log_, search, checker);
  if (!without_crash.ok()) return without_crash.status();
  // A client that was killed has left some in its page cache, which nobody has written back.
  absl::Status refused;
  if (log_.has_end && !without_crash->empty()) {
    refused = absl::FailedPreconditionError(
        absl::StrCat("the files as the client left them are refused, without any crash: ", *without_crash));
  }
  // A fault may have kept from the disk what a client relies on: a power cut shows that, if one does.
  if (!refused.ok() && !FaultStruck(outcome_)) return refused;
  const absl::StatusOr<CrashSearchResult> result = SearchCrashes(log_, search, checker);
  progress.Clear();
  if (!result.ok()) return result.status();
  if (!result->violation.has_value() && !refused.ok()) return refused;
  Say(absl::StrCat("seed ", run_.config.seed, ", profile ", run_.config.profile, ", simfs ", run_.config.simfs, ": ",
                   result->Coverage()));
  if (!result->violation.has_value()) {
    Say("no power cut that breaks it");
    for (const std::string& path : {files_path_, image_path_}) {
      if (!path.empty()) Say(absl::StrCat("nothing was written to ", path));
    }
    return 0;
  }
  if (const absl::Status status = ReportViolation(*result->violation); !status.ok()) return status;
  return kCrashFoundExitStatus;
}

absl::Status CrashRun::ExportFiles(const CrashViolation& violation, absl::string_view promised) {
  const auto machine = RebootedMachine::Boot(violation.contents, Mount(), run_.config.profile);
  if (!machine.ok()) {
    Say(absl::StrCat("no files are at ", files_path_, ": ", machine.status().message()));
    return absl::OkStatus();
  }
  if (const absl::Status status = MakeDirectory(files_path_); !status.ok()) return status;
  absl::Status status = CopyToHost(FilesOf((*machine)->kernel(), violation.contents), files_path_);
  const std::string acked = files_path_ + ".acked";
  if (status.ok()) status = ReplaceFile(acked, promised);
  if (!status.ok()) return status;
  Say(absl::StrCat("the files that it left: ", files_path_));
  if (!IsDemo()) Say(absl::StrCat("what checks them again: ", CheckCommand(options_.check, files_path_, acked)));
  return absl::OkStatus();
}

absl::Status CrashRun::ReportViolation(const CrashViolation& violation) {
  Say(absl::StrCat("FOUND: a power cut that breaks it: ", violation.problem));
  const absl::string_view promised = absl::string_view(outcome_.output).substr(0, violation.acknowledged);
  Say(PromiseText(promised));
  Say(violation.explanation);
  if (!files_path_.empty()) {
    if (const absl::Status status = ExportFiles(violation, promised); !status.ok()) return status;
  }
  if (image_path_.empty()) return absl::OkStatus();
  return ForEachDisk(image_path_, log_, [&](uint64_t disk, const std::string& path) {
    const absl::Status status = WriteDiskImage(path, violation.contents, disk, disk_.size_bytes);
    if (status.ok()) Say(absl::StrCat("the disk that it left: ", path));
    return status;
  });
}

}  // namespace

int CrashCommand(const std::vector<std::string>& arguments) {
  absl::StatusOr<CrashCommandOptions> options = ParseCrashArguments(arguments);
  if (!options.ok()) return Refuse(options.status());
  if (options->run.help) {
    fputs(CrashHelp().c_str(), stdout);
    return 0;
  }
  CrashRun run(*std::move(options));
  const absl::StatusOr<int> status = run.Run();
  return status.ok() ? *status : Refuse(status.status());
}

}  // namespace aiolab
