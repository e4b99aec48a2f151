// A directory of its own in TMPDIR, which goes with all that is in it. It is locked as long as its process lives: one
// that was killed leaves a directory which the next to make one of that name removes.
#ifndef TOOLS_AIOLAB_TEMPORARY_DIRECTORY_H_
#define TOOLS_AIOLAB_TEMPORARY_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace aiolab {

class TemporaryDirectory {
 public:
  // `name` is how its name begins. The error says that TMPDIR is where it would have been.
  static absl::StatusOr<std::unique_ptr<TemporaryDirectory>> Make(const std::string& name);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  // Absolute.
  const std::string& path() const { return path_; }

 private:
  TemporaryDirectory(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  const std::string path_;
  const int fd_;  // holds the lock
};

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_TEMPORARY_DIRECTORY_H_
