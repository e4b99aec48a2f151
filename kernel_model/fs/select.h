// ppoll.
//
// Mirrors: fs/select.c.
#ifndef KERNEL_MODEL_FS_SELECT_H_
#define KERNEL_MODEL_FS_SELECT_H_

#include <poll.h>
#include <signal.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

namespace aiolab {

// On behalf of the current task, whose files are the model's own. Time is the executor's; what is left of it is written
// back to `user_timeout`. -ERESTARTNOHAND if a signal came first.
long sys_ppoll(pollfd* user_fds, nfds_t nfds, timespec* user_timeout, const sigset_t* sigmask, size_t sigsetsize);

// Reads a client's relative time and says when it is over, in executor time. 0, -EFAULT or -EINVAL.
int ReadTimeout(const timespec* user_timeout, int64_t* deadline_ns);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_SELECT_H_
