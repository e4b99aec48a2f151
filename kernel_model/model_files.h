// The names that a machine of the model has, and what is behind them.
#ifndef KERNEL_MODEL_MODEL_FILES_H_
#define KERNEL_MODEL_MODEL_FILES_H_

#include <memory>

#include "kernel_model/fs/namespace.h"
#include "kernel_model/profile.h"

namespace aiolab {

// /tmp (the working directory) and /dev/shm to make files in, each with the rules of tmpfs; /dev/null, zero and full;
// /proc/sys/fs/aio-nr and aio-max-nr. Requires: a current task.
std::unique_ptr<fs_struct> MakeModelNamespace(const Profile& profile);

}  // namespace aiolab

#endif  // KERNEL_MODEL_MODEL_FILES_H_
