#include "tools/aiolab/crash_checker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tools/aiolab/client_process.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/report.h"

namespace aiolab {
namespace {

namespace fs = std::filesystem;

// What a shell says of a command that it cannot start.
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

constexpr size_t kSaidBytesMax = 2000;

ProgramSetup CleanSetup(const std::string& said, int seconds_max) {
  ProgramSetup setup;
  setup.only_these = true;
  setup.own_group = true;
  setup.seconds_max = seconds_max;
  for (const char* name : {"PATH", "HOME", "TMPDIR"}) {
    const char* const value = getenv(name);
    if (value != nullptr) setup.environment[name] = value;
  }
  setup.out = setup.err = said;
  return setup;
}

absl::StatusOr<ProgramEnd> RunShell(const std::vector<std::string>& arguments, const std::string& said,
                                    int seconds_max = 0) {
  std::vector<std::string> argv = {"sh"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunToItsEnd("/bin/sh", argv, CleanSetup(said, seconds_max));
}

// The program that a command begins with; empty if only the shell can tell.
std::string FirstWord(absl::string_view command) {
  command = absl::StripLeadingAsciiWhitespace(command);
  const absl::string_view word = command.substr(0, command.find_first_of(" \t\n;&|<>"));
  return word.find_first_of("$`\"'\\(){}!=*?[#~") == word.npos ? std::string(word) : "";
}

// What it printed, the end of it.
std::string Said(const std::string& path) {
  std::string text = ReadFile(path).value_or("");
  if (text.size() > kSaidBytesMax) text = absl::StrCat("...", text.substr(text.size() - kSaidBytesMax));
  return std::string(absl::StripAsciiWhitespace(text));
}

// "ended with status 1", "was killed by SIGSEGV"; a shell tells of its own child's signal by its status.
std::string HowItEnded(const ProgramEnd& end, int seconds_max) {
  if (end.timed_out) return absl::StrCat("had not ended after ", seconds_max, " s (--check-timeout)");
  const int status = end.ShellStatus();
  const char* const signal = status > 128 ? sigabbrev_np(status - 128) : nullptr;
  if (signal == nullptr) return absl::StrCat("ended with status ", status);
  return end.signal != 0 ? absl::StrCat("was killed by SIG", signal)
                         : absl::StrCat("ended with status ", status, ", which a shell says of SIG", signal);
}

}  // namespace

std::string CheckCommand(const std::string& command, const std::string& dir, const std::string& acked) {
  return absl::StrReplaceAll(command, {{"{dir}", ShellQuote({dir})}, {"{acked}", ShellQuote({acked})}});
}

absl::StatusOr<std::unique_ptr<CommandChecker>> CommandChecker::Make(const std::string& command, int seconds_max) {
  absl::StatusOr<std::unique_ptr<TemporaryDirectory>> directory = TemporaryDirectory::Make("aiolab-crash");
  if (!directory.ok()) return directory.status();
  const std::string said = (*directory)->path() + "/said";
  const absl::StatusOr<ProgramEnd> read = RunShell({"-n", "-c", command}, said);
  if (!read.ok()) return read.status();
  if (read->ShellStatus() != 0) {
    return absl::InvalidArgumentError(absl::StrCat("--check=", command, ": the shell cannot read it: ", Said(said)));
  }
  const std::string word = FirstWord(command);
  if (!word.empty()) {
    const absl::StatusOr<ProgramEnd> found = RunShell({"-c", "command -v \"$1\" >/dev/null", "sh", word}, said);
    if (!found.ok()) return found.status();
    if (found->ShellStatus() != 0) {
      return absl::InvalidArgumentError(absl::StrCat("--check=", command, ": there is no program '", word,
                                                     word.find('/') == word.npos ? "' in PATH" : "' that can be run"));
    }
  }
  return std::unique_ptr<CommandChecker>(new CommandChecker(command, seconds_max, *std::move(directory)));
}

absl::StatusOr<std::string> CommandChecker::Check(const CrashFiles& files, absl::string_view acknowledged) {
  const std::string dir = directory_->path() + "/dir";
  const std::string acked = directory_->path() + "/acked";
  const std::string said = directory_->path() + "/said";
  std::error_code error;
  fs::remove_all(dir, error);
  fs::remove(said, error);
  if (mkdir(dir.c_str(), 0700) != 0) return FileError(errno, dir, "cannot be made");
  if (const absl::Status status = ReplaceFile(acked, acknowledged); !status.ok()) return status;
  if (const absl::Status status = CopyToHost(files, dir); !status.ok()) {
    if (!absl::IsInternal(status)) return status;
    return absl::StrCat("the files cannot be read: ", status.message());
  }
  const absl::StatusOr<ProgramEnd> end = RunShell({"-c", CheckCommand(command_, dir, acked)}, said, seconds_max_);
  if (!end.ok()) return end.status();
  if (end->passed_on != 0) {
    return absl::CancelledError(absl::StrCat("ended by SIG", sigabbrev_np(end->passed_on)));
  }
  const int status = end->ShellStatus();
  if (status == 0) return std::string();
  if (status == kNotExecutable || status == kNotFound) {
    return absl::FailedPreconditionError(absl::StrCat("the checker cannot be run (status ", status, "): ", Said(said)));
  }
  const std::string words = Said(said);
  return absl::StrCat("the checker ", HowItEnded(*end, seconds_max_), words.empty() ? ", and said nothing" : ": ",
                      words);
}

}  // namespace aiolab
