#include "kernel_model/fs/aio_fault.h"

#include <errno.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kernel_model/mm/uaccess.h"
#include "kernel_model/sim/exponential.h"

namespace aiolab {
namespace {

// How long a request takes that fails somewhere on the way.
constexpr int64_t kFailureFixedNs = 20'000;
constexpr int64_t kFailureMeanNs = 60'000;

// After so long nothing comes any more that could overtake.
constexpr int64_t kReorderMaxNs = 10'000'000;

// By how much a transfer goes astray if the rule does not say.
constexpr loff_t kMisdirectedBytes = 4096;

constexpr FaultKinds kTimings = FaultKindBit(FaultKind::kDelay) | FaultKindBit(FaultKind::kSpike) |
                                FaultKindBit(FaultKind::kReorder) | FaultKindBit(FaultKind::kHold) |
                                FaultKindBit(FaultKind::kRelease);

void FlipOneBit(const iov_iter& iter, int64_t bytes) {
  if (bytes <= 0) return;
  const uint32_t quantile = current_kernel().chooser.Choose(Choice::kFault, kQuantiles, "fault/which-byte");
  auto offset = static_cast<size_t>((bytes - 1) * quantile / (kQuantiles - 1));
  for (const iovec& segment : iter.segments) {
    if (offset >= segment.iov_len) {
      offset -= segment.iov_len;
      continue;
    }
    char* const address = static_cast<char*>(segment.iov_base) + offset;
    char byte;
    if (CopyPinned(&byte, address, 1) != 0) return;
    byte = static_cast<char>(byte ^ 0x10);
    (void)CopyPinned(address, &byte, 1);
    return;
  }
}

struct delayed_signal : held_back {
  explicit delayed_signal(eventfd_ctx& ctx) : ctx(ctx) { ctx.get(); }
  void let_go() override {
    ctx.signal();
    ctx.put();
    delete this;
  }
  eventfd_ctx& ctx;
};

}  // namespace

void aio_fate::let_go() {
  if (skips_io) {
    skips_io = false;
    const bool success = result.kind == FaultKind::kLost;
    // May free this.
    return end_without_io(iocb, success ? static_cast<long>(asked_bytes) : -result.error);
  }
  timing_done = true;
  complete(iocb);
}

std::unique_ptr<aio_fate> fault_complete(const FaultPoint& point, kiocb* rw, iov_iter* iter) {
  Fault result, timing;
  if (fault_armed(FaultSite::kComplete, ~kTimings)) result = ask_fault(FaultSite::kComplete, ~kTimings, point);
  if (fault_armed(FaultSite::kComplete, kTimings)) timing = ask_fault(FaultSite::kComplete, kTimings, point);
  if (!result && !timing) return nullptr;
  auto fate = std::make_unique<aio_fate>();
  fate->result = result;
  fate->timing = timing;
  fate->ctx = point.ctx;
  fate->asked_bytes = point.size;
  if (timing.kind == FaultKind::kHold) fate->tag = timing.what->tag;
  if (timing.kind == FaultKind::kRelease) fate->tag_to_release = timing.what->tag;
  switch (result.kind) {
    case FaultKind::kErrno:
    case FaultKind::kBadSector:
    case FaultKind::kNowaitBlock:
    case FaultKind::kLost:
    case FaultKind::kNever:
      fate->skips_io = true;
      break;
    case FaultKind::kShort:
    case FaultKind::kTorn:
      iter->count = std::min<size_t>(iter->count, result.n);
      break;
    case FaultKind::kPowerCut:
    case FaultKind::kReboot:
      fate->rule = std::string(result.rule);
      fate->result.rule = fate->rule;
      break;
    case FaultKind::kMisdirected:
      rw->ki_pos += result.n != 0 ? static_cast<loff_t>(result.n) : kMisdirectedBytes;
      break;
    default:
      break;
  }
  return fate;
}

void end_skipped_io(aio_fate* fate, kiocb* rw) {
  kernel_state& kernel = current_kernel();
  fate->kernel = &kernel;
  if (fate->result.kind == FaultKind::kNever) {
    rw->ki_waits_for = "nothing, because a fault rule says that it never completes";
    return;
  }
  if (fate->result.kind == FaultKind::kNowaitBlock) return fate->let_go();
  rw->ki_waits_for = "the device";
  const uint32_t quantile = kernel.chooser.Choose(Choice::kLatency, kQuantiles, "fault/failed-request");
  hold_back_until(fate, kernel.executor.NowNs() + kFailureFixedNs + kFailureMeanNs * kExponential[quantile] / 1000);
}

bool fault_holds_completion(aio_fate* fate, kiocb* rw, const iov_iter* iter, io_event* event) {
  if (fate->timing_done) return false;
  fate->timing_done = true;
  kernel_state& kernel = current_kernel();
  const int64_t now_ns = kernel.executor.NowNs();
  if (fate->result.kind == FaultKind::kTorn && event->res == static_cast<int64_t>(fate->result.n)) {
    event->res = static_cast<int64_t>(fate->asked_bytes);
  }
  if (fate->result.kind == FaultKind::kBitrot) FlipOneBit(*iter, event->res);
  if (CutsPower(fate->result.kind)) {
    rw->ki_waits_for = "the power that has gone";
    hold_back(fate);
    kernel.cut_power(fate->result);
    return true;
  }
  switch (fate->timing.kind) {
    case FaultKind::kDelay:
      rw->ki_waits_for = "the end of its delay";
      hold_back_until(fate, now_ns + fate->timing.delay_ns);
      return true;
    case FaultKind::kSpike:
      if (fate->timing.until_ns <= now_ns) return false;
      rw->ki_waits_for = "the end of a spike";
      hold_back_until(fate, fate->timing.until_ns);
      return true;
    case FaultKind::kReorder:
      rw->ki_waits_for = "a completion that overtakes it";
      fate->overtakers = fate->ctx;
      hold_back_until(fate, now_ns + kReorderMaxNs);
      return true;
    case FaultKind::kHold:
      fate->waits_for = absl::StrCat("release(", fate->tag, ")");
      rw->ki_waits_for = fate->waits_for.c_str();
      hold_back(fate);
      TRACE_EVENT("fault_hold", {{"tag", fate->tag}, {"req", rw->ki_id}});
      return true;
    case FaultKind::kRelease:
      release_held(fate->tag_to_release);
      return false;
    default:
      return false;
  }
}

bool fault_eventfd(const FaultPoint& point, eventfd_ctx& ctx) {
  const Fault fault = ask_fault(FaultSite::kEventfd, kAllFaultKinds, point);
  if (fault.kind == FaultKind::kDelay) {
    auto* const later = new delayed_signal(ctx);
    hold_back_until(later, current_kernel().executor.NowNs() + fault.delay_ns);
  }
  return static_cast<bool>(fault);
}

}  // namespace aiolab
