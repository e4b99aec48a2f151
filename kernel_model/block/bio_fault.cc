#include "kernel_model/block/bio_fault.h"

#include <errno.h>

#include "kernel_model/block/blkdev.h"
#include "kernel_model/kernel/fault_inject.h"
#include "uapi/aio_abi.h"

namespace aiolab {
namespace {

// How long a device takes to fail, and a full queue to have room.
constexpr int64_t kFailureNs = 30'000;
constexpr int64_t kQueueFullNs = 200'000;

struct faulted_bio : held_back {
  void let_go() override {
    bio* const mine = held;
    const int status = error;
    delete this;
    if (status == 0) {
      mine->bi_bdev->submit(mine);
      return;
    }
    mine->bi_status = status;
    TRACE_EVENT("block_rq_complete", {{"bio", mine->bi_id}, {"req", mine->bi_request}, {"error", status}});
    mine->bi_end_io(mine);
  }
  bio* held = nullptr;
  int error = 0;  // 0: it goes on to its device
};

uint16_t OpOf(const bio& bio) {
  if (req_op(bio.bi_opf) == REQ_OP_FLUSH) return IOCB_CMD_FSYNC;
  return static_cast<uint16_t>(op_is_write(bio.bi_opf) ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD);
}

}  // namespace

bool fault_bio(bio* bio) {
  FaultPoint point;
  point.op = OpOf(*bio);
  point.off = static_cast<int64_t>(bio->bi_sector << SECTOR_SHIFT);
  point.size = bio->bi_size;
  point.request = bio->bi_request;
  const Fault fault = ask_fault(FaultSite::kBio, kAllFaultKinds, point);
  if (!fault) return false;
  auto* const faulted = new faulted_bio;
  faulted->held = bio;
  int64_t takes_ns = kFailureNs;
  if (fault.kind == FaultKind::kDelay) {
    takes_ns = fault.delay_ns;
  } else if (fault.kind == FaultKind::kQueueFull && (bio->bi_opf & REQ_NOWAIT) == 0) {
    takes_ns = kQueueFullNs;
  } else {
    if (fault.kind == FaultKind::kQueueFull) takes_ns = 0;
    faulted->error = -fault.error;
  }
  hold_back_until(faulted, current_kernel().executor.NowNs() + takes_ns);
  return true;
}

}  // namespace aiolab
