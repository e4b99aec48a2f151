// Signals, as far as system calls have to do with them: a mask for the length of one call, and signals that the kernel
// sends by itself.
//
// Mirrors: kernel/signal.c.
// Differs: signals are the host's. Its kernel keeps masks, handlers and what is pending; the model asks it.
#ifndef KERNEL_MODEL_KERNEL_SIGNAL_H_
#define KERNEL_MODEL_KERNEL_SIGNAL_H_

#include <signal.h>

#include <cstddef>
#include <cstdint>

namespace aiolab {

// The mask that io_pgetevents, ppoll and epoll_pwait put in place of the caller's while they wait.
//
// SIGSEGV and SIGBUS stay unblocked whatever the client says: a bad pointer of the client is one of them.
//
// Mirrors: set_user_sigmask, restore_saved_sigmask_unless.
// Differs: a signal that arrives while the model runs on the client's stack is handled there and then. It ends a sleep
// of this call only if its handler says so (Machine::InterruptCurrent) or if it arrives during the sleep.
class ScopedSigmask {
 public:
  // `user` is the client's pointer, to `sigsetsize` bytes; null leaves the mask alone, whatever the size. Requires: the
  // current task is a client.
  ScopedSigmask(const sigset_t* user, size_t sigsetsize);
  // Puts the old mask back: signals that waited for this are handled now.
  ~ScopedSigmask();
  ScopedSigmask(const ScopedSigmask&) = delete;
  ScopedSigmask& operator=(const ScopedSigmask&) = delete;

  // 0; -EINVAL for another size than the kernel's sigset_t; -EFAULT for a bad pointer. If it is not 0, nothing changed.
  int error() const { return error_; }

  // A signal that the mask lets through was pending when it came into force, or wants to end this task's sleep. Such a
  // signal ends interruptible sleeps of the current task at once while this lives. One that ended a sleep itself is in
  // that sleep's result only (SleepResult::kSignal).
  bool interrupted() const;

 private:
  int error_ = 0;
  bool changed_ = false;
  bool was_pending_ = false;
  uint64_t saved_ = 0;
};

// Sends `signo` to the current task, if it is a client, when its system call is over (deliver_signals). A worker has
// nobody to tell.
//
// Mirrors: send_sig.
void send_sig(int signo);

// What a client sees of a call that was interrupted: -EINTR for the errors by which the kernel asks for another start,
// `result` else. The kernel would start some calls again; see DIFFERENCES.md.
long WithoutRestart(long result);

// Hands the calling thread the signals that send_sig() kept for it. Requires: outside the model.
void deliver_signals();

}  // namespace aiolab

#endif  // KERNEL_MODEL_KERNEL_SIGNAL_H_
