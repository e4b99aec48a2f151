// One file of the tree as the house rules look at it: its lines as written, without comments, and without strings too.
#ifndef TOOLS_TIDY_SOURCE_FILE_H_
#define TOOLS_TIDY_SOURCE_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aiolab::tidy {

class SourceFile {
 public:
  // `path` is relative to the root of the tree, with slashes: "uapi/syscalls.h".
  SourceFile(std::string path, absl::string_view text);

  const std::string& path() const { return path_; }
  const std::vector<std::string>& lines() const { return lines_; }

  // The same lines with comments blanked; in C++ only. `code` has the contents of string and character literals blanked
  // too.
  const std::vector<std::string>& uncommented() const { return uncommented_; }
  const std::vector<std::string>& code() const { return code_; }

  bool IsUnder(absl::string_view folder) const;  // "kernel_model/"
  bool IsHeader() const;
  bool IsCpp() const;    // .h or .cc
  bool IsBuild() const;  // a BUILD file

 private:
  std::string path_;
  std::vector<std::string> lines_;
  std::vector<std::string> uncommented_;
  std::vector<std::string> code_;
};

// Reads every source file (.h .cc .c .bzl .py .sh, BUILD) under `root`, sorted by path. Leaves out hidden folders
// except .ci, Bazel's bazel-* links, and tools/bazel, which is not ours to shape.
absl::StatusOr<std::vector<SourceFile>> ReadTree(const std::string& root);

}  // namespace aiolab::tidy

#endif  // TOOLS_TIDY_SOURCE_FILE_H_
