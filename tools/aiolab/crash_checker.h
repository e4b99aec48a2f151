// A command that says whether the files which a crash left are right.
#ifndef TOOLS_AIOLAB_CRASH_CHECKER_H_
#define TOOLS_AIOLAB_CRASH_CHECKER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/aiolab/crash_files.h"
#include "tools/aiolab/temporary_directory.h"

namespace aiolab {

// The command for these places.
std::string CheckCommand(const std::string& command, const std::string& dir, const std::string& acked);

class CommandChecker {
 public:
  // `command` is for /bin/sh, with {dir} and {acked} in it. It is refused if it takes longer. INVALID_ARGUMENT if the
  // shell cannot read it, or if its first word is no program.
  static absl::StatusOr<std::unique_ptr<CommandChecker>> Make(const std::string& command, int seconds_max);

  // Copies the files to a directory and runs the command. "" if it accepts what is there, else how it ended and what it
  // said. FAILED_PRECONDITION if it could not be run, CANCELLED if the user has had enough.
  absl::StatusOr<std::string> Check(const CrashFiles& files, absl::string_view acknowledged);

 private:
  CommandChecker(std::string command, int seconds_max, std::unique_ptr<TemporaryDirectory> directory)
      : command_(std::move(command)), seconds_max_(seconds_max), directory_(std::move(directory)) {}

  const std::string command_;
  const int seconds_max_;
  const std::unique_ptr<TemporaryDirectory> directory_;
};

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_CRASH_CHECKER_H_
