// `aiolab run` without a client: the write-ahead log that comes with aiolab, under three seeds.
#ifndef TOOLS_AIOLAB_WAL_DEMO_H_
#define TOOLS_AIOLAB_WAL_DEMO_H_

#include "absl/status/statusor.h"
#include "tools/aiolab/run_command.h"

namespace aiolab {

// Runs the log under seed, seed + 1 and seed + 2 (once, if `run` is a replay), checks what it left after each, and
// tells one request's story. Returns what aiolab exits with: 0, or the first client's status that is not, or 1 for a
// log that its checker refuses.
absl::StatusOr<int> RunWalDemo(const RunOptions& options, const PreparedRun& run);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_WAL_DEMO_H_
