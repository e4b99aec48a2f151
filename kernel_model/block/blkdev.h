// Devices, their queues, and the plug that holds requests back until a batch is complete.
//
//   submit_bio -> split -> merge into a plugged or queued request -> or take a tag: a request
//     -> (flush machine) -> plug -> scheduler or straight on -> hardware tag -> block_device::queue_rq
//     -> blk_mq_end_request -> bi_end_io of each bio
//
// Mirrors: include/linux/blkdev.h, block/blk-core.c.
// Read first: blk_mq_submit_bio() in blk_mq.cc.
#ifndef KERNEL_MODEL_BLOCK_BLKDEV_H_
#define KERNEL_MODEL_BLOCK_BLKDEV_H_

#include <memory>
#include <string>
#include <vector>

#include "kernel_model/block/bio.h"
#include "kernel_model/kernel/list.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab {

struct fsync_state;
struct request;
struct request_queue;

// Something that bios can be sent to.
struct block_device {
  virtual ~block_device() = default;

  // For a device with a queue: starts the transfer, for which `rq` has a hardware tag. blk_mq_end_request follows, not
  // before this has returned.
  virtual void queue_rq(request* rq);
  // For one without: takes the bio; bio_endio will be called once.
  virtual void submit(bio* bio);

  request_queue* bd_queue = nullptr;  // null: bios go to submit()
  sector_t bd_nr_sectors = 0;         // its size
  std::string bd_name = "259,0";      // major and minor, as traces write them
  std::vector<std::unique_ptr<bio>> idle_bios;
};

// What one request may be. Sizes in bytes unless the name says sectors.
struct queue_limits {
  uint32_t max_sectors = 2560;
  uint32_t max_segments = 128;
  uint32_t max_segment_size = 65536;
  uint32_t max_discard_sectors = 1 << 22;
  uint32_t max_write_zeroes_sectors = 1 << 22;
  uint32_t logical_block_size = 512;
  uint32_t physical_block_size = 4096;
  uint32_t atomic_write_unit_max = 0;  // the largest REQ_ATOMIC write; 0: none
  bool write_cache = false;            // it is volatile: FLUSH and FUA mean something
  bool fua = false;                    // the device does FUA itself; otherwise a flush follows the write
};

// A plug of one queue is flushed when it holds so many requests, of several queues when it holds twice as many; or
// when the oldest request in it has so many bytes. Either is looked at when a request is added.
inline constexpr unsigned BLK_MAX_REQUEST_COUNT = 32;
inline constexpr uint32_t BLK_PLUG_FLUSH_SIZE = 128 * 1024;

// Requests that a task holds back. Lives on the stack of whoever starts it.
struct blk_plug {
  list_head mq_list;
  unsigned rq_count = 0;
  bool multiple_queues = false;
  bool has_elevator = false;
};

// Until blk_finish_plug, submit_bio holds the current task's requests back. A plug inside a plug does nothing.
void blk_start_plug(blk_plug* plug);
void blk_finish_plug(blk_plug* plug);

// Sends on what the task holds back, in the order in which the requests were made. `from_schedule`: by kblockd, because
// the task is about to sleep.
void blk_flush_plug(task_struct& task, bool from_schedule = false);
// The same from a task that is about to sleep.
void blk_schedule_flush_plug(task_struct& task);

// What ended before is durable when this returns 0. Sleeps. 0, or the device's error.
int blkdev_issue_flush(block_device& bdev);
// The same as the last step of an fsync, which may be a request: -EIOCBRETRY after putting state->wait on a wait queue,
// then it is called again. `node` is kept until the flush has ended; may be null.
int blkdev_issue_flush(block_device& bdev, std::shared_ptr<inode> node, fsync_state* state);

}  // namespace aiolab

#endif  // KERNEL_MODEL_BLOCK_BLKDEV_H_
