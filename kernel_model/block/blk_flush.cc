// PREFLUSH and FUA as steps: a flush, the data, another flush. Flushes that several requests wait for become one.
//
// Mirrors: block/blk-flush.c.
#include <utility>

#include "kernel_model/block/blk.h"
#include "kernel_model/fs/fs.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr unsigned REQ_FSEQ_PREFLUSH = 1 << 0;
constexpr unsigned REQ_FSEQ_DATA = 1 << 1;
constexpr unsigned REQ_FSEQ_POSTFLUSH = 1 << 2;
constexpr unsigned REQ_FSEQ_DONE = 1 << 3;
constexpr unsigned REQ_FSEQ_ACTIONS = REQ_FSEQ_PREFLUSH | REQ_FSEQ_DATA | REQ_FSEQ_POSTFLUSH;

// A flush waits for the data of others, which will want one too, but not for ever.
constexpr int64_t kFlushPendingTimeoutNs = 5'000'000'000;

void blk_kick_flush(request_queue& q);

unsigned blk_flush_policy(const request& rq) {
  const queue_limits& limits = rq.q->limits;
  unsigned policy = rq.__data_len != 0 ? REQ_FSEQ_DATA : 0;
  if (limits.write_cache) {
    if ((rq.cmd_flags & REQ_PREFLUSH) != 0) policy |= REQ_FSEQ_PREFLUSH;
    if (!limits.fua && (rq.cmd_flags & REQ_FUA) != 0) policy |= REQ_FSEQ_POSTFLUSH;
  }
  return policy;
}

unsigned blk_flush_cur_seq(const request& rq) {
  unsigned step = REQ_FSEQ_PREFLUSH;
  while ((rq.flush.seq & step) != 0) step <<= 1;
  return step;
}

// `rq` has done the steps `seq`: on to the next one.
void blk_flush_complete_seq(request* rq, unsigned seq, int error) {
  request_queue& q = *rq->q;
  blk_flush_queue& fq = q.fq;
  BUG_ON((rq->flush.seq & seq) != 0);
  rq->flush.seq |= seq;
  list_del_init(&rq->flush.list);

  switch (error == 0 ? blk_flush_cur_seq(*rq) : REQ_FSEQ_DONE) {
    case REQ_FSEQ_PREFLUSH:
    case REQ_FSEQ_POSTFLUSH: {
      list_head* const pending = &fq.flush_queue[fq.flush_pending_idx];
      if (list_empty(pending)) fq.flush_pending_since_ns = q.kernel.executor.NowNs();
      list_add_tail(&rq->flush.list, pending);
      break;
    }
    case REQ_FSEQ_DATA:
      ++fq.flush_data_in_flight;
      blk_mq_add_to_requeue_list(rq, /*at_head=*/true);
      break;
    default:
      rq->rq_flags &= ~RQF_FLUSH_SEQ;
      rq->end_io = nullptr;
      blk_mq_end_request(rq, error);
  }
  blk_kick_flush(q);
}

void flush_end_io(request* flush_rq, int error) {
  request_queue& q = *flush_rq->q;
  blk_flush_queue& fq = q.fq;
  if (q.elevator != nullptr) blk_mq_put_driver_tag(flush_rq);
  flush_rq->tag = flush_rq->internal_tag = BLK_MQ_NO_TAG;
  flush_rq->rq_id = 0;

  list_head running;
  list_replace_init(&fq.flush_queue[fq.flush_running_idx], &running);
  fq.flush_running_idx ^= 1;
  while (!list_empty(&running)) {
    request* const rq = list_entry(running.next, request, flush.list);
    blk_flush_complete_seq(rq, blk_flush_cur_seq(*rq), error);
  }
}

void blk_kick_flush(request_queue& q) {
  blk_flush_queue& fq = q.fq;
  list_head* const pending = &fq.flush_queue[fq.flush_pending_idx];
  if (fq.flush_pending_idx != fq.flush_running_idx || list_empty(pending)) return;
  if (fq.flush_data_in_flight > 0 && q.kernel.executor.NowNs() < fq.flush_pending_since_ns + kFlushPendingTimeoutNs) {
    return;
  }
  fq.flush_pending_idx ^= 1;

  // The tag is borrowed: the request that it belongs to is not in flight now.
  const request* const first_rq = list_entry(pending->next, request, flush.list);
  request* const flush_rq = &fq.flush_rq;
  flush_rq->q = &q;
  flush_rq->rq_id = static_cast<int64_t>(++q.kernel.stats.requests);
  flush_rq->cmd_flags = REQ_OP_FLUSH | REQ_PREFLUSH;
  flush_rq->rq_flags = RQF_FLUSH_SEQ;
  flush_rq->end_io = flush_end_io;
  if (q.elevator == nullptr) {
    flush_rq->tag = first_rq->tag;
  } else {
    flush_rq->rq_flags |= RQF_SCHED_TAGS;
    flush_rq->internal_tag = first_rq->internal_tag;
  }
  blk_mq_add_to_requeue_list(flush_rq, /*at_head=*/false);
}

void mq_flush_data_end_io(request* rq, int error) {
  request_queue& q = *rq->q;
  if (q.elevator != nullptr) blk_mq_put_driver_tag(rq);
  --q.fq.flush_data_in_flight;
  // The data is done: what the trace shows of the steps that follow is an empty request behind it.
  rq->__sector = blk_rq_end(rq);
  rq->__data_len = 0;
  blk_flush_complete_seq(rq, REQ_FSEQ_DATA, error);
  if (q.elevator != nullptr) blk_mq_run_hw_queue(q, /*async=*/true);
}

// Of an fsync that nobody waits for any more, bi_private is null.
void FsyncEndIo(bio* bio) {
  auto* const state = static_cast<fsync_state*>(bio->bi_private);
  const int status = bio->bi_status;
  bio_put(bio);
  if (state == nullptr) return;
  state->error = status;
  state->flushed = true;
  wake_up_all(state->flush_done);
}

void InitFlush(request* rq) {
  rq->flush.seq = 0;
  rq->rq_flags |= RQF_FLUSH_SEQ;
  rq->end_io = mq_flush_data_end_io;
}

}  // namespace

bool blk_insert_flush(request* rq) {
  const unsigned policy = blk_flush_policy(*rq);
  rq->cmd_flags &= ~REQ_PREFLUSH;
  if (!rq->q->limits.fua) rq->cmd_flags &= ~REQ_FUA;
  rq->cmd_flags |= REQ_SYNC;
  BUG_ON(rq->bio != rq->biotail);
  switch (policy) {
    case 0:
      blk_mq_end_request(rq, 0);
      return true;
    case REQ_FSEQ_DATA:
      return false;
    case REQ_FSEQ_DATA | REQ_FSEQ_POSTFLUSH:
      InitFlush(rq);
      rq->flush.seq |= REQ_FSEQ_PREFLUSH;
      ++rq->q->fq.flush_data_in_flight;
      return false;
    default:
      InitFlush(rq);
      blk_flush_complete_seq(rq, REQ_FSEQ_ACTIONS & ~policy, 0);
      return true;
  }
}

int blkdev_issue_flush(block_device& bdev) { return submit_bio_wait(bio_alloc(bdev, REQ_OP_FLUSH | REQ_SYNC, 0, 0)); }

int blkdev_issue_flush(block_device& bdev, std::shared_ptr<inode> node, fsync_state* state) {
  bio* flush = nullptr;
  if (!state->flush_started) {
    state->flush_started = true;
    flush = bio_alloc(bdev, REQ_OP_FLUSH | REQ_SYNC, 0, 0);
    flush->bi_private = state;
    flush->bi_inode = std::move(node);
    flush->bi_end_io = FsyncEndIo;
    submit_bio(flush);
  }
  const int error = wait_event_or_leave(state->flush_done, state->wait, [state] { return state->flushed; });
  // Only who sleeps gets another one, and so has sent the flush in this call: the device may still end it.
  if (error != 0 && error != -EIOCBRETRY) flush->bi_private = nullptr;
  return error != 0 ? error : state->error;
}

void blk_flush_forget(request_queue& q) {
  blk_flush_queue& fq = q.fq;
  for (list_head& queue : fq.flush_queue) {
    while (!list_empty(&queue)) list_del_init(queue.next);
  }
  list_del_init(&fq.flush_rq.queuelist);
  fq.flush_pending_idx = fq.flush_running_idx = fq.flush_data_in_flight = 0;
  fq.flush_rq.tag = fq.flush_rq.internal_tag = BLK_MQ_NO_TAG;
  fq.flush_rq.rq_id = 0;
}

}  // namespace aiolab
