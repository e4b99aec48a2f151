// FILE streams on simulated files. The C library's own read and write by system calls that no symbol reaches.
#ifndef TOOLS_PRELOAD_STREAMS_H_
#define TOOLS_PRELOAD_STREAMS_H_

#include <stdio.h>

namespace aiolab::preload {

// The O_* flags of fopen's mode.
int FlagsOfMode(const char* mode);

// A stream on `fd`, a simulated file, which it owns. fileno() tells the fd. Null and errno.
FILE* SimfsStream(int fd, const char* mode);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_STREAMS_H_
