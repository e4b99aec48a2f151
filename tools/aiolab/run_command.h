// `aiolab run`: checks everything, then runs the client under the preload library and reports.
#ifndef TOOLS_AIOLAB_RUN_COMMAND_H_
#define TOOLS_AIOLAB_RUN_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/aiolab/report.h"
#include "tools/aiolab/run_flags.h"

namespace aiolab {

// What a run needs and has been checked, before anything is started.
struct PreparedRun {
  RunConfig config;             // all but run_dir
  std::string replay_token;     // empty: not a replay. If it is not in `config`, it goes to a file
  std::string replayed_from;    // the file that it was in, absolute; or empty
  std::string token_path;       // where the token of this run goes; empty: a long one to a new file in TMPDIR
  std::string preload_library;  // absolute
  bool show_hints = true;       // on standard error, while the client runs
  bool show_output = true;      // with config.record_writes: the client's standard output on ours
};

// INVALID_ARGUMENT, NOT_FOUND or FAILED_PRECONDITION with what the user has to mend.
absl::StatusOr<PreparedRun> PrepareRun(const RunOptions& options);

// The absolute path of a file that `flag` names, after seeing that it can be written.
absl::StatusOr<std::string> CheckWritable(const std::string& flag, const std::string& path);

// The file of a client that can run under the preload library. The error says why it cannot.
absl::StatusOr<std::string> FindClientToRun(const std::string& name);

// Runs the program at `path` with `argv` under the preload library, in a directory of the run's own that is gone
// afterwards.
absl::StatusOr<RunOutcome> RunUnderModel(const PreparedRun& run, const std::string& path,
                                         const std::vector<std::string>& argv);

// The whole command. Returns what aiolab exits with.
int RunCommand(const std::vector<std::string>& arguments);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_RUN_COMMAND_H_
