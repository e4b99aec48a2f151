#include "tools/aiolab/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/aiolab/files.h"
#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

// Null if that fails.
void* Map(size_t size, int flags, long fd) {
  const long mapped = RawSyscall(__NR_mmap, nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  return mapped < 0 && mapped >= -4095 ? nullptr : reinterpret_cast<void*>(mapped);
}

// Blocks are reserved, as a store into a mapping that the disk has no room for is a SIGBUS. Null if that fails.
void* MapNewFile(const std::string& path, size_t size) {
  const long fd = RawSyscall(__NR_openat, AT_FDCWD, path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return nullptr;
  void* const mapped = RawSyscall(__NR_fallocate, fd, 0, 0, size) == 0 ? Map(size, MAP_SHARED, fd) : nullptr;
  RawSyscall(__NR_close, fd);
  return mapped;
}

// 0 or an errno.
int WriteAll(long fd, absl::string_view text) {
  while (!text.empty()) {
    const long count = RawSyscall(__NR_write, fd, text.data(), text.size());
    if (count == -EINTR) continue;
    if (count <= 0) return count == 0 ? EIO : static_cast<int>(-count);
    text.remove_prefix(static_cast<size_t>(count));
  }
  return 0;
}

}  // namespace

std::string TailPath(absl::string_view run_dir, int rank) { return absl::StrCat(run_dir, "/trace_tail.", rank); }

TraceFile::TraceFile(std::string path, const std::string& tail_path) : path_(std::move(path)) {
  void* memory = MapNewFile(tail_path, sizeof(Tail));
  if (memory == nullptr) memory = Map(sizeof(Tail), MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (memory == nullptr) {
    error_ = std::string(FileError(ENOMEM, path_, "cannot be written").message());
    return;
  }
  tail_ = new (memory) Tail;
  tail_->bytes_before = 0;
  tail_->size.store(0, std::memory_order_release);
  Write("");
}

TraceFile::~TraceFile() {
  if (tail_ != nullptr) RawSyscall(__NR_munmap, tail_, sizeof(Tail));
}

void TraceFile::Append(absl::string_view lines) {
  while (!lines.empty() && error_.empty()) {
    const uint64_t size = tail_->size.load(std::memory_order_relaxed);
    const size_t count = std::min<size_t>(lines.size(), sizeof(tail_->text) - size);
    memcpy(tail_->text + size, lines.data(), count);
    tail_->size.store(size + count, std::memory_order_release);
    lines.remove_prefix(count);
    if (!lines.empty()) Flush();
  }
}

void TraceFile::Flush() {
  if (!error_.empty()) return;
  const uint64_t size = tail_->size.load(std::memory_order_relaxed);
  if (size == 0) return;
  Write({tail_->text, size});
  // In this order: who is killed in between has an empty tail, not one that begins at the wrong place.
  tail_->size.store(0, std::memory_order_release);
  tail_->bytes_before += size;
}

void TraceFile::Write(absl::string_view text) {
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND | (begun_ ? 0 : O_TRUNC);
  const long fd = RawSyscall(__NR_openat, AT_FDCWD, path_.c_str(), flags, 0644);
  const int error = fd < 0 ? static_cast<int>(-fd) : WriteAll(fd, text);
  if (fd >= 0) RawSyscall(__NR_close, fd);
  if (error != 0) {
    error_ = std::string(FileError(error, path_, "cannot be written").message());
  } else {
    begun_ = true;
  }
}

absl::Status RecoverTrace(const std::string& path, const std::string& tail_path) {
  const absl::StatusOr<std::string> contents = ReadFile(tail_path);
  if (!contents.ok() || contents->size() != sizeof(TraceFile::Tail)) return absl::OkStatus();
  const auto tail = std::make_unique<TraceFile::Tail>();
  memcpy(static_cast<void*>(tail.get()), contents->data(), sizeof(TraceFile::Tail));
  const uint64_t size = tail->size.load();
  if (size == 0 || size > sizeof(tail->text)) return absl::OkStatus();
  const long fd = RawSyscall(__NR_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0644);
  if (fd < 0) return FileError(static_cast<int>(-fd), path, "cannot be opened");
  // Killed in the middle of a write: a part of the tail is there already.
  uint64_t written = 0;
  struct stat file = {};
  if (RawSyscall(__NR_fstat, fd, &file) == 0 && S_ISREG(file.st_mode)) {
    written = std::min(
        static_cast<uint64_t>(file.st_size) - std::min(static_cast<uint64_t>(file.st_size), tail->bytes_before), size);
  }
  const int error = WriteAll(fd, {tail->text + written, size - written});
  RawSyscall(__NR_close, fd);
  return error == 0 ? absl::OkStatus() : FileError(error, path, "cannot be written");
}

}  // namespace aiolab
