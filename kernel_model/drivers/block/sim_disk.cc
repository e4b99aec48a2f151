#include "kernel_model/drivers/block/sim_disk.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

#include "absl/types/span.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

queue_limits LimitsOf(const SimDiskParameters& parameters) {
  queue_limits limits;
  limits.max_sectors = parameters.max_sectors;
  limits.max_segments = parameters.max_segments;
  limits.logical_block_size = parameters.logical_block_size;
  limits.physical_block_size = std::max(parameters.physical_block_size, parameters.logical_block_size);
  limits.atomic_write_unit_max = std::max(parameters.atomic_write_unit, parameters.logical_block_size);
  limits.write_cache = parameters.cache_bytes > 0;
  limits.fua = parameters.fua && limits.write_cache;
  return limits;
}

bool HasMemory(const bio& bio) { return !bio.bi_io_vec.empty() && bio.bi_io_vec[0].bv_base != nullptr; }

DiskObserver::Kind KindOf(blk_opf_t op) {
  switch (op) {
    case REQ_OP_FLUSH:
      return DiskObserver::Kind::kFlush;
    case REQ_OP_DISCARD:
      return DiskObserver::Kind::kDiscard;
    case REQ_OP_WRITE_ZEROES:
      return DiskObserver::Kind::kWriteZeroes;
    default:
      return DiskObserver::Kind::kWrite;
  }
}

bool Overlap(const SimDisk::BadSectors& bad, sector_t first, sector_t end) {
  return bad.first < end && first < bad.first + bad.count;
}

}  // namespace

SimDisk::SimDisk(kernel_state& kernel, const SimDiskParameters& parameters)
    : kernel_(kernel),
      parameters_(parameters),
      queue_(kernel, *this, LimitsOf(parameters), parameters.queue_depth, parameters.elevator, parameters.nr_requests),
      cache_(bytes_, queue_.limits.atomic_write_unit_max >> SECTOR_SHIFT, parameters.cache_bytes),
      channel_free_ns_(std::max(1u, parameters.channels)) {
  bd_queue = &queue_;
  bd_nr_sectors = parameters.size_bytes >> SECTOR_SHIFT;
}

SimDisk::~SimDisk() {
  for (const std::unique_ptr<Completion>& completion : completions_) kernel_.executor.Cancel(*completion);
}

void SimDisk::queue_rq(request* rq) {
  if (kernel_.faults.armed(FaultSite::kDevice) && FaultTakesOver(rq)) [[unlikely]]
    return;
  list_add_tail(&rq->queuelist, &in_flight_);
  Start(rq);
}

void SimDisk::Complete(Executor::Event& event) {
  auto& completion = static_cast<Completion&>(event);
  SimDisk& disk = *completion.disk;
  request* const rq = completion.done;
  const uint64_t cache_position = completion.cache_position;
  disk.completing_began_ = completion.began;
  disk.idle_completions_.push_back(&completion);
  ScopedCurrent in_interrupt(disk.kernel_.irq);
  list_del_init(&rq->queuelist);
  const bool had_head = disk.Mechanical() && disk.NeedsMedium(*rq);
  const int error = disk.Transfer(*rq, cache_position);
  blk_mq_end_request(rq, error);
  if (had_head) disk.StartNearest();
}

// Moves one bio's bytes between its memory and the end of staging_, for a write, or the disk. 0, or -EFAULT if the
// client's memory has gone away.
int SimDisk::TransferBio(bio& bio, bool write, const RequestFault& fault) {
  sector_t sector = Misdirected(fault, bio.bi_sector, bio_sectors(&bio));
  for (const bio_vec& vec : bio.bi_io_vec) {
    const size_t begin = write ? staging_.size() : 0;
    staging_.resize(begin + vec.bv_len);
    char* const staged = staging_.data() + begin;
    if (!write) bytes_.Read(sector, absl::MakeSpan(staged, vec.bv_len));
    if (!write && !bit_rot_.empty()) ShowBitRot(sector, absl::MakeSpan(staged, vec.bv_len));
    void* const to = write ? staged : vec.bv_base;
    const void* const from = write ? vec.bv_base : staged;
    if (!vec.bv_user) {
      memcpy(to, from, vec.bv_len);
    } else if (CopyPinned(to, from, vec.bv_len) != 0) {
      return -EFAULT;
    }
    sector += vec.bv_len >> SECTOR_SHIFT;
  }
  return 0;
}

// The bytes of staging_ go to `first`, or what a fault leaves of them to where it says.
void SimDisk::Store(const request& rq, sector_t first, const RequestFault& fault) {
  const sector_t end = first + (staging_.size() >> SECTOR_SHIFT);
  if (fault.kind == FaultKind::kTorn) {
    const uint64_t before_bytes = (first - blk_rq_pos(&rq)) << SECTOR_SHIFT;
    staging_.resize(std::min<uint64_t>(staging_.size(), fault.n - std::min(fault.n, before_bytes)));
  }
  const uint64_t sectors = staging_.size() >> SECTOR_SHIFT;
  const sector_t missing = fault.kind == FaultKind::kMisdirected ? first : first + sectors;
  if (missing < end) {
    Observe({.kind = DiskObserver::Kind::kWrite, .sector = missing, .sectors = end - missing, .lost = true});
  }
  if (sectors == 0) return;
  first = Misdirected(fault, first, sectors);
  bit_rot_.erase(
      std::remove_if(bit_rot_.begin(), bit_rot_.end(),
                     [&](const RottenBit& bit) { return bit.sector >= first && bit.sector < first + sectors; }),
      bit_rot_.end());
  if (NeedsMedium(rq)) {
    cache_.WriteDurably(first, staging_);
  } else {
    cache_.Write(first, staging_);
    cache_.Evict();
  }
  Observe({.kind = DiskObserver::Kind::kWrite,
           .sector = first,
           .sectors = sectors,
           .bytes = staging_,
           .fua = (rq.cmd_flags & REQ_FUA) != 0 && NeedsMedium(rq)});
}

// Bios that follow one another are written as one, so that an atomic unit of several of them stays whole.
int SimDisk::WriteRequest(request& rq, const RequestFault& fault) {
  staging_.clear();
  sector_t first = blk_rq_pos(&rq);
  const auto store_staged = [&](sector_t next) {
    if (!staging_.empty()) Store(rq, first, fault);
    staging_.clear();
    first = next;
  };
  for (bio* bio = rq.bio; bio != nullptr; bio = bio->bi_next) {
    if (!HasMemory(*bio)) {
      store_staged(bio_end_sector(bio));
      continue;
    }
    const size_t staged = staging_.size();
    bio->bi_status = TransferBio(*bio, /*write=*/true, RequestFault());
    if (bio->bi_status == 0) continue;
    staging_.resize(staged);
    store_staged(bio_end_sector(bio));
  }
  store_staged(0);
  return 0;
}

int SimDisk::CheckBadSectors(const request& rq) {
  const sector_t first = blk_rq_pos(&rq);
  const sector_t end = blk_rq_end(&rq);
  const bool reads = req_op(rq.cmd_flags) == REQ_OP_READ;
  const auto fails = [&](const BadSectors& bad) { return Overlap(bad, first, end) && (reads || bad.writes_fail); };
  if (std::any_of(bad_sectors_.begin(), bad_sectors_.end(), fails)) return -EIO;
  if (reads) return 0;
  std::vector<BadSectors> left;
  for (const BadSectors& bad : bad_sectors_) {
    if (!Overlap(bad, first, end)) {
      left.push_back(bad);
      continue;
    }
    const sector_t bad_end = bad.first + bad.count;
    if (bad.first < first) left.push_back({bad.first, first - bad.first});
    if (bad_end > end) left.push_back({end, bad_end - end});
  }
  bad_sectors_ = std::move(left);
  return 0;
}

// As an NVMe device, which reports one status for the whole command: a bad sector fails every bio of its request.
int SimDisk::Transfer(request& rq, uint64_t cache_position) {
  const blk_opf_t op = req_op(rq.cmd_flags);
  const RequestFault fault = faults_.empty() ? RequestFault() : TakeFault(rq);
  if (fault.error != 0) return -fault.error;
  if (fault.kind == FaultKind::kLost) {
    if (op != REQ_OP_READ) {
      Observe({.kind = KindOf(op), .sector = blk_rq_pos(&rq), .sectors = blk_rq_sectors(&rq), .lost = true});
    }
    return 0;
  }
  if (op == REQ_OP_FLUSH) {
    const bool lost = kernel_.bug == SeededBug::kFlushKeepsCache;
    if (!lost) cache_.Flushed(cache_position);
    ++kernel_.stats.flushes;
    Observe({.kind = DiskObserver::Kind::kFlush, .lost = lost});
    return 0;
  }
  if (!bad_sectors_.empty()) {
    const int error = CheckBadSectors(rq);
    if (error != 0) return error;
  }
  switch (op) {
    case REQ_OP_READ:
      for (bio* bio = rq.bio; bio != nullptr; bio = bio->bi_next) {
        if (HasMemory(*bio)) bio->bi_status = TransferBio(*bio, /*write=*/false, fault);
      }
      return 0;
    case REQ_OP_WRITE:
      return WriteRequest(rq, fault);
    case REQ_OP_DISCARD:
    case REQ_OP_WRITE_ZEROES:
      staging_.clear();
      if (parameters_.cache_bytes == 0) {
        cache_.ZeroDurably(blk_rq_pos(&rq), blk_rq_sectors(&rq));
      } else {
        cache_.Zero(blk_rq_pos(&rq), blk_rq_sectors(&rq));
        cache_.Evict();
      }
      Observe({.kind = KindOf(op), .sector = blk_rq_pos(&rq), .sectors = blk_rq_sectors(&rq)});
      return 0;
    default:
      return -EOPNOTSUPP;
  }
}

// Of the request that completes now.
void SimDisk::Observe(DiskObserver::Entry entry) {
  if (observer_ == nullptr) return;
  ++observer_->entries_;
  entry.time_ns = kernel_.executor.NowNs();
  entry.sector += observed_first_;
  entry.began = completing_began_;
  observer_->OnRequest(entry);
}

void SimDisk::ForgetRequests(DropBio drop) {
  idle_completions_.clear();
  for (const std::unique_ptr<Completion>& completion : completions_) {
    kernel_.executor.Cancel(*completion);
    idle_completions_.push_back(completion.get());
  }
  for (list_head* list : {&in_flight_, &waiting_for_head_}) {
    while (!list_empty(list)) list_del_init(list->next);
  }
  faults_.clear();
  held_.clear();
  head_busy_ = false;
  std::fill(channel_free_ns_.begin(), channel_free_ns_.end(), 0);
  read_link_free_ns_ = write_link_free_ns_ = written_back_ns_ = 0;
  blk_mq_forget_requests(queue_, drop);
}

void SimDisk::PowerCut(DropBio drop, uint32_t tear_bytes) {
  if (observer_ != nullptr) observer_->OnPowerCut();
  // What was in flight may have arrived, in whole, in part or not at all: as if it had been cached a moment ago.
  for (list_head* entry = in_flight_.next; entry != &in_flight_; entry = entry->next) {
    const request& rq = *list_entry(entry, request, queuelist);
    if (!faults_.empty() && TakeFault(rq).kind != FaultKind::kNone) continue;  // none of its bytes, or not here
    const blk_opf_t op = req_op(rq.cmd_flags);
    if (op == REQ_OP_DISCARD || op == REQ_OP_WRITE_ZEROES) cache_.Zero(blk_rq_pos(&rq), blk_rq_sectors(&rq));
    if (op != REQ_OP_WRITE) continue;
    for (bio* bio = rq.bio; bio != nullptr; bio = bio->bi_next) {
      staging_.clear();
      if (HasMemory(*bio) && TransferBio(*bio, /*write=*/true, RequestFault()) == 0)
        cache_.Write(bio->bi_sector, staging_);
    }
  }
  cache_.PowerCut(
      [this](uint32_t versions) { return kernel_.chooser.Choose(Choice::kSurvival, versions, "sim_disk/survival"); },
      tear_bytes >> SECTOR_SHIFT);
  ForgetRequests(drop);
}

}  // namespace aiolab
