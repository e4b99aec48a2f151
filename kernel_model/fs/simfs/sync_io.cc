#include "kernel_model/fs/simfs/sync_io.h"

#include <errno.h>

#include <algorithm>

#include "kernel_model/kernel/wait.h"

namespace aiolab::simfs {
namespace {

constexpr size_t kPieceBytesMax = size_t{512} << 10;

struct Waiter {
  wait_queue_head ended;
  bool done = false;
  bool abandoned = false;  // its task has given up
  int status = 0;
};

void EndSyncIo(bio* bio) {
  auto* const waiter = static_cast<Waiter*>(bio->bi_private);
  waiter->status = bio->bi_status;
  waiter->done = true;
  bio_put(bio);
  if (waiter->abandoned) {
    delete waiter;
  } else {
    wake_up_all(waiter->ended);
  }
}

int SubmitAndWait(bio* bio) {
  auto* const waiter = new Waiter;
  bio->bi_private = waiter;
  bio->bi_end_io = EndSyncIo;
  submit_bio(bio);
  wait_event(waiter->ended, [waiter] { return waiter->done; });
  if (!waiter->done) {
    waiter->abandoned = true;
    return -EIO;
  }
  const int status = waiter->status;
  delete waiter;
  return status;
}

}  // namespace

int SyncIo(block_device& bdev, blk_opf_t opf, sector_t sector, char* buffer, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const auto piece = static_cast<uint32_t>(std::min(bytes - done, kPieceBytesMax));
    bio* const bio = bio_alloc(bdev, opf | REQ_SYNC, sector + done / SECTOR_SIZE, piece);
    bio->bi_io_vec.push_back({.bv_base = buffer + done, .bv_len = piece});
    if (const int error = SubmitAndWait(bio); error != 0) return error;
    done += piece;
  }
  return 0;
}

int FlushAndWait(block_device& bdev) { return SubmitAndWait(bio_alloc(bdev, REQ_OP_FLUSH | REQ_SYNC, 0, 0)); }

}  // namespace aiolab::simfs
