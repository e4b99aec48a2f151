#include "kernel_model/sim/fault_match.h"

#include <errno.h>

#include <algorithm>

#include "uapi/aio_abi.h"

namespace aiolab {

bool FaultNumbersMatch(const FaultFilter& filter, const FaultPoint& point) {
  if (filter.fd >= 0 && filter.fd != point.fd) return false;
  if (filter.open != 0 && filter.open != point.open) return false;
  if (filter.ctx != 0 && filter.ctx != point.ctx) return false;
  if ((filter.rwf & point.rwf) != filter.rwf) return false;
  return point.size >= filter.size_first && point.size <= filter.size_last;
}

namespace {

// Errors of a file that takes no more bytes: a read never meets them.
bool OnlyForWrites(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EROFS; }

}  // namespace

bool FaultFits(const FaultWhat& what, FaultSite site, const FaultPoint& point) {
  const bool transfer = site == FaultSite::kComplete || site == FaultSite::kDevice;
  switch (what.kind) {
    case FaultKind::kShort:
      if (transfer && !IsFaultRead(point.op) && !IsFaultWrite(point.op)) return false;
      if (transfer && point.direct)
        return point.size > std::max(what.n, kFaultSectorSize) && (what.n == 0 || what.n >= kFaultSectorSize);
      return point.size > std::max<uint64_t>(what.n, 1);
    case FaultKind::kErrno:
      // A ring is full of something: a client that has nothing outstanding has all its slots.
      if ((site == FaultSite::kSubmitOne || site == FaultSite::kSubmit) && what.error == EAGAIN) return point.others;
      // A wait is interrupted where it begins, and the call ends with another error before that.
      if (site == FaultSite::kGetevents || site == FaultSite::kPgetevents) return point.waits == (what.error == EINTR);
      if (!what.model.empty()) return point.models;
      if (site == FaultSite::kPage)
        return OnlyForWrites(what.error) ? IsFaultWrite(point.op) : what.error != EIO || point.reads;
      return !transfer || what.illegal || !OnlyForWrites(what.error) || IsFaultWrite(point.op) ||
             (site == FaultSite::kComplete && IsFaultFsync(point.op));
    case FaultKind::kNowaitBlock:
      return (point.rwf & RWF_NOWAIT) != 0;
    case FaultKind::kReorder:
      return point.others;
    case FaultKind::kTorn:
      return point.bytes && IsFaultWrite(point.op) && point.size > kFaultSectorSize;
    case FaultKind::kLost:
      if (site == FaultSite::kDevice && IsFaultFsync(point.op)) return true;
      return !transfer || (point.bytes && IsFaultWrite(point.op) && point.size > 0);
    case FaultKind::kMisdirected:
      return point.bytes && (IsFaultWrite(point.op) || IsFaultRead(point.op));
    case FaultKind::kBitrot:
      return point.bytes && IsFaultRead(point.op) && point.size > 0;
    case FaultKind::kBadSector:
      return (IsFaultWrite(point.op) || IsFaultRead(point.op)) && point.size > 0;
    default:
      return true;
  }
}

bool FaultGlobMatches(absl::string_view pattern, absl::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = absl::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] == text[t] && pattern[p] != '*'))) {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool IsFaultWrite(uint16_t op) { return op == IOCB_CMD_PWRITE || op == IOCB_CMD_PWRITEV; }
bool IsFaultRead(uint16_t op) { return op == IOCB_CMD_PREAD || op == IOCB_CMD_PREADV; }
bool IsFaultFsync(uint16_t op) { return op == IOCB_CMD_FSYNC || op == IOCB_CMD_FDSYNC; }

absl::string_view WhyItDoesNotFit(const FaultWhat& what) {
  switch (what.kind) {
    case FaultKind::kShort:
      return ": none was long enough";
    case FaultKind::kErrno:
      if (what.error == EAGAIN) return ": it needs another request that is not reaped yet (slab=...:enomem does not)";
      if (what.error == EINTR) return ": none had to wait";
      if (what.error == EIO && what.model.empty()) return ": none had to be read";
      return OnlyForWrites(what.error) ? ": none was a write or an fsync" : "";
    case FaultKind::kNowaitBlock:
      return ": none had RWF_NOWAIT";
    case FaultKind::kReorder:
      return ": there was never another one";
    case FaultKind::kTorn:
    case FaultKind::kLost:
      return ": none was a write that is long enough";
    default:
      return "";
  }
}

}  // namespace aiolab
