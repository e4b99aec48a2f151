#include "tools/aiolab/crash_files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/machine.h"
#include "tools/aiolab/copy_tree.h"
#include "tools/aiolab/files.h"
#include "uapi/host_syscalls.h"

namespace aiolab {

absl::Status CopyToHost(const CrashFiles& files, const std::string& to) {
  HostSyscalls host;
  if (const absl::Status status = CopyTree(files.kernel, files.prefix, host, to); !status.ok()) {
    // A message begins with the path that it is about.
    return absl::StartsWith(status.message(), to) ? status : absl::InternalError(status.message());
  }
  if (files.device_bytes == 0) return absl::OkStatus();
  return WriteDiskImage(absl::StrCat(to, "/", kDeviceNode), files.contents, /*disk=*/1, files.device_bytes);
}

absl::Status WriteDiskImage(const std::string& path, const SectorStore& contents, uint64_t disk, uint64_t disk_bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return FileError(errno, path, "cannot be opened");
  SectorStore bytes;
  bytes.CopyFrom(contents, disk * DiskObserver::kSectorsPerDisk, disk_bytes / SECTOR_SIZE);
  bool good = ftruncate(fd, static_cast<off_t>(disk_bytes)) == 0;
  constexpr uint64_t kSectors = SectorStore::kChunkBytes / SECTOR_SIZE;
  for (const uint64_t chunk : bytes.ChunksIn(0, disk_bytes / SECTOR_SIZE)) {
    char piece[SectorStore::kChunkBytes];
    bytes.Read(chunk * kSectors, absl::MakeSpan(piece));
    good = good && pwrite(fd, piece, sizeof(piece), static_cast<off_t>(chunk * sizeof(piece))) == sizeof(piece);
  }
  const int error = errno;
  close(fd);
  return good ? absl::OkStatus() : FileError(error, path, "cannot be written");
}

}  // namespace aiolab
