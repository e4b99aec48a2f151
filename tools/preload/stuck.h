// A client that waits for what may never come.
#ifndef TOOLS_PRELOAD_STUCK_H_
#define TOOLS_PRELOAD_STUCK_H_

#include <string>

#include "kernel_model/sim/executor.h"

namespace aiolab::preload {

// When it is told of, and when it ends the process: --hang-after, or what is right for a process with one thread
// (`alone`) or with several.
Executor::Patience HangPatience(bool alone);

// MachineOptions::on_stuck. Returns only if it is not `certain`: then the user has been told, and the process's report
// so far is written.
bool OnStuck(const std::string& finding, bool certain);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_STUCK_H_
