// alarm and setitimer(ITIMER_REAL): under the virtual clock they run in the model's time.
//
// Only a process with a machine has such a time. A timer that was set before that is taken over, and one that runs at
// an exec, which it outlives, is given back.
#ifndef TOOLS_PRELOAD_TIMERS_H_
#define TOOLS_PRELOAD_TIMERS_H_

#include <sys/time.h>

#include <cstdint>

namespace aiolab::preload {

// The timer is the model's.
bool TimerHere();

// As setitimer(ITIMER_REAL), in the kernel's convention. Null leaves the timer as it is, and `old` must not be.
// Requires: TimerHere().
long SetTimer(const itimerval* timer, itimerval* old);

// As alarm(). Requires: TimerHere().
unsigned SetAlarmSeconds(unsigned seconds);

// MachineOptions::on_alarm.
int64_t OnAlarm();

void TakeTimerFromHost();
void GiveTimerToHost();

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_TIMERS_H_
