// The command line of `aiolab crash`, from text to values: its own flags, and those of `aiolab run`.
#ifndef TOOLS_AIOLAB_CRASH_FLAGS_H_
#define TOOLS_AIOLAB_CRASH_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/aiolab/run_flags.h"

namespace aiolab {

struct CrashCommandOptions {
  RunOptions run;           // simfs is never empty
  uint64_t points_max = 0;  // crash points; 0: all
  uint64_t images_max = 1000;
  int check_seconds_max = 60;
  std::string check;                 // a command for the shell, with {dir} in it; empty for the embedded client
  bool rename_before_fsync = false;  // the embedded client with the mistake
  std::string export_files;          // as given; empty: none
  std::string export_image;
  std::string export_log;
};

// Parses what follows "crash". INVALID_ARGUMENT says which argument is wrong, why, and what would be right.
absl::StatusOr<CrashCommandOptions> ParseCrashArguments(const std::vector<std::string>& arguments);

// Its own flags.
std::vector<FlagHelp> CrashFlagHelp();

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_CRASH_FLAGS_H_
