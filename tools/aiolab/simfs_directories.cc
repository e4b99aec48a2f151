#include "tools/aiolab/simfs_directories.h"

#include <errno.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/simfs_spec.h"

namespace aiolab {
namespace {

namespace fs = std::filesystem;

absl::Status Refused(const SimfsSpec& spec, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--simfs=", spec.prefix, ": ", why));
}

// Nothing on the host may be where the client is to find a directory, except a directory, which it will not see.
absl::Status CheckPrefix(const SimfsSpec& spec) {
  for (fs::path path = spec.prefix; path.has_relative_path(); path = path.parent_path()) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status) || fs::is_directory(status)) continue;
    return Refused(spec, absl::StrCat(path == spec.prefix ? "it" : path.string(),
                                      " is a file on this machine; the prefix has to be a directory, or nothing yet"));
  }
  return absl::OkStatus();
}

// Also makes `path` absolute.
absl::Status CheckDirectory(const SimfsSpec& spec, const std::string& option, int access_mode, std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return Refused(spec, absl::StrCat(option, ": there is no such directory"));
  if (!fs::is_directory(status)) return Refused(spec, absl::StrCat(option, ": it is a file; it has to be a directory"));
  if (access(path.c_str(), access_mode) != 0) {
    return Refused(spec, FileError(errno, option, "it cannot be used").message());
  }
  path = fs::canonical(path).string();
  return absl::OkStatus();
}

// What is in the directory already would go, or stay among the files of the run.
absl::Status CheckTo(SimfsSpec& spec) {
  const std::string option = absl::StrCat("to=", spec.to);
  std::error_code error;
  if (fs::create_directory(spec.to, error); error) {
    return Refused(spec, absl::StrCat(option, ": it cannot be made: ", error.message()));
  }
  absl::Status status = CheckDirectory(spec, option, W_OK | X_OK, spec.to);
  if (!status.ok()) return status;
  // What the run itself keeps there would go in the middle of it.
  const fs::path temporary = fs::canonical(fs::temp_directory_path(error), error);
  if (absl::StartsWith(temporary.string() + "/", spec.to + "/")) {
    return Refused(spec, absl::StrCat(option, ": the directory for temporary files, ", temporary.string(),
                                      ", is in it; TMPDIR names another"));
  }
  if (spec.to == spec.from || fs::is_empty(spec.to, error)) return absl::OkStatus();
  return Refused(spec, absl::StrCat(option, ": there are files in it; it has to be new or empty, or that of from="));
}

}  // namespace

absl::StatusOr<std::string> PrepareSimfs(const std::string& simfs) {
  absl::StatusOr<SimfsSpec> spec = ParseSimfsSpec(simfs);
  if (!spec.ok()) return spec.status();
  absl::Status status = CheckPrefix(*spec);
  if (status.ok() && !spec->from.empty()) {
    status = CheckDirectory(*spec, absl::StrCat("from=", spec->from), R_OK | X_OK, spec->from);
  }
  if (status.ok() && !spec->to.empty()) status = CheckTo(*spec);
  if (!status.ok()) return status;
  return SimfsSpecText(*spec);
}

}  // namespace aiolab
