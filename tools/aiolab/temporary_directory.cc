#include "tools/aiolab/temporary_directory.h"

#include <errno.h>
#include <stdlib.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tools/aiolab/files.h"

namespace aiolab {

namespace fs = std::filesystem;

absl::StatusOr<std::unique_ptr<TemporaryDirectory>> TemporaryDirectory::Make(const std::string& name) {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (error) return absl::FailedPreconditionError(absl::StrCat("TMPDIR names no directory: ", error.message()));
  std::string path = (fs::absolute(parent) / absl::StrCat(name, ".XXXXXX")).string();
  if (mkdtemp(path.data()) == nullptr) return FileError(errno, path, "cannot be made (TMPDIR says where)");
  return std::unique_ptr<TemporaryDirectory>(new TemporaryDirectory(path));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;  // a process that outlives its use may be writing
  fs::remove_all(path_, ignored);
}

}  // namespace aiolab
