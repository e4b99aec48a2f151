// The simulated file system of a process's machine.
#ifndef TOOLS_PRELOAD_SIMFS_MOUNT_H_
#define TOOLS_PRELOAD_SIMFS_MOUNT_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "kernel_model/machine.h"
#include "tools/aiolab/run_protocol.h"
#include "tools/aiolab/simfs_spec.h"

namespace aiolab::preload {

// Makes it, mounts it, and fills it with what spec.from has; or mounts what another process's machine has left,
// `saved_disks` from Machine::SavedDisks(), if that is not null. From now on OnSimfs() knows its files. Nothing of this
// is in the trace or among the counts.
absl::Status MountSimfs(Machine& machine, const SimfsSpec& spec, const std::string* saved_disks);

// Makes spec.to, if there is one, hold what the file system has now.
absl::Status ExportSimfs(Machine& machine, const SimfsSpec& spec);

// Virtual time that went into these, which is not the client's.
int64_t SimfsSetupNs();

// Writes everything back and waits for the disk.
void SettleSimfs(Machine& machine);

// What it did so far. Also from inside the model.
SimfsReport ReportOfSimfs(Machine& machine);

// Clients' new files get this mask. Without effect before there is a machine, which asks the host.
void SetSimfsUmask(mode_t mask);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_SIMFS_MOUNT_H_
