// A signal that ends the process: what is in flight ends first, as in exit_aio, and there is a report.
//
// The handler may stand anywhere in the client, with the allocator's lock held for example, so another thread does the
// work, the tick's. If that does not come through, the process ends without.
#ifndef TOOLS_PRELOAD_DEATH_H_
#define TOOLS_PRELOAD_DEATH_H_

#include <signal.h>

#include <cstdint>

namespace aiolab::preload {

// In a signal handler, with the client's action being the default one: does what there is to do, and makes the process
// end by that action when the handler returns. Async-signal-safe.
void DieOf(int signal, const siginfo_t& info);

// The thread brought it on itself: a fault, a trap, abort().
bool IsOwnFault(const siginfo_t& info);

// Whether the end by this signal, which came inside the model, has time until the thread leaves it. Not if the thread
// brought it on itself, nor if it has been late for another.
bool CanWaitForSwitchingPoint(const siginfo_t& info);

// Never returns while another thread of the process dies: nobody sees what its end does to the others.
void StopIfDying();

// In a child of fork.
void ForgetDeath();

// The thread that does the work: sleeps for `ns`, or until there is some, does it, and never returns then.
void SleepAndFinishTheDying(int64_t ns);
// It has begun its life.
void FinisherIsThere();

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_DEATH_H_
