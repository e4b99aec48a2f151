#include "kernel_model/fs/direct_io.h"

#include <errno.h>

#include "kernel_model/block/bio.h"
#include "kernel_model/kernel/sched.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

struct dio {
  kiocb* iocb;
  iov_iter* iter;  // the request's; it lives as long as the request
  const address_space_operations* a_ops;
  wait_queue_head* waiter;  // of a synchronous request, else null
  ssize_t* result;
};

void DioEndIo(bio* bio) {
  auto* const finished = static_cast<dio*>(bio->bi_private);
  const dio done = *finished;
  kmem_cache_delete(current_kernel().dio_cache, finished);
  kiocb* const iocb = done.iocb;
  ssize_t result = bio->bi_status;
  if (result == 0) {
    result = (iocb->ki_flags & IOCB_WRITE) != 0 ? done.a_ops->write_range(iocb, done.iter, done.iter->count)
                                                : done.a_ops->read_range(iocb, done.iter, done.iter->count);
  }
  if (result > 0) iocb->ki_pos += result;
  bio_put(bio);
  if (done.waiter != nullptr) {
    *done.result = result;
    wake_up_all(*done.waiter);
  } else {
    iocb->ki_complete(iocb, result);
  }
}

}  // namespace

ssize_t blockdev_direct_IO(kiocb* iocb, iov_iter* iter, address_space& mapping) {
  const address_space_operations& a_ops = mapping.a_ops;
  if (iter->count == 0) return 0;
  const bool write = (iocb->ki_flags & IOCB_WRITE) != 0;
  if (!write && iocb->ki_pos >= a_ops.size(iocb->ki_filp)) return 0;

  bio* const bio = bio_alloc(*current_kernel().disk, (write ? REQ_OP_WRITE : REQ_OP_READ) | REQ_SYNC,
                             mapping.first_sector + (static_cast<uint64_t>(iocb->ki_pos) >> SECTOR_SHIFT), iter->count);
  bio->bi_request = iocb->ki_id;
  bio->bi_end_io = DioEndIo;
  iocb->ki_waits_for = "the device";
  iter->pinned = true;
  if (!is_sync_kiocb(*iocb)) {
    bio->bi_private = kmem_cache_new<dio>(current_kernel().dio_cache, iocb, iter, &a_ops, nullptr, nullptr);
    submit_bio(bio);
    return -EIOCBQUEUED;
  }
  wait_queue_head waiter;
  ssize_t result = -EIOCBQUEUED;
  bio->bi_private = kmem_cache_new<dio>(current_kernel().dio_cache, iocb, iter, &a_ops, &waiter, &result);
  submit_bio(bio);
  wait_event(waiter, [&result] { return result != -EIOCBQUEUED; });
  return result;
}

}  // namespace aiolab
