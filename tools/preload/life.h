// The ends of a process's life, and what starts others: exec, exit, threads.
#ifndef TOOLS_PRELOAD_LIFE_H_
#define TOOLS_PRELOAD_LIFE_H_

#include <fcntl.h>

namespace aiolab::preload {

// execveat: the machine ends first if the program looks as if it can be run. Returns -errno, if at all.
long ExecAt(int dirfd, const char* path, char* const* argv, char* const* envp, int flags);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_LIFE_H_
