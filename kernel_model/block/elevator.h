// The I/O scheduler: which of the queued requests goes to the device next.
//
// Mirrors: block/elevator.h, struct elevator_mq_ops.
#ifndef KERNEL_MODEL_BLOCK_ELEVATOR_H_
#define KERNEL_MODEL_BLOCK_ELEVATOR_H_

#include <memory>

#include "kernel_model/block/blk_mq.h"

namespace aiolab {

struct elevator_queue {
  virtual ~elevator_queue() = default;
  // Merges `bio` into a queued request. False if there is none for it.
  virtual bool bio_merge(bio* bio, uint32_t nr_segs) = 0;
  // Takes over a list of requests; `at_head`: to be dispatched before all others.
  virtual void insert_requests(list_head* list, bool at_head) = 0;
  // The next request, which is the caller's now; null if there is none.
  virtual request* dispatch_request() = 0;
  virtual bool has_work() const = 0;
  // Every request that it holds has gone.
  virtual void forget() = 0;
};

std::unique_ptr<elevator_queue> NewMqDeadline(request_queue& q);

}  // namespace aiolab

#endif  // KERNEL_MODEL_BLOCK_ELEVATOR_H_
