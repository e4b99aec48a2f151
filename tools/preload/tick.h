// The tick from outside: a thread that runs the model for a client which looks at its ring in memory and makes no call.
// It also does what a thread that dies of a signal cannot do itself (death.h).
#ifndef TOOLS_PRELOAD_TICK_H_
#define TOOLS_PRELOAD_TICK_H_

namespace aiolab::preload {

// Starts the thread if it is not there.
void StartTick();
// In a child of fork there is none.
void ForgetTick();

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_TICK_H_
