// The host's directories that --simfs names, looked at before the client runs.
#ifndef TOOLS_AIOLAB_SIMFS_DIRECTORIES_H_
#define TOOLS_AIOLAB_SIMFS_DIRECTORIES_H_

#include <string>

#include "absl/status/statusor.h"

namespace aiolab {

// `simfs` with its from= and to= as absolute paths, for a client that may go elsewhere; to= is made if it is not there.
// Requires: ParseSimfsSpec(simfs) is ok. An error says which of them cannot serve, and why.
absl::StatusOr<std::string> PrepareSimfs(const std::string& simfs);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_SIMFS_DIRECTORIES_H_
