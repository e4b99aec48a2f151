// The command line of `aiolab run`, from text to values.
#ifndef TOOLS_AIOLAB_RUN_FLAGS_H_
#define TOOLS_AIOLAB_RUN_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/aiolab/run_protocol.h"

namespace aiolab {

struct RunOptions {
  bool help = false;  // --help was there: nothing else matters
  uint64_t seed = 1;
  std::string profile;
  int cpus = 1;
  RunClock clock = RunClock::kVirtual;
  std::string trace_path;           // as given; empty for no trace
  bool json = false;                // the report's format
  std::string replay;               // a token, or @ and the name of the file that holds it; empty for none
  std::string seeded_bug;           // empty for none
  std::string simfs;                // as SimfsSpecText has it; empty: every file is the host's
  std::vector<std::string> faults;  // one for each --fault
  std::string fault_file;           // empty for none
  int hang_after_s = -1;            // as in RunConfig
  std::string preload_library;      // empty: where it was installed
  std::vector<std::string> client;  // what follows "--"; empty: the embedded default
};

// Parses what follows "run". INVALID_ARGUMENT says which argument is wrong, why, and what would be right.
absl::StatusOr<RunOptions> ParseRunArguments(const std::vector<std::string>& arguments);

// The value of the flag arguments[*index], whose name without dashes is `name`: behind its '=', or the next argument,
// which *index then is. `values` is what it looks like, for the message if there is none.
absl::StatusOr<std::string> TakeFlagValue(const std::vector<std::string>& arguments, size_t* index,
                                          absl::string_view name, absl::string_view values);

// One flag for the help text.
struct FlagHelp {
  std::string usage;  // "--cpus=N|host"
  std::string text;
  std::string default_value;  // empty if there is none worth naming
};
std::vector<FlagHelp> RunFlagHelp();

// The kernels that --profile can name.
const std::vector<std::string>& ProfileNames();

// The number of CPUs in a list as /sys/devices/system/cpu/possible has it ("0-3,8" is 5); 0 if it is not such a list.
int CountCpuList(absl::string_view list);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_RUN_FLAGS_H_
