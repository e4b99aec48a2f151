#include "tools/crash/dm_log_writes.h"

#include <deque>

#include "absl/strings/str_cat.h"

namespace aiolab {
namespace {

void PutNumber(uint64_t number, size_t bytes, std::string* to) {
  for (size_t i = 0; i < bytes; ++i) to->push_back(static_cast<char>(number >> 8 * i));
}

class Writer {
 public:
  explicit Writer(uint32_t sector_bytes) : sector_bytes_(sector_bytes) {}

  void Mark(const std::string& name) { Entry(0, 0, kDmLogMark, name); }
  void Flush() { Entry(0, 0, kDmLogFlush, ""); }
  void Request(const LoggedRequest& request) {
    const uint64_t per_sector = sector_bytes_ / 512;
    const bool writes = request.kind == DiskObserver::Kind::kWrite;
    const uint64_t flags = (request.fua ? kDmLogFua : 0) | (writes ? 0 : kDmLogDiscard);
    Entry(request.sector % DiskObserver::kSectorsPerDisk / per_sector, request.sectors / per_sector, flags, "");
    if (writes) body_ += request.bytes;
  }

  std::string Finish() const {
    std::string log;
    PutNumber(kDmLogWritesMagic, 8, &log);
    PutNumber(kDmLogWritesVersion, 8, &log);
    PutNumber(entries_, 8, &log);
    PutNumber(sector_bytes_, 4, &log);
    log.resize(sector_bytes_);
    return log + body_;
  }

 private:
  void Entry(uint64_t sector, uint64_t sectors, uint64_t flags, const std::string& text) {
    const size_t begin = body_.size();
    PutNumber(sector, 8, &body_);
    PutNumber(sectors, 8, &body_);
    PutNumber(flags, 8, &body_);
    PutNumber(text.size(), 8, &body_);
    body_ += text;
    body_.resize(begin + sector_bytes_);
    ++entries_;
  }

  const uint32_t sector_bytes_;
  uint64_t entries_ = 0;
  std::string body_;
};

bool Overlap(const LoggedRequest& a, const LoggedRequest& b) {
  return a.sector < b.sector + b.sectors && b.sector < a.sector + a.sectors;
}

}  // namespace

std::string ToDmLogWrites(const WriteLog& log, uint32_t sector_bytes, uint64_t disk) {
  Writer writer(sector_bytes);
  std::deque<uint64_t> unflushed;  // requests
  const auto put_until = [&](uint64_t end) {
    for (; !unflushed.empty() && unflushed.front() < end; unflushed.pop_front()) {
      writer.Request(log.requests[unflushed.front()]);
    }
  };
  auto mark = log.marks.begin();
  uint64_t acknowledged = 0;
  for (uint64_t i = 0; i <= log.requests.size(); ++i) {
    if (i == log.first_crash_point) writer.Mark("begin");
    for (; mark != log.marks.end() && mark->position == i; ++mark) {
      if (mark->acknowledged == acknowledged) continue;
      acknowledged = mark->acknowledged;
      writer.Mark(absl::StrCat("acknowledged ", acknowledged));
    }
    if (log.has_end && i == log.last_crash_point) writer.Mark("end");
    if (i == log.requests.size()) break;
    const LoggedRequest& request = log.requests[i];
    if (request.disk() != disk || request.lost) continue;
    if (request.kind == DiskObserver::Kind::kFlush) {
      put_until(request.began);
      writer.Flush();
    } else if (request.fua) {
      // Older writes to the same place must not come back over it when the log is replayed.
      for (size_t at = unflushed.size(); at-- > 0;) {
        if (!Overlap(log.requests[unflushed[at]], request)) continue;
        put_until(unflushed[at] + 1);
        break;
      }
      writer.Request(request);
    } else {
      unflushed.push_back(i);
    }
  }
  put_until(log.requests.size());
  return writer.Finish();
}

}  // namespace aiolab
