// Inodes: their birth and end, their times, and changes of their attributes.
//
// Mirrors: fs/inode.c, fs/attr.c.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "kernel_model/fs/fs.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr time_t kSecondsPerDay = 86400;

}  // namespace

timespec current_time() {
  const kernel_state& kernel = current_kernel();
  const int64_t now_ns = kernel.realtime_start_ns + kernel.executor.NowNs();
  return {now_ns / kNsPerSecond, now_ns % kNsPerSecond};
}

bool TimeBefore(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

void iput_final(inode* node) {
  if (node->i_sb->s_op != nullptr && node->i_sb->s_op->evict_inode != nullptr) node->i_sb->s_op->evict_inode(*node);
  delete node;
}

// relatime: an atime that is later than the other two and not a day old stays.
void file_accessed(file* filp) {
  if ((filp->f_flags & O_NOATIME) != 0) return;
  inode& node = *filp->f_inode;
  const timespec now = current_time();
  const bool seen_since = TimeBefore(node.i_mtime, node.i_atime) && TimeBefore(node.i_ctime, node.i_atime);
  if (seen_since && now.tv_sec - node.i_atime.tv_sec < kSecondsPerDay) return;
  node.i_atime = now;
}

void file_update_time(file* filp) { filp->f_inode->i_mtime = filp->f_inode->i_ctime = current_time(); }

int setattr_prepare(const inode& node, const iattr& attr) {
  return (attr.ia_valid & ATTR_SIZE) != 0 ? inode_newsize_ok(node, attr.ia_size) : 0;
}

void setattr_copy(inode& node, const iattr& attr) {
  if ((attr.ia_valid & ATTR_MODE) != 0) node.i_mode = attr.ia_mode;
  if ((attr.ia_valid & ATTR_ATIME) != 0) node.i_atime = attr.ia_atime;
  if ((attr.ia_valid & ATTR_MTIME) != 0) node.i_mtime = attr.ia_mtime;
  if ((attr.ia_valid & ATTR_CTIME) != 0) node.i_ctime = attr.ia_ctime;
}

int simple_setattr(inode& node, const iattr& attr) {
  if ((attr.ia_valid & ATTR_SIZE) != 0) return -EINVAL;
  setattr_copy(node, attr);
  return 0;
}

int notify_change(inode& node, iattr attr) {
  if ((attr.ia_valid & ATTR_CTIME) == 0) {
    attr.ia_valid |= ATTR_CTIME;
    attr.ia_ctime = current_time();
  }
  if (const int error = setattr_prepare(node, attr); error != 0) return error;
  const bool own = node.i_op != nullptr && node.i_op->setattr != nullptr;
  return own ? node.i_op->setattr(node, attr) : simple_setattr(node, attr);
}

void generic_fillattr(const inode& node, kstat* stat) {
  stat->result_mask |= STATX_BASIC_STATS | STATX_BTIME;
  stat->mode = node.i_mode;
  stat->nlink = node.i_nlink;
  stat->ino = node.i_ino;
  stat->dev = node.i_sb != nullptr ? node.i_sb->s_dev : 0;
  stat->rdev = node.i_rdev;
  stat->size = node.i_size;
  stat->blocks = node.i_blocks;
  stat->atime = node.i_atime;
  stat->mtime = node.i_mtime;
  stat->ctime = node.i_ctime;
  stat->btime = node.i_btime;
}

int vfs_getattr(const inode& node, kstat* stat) {
  generic_fillattr(node, stat);
  return node.i_op != nullptr && node.i_op->getattr != nullptr ? node.i_op->getattr(node, stat) : 0;
}

}  // namespace aiolab
