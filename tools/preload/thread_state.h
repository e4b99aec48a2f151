// What the library keeps for each thread. Plain data: it is there before any constructor and after every destructor.
#ifndef TOOLS_PRELOAD_THREAD_STATE_H_
#define TOOLS_PRELOAD_THREAD_STATE_H_

#include <signal.h>

#include <cstdint>

namespace aiolab::preload {

inline constexpr int kDeferredSignalsMax = 32;

struct ThreadState {
  bool is_client;                // it has made an io_* call
  bool is_ours;                  // the tick thread
  unsigned char blocked_faults;  // bit 0: the client believes SIGSEGV blocked; bit 1: SIGBUS
  int64_t clock_offset_ns;       // its clock is ahead of the model's by this
  int64_t last_clock_ns;         // the last time it was told
  bool handler_interrupts;       // since it was cleared, a handler without SA_RESTART came
  int deferred_count;            // signals that came while it was inside the model
  int64_t deferred_since_ns;     // real time; of the first of them
  siginfo_t deferred[kDeferredSignalsMax];
};

ThreadState& Me();

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_THREAD_STATE_H_
