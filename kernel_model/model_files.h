// The files that a machine of the model has: which names there are, and what is behind them.
#ifndef KERNEL_MODEL_MODEL_FILES_H_
#define KERNEL_MODEL_MODEL_FILES_H_

#include <memory>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/profile.h"

namespace aiolab {

// /tmp (the working directory) and /dev/shm to make files in; /dev/null, zero and full; /proc/sys/fs/aio-nr and
// aio-max-nr. No fd is open.
std::unique_ptr<ModelFiles> MakeModelFiles(const Profile& profile);

}  // namespace aiolab

#endif  // KERNEL_MODEL_MODEL_FILES_H_
