#include "kernel_model/fs/direct_io.h"

#include <errno.h>

#include "kernel_model/block/bio.h"
#include "kernel_model/kernel/sched.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

struct dio {
  kiocb* iocb;     // null: whoever waited has been told that this never ends
  iov_iter* iter;  // the request's; it lives as long as the request
  const address_space_operations* a_ops;
  bool done = false;  // of a synchronous request, whose caller frees this
  ssize_t result = 0;
  wait_queue_head waiter{};
};

void Free(dio* dio) { kmem_cache_delete(current_kernel().dio_cache, dio); }

void DioEndIo(bio* bio) {
  auto* const ended = static_cast<dio*>(bio->bi_private);
  kiocb* const iocb = ended->iocb;
  ssize_t result = bio->bi_status;
  bio_put(bio);
  if (iocb == nullptr) {
    Free(ended);
    return;
  }
  if (result == 0) {
    result = (iocb->ki_flags & IOCB_WRITE) != 0 ? ended->a_ops->write_range(iocb, ended->iter, ended->iter->count)
                                                : ended->a_ops->read_range(iocb, ended->iter, ended->iter->count);
  }
  if (result > 0) iocb->ki_pos += result;
  if (is_sync_kiocb(*iocb)) {
    ended->result = result;
    ended->done = true;
    wake_up_all(ended->waiter);
  } else {
    Free(ended);
    iocb->ki_complete(iocb, result);
  }
}

}  // namespace

ssize_t blockdev_direct_IO(kiocb* iocb, iov_iter* iter, address_space& mapping) {
  const address_space_operations& a_ops = mapping.a_ops;
  if (iter->count == 0) return 0;
  const bool write = (iocb->ki_flags & IOCB_WRITE) != 0;
  if (!write && iocb->ki_pos >= a_ops.size(iocb->ki_filp)) return 0;

  blk_opf_t opf = (write ? REQ_OP_WRITE : REQ_OP_READ) | REQ_SYNC;
  if ((iocb->ki_flags & IOCB_NOWAIT) != 0) opf |= REQ_NOWAIT;
  bio* const bio = bio_alloc(*current_kernel().disk, opf,
                             mapping.first_sector + (static_cast<uint64_t>(iocb->ki_pos) >> SECTOR_SHIFT), iter->count);
  bio->bi_request = iocb->ki_id;
  bio->bi_end_io = DioEndIo;
  iocb->ki_waits_for = "the device";
  iter->pinned = true;
  dio* const dio = kmem_cache_new<struct dio>(current_kernel().dio_cache, iocb, iter, &a_ops);
  bio->bi_private = dio;
  const bool sync = is_sync_kiocb(*iocb);
  submit_bio(bio);
  if (!sync) return -EIOCBQUEUED;
  if (wait_event(dio->waiter, [dio] { return dio->done; }) != SleepResult::kDone) {
    dio->iocb = nullptr;  // the device may still end it
    return -EIO;
  }
  const ssize_t result = dio->result;
  Free(dio);
  return result;
}

}  // namespace aiolab
