#include "tools/preload/next_boot.h"

#include <signal.h>

#include "tools/preload/notes.h"
#include "tools/preload/process.h"
#include "tools/preload/simfs_mount.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {

absl::Status LeaveToNextBoot(Machine& machine, BootRecord record) {
  record.machine_ns = machine.NowNs() - SimfsSetupNs();
  record.faults = machine.kernel().faults.Progress();
  record.not_replayable_because = NotesSoFar().not_replayable;
  record.saved_disks = machine.SavedDisks(TheSimfsSpec()->prefix);
  if (absl::Status written = WriteBootRecord(Config().run_dir, record); !written.ok()) return written;
  // All of its threads stop, and those that wait for it see nothing until they go themselves.
  for (;;) RawSyscall(__NR_kill, RawSyscall(__NR_getpid), SIGSTOP);
}

}  // namespace aiolab::preload
