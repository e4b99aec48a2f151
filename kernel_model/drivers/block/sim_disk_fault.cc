// What fault rules make of a request that reaches the disk.
#include <algorithm>

#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/kernel/fault_inject.h"
#include "kernel_model/sim/exponential.h"
#include "uapi/aio_abi.h"

namespace aiolab {
namespace {

// BLK_MQ_RESOURCE_DELAY: when a request that the device had no room for is sent again.
constexpr int64_t kResourceDelayNs = 3'000'000;

// By how much a transfer goes astray if the rule does not say.
constexpr uint64_t kMisdirectedBytes = 4096;

constexpr FaultKinds kTimings = FaultKindBit(FaultKind::kDelay) | FaultKindBit(FaultKind::kSpike) |
                                FaultKindBit(FaultKind::kHold) | FaultKindBit(FaultKind::kRelease);

uint16_t OpOf(const request& rq) {
  switch (req_op(rq.cmd_flags)) {
    case REQ_OP_READ:
      return IOCB_CMD_PREAD;
    case REQ_OP_WRITE:
      return IOCB_CMD_PWRITE;
    case REQ_OP_FLUSH:
      return IOCB_CMD_FSYNC;
    default:
      return kNoFaultOp;
  }
}

FaultPoint PointOf(const request& rq) {
  FaultPoint point;
  point.op = OpOf(rq);
  point.off = static_cast<int64_t>(blk_rq_pos(&rq) << SECTOR_SHIFT);
  point.size = rq.__data_len;
  if (rq.bio != nullptr) {
    point.request = rq.bio->bi_request;
    point.bytes = !rq.bio->bi_io_vec.empty() && rq.bio->bi_io_vec[0].bv_base != nullptr;
  }
  return point;
}

}  // namespace

// A request that the disk, or its queue, keeps for a while.
struct SimDisk::HeldRequest : held_back {
  void let_go() override {
    // Either call may need the tag's place.
    const std::unique_ptr<held_back> self = std::move(disk->held_.extract(rq->tag).mapped());
    if (!requeued) return disk->Start(rq);
    TraceRequest("block_rq_issue", *rq);
    disk->queue_rq(rq);
  }
  SimDisk* disk = nullptr;
  request* rq = nullptr;
  bool requeued = false;  // it is not the disk's now
};

// True if it does not begin now.
bool SimDisk::FaultTakesOver(request* rq) {
  const FaultPoint point = PointOf(*rq);
  const Fault result = ask_fault(FaultSite::kDevice, ~kTimings, point);
  if (result.kind == FaultKind::kQueueFull) {
    TraceRequest("block_rq_requeue", *rq);
    auto waits = std::make_unique<HeldRequest>();
    waits->disk = this;
    waits->rq = rq;
    waits->requeued = true;
    hold_back_until(waits.get(), kernel_.executor.NowNs() + kResourceDelayNs);
    held_[rq->tag] = std::move(waits);
    return true;
  }
  Fault timing;
  if (fault_armed(FaultSite::kDevice, kTimings)) timing = ask_fault(FaultSite::kDevice, kTimings, point);
  if (result) NoteFault(*rq, result);
  if (result.kind == FaultKind::kNever) {
    list_add_tail(&rq->queuelist, &in_flight_);
    return true;
  }
  return timing && HoldBack(rq, timing);
}

void SimDisk::NoteFault(const request& rq, const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kBadSector:
      bad_sectors_.push_back({.first = fault.n, .count = 1, .writes_fail = op_is_write(rq.cmd_flags)});
      return;
    case FaultKind::kBitrot:
      return RotOneBit(rq);
    case FaultKind::kPowerCut:
    case FaultKind::kReboot:
      return kernel_.cut_power(fault);
    case FaultKind::kNever:
      return;
    default:
      faults_[rq.tag] = {fault.kind, fault.error, fault.n};
  }
}

bool SimDisk::HoldBack(request* rq, const Fault& timing) {
  const int64_t now_ns = kernel_.executor.NowNs();
  if (timing.kind == FaultKind::kRelease) {
    release_held(timing.what->tag);
    return false;
  }
  if (timing.kind == FaultKind::kSpike && timing.until_ns <= now_ns) return false;
  list_add_tail(&rq->queuelist, &in_flight_);
  auto waits = std::make_unique<HeldRequest>();
  waits->disk = this;
  waits->rq = rq;
  if (timing.kind == FaultKind::kHold) {
    waits->tag = timing.what->tag;
    hold_back(waits.get());
    TRACE_EVENT("fault_hold", {{"tag", waits->tag}, {"rq", rq->rq_id}});
  } else {
    hold_back_until(waits.get(), timing.kind == FaultKind::kSpike ? timing.until_ns : now_ns + timing.delay_ns);
  }
  held_[rq->tag] = std::move(waits);
  return true;
}

SimDisk::RequestFault SimDisk::TakeFault(const request& rq) {
  const auto found = faults_.find(rq.tag);
  if (found == faults_.end()) return {};
  const RequestFault fault = found->second;
  faults_.erase(found);
  return fault;
}

// Where a transfer of so many sectors really goes: on the disk, too.
sector_t SimDisk::Misdirected(const RequestFault& fault, sector_t first, uint64_t sectors) const {
  if (fault.kind != FaultKind::kMisdirected) return first;
  const uint64_t astray = (fault.n != 0 ? fault.n : kMisdirectedBytes) >> SECTOR_SHIFT;
  return (first + astray) % (bd_nr_sectors - sectors + 1);
}

void SimDisk::RotOneBit(const request& rq) {
  const uint64_t quantile = kernel_.chooser.Choose(Choice::kFault, kQuantiles, "fault/which-byte");
  const uint64_t offset = (rq.__data_len - 1) * quantile / (kQuantiles - 1);
  bit_rot_.push_back({blk_rq_pos(&rq) + (offset >> SECTOR_SHIFT), static_cast<uint32_t>(offset % SECTOR_SIZE)});
}

void SimDisk::ShowBitRot(sector_t first, absl::Span<char> bytes) const {
  for (const RottenBit& bit : bit_rot_) {
    const uint64_t offset = ((bit.sector - first) << SECTOR_SHIFT) + bit.byte;
    if (bit.sector >= first && offset < bytes.size()) bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
  }
}

}  // namespace aiolab
