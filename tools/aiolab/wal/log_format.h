// The log: records one after another, each a header and a payload. Sequence numbers count from 1 without a gap.
//
// Beside FILE stands FILE.acknowledged: the number of the last record that a caller was told is durable, as text.
#ifndef TOOLS_AIOLAB_WAL_LOG_FORMAT_H_
#define TOOLS_AIOLAB_WAL_LOG_FORMAT_H_

#include <cstdint>
#include <string>

namespace wal {

struct RecordHeader {
  uint32_t length;    // of the payload, bytes
  uint32_t crc32c;    // of the sequence number and the payload
  uint64_t sequence;  // 1, 2, ...
};
static_assert(sizeof(RecordHeader) == 16);

inline constexpr uint32_t kPayloadMax = 3000;  // bytes

// The payload of record `sequence`: of every length up to kPayloadMax, the same in every run, so a checker can tell a
// record of this log from a well-formed one of another.
std::string PayloadOf(uint64_t sequence);

// The whole record, header and payload.
std::string EncodeRecord(uint64_t sequence);

// What a checker found in a log.
struct LogCheck {
  uint64_t records = 0;  // right ones, from the start
  uint64_t bytes = 0;    // that they take
  std::string problem;   // empty if every byte belongs to a right record
};

// Reads the log in `bytes` until its end or the first record that is not right.
LogCheck CheckLog(const std::string& bytes);

}  // namespace wal

#endif  // TOOLS_AIOLAB_WAL_LOG_FORMAT_H_
