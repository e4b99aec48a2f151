// Direct requests.
//
// Mirrors: fs/iomap/direct-io.c, and ext4_dio_read_iter and ext4_dio_write_iter in fs/ext4/file.c.
#include <errno.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "kernel_model/block/blkdev.h"
#include "kernel_model/fs/iomap.h"
#include "kernel_model/mm/folio.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr uint64_t kBytesPerBioMax = 256 * kPageSize;
constexpr size_t kVecsPerBioMax = 256;

alignas(kPageSize) const char kZeros[kPageSize] = {};

uint64_t IndexOf(uint64_t pos) { return pos >> kPageShift; }

struct iomap_dio {
  struct Work : work_struct {
    iomap_dio* dio = nullptr;
  };

  kiocb* iocb = nullptr;
  iov_iter* iter = nullptr;  // the request's; it lives as long as the request
  address_space* mapping = nullptr;
  bool write = false;
  bool wait_for_completion = false;
  bool need_sync = false;      // an fsync follows
  bool write_through = false;  // FUA will do, so far
  loff_t pos = 0;
  uint64_t size = 0;  // bytes that bios or zeros stand for
  loff_t i_size = 0;  // at the beginning
  int error = 0;
  int ref = 1;  // bios under way, and the submitter
  wait_queue_head waiter;

  // The end, which a worker may have to leave and come back to.
  enum Step { kWritten, kInvalidate, kSync, kOver } step = kWritten;
  Work work;
  wait_queue_entry leave;
  fsync_state sync;
};

struct FreeDio {
  void operator()(iomap_dio* dio) const { kmem_cache_delete(current_kernel().iomap_dio_cache, dio); }
};

void SetError(iomap_dio& dio, int error) {
  if (dio.error == 0) dio.error = error;
}

// ---- The end

// Bytes moved, or the error: a request of which a part has failed has failed.
ssize_t ResultOf(const iomap_dio& dio) {
  if (dio.error != 0) return dio.error;
  const uint64_t in_file = dio.i_size > dio.pos ? static_cast<uint64_t>(dio.i_size - dio.pos) : 0;
  return static_cast<ssize_t>(dio.write ? dio.size : std::min(dio.size, in_file));
}

void EndOfWrite(iomap_dio& dio) {
  address_space& mapping = *dio.mapping;
  inode& node = *mapping.host;
  const loff_t end = dio.pos + static_cast<loff_t>(dio.size);
  if (dio.size > 0 && mapping.a_ops.end_write != nullptr) {
    const uint64_t first = IndexOf(static_cast<uint64_t>(dio.pos));
    const uint64_t last = IndexOf(static_cast<uint64_t>(end) - 1);
    mapping.a_ops.end_write(node, first, last - first + 1, end, dio.error);
  }
  if (dio.error == 0) node.i_size = std::max(node.i_size, end);
}

// Pages that came back into the cache while the device was writing are stale. 0, or -EIOCBRETRY as
// wait_event_or_leave. A page that somebody has written to meanwhile cannot go: two truths, of which an fsync tells.
//
// Mirrors: kiocb_invalidate_post_direct_write.
int InvalidatePages(iomap_dio& dio, wait_queue_entry* leave) {
  address_space& mapping = *dio.mapping;
  const uint64_t first = IndexOf(static_cast<uint64_t>(dio.pos));
  const uint64_t last = IndexOf(static_cast<uint64_t>(dio.pos) + dio.size - 1);
  for (auto at = mapping.i_pages.lower_bound(first); at != mapping.i_pages.end() && at->first <= last;) {
    folio* const page = at->second;
    const uint64_t index = at->first;
    const auto idle = [page] { return !page->locked && !page->writeback; };
    folio_get(page);
    const int error = wait_event_or_leave(page->wait, leave, idle);
    folio_put(page);
    if (error == -EIOCBRETRY) return error;
    at = mapping.i_pages.upper_bound(index);
  }
  if (invalidate_inode_pages2_range(mapping, first, last) != 0) mapping_set_error(mapping, -EIO);
  return 0;
}

// Everything after the last byte, as far as it can be done now: with `leave` -EIOCBRETRY, then once more. The result is
// the request's.
//
// Mirrors: iomap_dio_complete.
ssize_t iomap_dio_complete(iomap_dio& dio, wait_queue_entry* leave) {
  inode& node = *dio.mapping->host;
  const ssize_t result = ResultOf(dio);
  if (dio.step == iomap_dio::kWritten) {
    if (dio.write) EndOfWrite(dio);
    dio.step = iomap_dio::kInvalidate;
  }
  if (dio.step == iomap_dio::kInvalidate) {
    if (dio.write && dio.error == 0 && dio.size > 0 && InvalidatePages(dio, leave) == -EIOCBRETRY) return -EIOCBRETRY;
    dio.step = iomap_dio::kSync;
    if (--node.i_dio_count == 0) wake_up_all(node.i_dio_wait);
    if (result > 0) dio.iocb->ki_pos += result;
    dio.sync.Begin(leave);
  }
  if (dio.step == iomap_dio::kSync && result > 0 && dio.need_sync) {
    file* const filp = dio.iocb->ki_filp;
    const int datasync = (dio.iocb->ki_flags & IOCB_SYNC) == 0 ? 1 : 0;
    const int error = filp->f_op->fsync == nullptr ? -EINVAL : vfs_fsync(filp, datasync, &dio.sync);
    if (error == -EIOCBRETRY) return error;
    SetError(dio, error);
  }
  dio.step = iomap_dio::kOver;
  // The caller counts what the iterator has done.
  const ssize_t final_result = dio.error != 0 ? dio.error : result;
  dio.iter->done = final_result > 0 ? static_cast<size_t>(final_result) : 0;
  return final_result;
}

void CompleteAsync(iomap_dio* dio, wait_queue_entry* leave) {
  const ssize_t result = iomap_dio_complete(*dio, leave);
  if (result == -EIOCBRETRY) return;
  kiocb* const iocb = dio->iocb;
  FreeDio()(dio);
  iocb->ki_complete(iocb, result);
}

void iomap_dio_complete_work(work_struct* work) {
  iomap_dio* const dio = static_cast<iomap_dio::Work*>(work)->dio;
  dio->iocb->ki_waits_for = "its bytes to be on the device";
  CompleteAsync(dio, &dio->leave);
}

int WakeCompletion(wait_queue_entry* entry, uint32_t) {
  remove_wait_queue(entry);
  auto* const dio = static_cast<iomap_dio*>(entry->private_data);
  return queue_work(dio->mapping->vm->dio_done_wq, &dio->work) ? 1 : 0;
}

// A read has nothing left to do that an interrupt could not.
void DioEndIo(bio* bio) {
  auto* const dio = static_cast<iomap_dio*>(bio->bi_private);
  SetError(*dio, bio->bi_status);
  bio_put(bio);
  if (--dio->ref > 0) return;
  if (dio->wait_for_completion) {
    wake_up_all(dio->waiter);
  } else if (!dio->write) {
    CompleteAsync(dio, nullptr);
  } else {
    queue_work(dio->mapping->vm->dio_done_wq, &dio->work);
  }
}

// ---- The way to the device

// What breaks the device's rules for offset, length or memory.
bool IsAligned(const kiocb& iocb, const iov_iter& iter, const mapping_limits& limits) {
  const uint64_t block = limits.logical_block_size - 1;
  if (((static_cast<uint64_t>(iocb.ki_pos) | iter.count) & block) != 0) return false;
  const auto segments = iov_iter_next(iter, iter.count);
  return std::all_of(segments.begin(), segments.end(), [&](const iovec& segment) {
    return (reinterpret_cast<uint64_t>(segment.iov_base) & (limits.dma_alignment - 1)) == 0 &&
           (segment.iov_len & block) == 0;
  });
}

// Whether the pages are there that a device is about to be told of.
bool CanPin(const iovec& segment) {
  const auto begin = reinterpret_cast<uint64_t>(segment.iov_base);
  char byte;
  for (uint64_t at = begin; at < begin + segment.iov_len; at = (at | (kPageSize - 1)) + 1) {
    if (copy_from_user(&byte, reinterpret_cast<const char*>(at), 1) != 0) return false;
  }
  return true;
}

void SubmitPart(iomap_dio& dio, bio* bio) {
  bio->bi_request = dio.iocb->ki_id;
  bio->bi_inode = dio.iocb->ki_filp->f_inode;
  bio->bi_private = &dio;
  bio->bi_end_io = DioEndIo;
  ++dio.ref;
  submit_bio(bio);
}

void SubmitZeros(iomap_dio& dio, sector_t sector, uint64_t bytes) {
  if (bytes == 0) return;
  bio* const bio = bio_alloc(*dio.mapping->bdev, REQ_OP_WRITE | REQ_SYNC, sector, static_cast<uint32_t>(bytes));
  bio->bi_io_vec.push_back({const_cast<char*>(kZeros), static_cast<uint32_t>(bytes), /*bv_user=*/false, nullptr});
  SubmitPart(dio, bio);
}

blk_opf_t OpfOf(const iomap_dio& dio, bool pure_overwrite) {
  const int flags = dio.iocb->ki_flags;
  blk_opf_t opf = dio.write ? REQ_OP_WRITE | REQ_SYNC : REQ_OP_READ;
  if ((flags & IOCB_NOWAIT) != 0) opf |= REQ_NOWAIT;
  if ((flags & IOCB_ATOMIC) != 0) opf |= REQ_ATOMIC;
  if (dio.write && pure_overwrite && dio.write_through) opf |= REQ_FUA;
  return opf;
}

// Sends `bytes` of the client's memory to or from `sector`. 0, or -EFAULT with what was sent before it under way.
int SubmitBytes(iomap_dio& dio, sector_t sector, uint64_t bytes, blk_opf_t opf) {
  while (bytes > 0) {
    const uint64_t most = std::min(bytes, kBytesPerBioMax);
    absl::InlinedVector<iovec, 4> segments = iov_iter_next(*dio.iter, most);
    if (segments.size() > kVecsPerBioMax) segments.resize(kVecsPerBioMax);
    uint32_t in_bio = 0;
    for (const iovec& segment : segments) {
      if (!CanPin(segment)) return -EFAULT;
      in_bio += static_cast<uint32_t>(segment.iov_len);
    }
    bio* const bio = bio_alloc(*dio.mapping->bdev, opf, sector, in_bio);
    for (const iovec& segment : segments) {
      bio->bi_io_vec.push_back({static_cast<char*>(segment.iov_base), static_cast<uint32_t>(segment.iov_len),
                                /*bv_user=*/true, nullptr});
    }
    iov_iter_advance(dio.iter, in_bio);
    dio.size += in_bio;
    SubmitPart(dio, bio);
    sector += in_bio >> SECTOR_SHIFT;
    bytes -= in_bio;
  }
  return 0;
}

// The next part of the request, which is of one kind. 0, or -errno.
//
// Mirrors: iomap_iter, iomap_dio_iter, iomap_dio_bio_iter, iomap_dio_hole_iter.
int DioPart(iomap_dio& dio) {
  address_space& mapping = *dio.mapping;
  inode& node = *mapping.host;
  const uint64_t pos = static_cast<uint64_t>(dio.pos) + dio.size;
  const uint64_t index = IndexOf(pos);
  const uint64_t nr = IndexOf(pos + dio.iter->count - 1) - index + 1;
  block_map map;
  if (const int error = mapping.a_ops.map_blocks(node, index, nr, /*allocate=*/false, &map); error != 0) return error;
  const bool pure_overwrite = map.type == block_map::kMapped;
  if (dio.write && !pure_overwrite) {
    const int error = mapping.a_ops.map_blocks(node, index, std::min(nr, map.nr_pages), /*allocate=*/true, &map);
    if (error != 0) return error;
  }
  const uint64_t in_page = pos % kPageSize;
  const uint64_t bytes = std::min<uint64_t>((map.nr_pages << kPageShift) - in_page, dio.iter->count);
  if (!dio.write && map.type != block_map::kMapped) {
    const size_t zeroed = iov_iter_zero(bytes, dio.iter);
    dio.size += zeroed;
    return zeroed < bytes ? -EFAULT : 0;
  }
  if (!IsAligned(*dio.iocb, *dio.iter, mapping.limits)) return -EINVAL;
  if ((dio.iocb->ki_flags & IOCB_ATOMIC) != 0 && bytes < dio.iter->count) return -EINVAL;

  const bool extends = dio.pos + static_cast<loff_t>(dio.size + dio.iter->count) > dio.i_size;
  if (!pure_overwrite || extends) dio.write_through = false;
  const uint64_t behind = pos + bytes;
  const bool pads = dio.write && !pure_overwrite;
  if (pads) SubmitZeros(dio, map.sector, in_page);
  if (const int error =
          SubmitBytes(dio, map.sector + (in_page >> SECTOR_SHIFT), bytes, OpfOf(dio, pure_overwrite && !extends));
      error != 0) {
    return error;
  }
  if (pads && behind % kPageSize != 0) {
    SubmitZeros(dio, map.sector + ((in_page + bytes) >> SECTOR_SHIFT), kPageSize - behind % kPageSize);
  }
  return 0;
}

// What is dirty in the range goes to the device first, and before a write every page of it leaves the cache.
//
// Mirrors: kiocb_write_and_wait, kiocb_invalidate_pages.
int MakeCoherent(const iomap_dio& dio) {
  address_space& mapping = *dio.mapping;
  const uint64_t first = IndexOf(static_cast<uint64_t>(dio.pos));
  const uint64_t last = IndexOf(static_cast<uint64_t>(dio.pos) + dio.iter->count - 1);
  if ((dio.iocb->ki_flags & IOCB_NOWAIT) != 0) {
    const bool in_the_way =
        dio.write ? filemap_range_has_page(mapping, first, last) : filemap_range_needs_writeback(mapping, first, last);
    return in_the_way ? -EAGAIN : 0;
  }
  const errseq_t since = mapping.wb_err;
  fsync_state state;
  state.Begin(nullptr);
  dio.iocb->ki_waits_for = "dirty pages of its file to be on the device";
  if (const int error = filemap_write_and_wait_range(mapping, first, last, &state); error != 0) return error;
  if (const int error = filemap_check_wb_err(mapping, since); error != 0) return error;
  // Pages that are being read will be stale too; they go at the end.
  if (dio.write) invalidate_inode_pages2_range(mapping, first, last);
  return 0;
}

// Mirrors: iomap_dio_rw.
ssize_t iomap_dio_rw(kiocb* iocb, iov_iter* iter, address_space& mapping, bool force_wait) {
  inode& node = *mapping.host;
  std::unique_ptr<iomap_dio, FreeDio> owned(kmem_cache_new<iomap_dio>(current_kernel().iomap_dio_cache));
  iomap_dio& dio = *owned;
  dio.iocb = iocb;
  dio.iter = iter;
  dio.mapping = &mapping;
  dio.write = (iocb->ki_flags & IOCB_WRITE) != 0;
  dio.wait_for_completion = force_wait || is_sync_kiocb(*iocb);
  dio.pos = iocb->ki_pos;
  dio.i_size = node.i_size;
  INIT_WORK(&dio.work, iomap_dio_complete_work, "iomap_dio_complete_work");
  dio.work.dio = &dio;
  dio.leave.func = WakeCompletion;
  dio.leave.private_data = &dio;
  if (iter->count == 0 || (!dio.write && dio.pos >= dio.i_size)) return 0;
  if (dio.write && (iocb->ki_flags & IOCB_DSYNC) != 0) {
    dio.need_sync = true;
    dio.write_through = (iocb->ki_flags & IOCB_SYNC) == 0 && (mapping.limits.fua || !mapping.limits.write_cache);
  }
  if (const int error = MakeCoherent(dio); error != 0) return error;

  ++node.i_dio_count;
  iocb->ki_waits_for = "the device";
  blk_plug plug;
  blk_start_plug(&plug);
  int error = 0;
  // A read does not stop at the end of the file: what lies behind it is a hole, and the buffer gets its zeros.
  while (error == 0 && iter->count > 0) error = DioPart(dio);
  blk_finish_plug(&plug);
  SetError(dio, error);
  if (dio.write_through) dio.need_sync = false;

  if (--dio.ref > 0) {
    if (!dio.wait_for_completion) {
      owned.release();
      return -EIOCBQUEUED;
    }
    // An unkillable sleep: the device has the client's memory.
    while (dio.ref > 0) {
      if (wait_event(dio.waiter, [&dio] { return dio.ref == 0; }) == SleepResult::kStuck) {
        owned.release();  // the device may still end it
        return -EIO;
      }
    }
  }
  return iomap_dio_complete(dio, nullptr);
}

// ---- ext4's rules

int LockShared(inode& node, kiocb* iocb) {
  return kiocb_wait(
      iocb, node.i_rwsem.wait, [&node] { return down_read_trylock(node.i_rwsem); }, "the lock of its file's inode");
}

void Unlock(inode& node, kiocb* iocb, bool shared) {
  if (shared) {
    up_read(node.i_rwsem);
  } else {
    inode_unlock_iocb(node, iocb);
  }
}

// Whether the whole range has blocks, in one extent; `unwritten`: without data.
//
// Mirrors: ext4_overwrite_io.
bool IsOverwrite(address_space& mapping, loff_t pos, uint64_t bytes, bool* unwritten) {
  if (pos + static_cast<loff_t>(bytes) > mapping.host->i_size) return false;
  const uint64_t index = IndexOf(static_cast<uint64_t>(pos));
  const uint64_t nr = IndexOf(static_cast<uint64_t>(pos) + bytes - 1) - index + 1;
  block_map map;
  if (mapping.a_ops.map_blocks(*mapping.host, index, nr, /*allocate=*/false, &map) != 0) return false;
  *unwritten = map.type != block_map::kMapped;
  return map.nr_pages >= nr && (map.type == block_map::kMapped || map.type == block_map::kUnwritten);
}

// Takes the lock that this write needs. Shared is enough for what neither moves the file's end nor gets blocks. The
// bytes that may be written, or -errno; the lock is held if that is more than 0.
//
// Mirrors: ext4_dio_write_checks.
ssize_t DioWriteChecks(kiocb* iocb, iov_iter* from, address_space& mapping, bool* shared, bool* force_wait) {
  inode& node = *mapping.host;
  *shared = true;
  for (;;) {
    if (const int error = *shared ? LockShared(node, iocb) : inode_lock_iocb(node, iocb); error != 0) return error;
    ssize_t result = generic_write_checks(iocb, from);
    if (result > 0) {
      const auto bytes = static_cast<uint64_t>(result);
      const bool extends = iocb->ki_pos + result > node.i_size;
      const bool unaligned = ((static_cast<uint64_t>(iocb->ki_pos) | bytes) & (kPageSize - 1)) != 0;
      bool unwritten = false;
      const bool overwrite = IsOverwrite(mapping, iocb->ki_pos, bytes, &unwritten);
      const bool alone = extends || !overwrite || (unaligned && unwritten);
      *force_wait = alone && (unaligned || extends);
      if (alone && (iocb->ki_flags & IOCB_NOWAIT) != 0) {
        result = -EAGAIN;
      } else if (alone && *shared) {
        up_read(node.i_rwsem);
        *shared = false;
        continue;
      } else if (alone && unaligned && inode_dio_wait(node) != 0) {
        result = -EIO;
      }
    }
    if (result <= 0) Unlock(node, iocb, *shared);
    return result;
  }
}

ssize_t DioWrite(kiocb* iocb, iov_iter* from, address_space& mapping) {
  inode& node = *mapping.host;
  bool shared = false;
  bool force_wait = false;
  const ssize_t allowed = DioWriteChecks(iocb, from, mapping, &shared, &force_wait);
  if (allowed <= 0) return allowed;
  from->count = static_cast<size_t>(allowed);
  const ssize_t result = iomap_dio_rw(iocb, from, mapping, force_wait);
  Unlock(node, iocb, shared);
  return result;
}

ssize_t DioRead(kiocb* iocb, iov_iter* to, address_space& mapping) {
  inode& node = *mapping.host;
  if (const int error = LockShared(node, iocb); error != 0) return error;
  const ssize_t result = iomap_dio_rw(iocb, to, mapping, /*force_wait=*/false);
  up_read(node.i_rwsem);
  return result;
}

}  // namespace

ssize_t iomap_direct_IO(kiocb* iocb, iov_iter* iter, address_space& mapping) {
  iocb->ki_wait = nullptr;  // it is never retried
  return (iocb->ki_flags & IOCB_WRITE) != 0 ? DioWrite(iocb, iter, mapping) : DioRead(iocb, iter, mapping);
}

}  // namespace aiolab
