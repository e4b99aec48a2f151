// `aiolab crash`: runs a client on a simulated file system and looks for a power cut that it does not survive.
#ifndef TOOLS_AIOLAB_CRASH_COMMAND_H_
#define TOOLS_AIOLAB_CRASH_COMMAND_H_

#include <string>
#include <vector>

namespace aiolab {

// The exit status if a power cut was found.
inline constexpr int kCrashFoundExitStatus = 1;

// The whole command. Returns what aiolab exits with.
int CrashCommand(const std::vector<std::string>& arguments);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_CRASH_COMMAND_H_
