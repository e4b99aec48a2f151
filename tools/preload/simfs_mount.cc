#include "tools/preload/simfs_mount.h"

#include <sys/statfs.h>

#include "absl/strings/str_cat.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/fs/namespace.h"
#include "kernel_model/syscall_table.h"
#include "tools/aiolab/copy_tree.h"
#include "tools/preload/process.h"
#include "tools/preload/simfs.h"
#include "tools/preload/write_recording.h"
#include "uapi/host_syscalls.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

super_block* mounted = nullptr;
int64_t setup_ns = 0;

mode_t HostUmask() {
  const long mask = RawSyscall(__NR_umask, 0777);
  RawSyscall(__NR_umask, mask);
  return static_cast<mode_t>(mask);
}

// What the machine does for us, and not for its client, for a scope.
class OwnWork {
 public:
  explicit OwnWork(Machine& machine)
      : machine_(machine), sink_(machine.trace().sink()), stats_(machine.kernel().stats), start_ns_(machine.NowNs()) {
    machine.trace().set_sink(nullptr);
    machine.PauseFaults();
  }
  ~OwnWork() {
    machine_.ResumeFaults();
    machine_.trace().set_sink(sink_);
    machine_.kernel().stats = stats_;
    setup_ns += machine_.NowNs() - start_ns_;
  }
  OwnWork(const OwnWork&) = delete;
  OwnWork& operator=(const OwnWork&) = delete;

 private:
  Machine& machine_;
  TraceSink* const sink_;
  const kernel_stats stats_;
  const int64_t start_ns_;
};

absl::Status Load(Machine& machine, const SimfsSpec& spec) {
  HostSyscalls host;
  EmulatedSyscalls model(machine, EmulatedSyscalls::Files::kModels);
  const absl::Status status = CopyTree(host, spec.from, model, spec.prefix);
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat("--simfs: from=", spec.from, " cannot be loaded: ", status.message(),
                                     absl::IsResourceExhausted(status) ? "; size=N makes the disk larger" : ""));
  }
  // As after a boot: the disk has everything and is at rest, memory has nothing.
  SettleSimfs(machine);
  machine.DropCaches();
  return absl::OkStatus();
}

}  // namespace

absl::Status MountSimfs(Machine& machine, const SimfsSpec& spec, const std::string* saved_disks) {
  const OwnWork own_work(machine);
  const absl::Status status = machine.MountSimfs({.path = spec.prefix,
                                                  .disk = spec.disk,
                                                  .error_model = spec.error_model,
                                                  .saved_disks = saved_disks,
                                                  .observer = NewWriteRecording(spec)});
  if (!status.ok()) return status;
  machine.fs().umask = HostUmask();
  mounted = machine.fs().mounts.back()->mnt_sb.get();
  SimfsBegins(static_cast<const MixedFiles*>(&machine.files()));
  absl::Status loaded = spec.from.empty() || saved_disks != nullptr ? absl::OkStatus() : Load(machine, spec);
  WriteRecordingBegins(*mounted);
  return loaded;
}

absl::Status ExportSimfs(Machine& machine, const SimfsSpec& spec) {
  if (spec.to.empty()) return absl::OkStatus();
  const OwnWork own_work(machine);
  HostSyscalls host;
  EmulatedSyscalls model(machine, EmulatedSyscalls::Files::kModels);
  return CopyTree(model, spec.prefix, host, spec.to, {.remove_others = true});
}

int64_t SimfsSetupNs() { return setup_ns; }

void SettleSimfs(Machine& machine) {
  DoSyscall(machine, *FindSyscall(__NR_sync), {});
  machine.Settle();
}

SimfsReport ReportOfSimfs(Machine& machine) {
  SimfsReport report;
  if (mounted == nullptr) return report;  // it could not be mounted
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
