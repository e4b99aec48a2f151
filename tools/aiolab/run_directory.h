// The directory in which one run's processes leave their reports.
#ifndef TOOLS_AIOLAB_RUN_DIRECTORY_H_
#define TOOLS_AIOLAB_RUN_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace aiolab {

// Goes with all that is in it. It is locked as long as its runner lives: one that was killed leaves a directory which
// the next run removes.
class RunDirectory {
 public:
  // In TMPDIR. FAILED_PRECONDITION or the error of a file says why not.
  static absl::StatusOr<std::unique_ptr<RunDirectory>> Make();
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  RunDirectory(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  const std::string path_;
  const int fd_;  // holds the lock
};

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_RUN_DIRECTORY_H_
