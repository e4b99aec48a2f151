// Eventfds: a counter that wakes whoever waits for it.
//
// Mirrors: fs/eventfd.c.
#ifndef KERNEL_MODEL_FS_EVENTFD_H_
#define KERNEL_MODEL_FS_EVENTFD_H_

#include "kernel_model/fs/fs.h"

namespace aiolab {

// -EINVAL for a flag other than EFD_SEMAPHORE, EFD_CLOEXEC and EFD_NONBLOCK; -EMFILE.
long sys_eventfd2(unsigned initval, int flags);

// A reference to the context of an eventfd; it lives on when the file is closed. 0, or -EINVAL if `filp` is something
// else.
int eventfd_ctx_fileget(file* filp, eventfd_ctx** ctx);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_EVENTFD_H_
