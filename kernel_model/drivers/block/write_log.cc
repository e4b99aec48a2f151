#include "kernel_model/drivers/block/write_log.h"

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace aiolab {
namespace {

enum class RecordType : uint8_t { kRequest = 1, kMark = 2, kBegin = 3, kEnd = 4, kFork = 5 };

// Before what is variable. In the machine's own byte order: the log is read where it was written.
struct RecordHeader {
  static constexpr uint32_t kMagic = 0x676f6c77;  // "wlog"
  uint32_t magic;
  RecordType type;
  uint8_t kind;  // DiskObserver::Kind
  bool fua;
  bool lost;
  uint64_t sector;  // of a mark: what is acknowledged
  uint64_t sectors;
  uint64_t began;
  uint64_t bytes;  // that follow
};

std::string Encode(RecordHeader header, absl::string_view bytes) {
  header.magic = RecordHeader::kMagic;
  header.bytes = bytes.size();
  return absl::StrCat(absl::string_view(reinterpret_cast<const char*>(&header), sizeof(header)), bytes);
}

void Append(const RecordHeader& header, absl::string_view bytes, WriteLog* log) {
  switch (header.type) {
    case RecordType::kRequest:
      log->requests.push_back({static_cast<DiskObserver::Kind>(header.kind), header.fua, header.sector, header.sectors,
                               header.began, std::string(bytes), header.lost});
      return;
    case RecordType::kMark:
      log->marks.push_back({log->requests.size(), header.sector, std::string(bytes)});
      return;
    case RecordType::kBegin:
      log->first_crash_point = log->own_requests_begin = log->requests.size();
      return;
    case RecordType::kEnd:
      log->last_crash_point = log->requests.size();
      log->has_end = true;
      return;
    case RecordType::kFork:
      log->own_requests_begin = log->requests.size();
      log->own_marks_begin = log->marks.size();
      return;
  }
}

}  // namespace

// A child begins with what its parent had not made durable: only what differs from that is its own.
bool WriteLog::HasOwnWork() const {
  if (last_crash_point > own_requests_begin || !has_end) return true;
  const std::string before = own_marks_begin == 0 ? "" : marks[own_marks_begin - 1].note;
  return std::any_of(marks.begin() + static_cast<long>(own_marks_begin), marks.end(),
                     [&before](const LogMark& mark) { return mark.note != before; });
}

bool WriteLog::Uses(uint64_t disk) const {
  return std::any_of(requests.begin() + static_cast<long>(first_crash_point), requests.end(),
                     [disk](const LoggedRequest& request) { return request.disk() == disk; });
}

const LogMark* WriteLog::MarkAt(uint64_t position) const {
  const auto after = std::upper_bound(marks.begin(), marks.end(), position,
                                      [](uint64_t at, const LogMark& mark) { return at < mark.position; });
  return after == marks.begin() ? nullptr : &*(after - 1);
}

std::string EncodeRequest(const DiskObserver::Entry& entry) {
  RecordHeader header = {};
  header.type = RecordType::kRequest;
  header.kind = static_cast<uint8_t>(entry.kind);
  header.fua = entry.fua;
  header.lost = entry.lost;
  header.sector = entry.sector;
  header.sectors = entry.sectors;
  header.began = entry.began;
  return Encode(header, entry.bytes);
}

std::string EncodeMark(uint64_t acknowledged, absl::string_view note) {
  RecordHeader header = {};
  header.type = RecordType::kMark;
  header.sector = acknowledged;
  return Encode(header, note);
}

std::string EncodeBegin() {
  RecordHeader header = {};
  header.type = RecordType::kBegin;
  return Encode(header, "");
}

std::string EncodeEnd() {
  RecordHeader header = {};
  header.type = RecordType::kEnd;
  return Encode(header, "");
}

std::string EncodeFork() {
  RecordHeader header = {};
  header.type = RecordType::kFork;
  return Encode(header, "");
}

absl::StatusOr<WriteLog> ParseWriteLog(absl::string_view text) {
  WriteLog log;
  const size_t size = text.size();
  while (text.size() >= sizeof(RecordHeader)) {
    RecordHeader header;
    memcpy(&header, text.data(), sizeof(header));
    const bool known = header.type >= RecordType::kRequest && header.type <= RecordType::kFork &&
                       header.kind <= static_cast<uint8_t>(DiskObserver::Kind::kWriteZeroes);
    if (header.magic != RecordHeader::kMagic || !known) {
      return absl::InvalidArgumentError(absl::StrCat("byte ", size - text.size(), " begins no record of a write log"));
    }
    text.remove_prefix(sizeof(header));
    if (text.size() < header.bytes) break;
    Append(header, text.substr(0, header.bytes), &log);
    text.remove_prefix(header.bytes);
  }
  if (!log.has_end) log.last_crash_point = log.requests.size();
  return log;
}

}  // namespace aiolab
