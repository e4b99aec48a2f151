// Requests by sector in batches, but none much later than its deadline, and reads before writes.
//
// Mirrors: block/mq-deadline.c.
// Differs: every request has the same I/O priority, and no zone.
#include <memory>

#include "kernel_model/block/blk.h"
#include "kernel_model/block/elevator.h"

namespace aiolab {
namespace {

constexpr int64_t kMillisecondNs = 1'000'000;
constexpr int64_t read_expire_ns = 500 * kMillisecondNs;
constexpr int64_t write_expire_ns = 5000 * kMillisecondNs;
constexpr unsigned writes_starved = 2;
constexpr unsigned fifo_batch = 16;

enum dd_data_dir { DD_READ = 0, DD_WRITE = 1 };

dd_data_dir rq_data_dir(blk_opf_t opf) { return op_is_write(opf) ? DD_WRITE : DD_READ; }

class MqDeadline : public elevator_queue {
 public:
  explicit MqDeadline(request_queue& q) : q_(q) {}

  bool bio_merge(bio* bio, uint32_t nr_segs) override;
  void insert_requests(list_head* list, bool at_head) override;
  request* dispatch_request() override;
  bool has_work() const override {
    return !list_empty(&dispatch_) || !list_empty(&fifo_list_[DD_READ]) || !list_empty(&fifo_list_[DD_WRITE]);
  }
  void forget() override;

 private:
  // A list by sector has nr_requests entries at most, and no node to allocate.
  void AddSorted(request* rq);
  void Remove(request* rq);
  request* FromPosition(dd_data_dir dir) const;
  request* OldestOf(dd_data_dir dir) const;
  bool Expired(dd_data_dir dir) const;
  request* Dispatched(request* rq);
  // Merges `rq` with the request before or behind it. The one that is left over is freed.
  bool MergeWithNeighbours(request* rq);
  void Merged(request* req, request* next);

  request_queue& q_;
  list_head sort_list_[2];
  list_head fifo_list_[2];
  list_head dispatch_;
  dd_data_dir last_dir_ = DD_READ;
  sector_t latest_pos_[2] = {0, 0};
  unsigned batching_ = 0;
  unsigned starved_ = 0;
};

request* Sorted(list_head* entry) { return list_entry(entry, request, sort_node); }

void MqDeadline::AddSorted(request* rq) {
  list_head& sorted = sort_list_[rq_data_dir(rq->cmd_flags)];
  list_head* before = sorted.prev;
  while (before != &sorted && blk_rq_pos(Sorted(before)) > blk_rq_pos(rq)) before = before->prev;
  list_add(&rq->sort_node, before);
}

void MqDeadline::Remove(request* rq) {
  list_del_init(&rq->queuelist);
  list_del_init(&rq->sort_node);
}

request* MqDeadline::FromPosition(dd_data_dir dir) const {
  const list_head& sorted = sort_list_[dir];
  for (list_head* entry = sorted.next; entry != &sorted; entry = entry->next) {
    if (blk_rq_pos(Sorted(entry)) >= latest_pos_[dir]) return Sorted(entry);
  }
  return nullptr;
}

request* MqDeadline::OldestOf(dd_data_dir dir) const {
  return list_empty(&fifo_list_[dir]) ? nullptr : list_entry(fifo_list_[dir].next, request, queuelist);
}

bool MqDeadline::Expired(dd_data_dir dir) const { return OldestOf(dir)->fifo_time <= q_.kernel.executor.NowNs(); }

// `next` is part of `req` now: the earlier deadline of the two counts.
void MqDeadline::Merged(request* req, request* next) {
  if (!list_empty(&req->queuelist) && !list_empty(&next->queuelist) && next->fifo_time < req->fifo_time) {
    list_del_init(&req->queuelist);
    list_add(&req->queuelist, &next->queuelist);
    req->fifo_time = next->fifo_time;
  }
  Remove(next);
  blk_mq_free_request(next);
}

bool MqDeadline::MergeWithNeighbours(request* rq) {
  list_head& sorted = sort_list_[rq_data_dir(rq->cmd_flags)];
  for (list_head* entry = sorted.next; entry != &sorted; entry = entry->next) {
    request* const other = Sorted(entry);
    if (other == rq) continue;
    if (request* const next = attempt_merge(q_, other, rq)) {
      Merged(other, next);
      return true;
    }
    // A request that is not queued yet becomes part of the one before it only, as in the kernel.
    if (list_empty(&rq->sort_node)) continue;
    if (request* const next = attempt_merge(q_, rq, other)) {
      Merged(rq, next);
      return true;
    }
  }
  return false;
}

bool MqDeadline::bio_merge(bio* bio, uint32_t nr_segs) {
  list_head& sorted = sort_list_[rq_data_dir(bio->bi_opf)];
  for (list_head* entry = sorted.next; entry != &sorted; entry = entry->next) {
    request* const rq = Sorted(entry);
    const sector_t position = blk_rq_pos(rq);
    if (blk_attempt_bio_merge(q_, rq, bio, nr_segs) != BIO_MERGE_OK) continue;
    if (!MergeWithNeighbours(rq) && blk_rq_pos(rq) != position) {
      list_del_init(&rq->sort_node);
      AddSorted(rq);
    }
    return true;
  }
  return false;
}

void MqDeadline::insert_requests(list_head* list, bool at_head) {
  while (!list_empty(list)) {
    request* const rq = list_entry(list->next, request, queuelist);
    list_del_init(&rq->queuelist);
    if (MergeWithNeighbours(rq)) continue;
    TraceRequest("block_rq_insert", *rq);
    if (at_head) {
      list_add(&rq->queuelist, &dispatch_);
      continue;
    }
    AddSorted(rq);
    const dd_data_dir dir = rq_data_dir(rq->cmd_flags);
    rq->fifo_time = q_.kernel.executor.NowNs() + (dir == DD_READ ? read_expire_ns : write_expire_ns);
    list_add_tail(&rq->queuelist, &fifo_list_[dir]);
  }
}

request* MqDeadline::Dispatched(request* rq) {
  const dd_data_dir dir = rq_data_dir(rq->cmd_flags);
  latest_pos_[dir] = blk_rq_pos(rq);
  Remove(rq);
  return rq;
}

request* MqDeadline::dispatch_request() {
  if (!list_empty(&dispatch_)) return Dispatched(list_entry(dispatch_.next, request, queuelist));

  // A batch goes on in its direction.
  request* rq = FromPosition(last_dir_);
  if (rq != nullptr && batching_ < fifo_batch) {
    ++batching_;
    return Dispatched(rq);
  }

  dd_data_dir dir;
  const bool writes = OldestOf(DD_WRITE) != nullptr;
  if (OldestOf(DD_READ) != nullptr && !(writes && starved_++ >= writes_starved)) {
    dir = DD_READ;
  } else if (writes) {
    starved_ = 0;
    dir = DD_WRITE;
  } else {
    return nullptr;
  }

  rq = FromPosition(dir);
  if (rq == nullptr || Expired(dir)) rq = OldestOf(dir);
  last_dir_ = dir;
  batching_ = 1;
  return Dispatched(rq);
}

void MqDeadline::forget() {
  for (list_head* list : {&fifo_list_[DD_READ], &fifo_list_[DD_WRITE], &dispatch_}) {
    while (!list_empty(list)) Remove(list_entry(list->next, request, queuelist));
  }
  batching_ = starved_ = 0;
  last_dir_ = DD_READ;
  latest_pos_[DD_READ] = latest_pos_[DD_WRITE] = 0;
}

}  // namespace

std::unique_ptr<elevator_queue> NewMqDeadline(request_queue& q) { return std::make_unique<MqDeadline>(q); }

}  // namespace aiolab
