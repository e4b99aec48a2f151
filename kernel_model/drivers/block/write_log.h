// What was written to a disk, or several, in the order in which it completed, and what their client had promised by
// then: all that is needed to say what a power cut could have left (crash_state.h).
//
//   std::string text = EncodeRequest(entry) + EncodeMark({...}) + ...;   // as it happens, see DiskObserver
//   absl::StatusOr<WriteLog> log = ParseWriteLog(text);
//
// The text may be cut off anywhere, as by a client that was killed: what is not whole at its end does not count.
#ifndef KERNEL_MODEL_DRIVERS_BLOCK_WRITE_LOG_H_
#define KERNEL_MODEL_DRIVERS_BLOCK_WRITE_LOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernel_model/drivers/block/sim_disk.h"

namespace aiolab {

struct LoggedRequest {
  DiskObserver::Kind kind = DiskObserver::Kind::kWrite;
  bool fua = false;
  uint64_t sector = 0;  // those of disk n begin at n * DiskObserver::kSectorsPerDisk
  uint64_t sectors = 0;
  uint64_t began = 0;  // how many requests came before it was given to the disk
  std::string bytes;   // of a write
  bool lost = false;   // the disk only said that it had done it

  uint64_t disk() const { return sector / DiskObserver::kSectorsPerDisk; }

  friend bool operator==(const LoggedRequest&, const LoggedRequest&) = default;
};

// Something that became known between two requests.
struct LogMark {
  uint64_t position = 0;      // how many requests came before it
  uint64_t acknowledged = 0;  // what the client had promised, in a measure that only grows
  std::string note;           // for a report

  friend bool operator==(const LogMark&, const LogMark&) = default;
};

struct WriteLog {
  std::vector<LoggedRequest> requests;
  std::vector<LogMark> marks;  // in order
  // How many requests were there when the client began: what came before made the file system.
  uint64_t first_crash_point = 0;
  // Where the client ended. What comes behind it wrote back what the client had left, so that the last disk is as the
  // client saw it. Without an end (the client was killed) it is behind the last request.
  uint64_t last_crash_point = 0;
  bool has_end = false;
  // How many requests and marks were there when the process began. Of a child of fork() they are a copy of its
  // parent's; of any other, what made the file system.
  uint64_t own_requests_begin = 0;
  uint64_t own_marks_begin = 0;

  // The process changed something, or was killed before that could be seen.
  bool HasOwnWork() const;

  // Something of its client reached the disk with this number.
  bool Uses(uint64_t disk) const;

  // The last mark that comes before request `position`; null if there is none.
  const LogMark* MarkAt(uint64_t position) const;
};

std::string EncodeRequest(const DiskObserver::Entry& entry);
// Its position is where it stands.
std::string EncodeMark(uint64_t acknowledged, absl::string_view note);
// The client begins here, and ends here.
std::string EncodeBegin();
std::string EncodeEnd();
// What stands before it is the parent's.
std::string EncodeFork();

// INVALID_ARGUMENT if this is no write log.
absl::StatusOr<WriteLog> ParseWriteLog(absl::string_view text);

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_BLOCK_WRITE_LOG_H_
