#include "kernel_model/block/blk_mq.h"

#include <errno.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernel_model/block/bio_fault.h"
#include "kernel_model/block/blk.h"
#include "kernel_model/block/elevator.h"
#include "kernel_model/kernel/fault_inject.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

// Two queues' worth of what the kernel calls the default number of requests.
constexpr unsigned kSchedTagsMax = 256;

void RunWork(work_struct* work);
void RequeueWork(work_struct* work);

unsigned NrRequests(unsigned queue_depth, absl::string_view elevator, unsigned nr_requests) {
  if (elevator == "none") return queue_depth;
  return nr_requests != 0 ? nr_requests : std::min(2 * queue_depth, kSchedTagsMax);
}

// The tags that a new request needs one of: the scheduler's if there is one.
blk_mq_tags& TagsForRequests(request_queue& q) { return q.sched_tags != nullptr ? *q.sched_tags : q.tags; }

int TakeTag(blk_mq_tags& tags) {
  const int tag = tags.free.back();
  tags.free.pop_back();
  return tag;
}

// Requires: a tag is free.
request* blk_mq_rq_ctx_init(request_queue& q) {
  blk_mq_tags& tags = TagsForRequests(q);
  const int tag = TakeTag(tags);
  std::unique_ptr<request>& slot = tags.static_rqs[static_cast<size_t>(tag)];
  if (slot == nullptr) slot = std::make_unique<request>();
  request* const rq = slot.get();
  rq->q = &q;
  rq->rq_flags = 0;
  rq->tag = rq->internal_tag = BLK_MQ_NO_TAG;
  if (q.sched_tags != nullptr) {
    rq->internal_tag = tag;
    rq->rq_flags |= RQF_SCHED_TAGS;
  } else {
    rq->tag = tag;
  }
  rq->start_time_ns = q.kernel.executor.NowNs();
  rq->fifo_time = 0;
  rq->end_io = nullptr;
  rq->rq_id = static_cast<int64_t>(++q.kernel.stats.requests);
  return rq;
}

bool blk_mq_get_driver_tag(request* rq) {
  if (rq->tag != BLK_MQ_NO_TAG) return true;
  if (rq->q->tags.free.empty()) return false;
  rq->tag = TakeTag(rq->q->tags);
  return true;
}

void blk_mq_bio_to_request(request* rq, bio* bio) {
  rq->cmd_flags = bio->bi_opf;
  rq->__sector = bio->bi_sector;
  rq->__data_len = bio->bi_size;
  rq->nr_phys_segments = blk_bio_segments(*bio, rq->q->limits);
  rq->bio = rq->biotail = bio;
  bio->bi_next = nullptr;
}

void Issue(request* rq) {
  TraceRequest("block_rq_issue", *rq);
  rq->q->bdev.queue_rq(rq);
}

// Everything that has, or can get, a hardware tag goes to the device.
void blk_mq_sched_dispatch_requests(request_queue& q) {
  while (!list_empty(&q.dispatch)) {
    request* const rq = list_entry(q.dispatch.next, request, queuelist);
    if (!blk_mq_get_driver_tag(rq)) return;
    list_del_init(&rq->queuelist);
    Issue(rq);
  }
  if (q.elevator != nullptr) {
    // The kernel takes one request more from the elevator and lets that wait for its tag.
    while (!q.tags.free.empty()) {
      request* const rq = q.elevator->dispatch_request();
      if (rq == nullptr) return;
      blk_mq_get_driver_tag(rq);
      Issue(rq);
    }
    return;
  }
  while (!list_empty(&q.rq_list)) {
    request* const rq = list_entry(q.rq_list.next, request, queuelist);
    list_del_init(&rq->queuelist);
    Issue(rq);
  }
}

// Puts `rq` where the next dispatch finds it.
void blk_mq_insert_request(request* rq, bool at_head) {
  request_queue& q = *rq->q;
  if (req_op(rq->cmd_flags) == REQ_OP_FLUSH) {
    list_add(&rq->queuelist, &q.dispatch);
  } else if (q.elevator != nullptr) {
    list_head one;
    list_add(&rq->queuelist, &one);
    q.elevator->insert_requests(&one, at_head);
  } else {
    TraceRequest("block_rq_insert", *rq);
    if (at_head) {
      list_add(&rq->queuelist, &q.rq_list);
    } else {
      list_add_tail(&rq->queuelist, &q.rq_list);
    }
  }
}

void RunWork(work_struct* work) { blk_mq_sched_dispatch_requests(*container_of(work, request_queue, run_work)); }

void RequeueWork(work_struct* work) {
  request_queue& q = *container_of(work, request_queue, requeue_work);
  list_head requeued;
  list_replace_init(&q.requeue_list, &requeued);
  while (!list_empty(&requeued)) {
    request* const rq = list_entry(requeued.next, request, queuelist);
    list_del_init(&rq->queuelist);
    blk_mq_insert_request(rq, /*at_head=*/true);
  }
  blk_mq_sched_dispatch_requests(q);
}

void blk_add_rq_to_plug(blk_plug* plug, request* rq) {
  const unsigned requests_max = plug->multiple_queues ? 2 * BLK_MAX_REQUEST_COUNT : BLK_MAX_REQUEST_COUNT;
  const auto trace_plug = [rq] { TRACE_EVENT("block_plug", {{"dev", rq->q->bdev.bd_name}, {"comm", current().comm}}); };
  if (list_empty(&plug->mq_list)) {
    plug->rq_count = 0;
    trace_plug();
  } else if (plug->rq_count >= requests_max ||
             list_entry(plug->mq_list.next, request, queuelist)->__data_len >= BLK_PLUG_FLUSH_SIZE) {
    blk_mq_flush_plug_list(plug, /*from_schedule=*/false);
    trace_plug();
  }
  if (!list_empty(&plug->mq_list) && list_entry(plug->mq_list.next, request, queuelist)->q != rq->q) {
    plug->multiple_queues = true;
  }
  if ((rq->rq_flags & RQF_SCHED_TAGS) != 0) plug->has_elevator = true;
  list_add_tail(&rq->queuelist, &plug->mq_list);
  ++plug->rq_count;
}

// The second half of blk_mq_submit_bio. Requires: a tag is free.
void SubmitAsRequest(request_queue& q, bio* bio, blk_plug* plug) {
  TraceBio("block_getrq", *bio);
  request* const rq = blk_mq_rq_ctx_init(q);
  blk_mq_bio_to_request(rq, bio);
  if (op_is_flush(bio->bi_opf) && blk_insert_flush(rq)) return;
  if (plug != nullptr) {
    blk_add_rq_to_plug(plug, rq);
  } else if (q.elevator != nullptr) {
    blk_mq_insert_request(rq, /*at_head=*/false);
    blk_mq_run_hw_queue(q, /*async=*/true);
  } else {
    Issue(rq);
  }
}

// False if the bio does not go on now: it has failed, or waits among q.waiting_bios.
bool WaitForTag(request_queue& q, bio* bio) {
  if (fault_armed(FaultSite::kRequest) && fault_request(bio)) [[unlikely]]
    return false;
  blk_mq_tags& tags = TagsForRequests(q);
  const auto can_go_on = [&] { return !tags.free.empty() && list_empty(&q.waiting_bios); };
  if (can_go_on()) return true;
  if ((bio->bi_opf & REQ_NOWAIT) != 0) {
    bio->bi_status = -EAGAIN;
    bio_endio(bio);
    return false;
  }
  // What the task holds back may be what it waits for.
  task_struct& task = current();
  blk_flush_plug(task, /*from_schedule=*/true);
  if (task.host_tid == 0) {
    list_add_tail(&bio->bi_list, &q.waiting_bios);
    return false;
  }
  if (wait_event(q.tag_wait, can_go_on) == SleepResult::kDone && !current_kernel().power_off) return true;
  bio->bi_status = -EIO;
  bio_endio(bio);
  return false;
}

void blk_mq_tag_freed(request_queue& q) {
  blk_mq_tags& tags = TagsForRequests(q);
  if (q.kernel.bug == SeededBug::kLostTagWaiter) return;
  while (!tags.free.empty() && !list_empty(&q.waiting_bios)) {
    bio* const next = list_entry(q.waiting_bios.next, bio, bi_list);
    list_del_init(&next->bi_list);
    SubmitAsRequest(q, next, /*plug=*/nullptr);
  }
  if (!tags.free.empty() && waitqueue_active(q.tag_wait)) wake_up_all(q.tag_wait);
}

// A bio that is one request at most.
void SubmitPiece(request_queue& q, bio* bio) {
  const uint32_t nr_segs = blk_bio_segments(*bio, q.limits);
  if ((bio->bi_opf & REQ_NOMERGE_FLAGS) == 0) {
    if (blk_attempt_plug_merge(q, bio, nr_segs)) return;
    if (q.elevator != nullptr ? q.elevator->bio_merge(bio, nr_segs) : blk_bio_list_merge(q, &q.rq_list, bio, nr_segs)) {
      return;
    }
  }
  if (WaitForTag(q, bio)) SubmitAsRequest(q, bio, current().plug);
}

}  // namespace

blk_mq_tags::blk_mq_tags(unsigned depth) : static_rqs(depth) {
  free.reserve(depth);
  for (unsigned tag = depth; tag-- > 0;) free.push_back(static_cast<int>(tag));
}

request_queue::request_queue(kernel_state& kernel, block_device& bdev, const queue_limits& limits, unsigned queue_depth,
                             absl::string_view elevator_name, unsigned nr_requests)
    : kernel(kernel),
      bdev(bdev),
      limits(limits),
      queue_depth(queue_depth),
      nr_requests(NrRequests(queue_depth, elevator_name, nr_requests)),
      tags(queue_depth) {
  BUG_ON(elevator_name != "none" && elevator_name != "mq-deadline");
  if (elevator_name == "mq-deadline") {
    elevator = NewMqDeadline(*this);
    sched_tags = std::make_unique<blk_mq_tags>(this->nr_requests);
  }
  INIT_WORK(&run_work, RunWork, "blk_mq_run_work_fn");
  INIT_WORK(&requeue_work, RequeueWork, "blk_mq_requeue_work");
}

request_queue::~request_queue() {
  list_del_init(&run_work.entry);
  list_del_init(&requeue_work.entry);
}

std::vector<std::string> ElevatorNames() { return {"none", "mq-deadline"}; }

void TraceBio(absl::string_view event, const bio& bio) {
  TRACE_EVENT(event, {{"dev", bio.bi_bdev->bd_name},
                      {"rwbs", Rwbs(bio.bi_opf)},
                      {"sector", bio.bi_sector},
                      {"sectors", bio_sectors(&bio)},
                      {"bio", bio.bi_id},
                      {"req", bio.bi_request}});
}

namespace {

// The AIO requests behind a block request, each once, in the order of its bios; a flush stands for those that wait.
std::string AioRequests(const request& rq) {
  std::string ids;
  int64_t last = -1;
  const auto add = [&](int64_t id) {
    if (id == last) return;
    absl::StrAppend(&ids, ids.empty() ? "" : ",", id);
    last = id;
  };
  for (const bio* bio = rq.bio; bio != nullptr; bio = bio->bi_next) add(bio->bi_request);
  if (&rq == &rq.q->fq.flush_rq) {
    list_head& running = rq.q->fq.flush_queue[rq.q->fq.flush_running_idx];
    for (list_head* entry = running.next; entry != &running; entry = entry->next) {
      add(list_entry(entry, request, flush.list)->bio->bi_request);
    }
  }
  return ids.empty() ? "0" : ids;
}

}  // namespace

void TraceRequest(absl::string_view event, const request& rq) {
  TRACE_EVENT(event, {{"dev", rq.q->bdev.bd_name},
                      {"rwbs", Rwbs(rq.cmd_flags)},
                      {"sector", blk_rq_pos(&rq)},
                      {"sectors", blk_rq_sectors(&rq)},
                      {"rq", rq.rq_id},
                      {"req", AioRequests(rq)}});
}

void blk_mq_run_hw_queue(request_queue& q, bool async) {
  if (async) {
    queue_work(q.kernel.kblockd_workqueue, &q.run_work);
  } else {
    blk_mq_sched_dispatch_requests(q);
  }
}

void blk_mq_add_to_requeue_list(request* rq, bool at_head) {
  request_queue& q = *rq->q;
  if (at_head) {
    list_add(&rq->queuelist, &q.requeue_list);
  } else {
    list_add_tail(&rq->queuelist, &q.requeue_list);
  }
  queue_work(q.kernel.kblockd_workqueue, &q.requeue_work);
}

void blk_mq_submit_bio(request_queue& q, bio* bio) {
  if (blk_bio_fits(*bio, q.limits, 0) == bio->bi_size) {
    SubmitPiece(q, bio);
    return;
  }
  if ((bio->bi_opf & (REQ_NOWAIT | REQ_ATOMIC)) != 0) {
    bio->bi_status = (bio->bi_opf & REQ_ATOMIC) != 0 ? -EINVAL : -EAGAIN;
    bio_endio(bio);
    return;
  }
  for (uint32_t done = 0; done < bio->bi_size;) {
    const uint32_t size = blk_bio_fits(*bio, q.limits, done);
    struct bio* const piece = bio_split(bio, bio->bi_sector + (done >> SECTOR_SHIFT), size);
    done += size;
    if (done < bio->bi_size) {
      // Full, so nothing will fit behind it.
      piece->bi_opf |= REQ_NOMERGE;
      TRACE_EVENT("block_split", {{"dev", q.bdev.bd_name},
                                  {"rwbs", Rwbs(bio->bi_opf)},
                                  {"sector", piece->bi_sector},
                                  {"new_sector", bio_end_sector(piece)},
                                  {"bio", bio->bi_id},
                                  {"req", bio->bi_request}});
    }
    SubmitPiece(q, piece);
  }
  bio_endio(bio);
}

void blk_mq_put_driver_tag(request* rq) {
  if (rq->tag == BLK_MQ_NO_TAG) return;
  rq->q->tags.free.push_back(rq->tag);
  rq->tag = BLK_MQ_NO_TAG;
}

void blk_mq_free_request(request* rq) {
  request_queue& q = *rq->q;
  rq->bio = rq->biotail = nullptr;
  rq->rq_id = 0;
  blk_mq_put_driver_tag(rq);
  if (rq->internal_tag != BLK_MQ_NO_TAG) q.sched_tags->free.push_back(rq->internal_tag);
  rq->internal_tag = BLK_MQ_NO_TAG;
  blk_mq_tag_freed(q);
  if (q.elevator != nullptr && (q.elevator->has_work() || !list_empty(&q.dispatch))) {
    blk_mq_run_hw_queue(q, /*async=*/true);
  }
}

void blk_mq_end_request(request* rq, int error) {
  if (current_kernel().trace.enabled()) {
    TRACE_EVENT("block_rq_complete", {{"dev", rq->q->bdev.bd_name},
                                      {"rwbs", Rwbs(rq->cmd_flags)},
                                      {"sector", blk_rq_pos(rq)},
                                      {"sectors", blk_rq_sectors(rq)},
                                      {"rq", rq->rq_id},
                                      {"req", AioRequests(*rq)},
                                      {"error", ResultName(error)}});
  }
  if ((rq->rq_flags & RQF_FLUSH_SEQ) == 0) {
    bio* next = std::exchange(rq->bio, nullptr);
    while (next != nullptr) {
      bio* const ended = next;
      next = std::exchange(ended->bi_next, nullptr);
      if (ended->bi_status == 0) ended->bi_status = error;
      bio_endio(ended);
    }
  }
  if (rq->end_io != nullptr) {
    rq->end_io(rq, error);
  } else {
    blk_mq_free_request(rq);
  }
}

void blk_mq_flush_plug_list(blk_plug* plug, bool from_schedule) {
  list_head rest;
  list_replace_init(&plug->mq_list, &rest);
  const bool has_elevator = plug->has_elevator;
  plug->rq_count = 0;
  plug->multiple_queues = plug->has_elevator = false;
  while (!list_empty(&rest)) {
    // One queue after the other, each in the order of submission.
    request_queue& q = *list_entry(rest.next, request, queuelist)->q;
    list_head list;
    unsigned depth = 0;
    for (list_head* entry = rest.next; entry != &rest;) {
      list_head* const next = entry->next;
      if (list_entry(entry, request, queuelist)->q == &q) {
        list_del_init(entry);
        list_add_tail(entry, &list);
        ++depth;
      }
      entry = next;
    }
    TRACE_EVENT("block_unplug", {{"dev", q.bdev.bd_name}, {"comm", current().comm}, {"nr", depth}});
    if (q.elevator != nullptr) {
      q.elevator->insert_requests(&list, /*at_head=*/false);
      blk_mq_run_hw_queue(q, from_schedule);
      continue;
    }
    while (!list_empty(&list)) {
      request* const rq = list_entry(list.next, request, queuelist);
      list_del_init(&rq->queuelist);
      if (from_schedule || has_elevator) {
        blk_mq_insert_request(rq, /*at_head=*/false);
      } else {
        Issue(rq);
      }
    }
    if (from_schedule || has_elevator) blk_mq_run_hw_queue(q, from_schedule);
  }
}

void blk_mq_forget_requests(request_queue& q, DropBio drop) {
  list_del_init(&q.run_work.entry);
  list_del_init(&q.requeue_work.entry);
  blk_flush_forget(q);
  if (q.elevator != nullptr) q.elevator->forget();

  // By tag, which is the same order in every run.
  blk_mq_tags& tags = TagsForRequests(q);
  for (const std::unique_ptr<request>& rq : tags.static_rqs) {
    if (rq == nullptr || rq->rq_id == 0) continue;
    list_del_init(&rq->queuelist);
    list_del_init(&rq->sort_node);
    list_del_init(&rq->flush.list);
    bio* next = std::exchange(rq->bio, nullptr);
    while (next != nullptr) {
      bio* const dropped = next;
      next = std::exchange(dropped->bi_next, nullptr);
      bio_drop(dropped, drop);
    }
    rq->rq_id = 0;
  }
  while (!list_empty(&q.waiting_bios)) {
    bio* const dropped = list_entry(q.waiting_bios.next, bio, bi_list);
    list_del_init(&dropped->bi_list);
    bio_drop(dropped, drop);
  }
  while (waitqueue_active(q.tag_wait)) list_del_init(q.tag_wait.head.next);
  const auto all_free = [](blk_mq_tags& used) {
    used.free.clear();
    for (size_t tag = used.static_rqs.size(); tag-- > 0;) used.free.push_back(static_cast<int>(tag));
  };
  all_free(q.tags);
  if (q.sched_tags != nullptr) all_free(*q.sched_tags);
}

}  // namespace aiolab
