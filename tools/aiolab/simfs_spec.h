// What --simfs says: where the simulated file system is, how large, and on which disk.
//
//   ParseSimfsSpec("/data:size=1G,disk=nvme,cache=off")
#ifndef TOOLS_AIOLAB_SIMFS_SPEC_H_
#define TOOLS_AIOLAB_SIMFS_SPEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aiolab {

struct SimfsSpec {
  std::string prefix;                 // absolute, below the root, without a slash at its end
  std::string disk = "nvme,size=1G";  // as ParseSimDisk() takes it
  // What a failed fsync leaves: see simfs::FindErrorModel().
  std::string error_model = "ext4-ordered";

  friend bool operator==(const SimfsSpec&, const SimfsSpec&) = default;
};

// PREFIX[:key=value,...]: disk=PRESET, model=ext4-ordered|ext4-data|xfs|btrfs, and what ParseSimDisk() knows.
// INVALID_ARGUMENT says what is wrong, and what would be right.
absl::StatusOr<SimfsSpec> ParseSimfsSpec(absl::string_view text);

// A text that ParseSimfsSpec() takes.
std::string SimfsSpecText(const SimfsSpec& spec);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_SIMFS_SPEC_H_
