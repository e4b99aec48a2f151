// The client's pointers, which may be bad: where the kernel says EFAULT, so do we.
#ifndef TOOLS_PRELOAD_USER_MEMORY_H_
#define TOOLS_PRELOAD_USER_MEMORY_H_

#include <errno.h>
#include <signal.h>
#include <time.h>

#include <cstdint>

#include "kernel_model/mm/uaccess.h"
#include "tools/preload/clock.h"
#include "tools/preload/signals.h"
#include "uapi/aio_abi.h"

namespace aiolab::preload {

// 0 or -EFAULT. A null pointer is a bad one.
template <typename T>
[[nodiscard]] long ReadUser(const T* user, T* value) {
  return CopyPinned(value, user, sizeof(T)) == 0 ? 0 : -EFAULT;
}
template <typename T>
[[nodiscard]] long WriteUser(T* user, const T& value) {
  return CopyPinned(user, &value, sizeof(T)) == 0 ? 0 : -EFAULT;
}

inline bool IsValid(const timespec& time) {
  return time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < kNanosecondsPerSecond;
}

// A timeout as the client gave it.
struct UserTimeout {
  explicit UserTimeout(const timespec* user) {
    timespec time;
    if (user == nullptr) return;
    error = ReadUser(user, &time);
    if (error == 0 && !IsValid(time)) error = -EINVAL;
    if (error == 0) ns = ToNs(time);
  }
  long error = 0;   // or -EFAULT or -EINVAL
  int64_t ns = -1;  // -1 for a null pointer: no limit
};

// A mask as the client gave it and the kernel takes it, without what must not be blocked.
struct UserMask {
  explicit UserMask(const sigset_t* user) : given(user != nullptr) {
    if (!given) return;
    if (CopyPinned(&mask, user, kKernelSigsetSize) != 0) error = -EFAULT;
    mask = WithoutFaults(mask);
  }
  const sigset_t* get() const { return given ? &mask : nullptr; }
  const bool given;
  long error = 0;  // or -EFAULT
  sigset_t mask = {};
};

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_USER_MEMORY_H_
