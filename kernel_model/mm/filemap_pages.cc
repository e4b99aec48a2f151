// Buffered reads and writes of files whose bytes are in the pages.
//
// A request goes as far as it can. Whatever it has to wait for, it looks at again from the beginning when it comes
// back: while it was away, the page may have gone, or the file may have become shorter.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "kernel_model/kernel/fault_inject.h"
#include "kernel_model/mm/folio.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

address_space& MappingOf(const kiocb& iocb) { return *iocb.ki_filp->f_inode->i_mapping; }

uint64_t IndexOf(loff_t pos) { return static_cast<uint64_t>(pos) >> kPageShift; }
size_t OffsetInPage(loff_t pos) { return static_cast<uint64_t>(pos) % kPageSize; }
uint64_t StartOf(uint64_t index) { return index << kPageShift; }

// What a request gives back at its end: what it has moved, or why it has moved nothing.
ssize_t DoneOr(const iov_iter& iter, ssize_t error) { return iter.done > 0 ? static_cast<ssize_t>(iter.done) : error; }

// Whether a read of the page that this request waited for has failed. It is told once.
bool ReadHasFailed(kiocb* iocb, const folio& page) {
  const bool waited_for_it = std::exchange(iocb->ki_progress.page, ~uint64_t{0}) == page.index;
  return waited_for_it && page.error && !page.uptodate && !page.locked;
}

// The page at `index` with its bytes, having read it or waited for it if need be; null if the file has become too short
// for it during a sleep. 0, -EIOCBRETRY, -EAGAIN, -EIO.
//
// Mirrors: filemap_get_pages.
int GetUptodateFolio(kiocb* iocb, address_space& mapping, uint64_t index, uint64_t req_count, folio** found) {
  while (StartOf(index) < static_cast<uint64_t>(mapping.host->i_size)) {
    folio* page = filemap_get_folio(mapping, index);
    if (page == nullptr) {
      page_cache_sync_ra(mapping, iocb, index, req_count);
      page = filemap_get_folio(mapping, index);
      if (page == nullptr) continue;  // a sleep for a request of the device, and it is gone again
    }
    if (page->readahead) {
      folio_get(page);
      page_cache_async_ra(mapping, iocb, page, req_count);
      const bool gone = page->mapping == nullptr;
      folio_put(page);
      if (gone) continue;
    }
    if (page->uptodate) {
      *found = page;
      return 0;
    }
    if (ReadHasFailed(iocb, *page)) return -EIO;
    if (!page->locked) {
      if ((iocb->ki_flags & IOCB_NOWAIT) != 0) return -EAGAIN;
      filemap_read_folio(mapping, iocb, index);
      page = filemap_get_folio(mapping, index);
    }
    if (page == nullptr) continue;
    iocb->ki_progress.page = index;
    if (const int error = folio_wait_locked(page, iocb); error != 0) return error;
  }
  *found = nullptr;
  return 0;
}

// Whether the page at `index` is read for who uses it next, or was read ahead and nobody has used it yet.
bool MayHaveToRead(const address_space& mapping, uint64_t index) {
  const folio* const page = filemap_get_folio(mapping, index);
  return page == nullptr || !page->uptodate || page->unused;
}

// Mirrors: filemap_read.
ssize_t filemap_read_pages(kiocb* iocb, iov_iter* to, address_space& mapping) {
  const inode& node = *mapping.host;
  int error = 0;
  while (to->count > 0 && iocb->ki_pos < node.i_size) {
    const uint64_t index = IndexOf(iocb->ki_pos);
    const loff_t end = std::min<uint64_t>(node.i_size, static_cast<uint64_t>(iocb->ki_pos) + to->count);
    if (fault_armed(FaultSite::kPage)) [[unlikely]] {
      if (MayHaveToRead(mapping, index)) error = fault_page(iocb, end - iocb->ki_pos, /*read=*/true);
      if (error != 0) break;
    }
    folio* page = nullptr;
    error = GetUptodateFolio(iocb, mapping, index, IndexOf(end - 1) - index + 1, &page);
    if (error != 0) break;
    if (page == nullptr || iocb->ki_pos >= node.i_size) break;
    const size_t offset = OffsetInPage(iocb->ki_pos);
    const size_t bytes = std::min({kPageSize - offset, to->count, static_cast<size_t>(node.i_size - iocb->ki_pos)});
    const size_t copied = copy_to_iter(page->bytes + offset, bytes, to);
    iocb->ki_pos += static_cast<loff_t>(copied);
    if ((iocb->ki_flags & IOCB_DONTCACHE) == 0) page->dropbehind = false;
    if (page->dropbehind && !page->dirty && !page->writeback) {
      filemap_remove_folio(page);
    } else {
      folio_mark_accessed(page);
    }
    if (copied < bytes) {
      error = -EFAULT;
      break;
    }
  }
  if (to->done > 0) iocb->ki_filp->f_ra.prev_pos = iocb->ki_pos - 1;
  if (error == -EIOCBRETRY) return error;
  return DoneOr(*to, error);
}

// Whether the next byte of the client's memory can be read.
bool FaultIn(iov_iter* from) {
  char byte;
  if (copy_from_iter(&byte, 1, from) == 0) return false;
  iov_iter_revert(from, 1);
  return true;
}

// The page for a write of [offset, offset + bytes) within it, with what of its old bytes the write leaves. 0, or why it
// has to wait or fail.
//
// Mirrors: iomap_write_begin.
int WriteBegin(kiocb* iocb, address_space& mapping, uint64_t index, size_t offset, size_t bytes, folio** found) {
  const loff_t pos = static_cast<loff_t>(StartOf(index) + offset);
  const bool leaves_old_bytes = write_leaves_old_bytes(mapping.host->i_size, pos, bytes);
  for (;;) {
    folio* page = filemap_get_folio(mapping, index);
    if (page != nullptr && page->locked) {
      iocb->ki_progress.page = index;
      if (const int error = folio_wait_locked(page, iocb); error != 0) return error;
      continue;
    }
    if (page != nullptr && page->writeback && mapping.stable_writes) {
      if (const int error = folio_wait_writeback(page, iocb); error != 0) return error;
      continue;
    }
    if (leaves_old_bytes && (page == nullptr || !page->uptodate)) {
      if (page != nullptr && ReadHasFailed(iocb, *page)) return -EIO;
      block_map map;
      if (const int error = mapping.a_ops.map_blocks(*mapping.host, index, 1, /*allocate=*/false, &map); error != 0) {
        return error;
      }
      if (map.type == block_map::kMapped && (iocb->ki_flags & IOCB_NOWAIT) != 0) return -EAGAIN;
      filemap_read_folio(mapping, iocb, index);
      iocb->ki_progress.page = index;
      continue;
    }
    *found = page != nullptr ? page : filemap_add_folio(mapping, index);
    break;
  }
  folio* const page = *found;
  int error = 0;
  if (!page->dirty && mapping.a_ops.reserve != nullptr) error = mapping.a_ops.reserve(*mapping.host, index, 1);
  if (error != 0 && !page->uptodate) filemap_remove_folio(page);
  return error;
}

// Copies up to the end of a page. 0, or why not.
int WriteOnePage(kiocb* iocb, iov_iter* from, address_space& mapping, size_t allowed) {
  inode& node = *mapping.host;
  const uint64_t index = IndexOf(iocb->ki_pos);
  const size_t offset = OffsetInPage(iocb->ki_pos);
  size_t bytes = std::min(kPageSize - offset, allowed);
  for (;;) {
    if (!FaultIn(from)) return -EFAULT;
    const bool was_there = filemap_get_folio(mapping, index) != nullptr;
    folio* page = nullptr;
    if (const int error = WriteBegin(iocb, mapping, index, offset, bytes, &page); error != 0) return error;
    const size_t copied = copy_from_iter(page->bytes + offset, bytes, from);
    // Bytes that a bad address kept from being replaced would have to be the old ones: once more, for what can be had.
    if (copied < bytes && !page->uptodate && StartOf(index) < static_cast<uint64_t>(node.i_size)) {
      iov_iter_revert(from, copied);
      memset(page->bytes, 0, kPageSize);
      bytes = copied;
      if (bytes == 0) return -EFAULT;
      continue;
    }
    page->uptodate = true;
    if (!was_there) page->dropbehind = (iocb->ki_flags & IOCB_DONTCACHE) != 0;
    if ((iocb->ki_flags & IOCB_DONTCACHE) == 0) page->dropbehind = false;
    folio_mark_dirty(page);
    folio_mark_accessed(page);
    iocb->ki_pos += static_cast<loff_t>(copied);
    node.i_size = std::max(node.i_size, iocb->ki_pos);
    return 0;
  }
}

// A dirty page has its bytes, its memory and its space.
int FaultAtWrite(kiocb* iocb, address_space& mapping, size_t allowed) {
  const uint64_t index = IndexOf(iocb->ki_pos);
  const folio* const there = filemap_get_folio(mapping, index);
  if (there != nullptr && there->dirty) return 0;
  const size_t bytes = std::min(kPageSize - OffsetInPage(iocb->ki_pos), allowed);
  const bool read = MayHaveToRead(mapping, index) && write_leaves_old_bytes(mapping.host->i_size, iocb->ki_pos, bytes);
  return fault_page(iocb, allowed, read);
}

// Mirrors: generic_perform_write. 0, -EIOCBRETRY or the error that ended it.
int generic_perform_write(kiocb* iocb, iov_iter* from, address_space& mapping, size_t allowed) {
  while (allowed > 0) {
    if (const int error = balance_dirty_pages_ratelimited(mapping, iocb); error != 0) return error;
    if (fault_armed(FaultSite::kPage)) [[unlikely]] {
      if (const int error = FaultAtWrite(iocb, mapping, allowed); error != 0) return error;
    }
    const size_t left = from->count;
    const int error = WriteOnePage(iocb, from, mapping, allowed);
    if (error != 0) return error;
    allowed -= left - from->count;
  }
  return 0;
}

// What O_DSYNC and RWF_DONTCACHE want of a write whose bytes are all in pages. It can be called again.
//
// Mirrors: generic_write_sync.
ssize_t generic_write_sync(kiocb* iocb, iov_iter* from) {
  std::unique_ptr<fsync_state>& sync = iocb->ki_progress.sync;
  const ssize_t done = static_cast<ssize_t>(from->done);
  if ((iocb->ki_flags & IOCB_DSYNC) == 0) {
    if ((iocb->ki_flags & IOCB_DONTCACHE) != 0) {
      filemap_fdatawrite(MappingOf(*iocb), IndexOf(iocb->ki_pos - done), IndexOf(iocb->ki_pos - 1));
    }
    return done;
  }
  if (sync == nullptr) {
    sync = std::make_unique<fsync_state>();
    sync->Begin(iocb->ki_wait);
  }
  file* const filp = iocb->ki_filp;
  iocb->ki_waits_for = "its bytes to be on the device";
  const int datasync = (iocb->ki_flags & IOCB_SYNC) == 0 ? 1 : 0;
  const int error = filp->f_op->fsync == nullptr ? -EINVAL : vfs_fsync(filp, datasync, sync.get());
  if (error == -EIOCBRETRY) return error;
  sync.reset();
  // Bytes of which it is not known whether they will last do not count.
  if (error != 0) iov_iter_revert(from, from->done);
  return error != 0 ? error : done;
}

// Mirrors: ext4_file_write_iter, generic_atomic_write_valid.
int CheckAtomicWrite(const kiocb& iocb, const iov_iter& from, const mapping_limits& limits) {
  const size_t bytes = from.count;
  if (bytes < limits.atomic_write_unit_min || bytes > limits.atomic_write_unit_max) return -EINVAL;
  if (from.segments.size() != 1 || (bytes & (bytes - 1)) != 0) return -EINVAL;
  if ((static_cast<uint64_t>(iocb.ki_pos) & (bytes - 1)) != 0) return -EINVAL;
  return (iocb.ki_flags & IOCB_DIRECT) != 0 ? 0 : -EOPNOTSUPP;
}

}  // namespace

ssize_t generic_file_read_iter(kiocb* iocb, iov_iter* to) {
  address_space& mapping = MappingOf(*iocb);
  if (to->count == 0) return DoneOr(*to, 0);
  if ((iocb->ki_flags & IOCB_DIRECT) != 0 && mapping.direct_IO != nullptr) return mapping.direct_IO(iocb, to, mapping);
  return filemap_read_pages(iocb, to, mapping);
}

ssize_t generic_file_write_iter(kiocb* iocb, iov_iter* from) {
  address_space& mapping = MappingOf(*iocb);
  if ((iocb->ki_flags & IOCB_ATOMIC) != 0) {
    if (const int error = CheckAtomicWrite(*iocb, *from, mapping.limits); error != 0) return error;
  }
  if ((iocb->ki_flags & IOCB_DIRECT) != 0 && mapping.direct_IO != nullptr) {
    return mapping.direct_IO(iocb, from, mapping);
  }
  if (iocb->ki_progress.sync != nullptr) return generic_write_sync(iocb, from);
  const bool takes_nowait = (iocb->ki_filp->f_op->fop_flags & FOP_BUFFER_WASYNC) != 0;
  if ((iocb->ki_flags & IOCB_NOWAIT) != 0 && !takes_nowait) return -EOPNOTSUPP;

  if (const int error = inode_lock_iocb(*mapping.host, iocb); error != 0) return error;
  const ssize_t allowed = generic_write_checks(iocb, from);
  const int error = allowed <= 0 ? static_cast<int>(allowed)
                                 : generic_perform_write(iocb, from, mapping, static_cast<size_t>(allowed));
  if (error == -EIOCBRETRY) return error;
  inode_unlock_iocb(*mapping.host, iocb);
  const ssize_t done = DoneOr(*from, error);
  return done > 0 ? generic_write_sync(iocb, from) : done;
}

int generic_file_open(inode& node, file* filp) {
  filp->f_mode |= FMODE_NOWAIT | FMODE_CAN_ODIRECT;
  if (node.i_mapping == nullptr) return 0;
  // Whether a write is direct is asked of each: fcntl may set O_DIRECT later.
  if (node.i_mapping->limits.atomic_write_unit_max > 0) filp->f_mode |= FMODE_CAN_ATOMIC_WRITE;
  filp->f_wb_err = filemap_sample_wb_err(*node.i_mapping);
  return 0;
}

int inode_lock_iocb(inode& node, kiocb* iocb) {
  if (iocb->ki_progress.holds_i_rwsem) return 0;
  const auto take = [&] { return iocb->ki_progress.holds_i_rwsem = down_write_trylock(node.i_rwsem, iocb); };
  return kiocb_wait(iocb, node.i_rwsem.wait, take, "the lock of its file's inode");
}

void inode_unlock_iocb(inode& node, kiocb* iocb) {
  iocb->ki_progress.holds_i_rwsem = false;
  up_write(node.i_rwsem, iocb);
}

int inode_lock(inode& node) {
  return wait_event_or_leave(node.i_rwsem.wait, nullptr,
                             [&node] { return down_write_trylock(node.i_rwsem, &current()); });
}

void inode_unlock(inode& node) { up_write(node.i_rwsem, &current()); }

int inode_dio_wait(inode& node) {
  return wait_event_or_leave(node.i_dio_wait, nullptr, [&node] { return node.i_dio_count == 0; });
}

}  // namespace aiolab
