// A lock that a signal handler may want too.
#ifndef TOOLS_PRELOAD_SCOPED_MUTEX_H_
#define TOOLS_PRELOAD_SCOPED_MUTEX_H_

#include <pthread.h>
#include <signal.h>

#include <cstdint>

#include "uapi/raw_syscall.h"

namespace aiolab::preload {

// Holds a mutex with all signals blocked, as a handler may want it too.
class ScopedMutex {
 public:
  explicit ScopedMutex(pthread_mutex_t& mutex) : mutex_(mutex) {
    const uint64_t all = ~uint64_t{0} & ~(uint64_t{1} << (SIGSEGV - 1)) & ~(uint64_t{1} << (SIGBUS - 1));
    RawSyscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &mask_before_, sizeof(all));
    pthread_mutex_lock(&mutex_);
  }
  ~ScopedMutex() {
    pthread_mutex_unlock(&mutex_);
    RawSyscall(__NR_rt_sigprocmask, SIG_SETMASK, &mask_before_, nullptr, sizeof(mask_before_));
  }
  ScopedMutex(const ScopedMutex&) = delete;
  ScopedMutex& operator=(const ScopedMutex&) = delete;

 private:
  pthread_mutex_t& mutex_;
  uint64_t mask_before_ = 0;
};

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_SCOPED_MUTEX_H_
