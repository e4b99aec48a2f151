// What `aiolab run` tells a process about the run that it is part of.
#ifndef TOOLS_PRELOAD_RUN_SETUP_H_
#define TOOLS_PRELOAD_RUN_SETUP_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel_model/sim/fault_rules.h"
#include "kernel_model/sim/replay_token.h"
#include "tools/aiolab/boot_record.h"
#include "tools/aiolab/run_protocol.h"
#include "tools/aiolab/simfs_spec.h"

namespace aiolab::preload {

struct RunSetup {
  RunConfig config;
  RunIdentity identity;      // whose tokens it takes
  std::string replay_token;  // or empty
  std::vector<FaultRule> fault_rules;
  std::unique_ptr<SimfsSpec> simfs;  // null: no --simfs
  std::unique_ptr<BootRecord> boot;  // of the boot before this one, without its disks; null: this is the first
};

// Reads the value of kRunVariable. What it cannot honour ends the process, as RefuseRun does. Never destroyed: clients
// do I/O from destructors.
const RunSetup* ReadRunSetup(const char* variable);

// Tells the runner why the client was not started, and ends the process.
[[noreturn]] void RefuseRun(const std::string& run_dir, absl::string_view why);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_RUN_SETUP_H_
