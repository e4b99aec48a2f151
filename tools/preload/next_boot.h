// The fault `reboot`: what a process leaves to the first process of the next boot.
#ifndef TOOLS_PRELOAD_NEXT_BOOT_H_
#define TOOLS_PRELOAD_NEXT_BOOT_H_

#include "absl/status/status.h"
#include "kernel_model/machine.h"
#include "tools/aiolab/boot_record.h"

namespace aiolab::preload {

// Adds to `record` what the machine knows, whose power has gone, and writes it down. Then the runner ends the process:
// this returns only if it cannot be written.
absl::Status LeaveToNextBoot(Machine& machine, BootRecord record);

// On the other side: what the disks have kept, and where the rules were. Requires: Config().boot_from; of the rules:
// they have been added, and Machine::StartClient().
absl::Status MountSimfsOfLastBoot(Machine& machine);
void RestoreFaultCounts(Machine& machine, const BootRecord& boot);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_NEXT_BOOT_H_
