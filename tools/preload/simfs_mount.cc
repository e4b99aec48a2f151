#include "tools/preload/simfs_mount.h"

#include <sys/statfs.h>

#include "kernel_model/fs/namespace.h"
#include "kernel_model/syscall_table.h"
#include "tools/preload/process.h"
#include "tools/preload/simfs.h"
#include "tools/preload/write_recording.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

super_block* mounted = nullptr;

mode_t HostUmask() {
  const long mask = RawSyscall(__NR_umask, 0777);
  RawSyscall(__NR_umask, mask);
  return static_cast<mode_t>(mask);
}

}  // namespace

absl::Status MountSimfs(Machine& machine, const SimfsSpec& spec) {
  const absl::Status status = machine.MountSimfs({.path = spec.prefix,
                                                  .disk = spec.disk,
                                                  .error_model = spec.error_model,
                                                  .observer = NewWriteRecording(spec)});
  if (!status.ok()) return status;
  machine.fs().umask = HostUmask();
  mounted = machine.fs().mounts.back()->mnt_sb.get();
  WriteRecordingBegins(*mounted);
  SimfsBegins(static_cast<const MixedFiles*>(&machine.files()));
  return absl::OkStatus();
}

void SettleSimfs(Machine& machine) {
  DoSyscall(machine, *FindSyscall(__NR_sync), {});
  machine.Settle();
}

SimfsReport ReportOfSimfs(Machine& machine) {
  SimfsReport report;
  struct statfs status = {};
  if (mounted->s_op->statfs != nullptr && mounted->s_op->statfs(*mounted, &status) == 0) {
    report.files = status.f_files - status.f_ffree;
  }
  const kernel_stats& stats = machine.kernel().stats;
  report.bytes_written = stats.bytes_written;
  report.disk_requests = stats.requests;
  report.merges = stats.merges;
  report.flushes = stats.flushes;
  return report;
}

void SetSimfsUmask(mode_t mask) {
  Machine* const machine = TheSimfsSpec() == nullptr ? nullptr : TheMachine();
  if (machine != nullptr) machine->fs().umask = mask & 0777;
}

}  // namespace aiolab::preload
