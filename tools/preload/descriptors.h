// close and its kin. The kernel holds a file for as long as a request on it is in flight, whatever becomes of the fd;
// the model has the client's fds only, so it has to hear of a close before it happens.
#ifndef TOOLS_PRELOAD_DESCRIPTORS_H_
#define TOOLS_PRELOAD_DESCRIPTORS_H_

namespace aiolab::preload {

// The system calls of these names: >= 0 or -errno. A duplicate by which the model goes on is -EBADF to the client, and
// CloseRange leaves it open.
long Close(int fd);
long CloseRange(unsigned first, unsigned last, unsigned flags);
// With dup2's meaning of equal fds, unless `is_dup3`.
long DupTo(int oldfd, int newfd, int flags, bool is_dup3);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_DESCRIPTORS_H_
