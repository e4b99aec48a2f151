#include "kernel_model/block/bio_fault.h"

#include <errno.h>

#include "kernel_model/block/blk.h"
#include "kernel_model/block/blk_mq.h"
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
    // Whatever it waited for, after a power cut there is no device to go to.
    const int status = current_kernel().power_off ? -EIO : error;
    delete this;
    if (status != 0) {
      mine->bi_status = status;
      bio_endio(mine);
    } else if (request_queue* const q = mine->bi_bdev->bd_queue; q != nullptr) {
      blk_mq_submit_bio(*q, mine);
    } else {
      mine->bi_bdev->submit(mine);
    }
  }
  bio* held = nullptr;
  int error = 0;  // 0: it goes on to its device
};

uint16_t OpOf(const bio& bio) {
  if (bio.bi_size == 0 && op_is_flush(bio.bi_opf)) return IOCB_CMD_FSYNC;
  return static_cast<uint16_t>(op_is_write(bio.bi_opf) ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD);
}

FaultPoint PointOf(const bio& bio) {
  FaultPoint point;
  point.op = OpOf(bio);
  point.off = static_cast<int64_t>(bio.bi_sector << SECTOR_SHIFT);
  point.size = bio.bi_size;
  point.request = bio.bi_request;
  return point;
}

}  // namespace

bool fault_bio(bio* bio) {
  const Fault fault = ask_fault(FaultSite::kBio, kAllFaultKinds, PointOf(*bio));
  if (!fault) return false;
  auto* const faulted = new faulted_bio;
  faulted->held = bio;
  faulted->error = -fault.error;
  const int64_t takes_ns = fault.kind == FaultKind::kDelay ? fault.delay_ns : kFailureNs;
  hold_back_until(faulted, current_kernel().executor.NowNs() + takes_ns);
  return true;
}

bool fault_request(bio* bio) {
  // Who can neither sleep nor fail goes on by itself, and nobody sees for how long that took.
  const bool may_not_wait = (bio->bi_opf & REQ_NOWAIT) != 0;
  if (!may_not_wait && current().host_tid == 0) return false;
  if (!ask_fault(FaultSite::kRequest, kAllFaultKinds, PointOf(*bio))) return false;
  if (may_not_wait) {
    bio->bi_status = -EAGAIN;
    bio_endio(bio);
    return true;
  }
  blk_flush_plug(current(), /*from_schedule=*/true);
  Executor& executor = current_kernel().executor;
  executor.AdvanceTo(executor.NowNs() + kQueueFullNs);
  return false;
}

}  // namespace aiolab
