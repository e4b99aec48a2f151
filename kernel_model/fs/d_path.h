// The name of a place in the tree.
//
// Mirrors: fs/d_path.c.
// Differs: a name that has been removed is the last one that it had, without " (deleted)".
#ifndef KERNEL_MODEL_FS_D_PATH_H_
#define KERNEL_MODEL_FS_D_PATH_H_

#include <string>

#include "kernel_model/fs/fs.h"

namespace aiolab {

// Absolute; empty for what has no place.
std::string d_path(const path& at);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_D_PATH_H_
