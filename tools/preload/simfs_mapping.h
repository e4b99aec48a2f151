// mmap of a simulated file.
#ifndef TOOLS_PRELOAD_SIMFS_MAPPING_H_
#define TOOLS_PRELOAD_SIMFS_MAPPING_H_

namespace aiolab::preload {

// The system call. A private mapping is a copy, made now: a later write to the file does not show in it. A shared one
// is -ENODEV.
long MapSimfs(const long (&a)[6]);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_SIMFS_MAPPING_H_
