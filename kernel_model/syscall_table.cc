#include "kernel_model/syscall_table.h"

#include <errno.h>
#include <sys/syscall.h>

#include <array>
#include <type_traits>
#include <utility>

#include "kernel_model/fs/read_write.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/kernel/signal.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

template <typename T>
T As(long argument) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<T>(argument);
  } else {
    return static_cast<T>(argument);
  }
}

template <typename... Parameters, size_t... Index>
long Apply(long (*function)(Parameters...), const long (&a)[6], std::index_sequence<Index...>) {
  return function(As<Parameters>(a[Index])...);
}

template <typename... Parameters>
long Apply(long (*function)(Parameters...), const long (&a)[6]) {
  return Apply(function, a, std::index_sequence_for<Parameters...>());
}

// A system call whose arguments are those of its function, in their order.
template <auto kFunction>
long Plain(const long (&a)[6]) {
  return Apply(kFunction, a);
}

template <auto kFunction>
long Vectored(const long (&a)[6]) {
  return kFunction(As<int>(a[0]), As<const iovec*>(a[1]), As<int>(a[2]), /*pos=*/-1, /*flags=*/0);
}

// The position comes in two halves, of which the first is all of it here.
template <auto kFunction>
long VectoredAt(const long (&a)[6]) {
  if (a[3] < 0) return -EINVAL;
  return kFunction(As<int>(a[0]), As<const iovec*>(a[1]), As<int>(a[2]), a[3], /*flags=*/0);
}

template <auto kFunction>
long VectoredWithFlags(const long (&a)[6]) {
  return kFunction(As<int>(a[0]), As<const iovec*>(a[1]), As<int>(a[2]), a[3], As<int>(a[5]));
}

constexpr SyscallEntry kEntries[] = {
    {__NR_read, "read", Plain<sys_read>},
    {__NR_write, "write", Plain<sys_write>},
    {__NR_close, "close", Plain<sys_close>},
    {__NR_fstat, "fstat", Plain<sys_fstat>},
    {__NR_lseek, "lseek", Plain<sys_lseek>},
    {__NR_ioctl, "ioctl", Plain<sys_ioctl>},
    {__NR_pread64, "pread64", Plain<sys_pread64>},
    {__NR_pwrite64, "pwrite64", Plain<sys_pwrite64>},
    {__NR_readv, "readv", Vectored<sys_preadv2>},
    {__NR_writev, "writev", Vectored<sys_pwritev2>},
    {__NR_dup, "dup", Plain<sys_dup>},
    {__NR_fcntl, "fcntl", Plain<sys_fcntl>},
    {__NR_flock, "flock", Plain<sys_flock>},
    {__NR_fsync, "fsync", [](const long (&a)[6]) { return sys_fsync(As<int>(a[0]), /*datasync=*/0); }},
    {__NR_fdatasync, "fdatasync", [](const long (&a)[6]) { return sys_fsync(As<int>(a[0]), /*datasync=*/1); }},
    {__NR_truncate, "truncate", Plain<sys_truncate>},
    {__NR_ftruncate, "ftruncate", Plain<sys_ftruncate>},
    {__NR_fchmod, "fchmod", Plain<sys_fchmod>},
    {__NR_statfs, "statfs", Plain<sys_statfs>},
    {__NR_fstatfs, "fstatfs", Plain<sys_fstatfs>},
    {__NR_sync, "sync", Plain<sys_sync>},
    {__NR_getdents64, "getdents64", Plain<sys_getdents64>},
    {__NR_fadvise64, "fadvise64", Plain<sys_fadvise64>},
    {__NR_openat, "openat", Plain<sys_openat>},
    {__NR_mkdirat, "mkdirat", Plain<sys_mkdirat>},
    {__NR_newfstatat, "newfstatat", Plain<sys_newfstatat>},
    {__NR_unlinkat, "unlinkat", Plain<sys_unlinkat>},
    {__NR_linkat, "linkat", Plain<sys_linkat>},
    {__NR_symlinkat, "symlinkat", Plain<sys_symlinkat>},
    {__NR_readlinkat, "readlinkat", Plain<sys_readlinkat>},
    {__NR_sync_file_range, "sync_file_range", Plain<sys_sync_file_range>},
    {__NR_utimensat, "utimensat", Plain<sys_utimensat>},
    {__NR_fallocate, "fallocate", Plain<sys_fallocate>},
    {__NR_dup3, "dup3", Plain<sys_dup3>},
    {__NR_preadv, "preadv", VectoredAt<sys_preadv2>},
    {__NR_pwritev, "pwritev", VectoredAt<sys_pwritev2>},
    {__NR_syncfs, "syncfs", Plain<sys_syncfs>},
    {__NR_renameat2, "renameat2", Plain<sys_renameat2>},
    {__NR_preadv2, "preadv2", VectoredWithFlags<sys_preadv2>},
    {__NR_pwritev2, "pwritev2", VectoredWithFlags<sys_pwritev2>},
    {__NR_statx, "statx", Plain<sys_statx>},
    {__NR_faccessat2, "faccessat2", Plain<sys_faccessat2>},
};

constexpr size_t kNumbersMax = 512;

constexpr std::array<signed char, kNumbersMax> kByNumber = [] {
  std::array<signed char, kNumbersMax> index = {};
  for (signed char& slot : index) slot = -1;
  for (size_t i = 0; i < std::size(kEntries); ++i)
    index[static_cast<size_t>(kEntries[i].nr)] = static_cast<signed char>(i);
  return index;
}();

}  // namespace

const SyscallEntry* FindSyscall(long nr) {
  if (nr < 0 || static_cast<size_t>(nr) >= kNumbersMax) return nullptr;
  const signed char index = kByNumber[static_cast<size_t>(nr)];
  return index < 0 ? nullptr : &kEntries[index];
}

long DoSyscall(Machine& machine, const SyscallEntry& entry, const long (&a)[6]) {
  long result;
  {
    Machine::Entry inside(machine, entry.name);
    result = inside.Return(WithoutRestart(entry.call(a)));
  }
  deliver_signals();
  return result;
}

}  // namespace aiolab
