// Starts a program, waits for its end, and keeps out of the way of its signals.
#ifndef TOOLS_AIOLAB_CLIENT_PROCESS_H_
#define TOOLS_AIOLAB_CLIENT_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace aiolab {

// How a program ended.
struct ProgramEnd {
  int status = 0;          // its exit status, if `signal` is 0
  int signal = 0;          // what killed it, or 0
  int passed_on = 0;       // the last signal that was passed on to it or came to both from the terminal, or 0
  bool timed_out = false;  // it was killed because its time was up
  // Of its processes, those that are still there some seconds after they were killed with the power.
  std::vector<pid_t> left = {};

  // What a shell would report: the status, or 128 + signal.
  int ShellStatus() const { return signal != 0 ? 128 + signal : status; }
};

struct ProgramSetup {
  // Changes this process's environment; with `only_these` it is all that the program gets.
  std::map<std::string, std::string> environment = {};
  bool only_these = false;
  // Standard output and standard error go to the end of these files, which are made if they are not there. Empty: to
  // where this process's go.
  std::string out = {};
  std::string err = {};
  std::function<void()> look = nullptr;  // called at least twice a second meanwhile, and once at the end
  // It is a process group of its own, with nothing on its standard input. SIGINT and SIGQUIT are passed on as well, all
  // to the whole group, of which nobody is left when its first process has ended.
  bool own_group = false;
  int seconds_max = 0;  // after that it is killed; 0: never
  // Asked fifty times a second meanwhile, and at the end. True: the power of the program's machine has gone, and the
  // program is killed and everything that it has started, as KillFamily() has it (client_family.h): `mark` names the
  // variable in `environment` that tells this program from others. Null: that never happens.
  std::function<bool()> power_is_off = nullptr;
  std::string mark = {};
};

// Runs the file at `path` with `argv` (argv[0] included) in
// this process's group and on its terminal, unless setup.own_group. Meanwhile SIGINT and SIGQUIT, which a terminal
// sends to the program too, are only noted here, and SIGTERM and SIGHUP are passed on to it.
//
// Not thread-safe, nor to be called while another child is waited for. UNKNOWN if it cannot be started.
absl::StatusOr<ProgramEnd> RunToItsEnd(const std::string& path, const std::vector<std::string>& argv,
                                       const ProgramSetup& setup);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_CLIENT_PROCESS_H_
