#include "kernel_model/fs/block_dev.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "kernel_model/fs/iomap.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr uint64_t kSectorsPerPage = kPageSize / SECTOR_SIZE;
constexpr uint64_t kLastPage = std::numeric_limits<uint64_t>::max();

// The kernel asks for that much at a time.
constexpr uint64_t kZeroBytesMax = uint64_t{1} << 30;

int blkdev_map_blocks(inode& node, uint64_t index, uint64_t nr, bool, block_map* map) {
  map->type = block_map::kMapped;
  map->sector = index * kSectorsPerPage;
  map->nr_pages = std::min(nr, static_cast<uint64_t>(node.i_size) / kPageSize - index);
  return 0;
}

constexpr address_space_operations def_blk_aops = {
    .map_blocks = blkdev_map_blocks,
};

struct bdev_inode : inode {
  bdev_inode(block_device& bdev, const BlockDevFile& device) : bdev(bdev), device(device), mapping(def_blk_aops) {}

  block_device& bdev;
  const BlockDevFile device;
  address_space mapping;
};

bdev_inode& BDEV_I(const file& filp) { return static_cast<bdev_inode&>(*filp.f_inode); }

ssize_t blkdev_read_iter(kiocb* iocb, iov_iter* to) {
  const loff_t size = iocb->ki_filp->f_inode->i_size;
  if (iocb->ki_pos >= size) return 0;
  const auto left = static_cast<uint64_t>(size - iocb->ki_pos);
  const size_t hidden = to->count > left ? to->count - left : 0;
  to->count -= hidden;
  const ssize_t result = generic_file_read_iter(iocb, to);
  if (result != -EIOCBQUEUED) to->count += hidden;
  return result;
}

ssize_t blkdev_write_iter(kiocb* iocb, iov_iter* from) {
  const loff_t size = iocb->ki_filp->f_inode->i_size;
  if (from->count == 0) return 0;
  iocb->ki_flags &= ~IOCB_APPEND;  // a device has no end that could move
  if (iocb->ki_pos >= size) return from->done == 0 ? -ENOSPC : 0;
  if ((iocb->ki_flags & (IOCB_NOWAIT | IOCB_DIRECT)) == IOCB_NOWAIT) return -EOPNOTSUPP;
  const auto left = static_cast<uint64_t>(size - iocb->ki_pos);
  const size_t hidden = from->count > left ? from->count - left : 0;
  from->count -= hidden;
  const ssize_t result = generic_file_write_iter(iocb, from);
  if (result != -EIOCBQUEUED) from->count += hidden;
  return result;
}

int blkdev_fsync(file* filp, int, fsync_state* state) {
  if (!state->flush_started) {
    if (const int error = file_write_and_wait_range(filp, 0, kLastPage, state); error != 0) return error;
  }
  return blkdev_issue_flush(BDEV_I(*filp).bdev, filp->f_inode, state);
}

// A device does not grow: behind its end is no position.
loff_t blkdev_llseek(file* filp, loff_t offset, int whence) {
  const loff_t before = filp->f_pos;
  const loff_t position = generic_file_llseek(filp, offset, whence);
  if (position <= filp->f_inode->i_size) return position;
  filp->f_pos = before;
  return -EINVAL;
}

// One operation on a range, which the task sleeps for.
int IssueAndWait(block_device& bdev, blk_opf_t opf, uint64_t start, uint64_t bytes) {
  for (uint64_t at = start; at < start + bytes;) {
    const auto piece = static_cast<uint32_t>(std::min(start + bytes - at, kZeroBytesMax));
    bio* const bio = bio_alloc(bdev, opf | REQ_SYNC, at / SECTOR_SIZE, piece);
    if (const int error = submit_bio_wait(bio); error != 0) return error;
    at += piece;
  }
  return 0;
}

// BLKDISCARD and BLKZEROOUT: a range of bytes, whose pages go first.
long RangeIoctl(file* filp, unsigned long arg, blk_opf_t opf) {
  bdev_inode& node = BDEV_I(*filp);
  if ((filp->f_mode & FMODE_WRITE) == 0) return -EBADF;
  uint64_t range[2];
  if (copy_from_user(range, reinterpret_cast<const void*>(arg), sizeof(range)) != 0) return -EFAULT;
  const auto [start, bytes] = range;
  const uint64_t unaligned = (start | bytes) % node.device.limits.logical_block_size;
  if (unaligned != 0) return -EINVAL;
  uint64_t end = 0;
  if (__builtin_add_overflow(start, bytes, &end) || end > node.device.size_bytes) return -EINVAL;
  if (bytes == 0) return opf == REQ_OP_DISCARD ? -EINVAL : 0;
  fsync_state state;
  int error = filemap_write_and_wait_range(node.mapping, start / kPageSize, (end - 1) / kPageSize, &state);
  if (error != 0) return error;
  error = truncate_inode_pages_range(node.mapping, start / kPageSize, (end - 1) / kPageSize);
  if (error != 0) return error;
  return IssueAndWait(node.bdev, opf, start, bytes);
}

template <typename T>
long Put(unsigned long arg, T value) {
  return copy_to_user(reinterpret_cast<void*>(arg), &value, sizeof(value)) == 0 ? 0 : -EFAULT;
}

long blkdev_ioctl(file* filp, unsigned cmd, unsigned long arg) {
  bdev_inode& node = BDEV_I(*filp);
  const mapping_limits& limits = node.device.limits;
  switch (cmd) {
    case BLKGETSIZE64:
      return Put<uint64_t>(arg, node.device.size_bytes);
    case BLKGETSIZE:
      return Put<unsigned long>(arg, node.device.size_bytes / SECTOR_SIZE);
    case BLKSSZGET:
      return Put<int>(arg, static_cast<int>(limits.logical_block_size));
    case BLKPBSZGET:
    case BLKIOMIN:
      return Put<unsigned>(arg, node.device.physical_block_size);
    case BLKBSZGET:
      return Put<int>(arg, kPageSize);
    case BLKIOOPT:
    case BLKALIGNOFF:
    case BLKROGET:
      return Put<int>(arg, 0);
    case BLKFLSBUF: {
      fsync_state state;
      filemap_write_and_wait_range(node.mapping, 0, kLastPage, &state);
      invalidate_mapping_pages(node.mapping);
      return 0;
    }
    case BLKDISCARD:
      return RangeIoctl(filp, arg, REQ_OP_DISCARD);
    case BLKZEROOUT:
      return RangeIoctl(filp, arg, REQ_OP_WRITE_ZEROES);
    default:
      return -ENOTTY;
  }
}

int blkdev_getattr(const inode& node, kstat* stat) {
  const auto& limits = static_cast<const bdev_inode&>(node).device.limits;
  stat->size = 0;  // as a device node tells: the size is BLKGETSIZE64's
  stat->blocks = 0;
  stat->result_mask |= STATX_DIOALIGN;
  stat->dio_mem_align = limits.dma_alignment;
  stat->dio_offset_align = limits.logical_block_size;
  return 0;
}

constexpr file_operations def_blk_fops = {
    .name = "block device",
    .read_iter = blkdev_read_iter,
    .write_iter = blkdev_write_iter,
    .fsync = blkdev_fsync,
    .llseek = blkdev_llseek,
    .open = generic_file_open,
    .ioctl = blkdev_ioctl,
    .fadvise = generic_fadvise,
};

constexpr inode_operations kBlockDeviceInodeOperations = {
    .getattr = blkdev_getattr,
};

}  // namespace

std::shared_ptr<inode> MakeBlockDevice(super_block& sb, block_device& bdev, const BlockDevFile& device) {
  std::shared_ptr<bdev_inode> node = new_inode(sb, std::make_unique<bdev_inode>(bdev, device));
  node->i_mode = S_IFBLK | 0660;
  node->i_rdev = device.rdev;
  node->i_size = static_cast<loff_t>(device.size_bytes);
  node->i_op = &kBlockDeviceInodeOperations;
  node->i_fop = &def_blk_fops;
  node->i_fmode = FMODE_CAN_ODIRECT | FMODE_NOWAIT;
  iomap_init_mapping(node->mapping, node, bdev, device.limits);
  return node;
}

}  // namespace aiolab
