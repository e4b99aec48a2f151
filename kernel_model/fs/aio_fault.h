// What a fault rule makes of one accepted request: its fate. Decided when the request is accepted, so that a short
// transfer really moves no more, and carried out when it ends.
//
// Differs: no counterpart in the kernel.
#ifndef KERNEL_MODEL_FS_AIO_FAULT_H_
#define KERNEL_MODEL_FS_AIO_FAULT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "kernel_model/fs/fs.h"
#include "kernel_model/kernel/fault_inject.h"
#include "uapi/aio_abi.h"

namespace aiolab {

struct aio_kiocb;

struct aio_fate : held_back {
  void let_go() override;

  aio_kiocb* iocb = nullptr;
  // Completes the request, now.
  void (*complete)(aio_kiocb* iocb) = nullptr;
  // The request's I/O is not done; it ends with `res` when let_go is called for the first time.
  void (*end_without_io)(aio_kiocb* iocb, long res) = nullptr;

  // Its `what` may be gone by the time when it is carried out, and its `rule`, unless that cuts the power.
  Fault result;
  Fault timing;
  std::string rule;  // the text that result.rule is of, if that cuts the power
  std::string tag_to_release;
  std::string waits_for;  // for the report of a request that never completes
  int64_t ctx = 0;
  uint64_t asked_bytes = 0;
  bool skips_io = false;
  bool timing_done = false;
};

// The fate of an accepted request, or null if it is an ordinary one. `iter` is what it moves, null if it moves nothing:
// it is made shorter here, and rw->ki_pos moved, where the fate says so.
std::unique_ptr<aio_fate> fault_complete(const FaultPoint& point, kiocb* rw, iov_iter* iter);

// Ends a request whose fate skips its I/O, after the time that a device takes; one that may not wait at once. Requires:
// fate->skips_io, and iocb, complete and end_without_io are set.
void end_skipped_io(aio_fate* fate, kiocb* rw);

// The request has its result in `event`. True if its completion is kept back: `complete` will be called.
bool fault_holds_completion(aio_fate* fate, kiocb* rw, const iov_iter* iter, io_event* event);

// A completion signals `ctx`. True if it must not now: it will be signalled later, or never.
bool fault_eventfd(const FaultPoint& point, eventfd_ctx& ctx);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_AIO_FAULT_H_
