// What stands between pages or client buffers and bios, for files whose blocks address_space_operations::map_blocks
// tells.
//
// Mirrors: include/linux/iomap.h, fs/iomap. The rules for direct writes are ext4's (ext4_dio_write_iter).
#ifndef KERNEL_MODEL_FS_IOMAP_H_
#define KERNEL_MODEL_FS_IOMAP_H_

#include <memory>

#include "kernel_model/mm/filemap.h"

namespace aiolab {

// Makes `mapping` the pages of `node` (node->i_mapping) with blocks on `bdev`, whose limits are `limits`. Call it once,
// when the inode is made, before anybody can use it. The mapping is usually a member of the inode.
void iomap_init_mapping(address_space& mapping, const std::shared_ptr<inode>& node, block_device& bdev,
                        const mapping_limits& limits);

// A direct request. Aligned to the device's logical blocks, else -EINVAL. Several extents are several bios and one
// completion. Dirty pages of the range are written first, and pages that a write has made stale go.
//
// Reads, and writes within the file, end later (-EIOCBQUEUED) unless the caller is synchronous. As on ext4, a write
// that extends the file, or that fills part of a block which has no data yet, has the inode to itself and is over when
// this returns; one that gets blocks has the inode to itself until it is on its way. O_DSYNC writes that only overwrite
// use FUA where the device has it; the others end on a worker, with an fsync.
ssize_t iomap_direct_IO(kiocb* iocb, iov_iter* iter, address_space& mapping);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_IOMAP_H_
