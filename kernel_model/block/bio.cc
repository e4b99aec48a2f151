#include "kernel_model/block/bio.h"

#include <errno.h>

#include <algorithm>
#include <utility>

#include "kernel_model/block/blkdev.h"
#include "kernel_model/kernel/wait.h"

namespace aiolab {
namespace {

void SplitEndIo(bio* piece) {
  auto* const whole = static_cast<bio*>(piece->bi_private);
  if (whole->bi_status == 0) whole->bi_status = piece->bi_status;
  bio_put(piece);
  bio_endio(whole);
}

struct bio_waiter {
  wait_queue_head ended;
  bool done = false;
  bool abandoned = false;  // its task has been told that this never ends, and the device may still end it
  int status = 0;
};

void WaitEndIo(bio* bio) {
  auto* const waiter = static_cast<bio_waiter*>(bio->bi_private);
  waiter->status = bio->bi_status;
  waiter->done = true;
  bio_put(bio);
  if (waiter->abandoned) {
    delete waiter;
  } else {
    wake_up_all(waiter->ended);
  }
}

}  // namespace

bio* bio_alloc(block_device& bdev, blk_opf_t opf, sector_t sector, uint32_t size) {
  bio* made;
  if (bdev.idle_bios.empty()) {
    made = new bio;
  } else {
    made = bdev.idle_bios.back().release();
    bdev.idle_bios.pop_back();
  }
  made->bi_bdev = &bdev;
  made->bi_opf = opf;
  made->bi_sector = sector;
  made->bi_size = size;
  made->bi_id = static_cast<int64_t>(++current_kernel().stats.bios);
  return made;
}

void bio_put(bio* bio) {
  // Not clear(), which gives the memory back.
  bio->bi_io_vec.erase(bio->bi_io_vec.begin(), bio->bi_io_vec.end());
  bio->bi_end_io = nullptr;
  bio->bi_private = nullptr;
  bio->bi_inode.reset();
  bio->bi_status = 0;
  bio->bi_request = 0;
  bio->bi_next = nullptr;
  bio->__bi_remaining = 1;
  bio->bi_bdev->idle_bios.emplace_back(bio);
}

int submit_bio_wait(bio* bio) {
  auto waiter = std::make_unique<bio_waiter>();
  bio->bi_private = waiter.get();
  bio->bi_end_io = WaitEndIo;
  submit_bio(bio);
  wait_event(waiter->ended, [&waiter] { return waiter->done; });
  if (waiter->done) return waiter->status;
  waiter.release()->abandoned = true;
  return -EIO;
}

void bio_endio(bio* bio) {
  BUG_ON(bio->__bi_remaining <= 0);
  if (--bio->__bi_remaining == 0) bio->bi_end_io(bio);
}

void bio_drop(bio* dropped, DropBio drop) {
  if (dropped->bi_end_io != SplitEndIo) {
    drop(dropped);
    return;
  }
  auto* const whole = static_cast<bio*>(dropped->bi_private);
  bio_put(dropped);
  if (--whole->__bi_remaining == 0) drop(whole);
}

bio* bio_split(bio* whole, sector_t sector, uint32_t size) {
  bio* const piece = bio_alloc(*whole->bi_bdev, whole->bi_opf, sector, size);
  piece->bi_request = whole->bi_request;
  piece->bi_private = whole;
  piece->bi_end_io = SplitEndIo;
  ++whole->__bi_remaining;
  uint64_t skip = (sector - whole->bi_sector) << SECTOR_SHIFT;
  for (const bio_vec& vec : whole->bi_io_vec) {
    if (size == 0) break;
    if (skip >= vec.bv_len) {
      skip -= vec.bv_len;
      continue;
    }
    bio_vec part = vec;
    if (part.bv_base != nullptr) part.bv_base += skip;
    part.bv_len = std::min<uint32_t>(size, vec.bv_len - static_cast<uint32_t>(skip));
    skip = 0;
    size -= part.bv_len;
    piece->bi_io_vec.push_back(part);
  }
  return piece;
}

std::string Rwbs(blk_opf_t opf) {
  std::string letters;
  if ((opf & REQ_PREFLUSH) != 0) letters += 'F';
  switch (req_op(opf)) {
    case REQ_OP_READ:
      letters += 'R';
      break;
    case REQ_OP_WRITE:
    case REQ_OP_WRITE_ZEROES:
      letters += 'W';
      break;
    case REQ_OP_FLUSH:
      letters += 'F';
      break;
    case REQ_OP_DISCARD:
      letters += 'D';
      break;
    default:
      letters += 'N';
  }
  if ((opf & REQ_FUA) != 0) letters += 'F';
  if ((opf & REQ_RAHEAD) != 0) letters += 'A';
  if ((opf & REQ_SYNC) != 0) letters += 'S';
  if ((opf & REQ_META) != 0) letters += 'M';
  if ((opf & REQ_ATOMIC) != 0) letters += 'U';
  return letters;
}

}  // namespace aiolab
