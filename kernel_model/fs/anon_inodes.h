// The inode of everything that has no other, as eventfds.
//
// Mirrors: fs/anon_inodes.c.
#ifndef KERNEL_MODEL_FS_ANON_INODES_H_
#define KERNEL_MODEL_FS_ANON_INODES_H_

#include <memory>

#include "kernel_model/fs/fs.h"

namespace aiolab {

std::shared_ptr<inode> AnonInode();

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_ANON_INODES_H_
