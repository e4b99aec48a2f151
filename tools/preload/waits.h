// What a client may sleep in outside the io_* calls: the model runs on until the host call would return.
//
// Results are the kernel's: >= 0 or -errno. Timeouts are in ns, negative for none. Requires: ThreadInModel().
#ifndef TOOLS_PRELOAD_WAITS_H_
#define TOOLS_PRELOAD_WAITS_H_

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace aiolab::preload {

long WaitInPoll(pollfd* fds, nfds_t nfds, int64_t timeout_ns, const sigset_t* mask);
long WaitInEpoll(int epfd, epoll_event* events, int maxevents, int64_t timeout_ns, const sigset_t* mask);
long WaitInSelect(int nfds, fd_set* read, fd_set* write, fd_set* except, int64_t timeout_ns, const sigset_t* mask);
long WaitInRead(int fd, void* buf, size_t count);

// As rt_sigtimedwait.
long WaitForSignal(const sigset_t* set, siginfo_t* info, int64_t timeout_ns);
// As `wait(options)`, which is a call like waitid that may sleep, and does not with WNOHANG: 0 if there is nothing yet.
long WaitForChild(absl::FunctionRef<long(int options)> wait, int options);

// The system call waitid.
long WaitId(idtype_t type, id_t id, siginfo_t* info, int options, rusage* usage);

// Sleeps for `ns`, also in a process that is no client. Requires: VirtualClock() or ThreadInModel(). 0 or -EINTR, with
// the rest in `*remaining_ns`.
long Sleep(int64_t ns, int64_t* remaining_ns);
// Whether Sleep() is for this thread; otherwise the C library's functions are.
bool SleepsHere();

// clock_nanosleep in the kernel's convention.
long SleepOnClock(clockid_t clock, int flags, const timespec* request, timespec* remaining);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_WAITS_H_
