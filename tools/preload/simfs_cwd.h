// The working directory, while it is in the simulated file system. The host's stays where it was before.
#ifndef TOOLS_PRELOAD_SIMFS_CWD_H_
#define TOOLS_PRELOAD_SIMFS_CWD_H_

#include <string>

namespace aiolab::preload {

// The prefix, without a slash at its end. Requires: HasSimfs().
const char* SimfsPrefix();

// The process has begun, perhaps in a directory of the host that the prefix hides.
void StartSimfsCwd();

// An absolute path below the prefix, or empty: the working directory is the host's.
std::string SimfsCwd();

// chdir, fchdir and getcwd as system calls, if they are about the simulated file system.
bool SimfsChdir(const char* path, long* ret);
bool SimfsFchdir(int fd, long* ret);
bool SimfsGetcwd(char* buf, size_t size, long* ret);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_SIMFS_CWD_H_
