// A small write-ahead log on libaio: what a storage engine does, on one page.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tools/aiolab/wal/aio_batch.h"
#include "tools/aiolab/wal/log_format.h"

namespace wal {
namespace {

constexpr char kUsage[] =
    "usage: wal append FILE [RECORDS [DEPTH]]   write RECORDS (200) records, DEPTH (8) writes at once\n"
    "       wal rotate FILE [RECORDS [DEPTH]]   the same, and after each commit a copy takes the log's place;\n"
    "                                           says what is acknowledged on standard output\n"
    "       wal rename-before-fsync FILE [RECORDS [DEPTH]]   the same, in the wrong order\n"
    "       wal check FILE                      verify that every acknowledged record is there\n";

// When a copy of the log takes its place.
enum class Rotation {
  kNone,
  kSyncThenRename,
  kRenameThenSync,  // what this is there to show: a power cut in between leaves a log without its records
};

int Fail(const std::string& what) {
  fprintf(stderr, "wal: %s\n", what.c_str());
  return 1;
}

std::string ErrnoText(const std::string& path) { return path + ": " + strerror(errno); }

std::string AcknowledgedPath(const std::string& path) { return path + ".acknowledged"; }

std::string SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoText(directory);
  const std::string error = fsync(fd) == 0 ? "" : ErrnoText(directory);
  close(fd);
  return error;
}

// One commit: `depth` writes of some records each, together in flight, then a sync. Only then are they acknowledged.
class Appender {
 public:
  Appender(int fd, int depth) : fd_(fd), depth_(depth), batch_(std::make_unique<AioBatch>(fd, depth)) {}
  ~Appender() {
    batch_.reset();
    close(fd_);
  }

  std::string Commit(uint64_t records_max) {
    std::vector<std::string> writes;
    const uint64_t last = std::min(records_max, sequence_ + kRecordsPerWrite * static_cast<uint64_t>(depth_));
    while (sequence_ < last) {
      std::string& bytes = writes.emplace_back();
      for (uint64_t i = 0; i < kRecordsPerWrite && sequence_ < last; ++i) bytes += EncodeRecord(++sequence_);
    }
    for (const std::string& bytes : writes) {
      batch_->AddWrite(bytes.data(), bytes.size(), static_cast<long long>(size_));
      size_ += bytes.size();
    }
    std::string error = batch_->Finish();
    return error.empty() ? batch_->DataSync() : error;
  }

  // Puts a copy of the log in its place.
  std::string Rotate(const std::string& path, Rotation rotation) {
    std::string bytes;
    for (uint64_t record = 1; record <= sequence_; ++record) bytes += EncodeRecord(record);
    const std::string copy = path + ".new";
    const int fd = open(copy.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return ErrnoText(copy);
    auto batch = std::make_unique<AioBatch>(fd, depth_);
    batch->AddWrite(bytes.data(), bytes.size(), 0);
    std::string error = batch->Finish();
    if (error.empty() && rotation == Rotation::kSyncThenRename) error = batch->DataSync();
    if (error.empty() && rename(copy.c_str(), path.c_str()) != 0) error = ErrnoText(copy);
    if (error.empty()) error = SyncDirectoryOf(path);
    if (error.empty() && rotation == Rotation::kRenameThenSync) error = batch->DataSync();
    batch_ = std::move(batch);
    close(fd_);
    fd_ = fd;
    return error;
  }

  // Reads the log back, in pieces of one page, and checks it.
  std::string ReadBack() {
    std::string bytes(size_, '\0');
    for (size_t offset = 0; offset < bytes.size(); offset += kReadSize) {
      batch_->AddRead(&bytes[offset], std::min(kReadSize, bytes.size() - offset), static_cast<long long>(offset));
    }
    std::string error = batch_->Finish();
    if (!error.empty()) return error;
    const LogCheck check = CheckLog(bytes);
    if (!check.problem.empty()) return "read back: " + check.problem;
    if (check.records != sequence_) return "read back: " + std::to_string(check.records) + " records";
    return "";
  }

  uint64_t sequence() const { return sequence_; }
  size_t size() const { return size_; }

 private:
  static constexpr uint64_t kRecordsPerWrite = 3;
  static constexpr size_t kReadSize = 4096;  // bytes

  int fd_;
  const int depth_;
  std::unique_ptr<AioBatch> batch_;
  uint64_t sequence_ = 0;
  size_t size_ = 0;
};

int Append(const std::string& path, uint64_t records, int depth, Rotation rotation) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return Fail(ErrnoText(path));
  if (const std::string error = SyncDirectoryOf(path); !error.empty()) return Fail(error);
  FILE* acknowledged = nullptr;
  if (rotation == Rotation::kNone) {
    acknowledged = fopen(AcknowledgedPath(path).c_str(), "we");
    if (acknowledged == nullptr) return Fail(ErrnoText(AcknowledgedPath(path)));
  }
  Appender appender(fd, depth);
  while (appender.sequence() < records) {
    const std::string error = appender.Commit(records);
    if (!error.empty()) return Fail(path + ": " + error);
    if (acknowledged != nullptr) {
      rewind(acknowledged);
      fprintf(acknowledged, "%llu\n", static_cast<unsigned long long>(appender.sequence()));
      if (fflush(acknowledged) != 0) return Fail(ErrnoText(AcknowledgedPath(path)));
      continue;
    }
    printf("acknowledged %llu\n", static_cast<unsigned long long>(appender.sequence()));
    fflush(stdout);
    const std::string rotation_error = appender.Rotate(path, rotation);
    if (!rotation_error.empty()) return Fail(path + ": " + rotation_error);
  }
  const std::string error = appender.ReadBack();
  if (!error.empty()) return Fail(path + ": " + error);
  printf("wal: appended %llu records, %zu bytes\n", static_cast<unsigned long long>(records), appender.size());
  if (acknowledged != nullptr) fclose(acknowledged);
  return 0;
}

bool ReadWhole(const std::string& path, std::string& bytes) {
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return false;
  char buf[65536];
  while (const size_t count = fread(buf, 1, sizeof(buf), file)) bytes.append(buf, count);
  const bool ok = ferror(file) == 0;
  fclose(file);
  return ok;
}

int Check(const std::string& path) {
  std::string bytes;
  std::string acknowledged_text;
  if (!ReadWhole(path, bytes)) return Fail(ErrnoText(path));
  if (!ReadWhole(AcknowledgedPath(path), acknowledged_text)) return Fail(ErrnoText(AcknowledgedPath(path)));
  const uint64_t acknowledged = strtoull(acknowledged_text.c_str(), nullptr, 10);
  const LogCheck check = CheckLog(bytes);
  if (check.records < acknowledged) {
    return Fail(path + ": " + std::to_string(acknowledged) + " records were acknowledged, but only " +
                std::to_string(check.records) + " are there" + (check.problem.empty() ? "" : ": " + check.problem));
  }
  // Behind the last acknowledged record, a torn one is what a crash may leave.
  printf("wal: %llu records, %llu bytes, all %llu acknowledged ones in order\n",
         static_cast<unsigned long long>(check.records), static_cast<unsigned long long>(check.bytes),
         static_cast<unsigned long long>(acknowledged));
  return 0;
}

// The whole argument as a number of `min` to `max`.
bool ParseNumber(const char* text, uint64_t min, uint64_t max, uint64_t& number) {
  char* end = nullptr;
  errno = 0;
  number = strtoull(text, &end, 10);
  return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && number >= min && number <= max;
}

int Main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "check" && argc == 3) return Check(argv[2]);
  uint64_t records = 200;
  uint64_t depth = 8;
  const Rotation rotation = command == "rotate"                ? Rotation::kSyncThenRename
                            : command == "rename-before-fsync" ? Rotation::kRenameThenSync
                                                               : Rotation::kNone;
  if ((command == "append" || rotation != Rotation::kNone) && argc >= 3 && argc <= 5) {
    if (argc > 3 && !ParseNumber(argv[3], 0, 10'000'000, records)) {
      return Fail(std::string("RECORDS is '") + argv[3] + "', but has to be a number from 0 to 10000000");
    }
    if (argc > 4 && !ParseNumber(argv[4], 1, 1024, depth)) {
      return Fail(std::string("DEPTH is '") + argv[4] + "', but has to be a number from 1 to 1024");
    }
    return Append(argv[2], records, static_cast<int>(depth), rotation);
  }
  fputs(kUsage, stderr);
  return 1;
}

}  // namespace
}  // namespace wal

int main(int argc, char** argv) { return wal::Main(argc, argv); }
