// What the files of block/ share.
//
// Mirrors: block/blk.h, block/blk-mq-sched.h.
#ifndef KERNEL_MODEL_BLOCK_BLK_H_
#define KERNEL_MODEL_BLOCK_BLK_H_

#include <cstdint>

#include "kernel_model/block/blk_mq.h"

namespace aiolab {

// blk_merge.cc

// How many pieces of memory the device sees. Memory that belongs together counts by max_segment_size.
uint32_t blk_bio_segments(const bio& bio, const queue_limits& limits);
// How much of `bio`, from `done` bytes on, fits into one request, in bytes; all of the rest if nothing must be split.
uint32_t blk_bio_fits(const bio& bio, const queue_limits& limits, uint32_t done);

enum bio_merge_status { BIO_MERGE_OK, BIO_MERGE_NONE, BIO_MERGE_FAILED };
// Adds `bio` to the front or the back of `rq`.
bio_merge_status blk_attempt_bio_merge(request_queue& q, request* rq, bio* bio, uint32_t nr_segs);
// Into the request that the plug got last from this queue.
bool blk_attempt_plug_merge(request_queue& q, bio* bio, uint32_t nr_segs);
// Into one of the last eight of a list.
bool blk_bio_list_merge(request_queue& q, list_head* list, bio* bio, uint32_t nr_segs);
// Appends `next` to `req`, which it follows, and returns it: it is free then, but its tag is not. Null if it may not
// be.
request* attempt_merge(request_queue& q, request* req, request* next);

// blk_flush.cc

// Takes a request with PREFLUSH or FUA into the flush machine. False: it goes on as a normal one.
bool blk_insert_flush(request* rq);
void blk_flush_forget(request_queue& q);

// blk_mq.cc

void blk_mq_free_request(request* rq);
void blk_mq_put_driver_tag(request* rq);
void blk_mq_add_to_requeue_list(request* rq, bool at_head);
void blk_mq_run_hw_queue(request_queue& q, bool async);

// A trace, by the kernel's tracepoint name.
void TraceBio(absl::string_view event, const bio& bio);

}  // namespace aiolab

#endif  // KERNEL_MODEL_BLOCK_BLK_H_
