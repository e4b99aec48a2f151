// What a crash left, put where programs of the host can look at it.
#ifndef TOOLS_AIOLAB_CRASH_FILES_H_
#define TOOLS_AIOLAB_CRASH_FILES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernel_model/drivers/block/sector_store.h"
#include "uapi/syscalls.h"

namespace aiolab {

struct CrashFiles {
  FileSyscalls& kernel;  // of the machine that has booted
  std::string prefix;    // where its files are
  const SectorStore& contents;
  uint64_t device_bytes = 0;  // of the device node's disk; 0: the client did not use it
};

// Copies the files to the directory `to`, and the disk of the device node as a file there. INTERNAL if they cannot be
// read, or else what is wrong on the host.
absl::Status CopyToHost(const CrashFiles& files, const std::string& to);

// Writes the disk with number `disk` to the file at `path`, with holes where it was never written.
absl::Status WriteDiskImage(const std::string& path, const SectorStore& contents, uint64_t disk, uint64_t disk_bytes);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_CRASH_FILES_H_
