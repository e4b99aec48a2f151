#include "tools/aiolab/temporary_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

namespace fs = std::filesystem;

// Opens `directory` and takes its lock. -1 if somebody has it, or it is not ours to open.
int Lock(const fs::path& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  close(fd);
  return -1;
}

void RemoveUnlocked(const fs::path& parent, const std::string& prefix) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, ignored)) {
    if (!absl::StartsWith(entry.path().filename().string(), prefix)) continue;
    const int fd = Lock(entry.path());
    if (fd < 0) continue;
    fs::remove_all(entry.path(), ignored);
    close(fd);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<TemporaryDirectory>> TemporaryDirectory::Make(const std::string& name) {
  std::error_code error;
  fs::path parent = fs::temp_directory_path(error);
  if (error) return absl::FailedPreconditionError(absl::StrCat("TMPDIR names no directory: ", error.message()));
  parent = fs::absolute(parent);
  const std::string prefix = absl::StrCat(name, ".");
  RemoveUnlocked(parent, prefix);
  // By another name until it is locked, as another process may be looking for those that are not.
  std::string unlocked = (parent / "aiolab-new.XXXXXX").string();
  if (mkdtemp(unlocked.data()) == nullptr) return FileError(errno, unlocked, "cannot be made (TMPDIR says where)");
  const int fd = Lock(unlocked);
  const std::string path = (parent / (prefix + unlocked.substr(unlocked.size() - 6))).string();
  if (fd < 0 || rename(unlocked.c_str(), path.c_str()) != 0) {
    const int failure = errno;
    rmdir(unlocked.c_str());
    if (fd >= 0) close(fd);
    return FileError(failure, unlocked, absl::StrCat("cannot become ", path));
  }
  return std::unique_ptr<TemporaryDirectory>(new TemporaryDirectory(path, fd));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;  // a process that outlives its use may be writing
  fs::remove_all(path_, ignored);
  close(fd_);
}

}  // namespace aiolab
