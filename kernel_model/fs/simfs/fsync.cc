// What makes things durable.
#include <errno.h>
#include <sys/stat.h>

#include <limits>
#include <utility>

#include "kernel_model/fs/simfs/super.h"
#include "kernel_model/kernel/sched.h"
#include "uapi/errno_name.h"

namespace aiolab::simfs {
namespace {

// fsync_state::fs_step: what is done, and above it the transaction that it waits for.
enum Step : uint64_t {
  kWriteData = 0,
  kDecide = 1,
  kWaitForCommit = 2,           // which makes the data durable, too
  kWaitForCommitThenFlush = 3,  // which may have been on its way before the data were
  kFlush = 4,
};
constexpr uint64_t kSteps = 8;

// A fault rule fails the writes that this fsync begins: they end here and now. 0, or the error if there is none to
// fail.
int FailWrites(SimfsInode& node, fsync_state* state) {
  const int error = std::exchange(state->fault_error, 0);
  ErrorModel model;
  BUG_ON(!FindErrorModel(state->fault_model, &model));
  node.fault_model = model;
  node.mapping.write_fault = error;
  const uint64_t failed = filemap_fdatawrite(node.mapping, 0, std::numeric_limits<uint64_t>::max());
  node.mapping.write_fault = 0;
  node.fault_model.reset();
  return failed == 0 ? error : 0;
}

int WriteData(Simfs& fs, file* filp, fsync_state* state) {
  constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
  SimfsInode& node = SIMFS_I(*filp->f_inode);
  ErrorModel model = fs.options.error_model;
  if (!state->fault_model.empty()) BUG_ON(!FindErrorModel(state->fault_model, &model));
  if (model != ErrorModel::kExt4Data) {
    if (state->fault_error != 0) {
      if (const int error = FailWrites(node, state); error != 0) return error;
    }
    return file_write_and_wait_range(filp, 0, kLast, state);
  }
  // What fails now is for the next fsync to tell, which does nothing else.
  if (state->writeback_passes == 0) {
    if (const int error = file_check_and_advance_wb_err(filp); error != 0) return error;
    if (state->fault_error != 0) {
      if (const int error = FailWrites(node, state); error != 0) return error;
    }
  }
  return filemap_write_and_wait_range(*filp->f_inode->i_mapping, 0, kLast, state);
}

int WaitForCommit(Simfs& fs, fsync_state* state, uint64_t seq) {
  const auto ended = [&fs, seq] { return fs.journal.committed_seq() >= seq || fs.journal.error() != 0; };
  fs.journal.Request(seq);
  if (const int error = wait_event_or_leave(fs.journal.done(), state->wait, ended); error != 0) return error;
  return fs.journal.committed_seq() >= seq ? 0 : -EIO;
}

}  // namespace

int simfs_fsync(file* filp, int datasync, fsync_state* state) {
  SimfsInode& node = SIMFS_I(*filp->f_inode);
  Simfs& fs = SIMFS_SB(node);
  if (state->fs_step == kWriteData) {
    if (S_ISREG(node.i_mode)) {
      if (const int error = WriteData(fs, filp, state); error != 0) return error;
    }
    state->fs_step = kDecide;
  }
  if (state->fs_step == kDecide) {
    if (fs.journal.error() != 0) return -EIO;
    const uint64_t seq = datasync != 0 ? node.datasync_seq : node.sync_seq;
    if (seq <= fs.journal.committed_seq()) {
      state->fs_step = kFlush;
    } else {
      state->fs_step = seq * kSteps + (fs.journal.WillFlushBefore(seq) ? kWaitForCommit : kWaitForCommitThenFlush);
    }
  }
  if (state->fs_step >= kSteps) {
    if (const int error = WaitForCommit(fs, state, state->fs_step / kSteps); error != 0) return error;
    if (state->fs_step % kSteps == kWaitForCommit) return 0;
    state->fs_step = kFlush;
  }
  return blkdev_issue_flush(fs.bdev, filp->f_inode, state);
}

int WaitForFreeBlocks(Simfs& fs, kiocb* iocb, uint64_t wanted) {
  if (fs.available() >= wanted || fs.journal.blocks_being_freed() == 0 || fs.journal.error() != 0) return 0;
  if (iocb != nullptr && (iocb->ki_flags & IOCB_NOWAIT) != 0) return -EAGAIN;
  const uint64_t seq = fs.journal.running_seq();
  fs.journal.Request(seq);
  if (iocb != nullptr && iocb->ki_wait != nullptr) {
    iocb->ki_waits_for = "a commit that frees blocks";
    add_wait_queue(fs.journal.done(), iocb->ki_wait);
    return -EIOCBRETRY;
  }
  wait_event(fs.journal.done(), [&fs, seq, wanted] {
    return fs.available() >= wanted || fs.journal.committed_seq() >= seq || fs.journal.blocks_being_freed() == 0 ||
           fs.journal.error() != 0;
  });
  return 0;
}

}  // namespace aiolab::simfs
