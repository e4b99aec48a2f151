#include "kernel_model/fs/read_write.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/kernel/sched.h"
#include "uapi/aio_abi.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

// One direction of everything below.
enum Direction { READ, WRITE };

bool HasIter(const file_operations& f_op, Direction rw) {
  return rw == READ ? f_op.read_iter != nullptr : f_op.write_iter != nullptr;
}

bool HasOldStyle(const file_operations& f_op, Direction rw) {
  return rw == READ ? f_op.read != nullptr : f_op.write != nullptr;
}

int CheckMode(const file& filp, Direction rw) {
  if ((filp.f_mode & (rw == READ ? FMODE_READ : FMODE_WRITE)) == 0) return -EBADF;
  return HasIter(*filp.f_op, rw) || HasOldStyle(*filp.f_op, rw) ? 0 : -EINVAL;
}

// The position that read and write use and move; null for a stream.
loff_t* file_ppos(file* filp) { return (filp->f_mode & FMODE_LSEEK) != 0 ? &filp->f_pos : nullptr; }

ssize_t OldStyle(file* filp, void* buf, size_t count, loff_t* ppos, Direction rw) {
  return rw == READ ? filp->f_op->read(filp, static_cast<char*>(buf), count, ppos)
                    : filp->f_op->write(filp, static_cast<const char*>(buf), count, ppos);
}

// Mirrors: do_iter_readv_writev, new_sync_read, new_sync_write.
ssize_t SyncIter(file* filp, iov_iter* iter, loff_t* ppos, Direction rw, int rw_flags) {
  kiocb iocb;
  iocb.ki_filp = filp;
  iocb.ki_flags = iocb_flags(*filp) | (rw == WRITE ? IOCB_WRITE : 0);
  iocb.ki_pos = ppos == nullptr ? 0 : *ppos;
  if (const int error = kiocb_set_rw_flags(&iocb, rw_flags, rw == WRITE); error != 0) return error;
  const ssize_t result = rw == READ ? filp->f_op->read_iter(&iocb, iter) : filp->f_op->write_iter(&iocb, iter);
  // Nobody would be told of the completion, and nobody would try again.
  BUG_ON(result == -EIOCBQUEUED || result == -EIOCBRETRY);
  if (rw == WRITE && result > 0 && filp->f_inode->i_sb != nullptr) {
    current_kernel().stats.bytes_written += static_cast<uint64_t>(result);
  }
  if (ppos != nullptr) *ppos = iocb.ki_pos;
  return result;
}

// Mirrors: vfs_read, vfs_write.
ssize_t ReadOrWrite(file* filp, void* buf, size_t count, loff_t* ppos, Direction rw) {
  if (const int error = CheckMode(*filp, rw); error != 0) return error;
  if (!access_ok(buf, count)) return -EFAULT;
  if (const int error = rw_verify_area(*filp, ppos == nullptr ? 0 : *ppos, count); error != 0) return error;
  count = std::min(count, MAX_RW_COUNT);
  if (HasOldStyle(*filp->f_op, rw)) return OldStyle(filp, buf, count, ppos, rw);
  iov_iter iter;
  if (const int error = import_single_range(buf, count, &iter); error != 0) return error;
  return SyncIter(filp, &iter, ppos, rw, /*rw_flags=*/0);
}

// For a file that has no call for iterators: one old-style call for each segment.
ssize_t do_loop_readv_writev(file* filp, const iov_iter& iter, loff_t* ppos, Direction rw, int rw_flags) {
  if ((rw_flags & ~RWF_HIPRI) != 0) return -EOPNOTSUPP;
  ssize_t total = 0;
  for (const iovec& segment : iter.segments) {
    const ssize_t moved = OldStyle(filp, segment.iov_base, segment.iov_len, ppos, rw);
    if (moved < 0) return total > 0 ? total : moved;
    total += moved;
    if (static_cast<size_t>(moved) < segment.iov_len) break;
  }
  return total;
}

// Mirrors: vfs_readv, vfs_writev.
ssize_t ReadOrWriteV(file* filp, const iovec* user_iov, int iovcnt, loff_t* ppos, Direction rw, int rw_flags) {
  if (const int error = CheckMode(*filp, rw); error != 0) return error;
  iov_iter iter;
  if (const int error = import_iovec(user_iov, static_cast<size_t>(iovcnt), &iter); error != 0) return error;
  if (iter.count == 0) return 0;
  if (const int error = rw_verify_area(*filp, ppos == nullptr ? 0 : *ppos, iter.count); error != 0) return error;
  if (!HasIter(*filp->f_op, rw)) return do_loop_readv_writev(filp, iter, ppos, rw, rw_flags);
  return SyncIter(filp, &iter, ppos, rw, rw_flags);
}

long AtFilePosition(int fd, void* buf, size_t count, Direction rw) {
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  return ReadOrWrite(filp.get(), buf, count, file_ppos(filp.get()), rw);
}

fmode_t PositionalMode(Direction rw) { return rw == READ ? FMODE_PREAD : FMODE_PWRITE; }

long AtPosition(int fd, void* buf, size_t count, loff_t pos, Direction rw) {
  if (pos < 0) return -EINVAL;
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if ((filp->f_mode & PositionalMode(rw)) == 0) return -ESPIPE;
  return ReadOrWrite(filp.get(), buf, count, &pos, rw);
}

long Vectored(int fd, const iovec* user_iov, int iovcnt, loff_t pos, int flags, Direction rw) {
  const bool at_file_position = pos == -1;
  if (pos < 0 && !at_file_position) return -EINVAL;
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if (!at_file_position && (filp->f_mode & PositionalMode(rw)) == 0) return -ESPIPE;
  loff_t* const ppos = at_file_position ? file_ppos(filp.get()) : &pos;
  return ReadOrWriteV(filp.get(), user_iov, iovcnt, ppos, rw, flags);
}

}  // namespace

long sys_read(int fd, void* buf, size_t count) { return AtFilePosition(fd, buf, count, READ); }

long sys_write(int fd, const void* buf, size_t count) {
  return AtFilePosition(fd, const_cast<void*>(buf), count, WRITE);
}

long sys_pread64(int fd, void* buf, size_t count, loff_t pos) { return AtPosition(fd, buf, count, pos, READ); }

long sys_pwrite64(int fd, const void* buf, size_t count, loff_t pos) {
  return AtPosition(fd, const_cast<void*>(buf), count, pos, WRITE);
}

long sys_preadv2(int fd, const iovec* user_iov, int iovcnt, loff_t pos, int flags) {
  return Vectored(fd, user_iov, iovcnt, pos, flags, READ);
}

long sys_pwritev2(int fd, const iovec* user_iov, int iovcnt, loff_t pos, int flags) {
  return Vectored(fd, user_iov, iovcnt, pos, flags, WRITE);
}

long sys_lseek(int fd, loff_t offset, int whence) {
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if (whence < SEEK_SET || whence > SEEK_HOLE) return -EINVAL;
  if ((filp->f_mode & FMODE_LSEEK) == 0) return -ESPIPE;
  return filp->f_op->llseek(filp.get(), offset, whence);
}

long sys_fsync(int fd, int datasync) {
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if (filp->f_op->fsync == nullptr) return -EINVAL;
  fsync_state state;
  const int result = vfs_fsync(filp.get(), datasync, &state);
  BUG_ON(result == -EIOCBRETRY);
  return result;
}

}  // namespace aiolab
