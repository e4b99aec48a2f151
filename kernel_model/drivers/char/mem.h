// /dev/null, /dev/zero and /dev/full.
//
// Mirrors: drivers/char/mem.c.
#ifndef KERNEL_MODEL_DRIVERS_CHAR_MEM_H_
#define KERNEL_MODEL_DRIVERS_CHAR_MEM_H_

#include <memory>

#include "kernel_model/fs/fs.h"

namespace aiolab {

std::shared_ptr<inode> MakeDevNull();
std::shared_ptr<inode> MakeDevZero();
std::shared_ptr<inode> MakeDevFull();

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_CHAR_MEM_H_
