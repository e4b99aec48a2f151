#include "tools/preload/next_boot.h"

#include <signal.h>

#include <cstdint>

#include "tools/preload/notes.h"
#include "tools/preload/process.h"
#include "tools/preload/simfs_mount.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {

absl::Status LeaveToNextBoot(Machine& machine, BootRecord record) {
  record.machine_start_ns = machine.kernel().client_start_ns;
  record.ran_ns = machine.NowNs() - record.machine_start_ns;
  record.faults = machine.kernel().faults.Progress();
  record.not_replayable_because = NotesSoFar().not_replayable;
  record.saved_disks = machine.SavedDisks(TheSimfsSpec()->prefix);
  if (absl::Status written = WriteBootRecord(Config().run_dir, record); !written.ok()) return written;
  // It goes no further, and those that wait for it see nothing until they go themselves. Other threads have to be
  // stopped for that, which a parent with job control does see.
  const bool alone = SingleThreaded();
  const uint64_t all_signals = ~uint64_t{0};
  if (alone) RawSyscall(__NR_rt_sigprocmask, SIG_BLOCK, &all_signals, nullptr, sizeof(all_signals));
  for (;;) {
    if (alone) {
      RawSyscall(__NR_pause);
    } else {
      RawSyscall(__NR_kill, RawSyscall(__NR_getpid), SIGSTOP);
    }
  }
}

absl::Status MountSimfsOfLastBoot(Machine& machine) {
  const absl::StatusOr<BootRecord> boot = ReadBootRecord(Config().boot_from, /*disks=*/true);
  return boot.ok() ? MountSimfs(machine, *TheSimfsSpec(), &boot->saved_disks) : boot.status();
}

void RestoreFaultCounts(Machine& machine, const BootRecord& boot) {
  kernel_state& kernel = machine.kernel();
  kernel.faults.GoOnFrom(boot.faults, kernel.client_start_ns - boot.machine_start_ns);
}

}  // namespace aiolab::preload
