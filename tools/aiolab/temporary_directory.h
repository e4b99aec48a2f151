// A directory of its own in TMPDIR, which goes with all that is in it.
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
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_TEMPORARY_DIRECTORY_H_
