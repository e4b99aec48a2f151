// Where the fault rules of a run come from: the environment, a file and the command line, all together.
#ifndef TOOLS_AIOLAB_FAULT_SOURCES_H_
#define TOOLS_AIOLAB_FAULT_SOURCES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace aiolab {

inline constexpr char kFaultVariable[] = "AIOLAB_FAULT";

// Rules go to the client's processes in one environment string.
inline constexpr size_t kFaultRulesSizeMax = 16 << 10;  // bytes

// The rules of AIOLAB_FAULT (`variable`, empty if it is not set), of the file at `path` (empty: none) and of each
// --fault, in this order, as one line of text without comments; empty if there is none. INVALID_ARGUMENT or NOT_FOUND
// names the source and the place of the mistake in it.
absl::StatusOr<std::string> CollectFaultRules(const std::string& variable, const std::string& path,
                                              const std::vector<std::string>& flags);
// Whether `rules`, which CollectFaultRules has made, can be obeyed on the host's files: INVALID_ARGUMENT names one that
// cannot.
absl::Status CheckRulesOnHostFiles(const std::string& rules);
// One of them that is a `reboot`, or empty.
std::string RuleThatReboots(const std::string& rules);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_FAULT_SOURCES_H_
