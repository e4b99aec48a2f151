// What the model has to hear of the client's fds of files of the host: close and its kin, and advice.
//
// The kernel holds a file for as long as a request on it is in flight, whatever becomes of the fd; the model has the
// client's fds only, so it has to hear of a close before it happens.
#ifndef TOOLS_PRELOAD_DESCRIPTORS_H_
#define TOOLS_PRELOAD_DESCRIPTORS_H_

#include <sys/types.h>

namespace aiolab::preload {

// The system calls of these names: >= 0 or -errno. A duplicate by which the model goes on is -EBADF to the client, and
// CloseRange leaves it open.
long Close(int fd);
long CloseRange(unsigned first, unsigned last, unsigned flags);
// With dup2's meaning of equal fds, unless `is_dup3`.
long DupTo(int oldfd, int newfd, int flags, bool is_dup3);

// posix_fadvise for a file of the host. True if the advice was for the model, which decides what is cached of the files
// that it reads and writes: the host need not hear of it, as dropping the bytes there would only take real time.
bool AdviseModel(int fd, off_t offset, off_t length, int advice);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_DESCRIPTORS_H_
