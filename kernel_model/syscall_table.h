// The model's file calls by their numbers, for a client that has only those.
//
//   const SyscallEntry* entry = FindSyscall(__NR_pread64);
//   long ret = DoSyscall(machine, *entry, {fd, buf, count, pos});
//
// Mirrors: arch/x86/entry/syscalls/syscall_64.tbl, arch/x86/entry/common.c.
#ifndef KERNEL_MODEL_SYSCALL_TABLE_H_
#define KERNEL_MODEL_SYSCALL_TABLE_H_

#include "kernel_model/machine.h"

namespace aiolab {

struct SyscallEntry {
  long nr = 0;
  const char* name = nullptr;
  long (*call)(const long (&a)[6]) = nullptr;
};

// Null: not a call on files, or one that the model has under a newer number only (open is openat, stat is newfstatat).
const SyscallEntry* FindSyscall(long nr);

// Makes the call on the machine's own files. >= 0 or -errno; a call that a signal ended is -EINTR. Requires:
// !Machine::InsideModel().
long DoSyscall(Machine& machine, const SyscallEntry& entry, const long (&a)[6]);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SYSCALL_TABLE_H_
