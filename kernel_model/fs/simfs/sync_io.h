// One transfer that the current task sleeps for.
//
// Mirrors: submit_bio_wait, blkdev_issue_flush.
#ifndef KERNEL_MODEL_FS_SIMFS_SYNC_IO_H_
#define KERNEL_MODEL_FS_SIMFS_SYNC_IO_H_

#include <cstddef>

#include "kernel_model/block/blkdev.h"

namespace aiolab::simfs {

// Moves `bytes` between `buffer` and the device, a piece at a time. 0 or -errno.
int SyncIo(block_device& bdev, blk_opf_t opf, sector_t sector, char* buffer, size_t bytes);
// What ended before is durable when this returns 0.
int FlushAndWait(block_device& bdev);

}  // namespace aiolab::simfs

#endif  // KERNEL_MODEL_FS_SIMFS_SYNC_IO_H_
