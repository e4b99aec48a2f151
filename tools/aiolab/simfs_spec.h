// What --simfs says: where the simulated file system is, how large, and on which disk.
//
//   ParseSimfsSpec("/data:size=1G,disk=nvme")
#ifndef TOOLS_AIOLAB_SIMFS_SPEC_H_
#define TOOLS_AIOLAB_SIMFS_SPEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aiolab {

struct SimfsSpec {
  std::string prefix;                       // absolute, below the root, without a slash at its end
  uint64_t size_bytes = uint64_t{1} << 30;  // at least a page
  std::string disk = "nvme";                // one of DiskPresetNames()

  friend bool operator==(const SimfsSpec&, const SimfsSpec&) = default;
};

// PREFIX[:key=value,...]. INVALID_ARGUMENT says what is wrong, and what would be right.
absl::StatusOr<SimfsSpec> ParseSimfsSpec(absl::string_view text);

// One text for all that mean the same.
std::string SimfsSpecText(const SimfsSpec& spec);

const std::vector<std::string>& DiskPresetNames();

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_SIMFS_SPEC_H_
