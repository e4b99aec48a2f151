// /proc/sys/fs/aio-nr and aio-max-nr: every process sees its own machine's numbers, as text in a file without a name.
#ifndef TOOLS_PRELOAD_PROC_FILES_H_
#define TOOLS_PRELOAD_PROC_FILES_H_

#include <sys/types.h>

namespace aiolab::preload {

// Opens `path` if it is one of the two: an fd or -errno. Sets `*ours` to whether it is.
long OpenProcFile(const char* path, int flags, bool* ours);

// Takes over what was written to aio-max-nr. Before an io_setup and before a look.
void ApplyAioMaxNr();

void ForgetProcFiles();

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_PROC_FILES_H_
