// Starts a program, waits for its end, and keeps out of the way of its signals.
#ifndef TOOLS_AIOLAB_CLIENT_PROCESS_H_
#define TOOLS_AIOLAB_CLIENT_PROCESS_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace aiolab {

// How a program ended.
struct ProgramEnd {
  int status = 0;  // its exit status, if `signal` is 0
  int signal = 0;  // what killed it, or 0

  // What a shell would report: the status, or 128 + signal.
  int ShellStatus() const { return signal != 0 ? 128 + signal : status; }
};

// Runs the file at `path` with `argv` (argv[0] included) and this process's environment, changed by `environment`, in
// this process's group and on its terminal. Meanwhile SIGINT and SIGQUIT, which a terminal sends to the program too,
// are ignored here, and SIGTERM and SIGHUP are passed on to it.
//
// `look`, if there is one, is called about twice a second meanwhile.
//
// Not thread-safe, nor to be called while another child is waited for. UNKNOWN if it cannot be started.
absl::StatusOr<ProgramEnd> RunToItsEnd(const std::string& path, const std::vector<std::string>& argv,
                                       const std::map<std::string, std::string>& environment,
                                       const std::function<void()>& look = nullptr);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_CLIENT_PROCESS_H_
