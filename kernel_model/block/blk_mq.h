// Requests and the queue that they pass.
//
// Mirrors: include/linux/blk-mq.h, block/blk-mq.h.
// Differs: one software and one hardware queue, whatever the number of CPUs. A bio of a worker or an interrupt that
// finds no free tag waits in request_queue::waiting_bios; in the kernel whoever submits may sleep.
#ifndef KERNEL_MODEL_BLOCK_BLK_MQ_H_
#define KERNEL_MODEL_BLOCK_BLK_MQ_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel_model/block/blkdev.h"
#include "kernel_model/kernel/list.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/kernel/workqueue.h"

namespace aiolab {

struct elevator_queue;

inline constexpr int BLK_MQ_NO_TAG = -1;

inline constexpr uint32_t RQF_FLUSH_SEQ = 1 << 0;   // in the flush machine: its end is a step, not the end
inline constexpr uint32_t RQF_SCHED_TAGS = 1 << 1;  // has a scheduler tag, and a hardware tag only while dispatched

using rq_end_io_fn = void (*)(request* rq, int error);

// One transfer of the device: bios that follow one another.
struct request {
  request_queue* q = nullptr;
  blk_opf_t cmd_flags = 0;
  uint32_t rq_flags = 0;
  int tag = BLK_MQ_NO_TAG;           // of the hardware
  int internal_tag = BLK_MQ_NO_TAG;  // of the scheduler
  uint32_t __data_len = 0;           // bytes
  sector_t __sector = 0;
  struct bio* bio = nullptr;  // the first; the others follow by bi_next
  struct bio* biotail = nullptr;
  uint32_t nr_phys_segments = 0;
  list_head queuelist;            // in a plug, the software queue, the elevator's FIFO, the dispatch list or the driver
  list_head sort_node;            // in the elevator, by sector
  int64_t start_time_ns = 0;      // when it was made
  int64_t fifo_time = 0;          // when the elevator calls it late
  rq_end_io_fn end_io = nullptr;  // called in place of freeing it
  struct {
    unsigned seq = 0;  // the steps that are over
    list_head list;
  } flush;
  int64_t rq_id = 0;  // as traces name it; 0: free
};

inline sector_t blk_rq_pos(const request* rq) { return rq->__sector; }
inline uint32_t blk_rq_sectors(const request* rq) { return rq->__data_len >> SECTOR_SHIFT; }
inline sector_t blk_rq_end(const request* rq) { return blk_rq_pos(rq) + blk_rq_sectors(rq); }
bool rq_mergeable(const request* rq);

// Numbered permissions to have a request, each with the memory for it.
struct blk_mq_tags {
  explicit blk_mq_tags(unsigned depth);
  std::vector<int> free;  // the last one is next
  std::vector<std::unique_ptr<request>> static_rqs;
};

struct blk_flush_queue {
  unsigned flush_pending_idx = 0;
  unsigned flush_running_idx = 0;  // differs from pending: a flush is under way
  int64_t flush_pending_since_ns = 0;
  list_head flush_queue[2];
  unsigned flush_data_in_flight = 0;
  request flush_rq;
};

struct request_queue {
  // `nr_requests` counts for a queue with an elevator only; 0 is the kernel's default, twice the hardware's tags but no
  // more than 256. `elevator` is "none" or "mq-deadline".
  request_queue(kernel_state& kernel, block_device& bdev, const queue_limits& limits, unsigned queue_depth,
                absl::string_view elevator = "none", unsigned nr_requests = 0);
  ~request_queue();
  request_queue(const request_queue&) = delete;
  request_queue& operator=(const request_queue&) = delete;

  kernel_state& kernel;
  block_device& bdev;
  const queue_limits limits;
  const unsigned queue_depth;  // hardware tags
  const unsigned nr_requests;  // requests at a time: as many as scheduler tags, or as hardware tags without an elevator
  blk_mq_tags tags;
  std::unique_ptr<elevator_queue> elevator;  // null: none
  std::unique_ptr<blk_mq_tags> sched_tags;   // null: none
  list_head rq_list;                         // the software queue, without an elevator
  list_head dispatch;                        // goes before everything else
  list_head requeue_list;
  list_head waiting_bios;    // of those who may not sleep: no tag was free
  wait_queue_head tag_wait;  // tasks that sleep for a tag
  work_struct run_work;      // dispatches
  work_struct requeue_work;
  blk_flush_queue fq;
};

// The elevators' names, "none" first.
std::vector<std::string> ElevatorNames();

// Sends a bio that has passed submit_bio's checks to the queue.
void blk_mq_submit_bio(request_queue& q, bio* bio);

// The device has done `rq`: 0 or -errno, which every bio gets that has no error of its own.
void blk_mq_end_request(request* rq, int error);

// A trace, by the kernel's tracepoint name.
void TraceRequest(absl::string_view event, const request& rq);

void blk_mq_flush_plug_list(blk_plug* plug, bool from_schedule);

// The machine has lost its power, or was copied by a fork: no request is left, and none of their bios ends; `drop` gets
// each of them, once, and puts it. The driver forgets its requests first. Who sleeps for a tag is not woken: after a
// fork such a task is not in this process.
void blk_mq_forget_requests(request_queue& q, DropBio drop);

}  // namespace aiolab

#endif  // KERNEL_MODEL_BLOCK_BLK_MQ_H_
