#include "tools/preload/simfs_mount.h"

#include <sys/statfs.h>

#include <memory>
#include <utility>

#include "kernel_model/fs/direct_io.h"
#include "kernel_model/fs/mpage.h"
#include "kernel_model/fs/namespace.h"
#include "kernel_model/mm/shmem.h"
#include "tools/preload/process.h"
#include "tools/preload/simfs.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

super_block* mounted = nullptr;

std::unique_ptr<super_block> MakeFileSystem(Machine& machine, const SimfsSpec& spec) {
  const ScopedCurrent as_kernel(machine.kernel().irq);
  return MakeTmpfs({.readahead = mpage_readahead, .direct_IO = blockdev_direct_IO}, spec.size_bytes);
}

mode_t HostUmask() {
  const long mask = RawSyscall(__NR_umask, 0777);
  RawSyscall(__NR_umask, mask);
  return static_cast<mode_t>(mask);
}

}  // namespace

absl::Status MountSimfs(Machine& machine, const SimfsSpec& spec) {
  std::unique_ptr<super_block> file_system = MakeFileSystem(machine, spec);
  super_block* const sb = file_system.get();
  const absl::Status status = machine.Mount(spec.prefix, std::move(file_system));
  if (!status.ok()) return status;
  machine.fs().umask = HostUmask();
  mounted = sb;
  SimfsBegins(static_cast<const MixedFiles*>(&machine.files()));
  return absl::OkStatus();
}

SimfsReport ReportOfSimfs(Machine& machine) {
  SimfsReport report;
  struct statfs status = {};
  if (mounted->s_op->statfs != nullptr && mounted->s_op->statfs(*mounted, &status) == 0) {
    report.files = status.f_files - status.f_ffree;
  }
  const kernel_stats& stats = machine.kernel().stats;
  report.bytes_written = stats.bytes_written;
  report.disk_requests = stats.bios;
  return report;
}

void SetSimfsUmask(mode_t mask) {
  Machine* const machine = TheSimfsSpec() == nullptr ? nullptr : TheMachine();
  if (machine != nullptr) machine->fs().umask = mask & 0777;
}

}  // namespace aiolab::preload
