// A block device as a file: /dev/sda without a file system.
//
// Mirrors: block/fops.c, block/ioctl.c (fs/block_dev.c before 6.0).
#ifndef KERNEL_MODEL_FS_BLOCK_DEV_H_
#define KERNEL_MODEL_FS_BLOCK_DEV_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "kernel_model/block/blkdev.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/mm/filemap.h"

namespace aiolab {

struct BlockDevFile {
  uint64_t size_bytes = 0;  // a multiple of 4096
  mapping_limits limits;
  uint32_t physical_block_size = 4096;  // bytes
  dev_t rdev = 0;
};

// The inode of a device node. O_DIRECT and buffered I/O, fsync, BLKGETSIZE64, BLKGETSIZE, BLKSSZGET, BLKPBSZGET,
// BLKBSZGET, BLKROGET, BLKIOMIN, BLKIOOPT, BLKALIGNOFF, BLKFLSBUF, BLKDISCARD, BLKZEROOUT; other ioctls are ENOTTY.
// Writes end at the end of the device: ENOSPC. Requires: a current task.
std::shared_ptr<inode> MakeBlockDevice(super_block& sb, block_device& bdev, const BlockDevFile& device);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_BLOCK_DEV_H_
