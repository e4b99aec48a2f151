// Copies trees of files from one kernel to another: a directory of the host into a simulated file system, and back.
//
//   HostSyscalls host;
//   EmulatedSyscalls model(machine);
//   absl::Status status = CopyTree(host, "/srv/db", model, "/data");        // load
//   status = CopyTree(model, "/data", host, "/tmp/crash-17");               // export, for a checker
#ifndef TOOLS_AIOLAB_COPY_TREE_H_
#define TOOLS_AIOLAB_COPY_TREE_H_

#include <string>

#include "absl/status/status.h"
#include "uapi/syscalls.h"

namespace aiolab {

struct CopyTreeOptions {
  // What `to_dir` has and `from_dir` has not, goes. Special files stay.
  bool remove_others = false;
};

// Copies what is in directory `from_dir` into directory `to_dir`, both of which must be there: files with their holes
// (where SEEK_HOLE tells), directories, symbolic links as they are, and the permissions of files and directories.
// Special files (devices, fifos, sockets) are left out, a hard link becomes a file of its own, times and owners are not
// kept. Files that are there already are replaced; something of another kind is EEXIST, unless options.remove_others.
// Names are taken in their order, so the calls made on either kernel depend on nothing but the trees.
//
// An error names the file, what could not be done with it, and the errno. What was copied until then stays.
absl::Status CopyTree(FileSyscalls& from, const std::string& from_dir, FileSyscalls& to, const std::string& to_dir,
                      const CopyTreeOptions& options = {});

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_COPY_TREE_H_
