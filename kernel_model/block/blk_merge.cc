// What fits into one request: where bios are split, and which of them become one request.
//
// Mirrors: block/blk-merge.c.
// Differs: memory is counted in pieces of max_segment_size, as if the client's pages lay together; there are no
// segment boundaries; a discard has one range.
#include <algorithm>

#include "kernel_model/block/blk.h"

namespace aiolab {
namespace {

bool HasSegments(blk_opf_t op) { return op == REQ_OP_READ || op == REQ_OP_WRITE; }

uint32_t SegmentsOf(const bio_vec& vec, const queue_limits& limits) {
  return (vec.bv_len + limits.max_segment_size - 1) / limits.max_segment_size;
}

uint32_t MaxSectors(blk_opf_t opf, const queue_limits& limits) {
  switch (req_op(opf)) {
    case REQ_OP_DISCARD:
      return limits.max_discard_sectors;
    case REQ_OP_WRITE_ZEROES:
      return limits.max_write_zeroes_sectors;
    default:
      return (opf & REQ_ATOMIC) != 0 ? limits.atomic_write_unit_max >> SECTOR_SHIFT : limits.max_sectors;
  }
}

bool bio_mergeable(const bio& bio) { return (bio.bi_opf & REQ_NOMERGE_FLAGS) == 0; }

bool blk_rq_merge_ok(const request& rq, const bio& bio) {
  return rq_mergeable(&rq) && bio_mergeable(bio) && req_op(rq.cmd_flags) == req_op(bio.bi_opf) &&
         (rq.cmd_flags & REQ_ATOMIC) == (bio.bi_opf & REQ_ATOMIC);
}

// A request that is full stays closed, also to bios that would still fit: the kernel does not look twice.
bool ll_merge_ok(request_queue& q, request* rq, uint32_t sectors, uint32_t nr_segs) {
  if (blk_rq_sectors(rq) + sectors <= MaxSectors(rq->cmd_flags, q.limits) &&
      rq->nr_phys_segments + nr_segs <= q.limits.max_segments) {
    return true;
  }
  rq->cmd_flags |= REQ_NOMERGE;
  return false;
}

}  // namespace

bool rq_mergeable(const request* rq) {
  const blk_opf_t op = req_op(rq->cmd_flags);
  return op != REQ_OP_FLUSH && op != REQ_OP_WRITE_ZEROES && (rq->cmd_flags & REQ_NOMERGE_FLAGS) == 0 &&
         (rq->rq_flags & RQF_FLUSH_SEQ) == 0;
}

uint32_t blk_bio_segments(const bio& bio, const queue_limits& limits) {
  if (!HasSegments(req_op(bio.bi_opf)) || bio.bi_size == 0) return 0;
  if (bio.bi_io_vec.empty()) return 1;
  uint32_t segments = 0;
  for (const bio_vec& vec : bio.bi_io_vec) segments += SegmentsOf(vec, limits);
  return segments;
}

uint32_t blk_bio_fits(const bio& bio, const queue_limits& limits, uint32_t done) {
  const uint32_t rest = bio.bi_size - done;
  uint64_t fits = uint64_t{MaxSectors(bio.bi_opf, limits)} << SECTOR_SHIFT;
  if (HasSegments(req_op(bio.bi_opf))) {
    uint32_t segments = 0;
    uint64_t skip = done;
    uint64_t with_segments = 0;
    for (const bio_vec& vec : bio.bi_io_vec) {
      if (skip >= vec.bv_len) {
        skip -= vec.bv_len;
        continue;
      }
      bio_vec part = vec;
      part.bv_len -= static_cast<uint32_t>(skip);
      skip = 0;
      const uint32_t free = limits.max_segments - segments;
      const uint32_t wanted = SegmentsOf(part, limits);
      if (wanted > free) {
        with_segments += uint64_t{free} * limits.max_segment_size;
        fits = std::min(fits, with_segments);
        break;
      }
      segments += wanted;
      with_segments += part.bv_len;
    }
  }
  if (fits >= rest) return rest;
  // The next piece begins with a whole physical block if it can, with a logical one anyhow.
  const uint64_t start = ((bio.bi_sector << SECTOR_SHIFT) + done) % limits.physical_block_size;
  const uint64_t aligned = (start + fits) / limits.physical_block_size * limits.physical_block_size;
  if (aligned > start) return static_cast<uint32_t>(aligned - start);
  return static_cast<uint32_t>(fits / limits.logical_block_size * limits.logical_block_size);
}

bio_merge_status blk_attempt_bio_merge(request_queue& q, request* rq, bio* bio, uint32_t nr_segs) {
  if (!blk_rq_merge_ok(*rq, *bio)) return BIO_MERGE_NONE;
  const bool back = blk_rq_end(rq) == bio->bi_sector;
  const bool front = bio_end_sector(bio) == blk_rq_pos(rq);
  if (!back && !front) return BIO_MERGE_NONE;
  if (!ll_merge_ok(q, rq, bio_sectors(bio), nr_segs)) return BIO_MERGE_FAILED;
  TraceBio(back ? "block_bio_backmerge" : "block_bio_frontmerge", *bio);
  if (back) {
    rq->biotail->bi_next = bio;
    rq->biotail = bio;
  } else {
    bio->bi_next = rq->bio;
    rq->bio = bio;
    rq->__sector = bio->bi_sector;
  }
  rq->__data_len += bio->bi_size;
  rq->nr_phys_segments += nr_segs;
  ++q.kernel.stats.merges;
  return BIO_MERGE_OK;
}

bool blk_attempt_plug_merge(request_queue& q, bio* bio, uint32_t nr_segs) {
  blk_plug* const plug = current().plug;
  if (plug == nullptr) return false;
  for (list_head* entry = plug->mq_list.prev; entry != &plug->mq_list; entry = entry->prev) {
    request* const rq = list_entry(entry, request, queuelist);
    if (rq->q == &q) return blk_attempt_bio_merge(q, rq, bio, nr_segs) == BIO_MERGE_OK;
    if (!plug->multiple_queues) return false;
  }
  return false;
}

bool blk_bio_list_merge(request_queue& q, list_head* list, bio* bio, uint32_t nr_segs) {
  int checked = 8;
  for (list_head* entry = list->prev; entry != list && checked > 0; entry = entry->prev, --checked) {
    const bio_merge_status status = blk_attempt_bio_merge(q, list_entry(entry, request, queuelist), bio, nr_segs);
    if (status != BIO_MERGE_NONE) return status == BIO_MERGE_OK;
  }
  return false;
}

request* attempt_merge(request_queue& q, request* req, request* next) {
  if (!rq_mergeable(req) || !rq_mergeable(next) || req_op(req->cmd_flags) != req_op(next->cmd_flags) ||
      (req->cmd_flags & REQ_ATOMIC) != (next->cmd_flags & REQ_ATOMIC) || blk_rq_end(req) != blk_rq_pos(next) ||
      !ll_merge_ok(q, req, blk_rq_sectors(next), next->nr_phys_segments)) {
    return nullptr;
  }
  TraceRequest("block_rq_merge", *next);
  req->biotail->bi_next = next->bio;
  req->biotail = next->biotail;
  req->__data_len += next->__data_len;
  req->nr_phys_segments += next->nr_phys_segments;
  next->bio = next->biotail = nullptr;
  ++q.kernel.stats.merges;
  return next;
}

}  // namespace aiolab
