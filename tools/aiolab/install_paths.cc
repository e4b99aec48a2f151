#include "tools/aiolab/install_paths.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace aiolab {

std::vector<std::string> InstallPaths(absl::string_view tree_path, absl::string_view executable,
                                      absl::string_view runfiles_dir) {
  const absl::string_view file = tree_path.substr(tree_path.rfind('/') + 1);
  const absl::string_view directory = executable.substr(0, executable.rfind('/'));
  std::vector<std::string> paths;
  for (const std::string& root : {absl::StrCat(executable, ".runfiles"), std::string(runfiles_dir)}) {
    if (root.empty()) continue;
    // The workspace's own name, and what modules call the main repository.
    for (const char* repository : {"aiolab", "_main"}) {
      paths.push_back(absl::StrCat(root, "/", repository, "/", tree_path));
    }
  }
  paths.push_back(absl::StrCat(directory, "/", file));
  paths.push_back(absl::StrCat(directory, "/../lib/aiolab/", file));
  paths.push_back(absl::StrCat(directory, "/../../", tree_path));  // bazel-bin
  return paths;
}

absl::StatusOr<std::string> FindInstalled(absl::string_view tree_path) {
  std::error_code error;
  const std::string executable = std::filesystem::read_symlink("/proc/self/exe", error).string();
  const char* runfiles_dir = getenv("RUNFILES_DIR");
  if (runfiles_dir == nullptr) runfiles_dir = getenv("TEST_SRCDIR");
  const std::vector<std::string> paths =
      InstallPaths(tree_path, executable, runfiles_dir != nullptr ? runfiles_dir : "");
  for (const std::string& path : paths) {
    if (!std::filesystem::is_regular_file(path, error)) continue;
    const std::filesystem::path canonical = std::filesystem::canonical(path, error);
    return error ? path : canonical.string();
  }
  return absl::NotFoundError(absl::StrCat(tree_path.substr(tree_path.rfind('/') + 1), " is not installed; looked for ",
                                          absl::StrJoin(paths, ", ")));
}

std::vector<std::string> HowToCallAgain() {
  namespace fs = std::filesystem;
  const char* workspace = getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace == nullptr) return {program_invocation_name};
  std::error_code error;
  const fs::path link = fs::path(workspace) / "bazel-bin/tools/aiolab/aiolab";
  if (!fs::equivalent(link, "/proc/self/exe", error)) return {"bazel", "run", "-c", "opt", "//tools/aiolab", "--"};
  const fs::path here = fs::current_path(error);
  return {fs::equivalent(here, workspace, error) ? "bazel-bin/tools/aiolab/aiolab" : link.string()};
}

}  // namespace aiolab
