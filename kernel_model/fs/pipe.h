// Pipes.
//
// Mirrors: fs/pipe.c.
// Differs: wake-ups are for everybody; a waiter that finds nothing sleeps again.
#ifndef KERNEL_MODEL_FS_PIPE_H_
#define KERNEL_MODEL_FS_PIPE_H_

namespace aiolab {

// -EINVAL for a flag other than O_CLOEXEC, O_NONBLOCK and O_DIRECT (packets); -EFAULT, -EMFILE.
long sys_pipe2(int* user_fds, int flags);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_PIPE_H_
