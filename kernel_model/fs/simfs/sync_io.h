// Bytes that the current task sleeps for.
#ifndef KERNEL_MODEL_FS_SIMFS_SYNC_IO_H_
#define KERNEL_MODEL_FS_SIMFS_SYNC_IO_H_

#include <cstddef>

#include "kernel_model/block/blkdev.h"

namespace aiolab::simfs {

// Moves `bytes` between `buffer` and the device, a piece at a time. 0 or -errno.
int SyncIo(block_device& bdev, blk_opf_t opf, sector_t sector, char* buffer, size_t bytes);

}  // namespace aiolab::simfs

#endif  // KERNEL_MODEL_FS_SIMFS_SYNC_IO_H_
