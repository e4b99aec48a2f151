// /proc/sys/fs/aio-nr and aio-max-nr.
//
// Mirrors: fs/proc/proc_sysctl.c, and the table in fs/aio.c.
#ifndef KERNEL_MODEL_FS_PROC_SYSCTL_H_
#define KERNEL_MODEL_FS_PROC_SYSCTL_H_

#include <memory>

#include "kernel_model/fs/aio.h"
#include "kernel_model/fs/fs.h"

namespace aiolab {

// A file with a number of the current task's mm in it: "65536\n". Writing sets it, if it is `writable`.
std::shared_ptr<inode> MakeSysctl(unsigned long mm_struct::*number, bool writable);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_PROC_SYSCTL_H_
