// Where the files are that come with aiolab: in Bazel's runfiles, or beside the binary.
#ifndef TOOLS_AIOLAB_INSTALL_PATHS_H_
#define TOOLS_AIOLAB_INSTALL_PATHS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aiolab {

// The places where `tree_path` ("tools/preload/libaiolab_preload.so") may be, best first, for a binary at `executable`.
// `runfiles_dir` is the value of RUNFILES_DIR or TEST_SRCDIR, or empty.
std::vector<std::string> InstallPaths(absl::string_view tree_path, absl::string_view executable,
                                      absl::string_view runfiles_dir);

// The first of them that exists, for this binary. NOT_FOUND names them all.
absl::StatusOr<std::string> FindInstalled(absl::string_view tree_path);

// The words with which the user can start this program again, from where he is: as he did, or, after `bazel run`, by
// its link in the workspace.
std::vector<std::string> HowToCallAgain();

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_INSTALL_PATHS_H_
