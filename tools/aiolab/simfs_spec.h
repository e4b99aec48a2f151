// What --simfs says: where the simulated file system is, how large, and on which disk.
//
//   ParseSimfsSpec("/data:size=1G,disk=nvme,cache=off,from=/srv/db,to=/tmp/after")
#ifndef TOOLS_AIOLAB_SIMFS_SPEC_H_
#define TOOLS_AIOLAB_SIMFS_SPEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aiolab {

struct SimfsSpec {
  std::string prefix;                        // absolute, below the root, without a slash at its end
  std::string disk = "nvme,size=1G";         // as ParseSimDisk() takes it
  std::string from;                          // a directory of the host whose files are there at first; empty: none
  std::string to;                            // where they go at the end; empty: nowhere
  std::string error_model = "ext4-ordered";  // as simfs::FindErrorModel() takes it

  friend bool operator==(const SimfsSpec&, const SimfsSpec&) = default;
};

// PREFIX[:key=value,...]: disk=PRESET, from=DIR, to=DIR, error-model=NAME, and what ParseSimDisk() knows.
// INVALID_ARGUMENT says what is wrong with what was typed, in which column where that is one, and what would be right.
absl::StatusOr<SimfsSpec> ParseSimfsSpec(absl::string_view text);

// A text that ParseSimfsSpec() takes.
std::string SimfsSpecText(const SimfsSpec& spec);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_SIMFS_SPEC_H_
