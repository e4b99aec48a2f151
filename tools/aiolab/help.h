// The texts that --help and `aiolab help` print, and the exit status of a command line that is wrong.
#ifndef TOOLS_AIOLAB_HELP_H_
#define TOOLS_AIOLAB_HELP_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace aiolab {

inline constexpr char kVersionText[] = "aiolab 0.1.0";

// Nothing ran: the command line, or the client named in it, cannot be.
inline constexpr int kUsageExitStatus = 2;

const std::vector<std::string>& CommandNames();

std::string GeneralHelp();
std::string RunHelp();
std::string CrashHelp();

// `text` in lines of at most `width` columns, each behind `indent` blanks.
std::string WrapText(absl::string_view text, size_t indent, size_t width);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_HELP_H_
