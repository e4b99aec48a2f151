// Copies from and to the client's memory that survive a bad pointer.
//
// Mirrors: include/linux/uaccess.h.
// Differs: client and model share an address space, so a copy is a copy loop at a known address, and a SIGSEGV or
// SIGBUS inside it ends the copy instead of the process. That costs nothing until it happens.
#ifndef KERNEL_MODEL_MM_UACCESS_H_
#define KERNEL_MODEL_MM_UACCESS_H_

#include <signal.h>

#include <cstddef>

namespace aiolab {

// Installs the SIGSEGV and SIGBUS handlers, through `sigaction_function` (the C library's sigaction, or what a preload
// library has behind it). A fault elsewhere goes to the handler that was there before. Idempotent. Both signals must
// stay unblocked in every thread that enters the model: a synchronous fault on a blocked signal kills the process.
void InstallFaultHandler(int (*sigaction_function)(int, const struct sigaction*, struct sigaction*));

// The handler to which a fault outside the model's copies goes: what the client installed. A preload library keeps it
// up to date. Requires: signal is SIGSEGV or SIGBUS.
void SetClientFaultAction(int signal, const struct sigaction& action);
struct sigaction ClientFaultAction(int signal);

// The handler itself, for a preload library that has faults of its own to look at first.
void HandleFault(int signal, siginfo_t* info, void* ucontext);

// Its first half: ends the copy in which the fault was. False if it was elsewhere.
//
// Mirrors: fixup_exception.
bool fixup_exception(void* ucontext);

// Both return the number of bytes that could not be copied: 0 for success. The current task must have an mm: in the
// kernel an interrupt or a worker has no user memory (use_mm).
[[nodiscard]] size_t copy_from_user(void* to, const void* from_user, size_t n);
[[nodiscard]] size_t copy_to_user(void* to_user, const void* from, size_t n);

// The same for pages that were pinned when the request was submitted, as a device's DMA sees them: in any context.
[[nodiscard]] size_t CopyPinned(void* to, const void* from, size_t n);

// 0, or -EFAULT.
template <typename T>
[[nodiscard]] int get_user(T& value, const T* user) {
  return copy_from_user(&value, user, sizeof(T)) == 0 ? 0 : -14;
}
template <typename T>
[[nodiscard]] int put_user(const T& value, T* user) {
  return copy_to_user(user, &value, sizeof(T)) == 0 ? 0 : -14;
}

// Lets a worker copy from and to a client's memory for a scope.
//
// Mirrors: kthread_use_mm, kthread_unuse_mm.
class ScopedUseMm {
 public:
  explicit ScopedUseMm(struct mm_struct* mm);
  ~ScopedUseMm();
  ScopedUseMm(const ScopedUseMm&) = delete;
  ScopedUseMm& operator=(const ScopedUseMm&) = delete;

 private:
  struct mm_struct* const outer_;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_MM_UACCESS_H_
