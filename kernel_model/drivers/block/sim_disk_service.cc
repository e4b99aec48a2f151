// When a request is done: the queueing inside the disk, and the parts of a latency.
#include <algorithm>

#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/sim/exponential.h"

namespace aiolab {
namespace {

// A head that goes to the nearest request leaves none waiting for longer.
constexpr int64_t kHeadWaitMaxNs = 500'000'000;

// How many writes a cache with moving parts behind it takes before it slows down to the medium's pace.
constexpr int64_t kCachedWritesMax = 256;

const char* SiteOf(const request& rq) {
  switch (req_op(rq.cmd_flags)) {
    case REQ_OP_READ:
      return "sim_disk/read";
    case REQ_OP_WRITE:
      return "sim_disk/write";
    case REQ_OP_FLUSH:
      return "sim_disk/flush";
    default:
      return "sim_disk/discard";
  }
}

const SimDiskLatency& LatencyOf(const request& rq, const SimDiskParameters& parameters, bool needs_medium) {
  switch (req_op(rq.cmd_flags)) {
    case REQ_OP_READ:
      return parameters.read;
    case REQ_OP_WRITE:
      return needs_medium ? parameters.media_write : parameters.write;
    case REQ_OP_FLUSH:
      return parameters.flush;
    default:
      return parameters.discard;
  }
}

}  // namespace

bool SimDisk::NeedsMedium(const request& rq) const {
  switch (req_op(rq.cmd_flags)) {
    case REQ_OP_READ:
      return true;
    case REQ_OP_WRITE:
      return parameters_.cache_bytes == 0 || ((rq.cmd_flags & REQ_FUA) != 0 && kernel_.bug != SeededBug::kFuaInCache);
    default:
      return false;
  }
}

// Where the head would have to be at time 0 of a rotation, and how long until the sector passes under it.
int64_t SimDisk::PositioningNs(sector_t sector) const {
  const uint64_t track_sectors = parameters_.track_bytes >> SECTOR_SHIFT;
  const uint64_t tracks = std::max<uint64_t>(1, (parameters_.size_bytes >> SECTOR_SHIFT) / track_sectors);
  const auto from = static_cast<double>(head_sector_ / track_sectors);
  const auto to = static_cast<double>(sector / track_sectors);
  const double distance = std::min(1.0, (from > to ? from - to : to - from) / static_cast<double>(tracks));
  const int64_t seek_ns = SeekNs(parameters_, distance);
  const int64_t angle_ns =
      static_cast<int64_t>(sector % track_sectors) * parameters_.rotation_ns / static_cast<int64_t>(track_sectors);
  const int64_t turned_ns = (kernel_.executor.NowNs() + seek_ns) % parameters_.rotation_ns;
  return seek_ns + (angle_ns - turned_ns + parameters_.rotation_ns) % parameters_.rotation_ns;
}

int64_t SimDisk::ServiceEndNs(const request& rq, int64_t latency_ns) {
  const int64_t now_ns = kernel_.executor.NowNs();
  const bool reads = req_op(rq.cmd_flags) == REQ_OP_READ;
  const bool needs_medium = NeedsMedium(rq);
  int64_t begin_ns = now_ns;
  int64_t service_ns = latency_ns;

  if (req_op(rq.cmd_flags) == REQ_OP_FLUSH) {
    return std::max(now_ns, written_back_ns_) + latency_ns;
  }
  if (needs_medium && Mechanical()) {
    const int64_t media_ns =
        static_cast<int64_t>(uint64_t{rq.__data_len} * parameters_.rotation_ns / parameters_.track_bytes);
    service_ns += PositioningNs(blk_rq_pos(&rq)) + media_ns;
  } else if (needs_medium) {
    int64_t& channel_ns = *std::min_element(channel_free_ns_.begin(), channel_free_ns_.end());
    begin_ns = std::max(now_ns, channel_ns);
    channel_ns = begin_ns + service_ns;
  } else if (req_op(rq.cmd_flags) == REQ_OP_WRITE) {
    // What is written back leaves the cache at the medium's pace; a write waits until there is room for it.
    const int64_t full_ns = TransferNs(parameters_.cache_bytes, parameters_.media_bytes_per_second) +
                            parameters_.write_back_ns * kCachedWritesMax;
    const int64_t costs_ns = TransferNs(rq.__data_len, parameters_.media_bytes_per_second) + parameters_.write_back_ns;
    written_back_ns_ = std::max(written_back_ns_, now_ns) + costs_ns;
    begin_ns = std::max(now_ns, written_back_ns_ - full_ns);
  }
  if (req_op(rq.cmd_flags) != REQ_OP_READ && req_op(rq.cmd_flags) != REQ_OP_WRITE) return begin_ns + service_ns;

  // The link's rate bounds all transfers together; one does not wait for the latency of another.
  int64_t& link_free_ns = reads ? read_link_free_ns_ : write_link_free_ns_;
  const int64_t transfer_ns =
      TransferNs(rq.__data_len, reads ? parameters_.read_bytes_per_second : parameters_.write_bytes_per_second);
  link_free_ns = std::max(link_free_ns, begin_ns) + transfer_ns;
  return std::max(begin_ns + service_ns + transfer_ns, link_free_ns);
}

void SimDisk::MoveHead(const request& rq) {
  head_busy_ = true;
  head_sector_ = blk_rq_end(&rq);
}

void SimDisk::Start(request* rq) {
  const bool needs_medium = NeedsMedium(*rq);
  if (needs_medium && Mechanical() && head_busy_) {
    list_add_tail(&rq->sort_node, &waiting_for_head_);
    return;
  }
  const SimDiskLatency& latency = LatencyOf(*rq, parameters_, needs_medium);
  const uint32_t quantile =
      latency.mean_ns == 0 ? 0 : kernel_.chooser.Choose(Choice::kLatency, kQuantiles, SiteOf(*rq));
  const int64_t latency_ns = latency.mean_ns == 0 ? latency.fixed_ns : LatencyAtQuantileNs(latency, quantile);
  const int64_t end_ns = ServiceEndNs(*rq, latency_ns);
  if (needs_medium && Mechanical()) MoveHead(*rq);

  Completion* completion;
  if (idle_completions_.empty()) {
    completions_.push_back(std::make_unique<Completion>());
    completion = completions_.back().get();
    completion->disk = this;
    completion->run = Complete;
  } else {
    completion = idle_completions_.back();
    idle_completions_.pop_back();
  }
  completion->done = rq;
  completion->cache_position = cache_.position();
  completion->began = observer_ == nullptr ? 0 : observer_->entries_;
  kernel_.executor.At(*completion, end_ns);
}

// The one that the head reaches first, unless one has waited too long.
void SimDisk::StartNearest() {
  head_busy_ = false;
  if (list_empty(&waiting_for_head_)) return;
  request* next = list_entry(waiting_for_head_.next, request, sort_node);
  if (kernel_.executor.NowNs() - next->start_time_ns < kHeadWaitMaxNs) {
    int64_t nearest_ns = PositioningNs(blk_rq_pos(next));
    for (list_head* entry = next->sort_node.next; entry != &waiting_for_head_; entry = entry->next) {
      request* const other = list_entry(entry, request, sort_node);
      const int64_t positioning_ns = PositioningNs(blk_rq_pos(other));
      if (positioning_ns >= nearest_ns) continue;
      nearest_ns = positioning_ns;
      next = other;
    }
  }
  list_del_init(&next->sort_node);
  Start(next);
}

}  // namespace aiolab
