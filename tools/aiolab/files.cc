#include "tools/aiolab/files.h"

#include <errno.h>
#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "uapi/errno_name.h"
#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

absl::Status Write(const std::string& path, int flags, absl::string_view contents) {
  const long fd = RawSyscall(__NR_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (fd < 0) return FileError(static_cast<int>(-fd), path, "cannot be created");
  absl::Status status;
  while (!contents.empty()) {
    const long count = RawSyscall(__NR_write, fd, contents.data(), contents.size());
    if (count == -EINTR) continue;
    if (count < 0) {
      status = FileError(static_cast<int>(-count), path, "cannot be written");
      break;
    }
    contents.remove_prefix(static_cast<size_t>(count));
  }
  RawSyscall(__NR_close, fd);
  return status;
}

}  // namespace

absl::Status FileError(int error, absl::string_view path, absl::string_view what) {
  const std::string message = absl::StrCat(path, ": ", what, ": ", ErrnoDescription(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EEXIST) return absl::AlreadyExistsError(message);
  if (error == ENOSPC) return absl::ResourceExhaustedError(message);
  return absl::UnknownError(message);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const long fd = RawSyscall(__NR_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return FileError(static_cast<int>(-fd), path, "cannot be opened");
  std::string contents;
  absl::Status status;
  char buf[4096];
  for (;;) {
    const long count = RawSyscall(__NR_read, fd, buf, sizeof(buf));
    if (count == -EINTR) continue;
    if (count < 0) status = FileError(static_cast<int>(-count), path, "cannot be read");
    if (count <= 0) break;
    contents.append(buf, static_cast<size_t>(count));
  }
  RawSyscall(__NR_close, fd);
  if (!status.ok()) return status;
  return contents;
}

absl::Status AppendToFile(const std::string& path, absl::string_view contents) {
  return Write(path, O_APPEND, contents);
}

absl::Status CreateFile(const std::string& path, absl::string_view contents) { return Write(path, O_EXCL, contents); }

absl::Status ReplaceFile(const std::string& path, absl::string_view contents) {
  const std::string next = absl::StrCat(path, ".tmp");
  const absl::Status status = Write(next, O_TRUNC, contents);
  if (!status.ok()) return status;
  const long ret = RawSyscall(__NR_renameat2, AT_FDCWD, next.c_str(), AT_FDCWD, path.c_str(), 0);
  if (ret < 0) return FileError(static_cast<int>(-ret), path, "cannot be renamed from its .tmp");
  return absl::OkStatus();
}

}  // namespace aiolab
