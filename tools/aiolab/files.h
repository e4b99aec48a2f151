// Small whole files by raw system calls: nothing here passes through the C library, where a preload library sits.
#ifndef TOOLS_AIOLAB_FILES_H_
#define TOOLS_AIOLAB_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aiolab {

// The status for a failed system call on `path`: the message is "path: what: the error in words". ENOENT is NOT_FOUND,
// EEXIST is ALREADY_EXISTS, ENOSPC is RESOURCE_EXHAUSTED, anything else UNKNOWN.
absl::Status FileError(int error, absl::string_view path, absl::string_view what);

// All of the file at `path`.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Makes `path`, which must not exist, and writes `contents`. ALREADY_EXISTS if it does.
absl::Status CreateFile(const std::string& path, absl::string_view contents);

// Adds `contents` at the end of the file at `path`, in one write if the disk has room. Makes it if it is not there.
absl::Status AppendToFile(const std::string& path, absl::string_view contents);

// Makes `path` hold `contents`: a reader sees the old file or the new one, never a part. Uses `path`.tmp.
absl::Status ReplaceFile(const std::string& path, absl::string_view contents);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_FILES_H_
