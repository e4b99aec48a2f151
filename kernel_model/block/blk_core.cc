#include <errno.h>

#include "kernel_model/block/bio_fault.h"
#include "kernel_model/block/blk.h"
#include "kernel_model/block/blkdev.h"
#include "kernel_model/kernel/fault_inject.h"

namespace aiolab {
namespace {

void EndWith(bio* bio, int status) {
  bio->bi_status = status;
  bio_endio(bio);
}

bool BeyondTheEnd(const bio& bio) {
  const sector_t size = bio.bi_bdev->bd_nr_sectors;
  const uint32_t sectors = bio_sectors(&bio);
  return sectors != 0 && (sectors > size || bio.bi_sector > size - sectors);
}

// A bio without memory only stands for the time that a file of the host takes, whatever its offset and length.
bool Unaligned(const bio& bio, const queue_limits& limits) {
  if (bio.bi_io_vec.empty()) return false;
  return (bio.bi_sector << SECTOR_SHIFT) % limits.logical_block_size != 0 ||
         bio.bi_size % limits.logical_block_size != 0;
}

}  // namespace

// A device overrides the one that it needs.
void block_device::queue_rq(request*) { BUG_ON(bd_queue != nullptr); }
void block_device::submit(bio*) { BUG_ON(bd_queue == nullptr); }

void submit_bio(bio* bio) {
  block_device& bdev = *bio->bi_bdev;
  if (current_kernel().power_off) return EndWith(bio, -EIO);
  if (bdev.bd_queue == nullptr) {
    TraceBio("block_bio_queue", *bio);
    if (fault_armed(FaultSite::kBio) && fault_bio(bio)) [[unlikely]]
      return;
    bdev.submit(bio);
    return;
  }
  const queue_limits& limits = bdev.bd_queue->limits;
  if (req_op(bio->bi_opf) == REQ_OP_FLUSH) {
    bio->bi_opf = (bio->bi_opf & ~REQ_OP_MASK) | REQ_OP_WRITE | REQ_PREFLUSH;
  }
  if (op_is_flush(bio->bi_opf) && req_op(bio->bi_opf) != REQ_OP_WRITE) return EndWith(bio, -EIO);
  if (BeyondTheEnd(*bio) || Unaligned(*bio, limits)) return EndWith(bio, -EIO);
  if (op_is_flush(bio->bi_opf) && !limits.write_cache) {
    bio->bi_opf &= ~(REQ_PREFLUSH | REQ_FUA);
    if (bio->bi_size == 0) return EndWith(bio, 0);
  }
  if (bio->bi_size % SECTOR_SIZE != 0) bio->bi_opf |= REQ_NOMERGE;
  TraceBio("block_bio_queue", *bio);
  if (fault_armed(FaultSite::kBio) && fault_bio(bio)) [[unlikely]]
    return;
  blk_mq_submit_bio(*bdev.bd_queue, bio);
}

void blk_start_plug(blk_plug* plug) {
  if (current().plug != nullptr) return;
  current().plug = plug;
  ++current_kernel().stats.plugs;
}

void blk_finish_plug(blk_plug* plug) {
  task_struct& task = current();
  if (task.plug != plug) return;
  if (task.kernel->bug == SeededBug::kPlugNeverFlushed) {
    // The requests stay in use, with nobody to send them; the plug itself is about to go.
    while (!list_empty(&plug->mq_list)) list_del_init(plug->mq_list.next);
    plug->rq_count = 0;
  } else {
    blk_flush_plug(task);
  }
  task.plug = nullptr;
}

void blk_flush_plug(task_struct& task, bool from_schedule) {
  if (task.plug != nullptr && task.plug->rq_count > 0) blk_mq_flush_plug_list(task.plug, from_schedule);
}

void blk_schedule_flush_plug(task_struct& task) { blk_flush_plug(task, /*from_schedule=*/true); }

}  // namespace aiolab
