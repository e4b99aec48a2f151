#include "kernel_model/fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "kernel_model/fs/locks.h"
#include "kernel_model/kernel/fault_inject.h"
#include "kernel_model/kernel/signal.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/aio_abi.h"
#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

// access_ok: the lower half of the address space is the client's.
constexpr uint64_t kUserAddressLimit = uint64_t{1} << 47;

// The soft limit, in bytes.
uint64_t FileSizeLimit() {
  rlimit64 limit = {};
  RawSyscall(__NR_prlimit64, 0, RLIMIT_FSIZE, nullptr, &limit);
  return limit.rlim_cur;
}

// Calls `move` for each contiguous piece of the next `n` bytes until one is short, and advances by what was moved.
template <typename Move>
size_t ForEachPiece(iov_iter* iter, size_t n, Move move) {
  n = std::min(n, iter->count);
  size_t done = 0;
  while (done < n) {
    const iovec& segment = iter->segments[iter->segment];
    const size_t left_in_segment = segment.iov_len - iter->segment_offset;
    if (left_in_segment == 0) {
      ++iter->segment;
      iter->segment_offset = 0;
      continue;
    }
    const size_t piece = std::min(left_in_segment, n - done);
    const size_t moved = move(static_cast<char*>(segment.iov_base) + iter->segment_offset, piece, done);
    iter->segment_offset += moved;
    iter->count -= moved;
    iter->done += moved;
    done += moved;
    if (moved < piece) break;
  }
  return done;
}

}  // namespace

bool access_ok(const void* address, size_t len) {
  const auto start = reinterpret_cast<uint64_t>(address);
  return len <= kUserAddressLimit && start <= kUserAddressLimit - len;
}

int import_single_range(void* buf, size_t len, iov_iter* iter) {
  len = std::min(len, MAX_RW_COUNT);
  if (!access_ok(buf, len)) return -EFAULT;
  iter->segments.assign(1, iovec{buf, len});
  iter->segment = 0;
  iter->segment_offset = 0;
  iter->count = len;
  iter->done = 0;
  iter->mm = current().mm;
  iter->pinned = false;
  return 0;
}

int import_iovec(const iovec* user_iov, size_t nr_segs, iov_iter* iter) {
  iter->segments.clear();
  iter->segment = 0;
  iter->segment_offset = 0;
  iter->count = iter->done = 0;
  iter->mm = current().mm;
  iter->pinned = false;
  if (nr_segs == 0) return 0;
  if (nr_segs > static_cast<size_t>(kUioMaxIov)) return -EINVAL;
  constexpr size_t kUioFastIov = 8;  // so many lie on the stack
  if (nr_segs > kUioFastIov && fault_armed(FaultSite::kSlab) && fault_slab()) [[unlikely]]
    return -ENOMEM;
  iter->segments.resize(nr_segs);
  if (copy_from_user(iter->segments.data(), user_iov, nr_segs * sizeof(iovec)) != 0) return -EFAULT;
  // All lengths are looked at before any address.
  for (const iovec& segment : iter->segments) {
    if (static_cast<ssize_t>(segment.iov_len) < 0) return -EINVAL;
  }
  for (iovec& segment : iter->segments) {
    if (!access_ok(segment.iov_base, segment.iov_len)) return -EFAULT;
    segment.iov_len = std::min(segment.iov_len, MAX_RW_COUNT - iter->count);
    iter->count += segment.iov_len;
  }
  return 0;
}

size_t copy_to_iter(const void* from, size_t n, iov_iter* iter) {
  BUG_ON(!iter->pinned && current().mm != iter->mm);
  return ForEachPiece(iter, n, [from, pinned = iter->pinned](char* user, size_t piece, size_t done) {
    const char* const source = static_cast<const char*>(from) + done;
    return piece - (pinned ? CopyPinned(user, source, piece) : copy_to_user(user, source, piece));
  });
}

size_t copy_from_iter(void* to, size_t n, iov_iter* iter) {
  BUG_ON(!iter->pinned && current().mm != iter->mm);
  return ForEachPiece(iter, n, [to, pinned = iter->pinned](char* user, size_t piece, size_t done) {
    char* const destination = static_cast<char*>(to) + done;
    return piece - (pinned ? CopyPinned(destination, user, piece) : copy_from_user(destination, user, piece));
  });
}

size_t iov_iter_zero(size_t n, iov_iter* iter) {
  static constexpr char kZeros[kPageSize] = {};
  size_t total = 0;
  while (n > 0) {
    const size_t piece = std::min(n, sizeof(kZeros));
    const size_t copied = copy_to_iter(kZeros, piece, iter);
    total += copied;
    if (copied < piece) break;
    n -= piece;
  }
  return total;
}

void iov_iter_advance(iov_iter* iter, size_t n) {
  ForEachPiece(iter, n, [](char*, size_t piece, size_t) { return piece; });
}

void iov_iter_revert(iov_iter* iter, size_t n) {
  iter->count += n;
  iter->done -= n;
  while (n > iter->segment_offset) {
    n -= iter->segment_offset;
    iter->segment_offset = iter->segments[--iter->segment].iov_len;
  }
  iter->segment_offset -= n;
}

absl::InlinedVector<iovec, 4> iov_iter_next(const iov_iter& iter, size_t n) {
  absl::InlinedVector<iovec, 4> next;
  n = std::min(n, iter.count);
  size_t offset = iter.segment_offset;
  for (size_t i = iter.segment; n > 0; ++i, offset = 0) {
    const size_t piece = std::min(iter.segments[i].iov_len - offset, n);
    if (piece == 0) continue;
    next.push_back({static_cast<char*>(iter.segments[i].iov_base) + offset, piece});
    n -= piece;
  }
  return next;
}

int iocb_flags(const file& filp) {
  int flags = 0;
  if ((filp.f_flags & O_APPEND) != 0) flags |= IOCB_APPEND;
  if ((filp.f_flags & O_DIRECT) != 0) flags |= IOCB_DIRECT;
  if ((filp.f_flags & O_DSYNC) != 0) flags |= IOCB_DSYNC;
  if ((filp.f_flags & O_SYNC) == O_SYNC) flags |= IOCB_SYNC;
  return flags;
}

int rw_verify_area(const file&, loff_t pos, size_t count) {
  if (static_cast<ssize_t>(count) < 0) return -EINVAL;
  if (pos < 0) return -EINVAL;
  if (count > static_cast<uint64_t>(std::numeric_limits<loff_t>::max() - pos)) return -EINVAL;
  return 0;
}

int kiocb_set_rw_flags(kiocb* iocb, int flags, bool write) {
  constexpr int kSupported = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND | RWF_ATOMIC |
                             RWF_DONTCACHE | RWF_NOSIGNAL;
  if (flags == 0) return 0;
  if ((flags & ~kSupported) != 0) return -EOPNOTSUPP;
  if ((flags & RWF_APPEND) != 0 && (flags & RWF_NOAPPEND) != 0) return -EINVAL;
  if ((flags & RWF_NOWAIT) != 0 && (iocb->ki_filp->f_mode & FMODE_NOWAIT) == 0) return -EOPNOTSUPP;
  const bool can_be_atomic = write && (iocb->ki_filp->f_mode & FMODE_CAN_ATOMIC_WRITE) != 0;
  if ((flags & RWF_ATOMIC) != 0 && !can_be_atomic) return -EOPNOTSUPP;
  if ((flags & RWF_DONTCACHE) != 0 && (iocb->ki_filp->f_op->fop_flags & FOP_DONTCACHE) == 0) return -EOPNOTSUPP;
  int kiocb_flags = flags & ~RWF_NOAPPEND;
  if ((flags & RWF_SYNC) != 0) kiocb_flags |= IOCB_DSYNC;
  if ((flags & RWF_NOAPPEND) != 0 && (iocb->ki_flags & IOCB_APPEND) != 0) iocb->ki_flags &= ~IOCB_APPEND;
  iocb->ki_flags |= kiocb_flags;
  return 0;
}

kiocb_progress::kiocb_progress() = default;
kiocb_progress::~kiocb_progress() = default;

FaultPoint fault_point(const kiocb& iocb, size_t bytes) {
  FaultPoint point;
  const bool write = (iocb.ki_flags & IOCB_WRITE) != 0;
  point.op = static_cast<uint16_t>(write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD);
  point.path = iocb.ki_filp->f_name;
  point.open = iocb.ki_filp->f_id;
  point.off = iocb.ki_pos;
  point.size = bytes;
  point.request = iocb.ki_id;
  constexpr int kRwfFlags = IOCB_HIPRI | IOCB_DSYNC | IOCB_SYNC | IOCB_NOWAIT | IOCB_APPEND;
  point.rwf = iocb.ki_flags & kRwfFlags;
  point.direct = (iocb.ki_flags & IOCB_DIRECT) != 0;
  return point;
}

int fault_page(kiocb* iocb, size_t bytes, bool read) {
  if (std::exchange(iocb->ki_progress.fault_asked_at, iocb->ki_pos) == iocb->ki_pos) return 0;
  const auto in_page = static_cast<size_t>(iocb->ki_pos) % kPageSize;
  FaultPoint point = fault_point(*iocb, std::min(bytes, kPageSize - in_page));
  point.reads = read;
  return -ask_fault(FaultSite::kPage, kAllFaultKinds, point).error;
}

int fault_fsync(file* filp, fsync_state* state) {
  FaultPoint point;
  point.path = filp->f_name;
  point.open = filp->f_id;
  point.models = (filp->f_op->fop_flags & FOP_FAULT_MODELS) != 0;
  const Fault fault = ask_fault(FaultSite::kFsync, kAllFaultKinds, point);
  if (!fault) return 0;
  if (CutsPower(fault.kind)) {
    current_kernel().cut_power(fault);
    return -EIO;
  }
  if (fault.what->model.empty()) return -fault.error;
  state->fault_error = -fault.error;
  state->fault_model = fault.what->model;
  return 0;
}

int vfs_fsync(file* filp, int datasync, fsync_state* state) {
  if (fault_armed(FaultSite::kFsync) && !std::exchange(state->fault_asked, true)) [[unlikely]] {
    if (const int error = fault_fsync(filp, state); error != 0) return error;
  }
  return filp->f_op->fsync(filp, datasync, state);
}

ssize_t generic_write_checks(kiocb* iocb, iov_iter* from) {
  if (from->count == 0) return 0;
  // A retried request goes on where it was, and what it has written counts.
  const bool has_begun = from->segment != 0 || from->segment_offset != 0;
  if (!has_begun && (iocb->ki_flags & IOCB_APPEND) != 0) iocb->ki_pos = iocb->ki_filp->f_inode->i_size;
  const auto pos = static_cast<uint64_t>(iocb->ki_pos);
  const bool device = S_ISBLK(iocb->ki_filp->f_inode->i_mode);
  const uint64_t limit = device ? RLIM_INFINITY : FileSizeLimit();
  const uint64_t room = std::min<uint64_t>(limit, MAX_LFS_FILESIZE);
  if (pos < room) return static_cast<ssize_t>(std::min<uint64_t>(from->count, room - pos));
  if (has_begun) return 0;
  if (pos >= limit) send_sig(SIGXFSZ);
  return -EFBIG;
}

int inode_newsize_ok(const inode& node, loff_t size) {
  if (size <= node.i_size || static_cast<uint64_t>(size) <= FileSizeLimit()) return 0;
  send_sig(SIGXFSZ);
  return -EFBIG;
}

loff_t generic_file_llseek(file* filp, loff_t offset, int whence) {
  loff_t base = 0;
  if (whence == SEEK_CUR) base = filp->f_pos;
  if (whence == SEEK_END) base = filp->f_inode->i_size;
  if (whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END) return -EINVAL;
  loff_t position = 0;
  if (__builtin_add_overflow(base, offset, &position) || position < 0) return -EINVAL;
  return filp->f_pos = position;
}

loff_t noop_llseek(file* filp, loff_t, int) { return filp->f_pos; }

int noop_fsync(file*, int, fsync_state*) { return 0; }

void fput(file* filp) {
  if (--filp->f_count > 0) return;
  while (!list_empty(&filp->f_ep)) {
    file_watcher* watcher = list_entry(filp->f_ep.next, file_watcher, entry);
    list_del_init(&watcher->entry);
    watcher->released(watcher);
  }
  locks_remove_file(filp);
  if (filp->f_op->release != nullptr) filp->f_op->release(filp);
  delete filp;
}

}  // namespace aiolab
