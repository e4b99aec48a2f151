// epoll: a set of files that remembers which of them may be ready.
//
// Mirrors: fs/eventpoll.c.
// Differs: EPOLLEXCLUSIVE and EPOLLWAKEUP are taken and mean nothing; wake-ups are for everybody.
#ifndef KERNEL_MODEL_FS_EVENTPOLL_H_
#define KERNEL_MODEL_FS_EVENTPOLL_H_

#include <signal.h>
#include <sys/epoll.h>

#include <cstddef>

namespace aiolab {

// On behalf of the current task, whose files are the model's own.
long sys_epoll_create1(int flags);
long sys_epoll_ctl(int epfd, int op, int fd, epoll_event* user_event);
// -EINTR if a signal came first.
long sys_epoll_pwait(int epfd, epoll_event* user_events, int maxevents, int timeout_ms, const sigset_t* sigmask,
                     size_t sigsetsize);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_EVENTPOLL_H_
