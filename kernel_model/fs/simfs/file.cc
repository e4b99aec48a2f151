// Reading, writing and seeking.
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "kernel_model/fs/simfs/super.h"
#include "kernel_model/kernel/sched.h"
#include "uapi/errno_name.h"

namespace aiolab::simfs {
namespace {

int simfs_open(inode& node, file* filp) {
  const int error = SIMFS_SB(node).read_error();
  return error != 0 ? error : generic_file_open(node, filp);
}

ssize_t simfs_read_iter(kiocb* iocb, iov_iter* to) {
  if (const int error = SIMFS_SB(*iocb->ki_filp->f_inode).read_error(); error != 0) return error;
  const bool begins = to->done == 0;
  const ssize_t result = generic_file_read_iter(iocb, to);
  if (begins && (result > 0 || result == -EIOCBQUEUED || result == -EIOCBRETRY)) file_accessed(iocb->ki_filp);
  return result;
}

// A write that goes to a file whose end was cut off by a loss of power has to make zeros of what lies there.
int ClearUnknownTail(SimfsInode& node, const kiocb& iocb) {
  if (!node.tail_unknown || iocb.ki_pos <= node.i_size || current().host_tid == 0) return 0;
  if ((iocb.ki_flags & IOCB_NOWAIT) != 0) return -EAGAIN;
  if (const int error = inode_lock(node); error != 0) return error;
  int error = 0;
  if (node.tail_unknown && node.i_size % kBlockSize != 0) error = truncate_pagecache_block(node, node.i_size);
  if (error == 0) node.tail_unknown = false;
  inode_unlock(node);
  return error;
}

ssize_t simfs_write_iter(kiocb* iocb, iov_iter* from) {
  SimfsInode& node = SIMFS_I(*iocb->ki_filp->f_inode);
  Simfs& fs = SIMFS_SB(node);
  if (const int error = fs.change_error(); error != 0) return error;
  if (from->count == 0) return generic_file_write_iter(iocb, from);
  const bool appends = (iocb->ki_flags & IOCB_APPEND) != 0;
  const loff_t pos = appends && from->done == 0 ? std::max(iocb->ki_pos, node.i_size) : iocb->ki_pos;
  if (pos >= kFileBytesMax) return -EFBIG;
  if (const int error = ClearUnknownTail(node, *iocb); error != 0) return error;
  const size_t allowed = std::min<uint64_t>(from->count, static_cast<uint64_t>(kFileBytesMax - pos));
  if ((iocb->ki_flags & IOCB_DIRECT) != 0) iocb->ki_wait = nullptr;  // it is never retried, but sleeps
  if (const int error = WaitForFreeBlocks(fs, iocb, allowed / kBlockSize + 2); error != 0) return error;
  // What may not be written is hidden for the time being: the iterator tells the caller what is left.
  const size_t refused = from->count - allowed;
  from->count -= refused;
  const ssize_t result = generic_file_write_iter(iocb, from);
  if (result != -EIOCBQUEUED) from->count += refused;
  if (result > 0 || result == -EIOCBQUEUED || result == -EIOCBRETRY) {
    file_update_time(iocb->ki_filp);
    fs.Touch(node, /*data=*/false);
  }
  return result;
}

// How many blocks from `index` on are all data, or all holes. Unwritten blocks are data while their pages are dirty.
uint64_t SameKind(const SimfsInode& node, uint64_t index, bool* data) {
  const ExtentMap::Run run = node.extents.Find(index);
  *data = run.mapped && !run.unwritten;
  if (*data) return run.length;
  uint64_t length = run.length;
  for (const auto* pages : {&node.mapping.dirty_pages, &node.mapping.writeback_pages}) {
    const auto page = pages->lower_bound(index);
    if (page == pages->end()) continue;
    if (*page == index) {
      *data = true;
      return 1;
    }
    length = std::min(length, *page - index);
  }
  return length;
}

loff_t simfs_llseek(file* filp, loff_t offset, int whence) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    const loff_t position = generic_file_llseek(filp, offset, whence);
    return position;
  }
  const SimfsInode& node = SIMFS_I(*filp->f_inode);
  if (offset < 0 || offset >= node.i_size) return -ENXIO;
  const uint64_t end = (static_cast<uint64_t>(node.i_size) + kBlockSize - 1) >> kBlockShift;
  uint64_t index = static_cast<uint64_t>(offset) >> kBlockShift;
  while (index < end) {
    bool data;
    const uint64_t length = SameKind(node, index, &data);
    if (data == (whence == SEEK_DATA)) break;
    index += length;
  }
  if (index >= end) {
    if (whence == SEEK_DATA) return -ENXIO;
    return filp->f_pos = node.i_size;
  }
  return filp->f_pos = std::max(offset, static_cast<loff_t>(index << kBlockShift));
}

}  // namespace

const file_operations kFileOperations = {
    .name = "simfs",
    .fop_flags = FOP_FAULT_MODELS,
    .read_iter = simfs_read_iter,
    .write_iter = simfs_write_iter,
    .fsync = simfs_fsync,
    .llseek = simfs_llseek,
    .open = simfs_open,
    .fallocate = simfs_fallocate,
    .fadvise = generic_fadvise,
};

}  // namespace aiolab::simfs
