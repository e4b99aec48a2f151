// A system call without the C library: no errno, no cancellation point, and no symbol that a preload library could
// catch.
#ifndef UAPI_RAW_SYSCALL_H_
#define UAPI_RAW_SYSCALL_H_

#include <sys/syscall.h>

#include <type_traits>

namespace aiolab {

#if defined(__x86_64__)
inline long RawSyscall6(long nr, long a1, long a2, long a3, long a4, long a5, long a6) {
  long ret;
  register long r10 asm("r10") = a4;
  register long r8 asm("r8") = a5;
  register long r9 asm("r9") = a6;
  asm volatile("syscall"
               : "=a"(ret)
               : "a"(nr), "D"(a1), "S"(a2), "d"(a3), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return ret;
}
#else
#error "aiolab runs on x86-64 only so far"
#endif

template <typename T>
long SyscallArgument(T arg) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(arg);
  } else if constexpr (std::is_null_pointer_v<T>) {
    return 0;
  } else {
    return static_cast<long>(arg);
  }
}

// Makes system call `nr` (__NR_*) with up to six arguments. Returns what the kernel returned: >= 0 or -errno.
template <typename... Args>
long RawSyscall(long nr, Args... args) {
  static_assert(sizeof...(args) <= 6);
  const long a[6] = {SyscallArgument(args)...};
  return RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // namespace aiolab

#endif  // UAPI_RAW_SYSCALL_H_
