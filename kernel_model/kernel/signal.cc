#include "kernel_model/kernel/signal.h"

#include <errno.h>

#include "kernel_model/kernel/sched.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/aio_abi.h"
#include "uapi/errno_name.h"
#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

// The kernel's struct sigaction, which is not the C library's.
struct KernelSigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

constexpr uint64_t BitOf(int signo) { return uint64_t{1} << (signo - 1); }

// Signals sent by the model and not delivered yet.
thread_local uint64_t signals_to_deliver = 0;

// What is ignored does not interrupt anything, though it may be pending while it is blocked.
bool IsIgnored(int signo) {
  KernelSigaction action = {};
  RawSyscall(__NR_rt_sigaction, signo, nullptr, &action, kKernelSigsetSize);
  if (action.handler == SIG_IGN) return true;
  if (action.handler != SIG_DFL) return false;
  return signo == SIGCHLD || signo == SIGURG || signo == SIGWINCH || signo == SIGCONT;
}

bool AnyNotIgnored(uint64_t signals) {
  for (int signo = 1; signo <= 64; ++signo) {
    if ((signals & BitOf(signo)) != 0 && !IsIgnored(signo)) return true;
  }
  return false;
}

}  // namespace

ScopedSigmask::ScopedSigmask(const sigset_t* user, size_t sigsetsize) {
  if (user == nullptr) return;
  uint64_t mask = 0;
  static_assert(sizeof(mask) == kKernelSigsetSize);
  if (sigsetsize != sizeof(mask)) {
    error_ = -EINVAL;
    return;
  }
  if (copy_from_user(&mask, user, sizeof(mask)) != 0) {
    error_ = -EFAULT;
    return;
  }
  mask &= ~(BitOf(SIGSEGV) | BitOf(SIGBUS));

  // Asked before the new mask is in force: afterwards the signal is handled and gone.
  uint64_t pending = 0;
  RawSyscall(__NR_rt_sigpending, &pending, sizeof(pending));
  was_pending_ = AnyNotIgnored(pending & ~mask);
  if (was_pending_) current().sigpending = true;
  RawSyscall(__NR_rt_sigprocmask, SIG_SETMASK, &mask, &saved_, sizeof(mask));
  changed_ = true;
}

ScopedSigmask::~ScopedSigmask() {
  if (!changed_) return;
  // The signal has had its effect, which is this call's.
  if (was_pending_) current().sigpending = false;
  RawSyscall(__NR_rt_sigprocmask, SIG_SETMASK, &saved_, nullptr, sizeof(saved_));
}

bool ScopedSigmask::interrupted() const { return was_pending_ || current().sigpending; }

void send_sig(int signo) {
  if (current().host_tid != 0) signals_to_deliver |= BitOf(signo);
}

long WithoutRestart(long result) {
  switch (result) {
    case -ERESTARTSYS:
    case -ERESTARTNOINTR:
    case -ERESTARTNOHAND:
    case -ERESTART_RESTARTBLOCK:
      return -EINTR;
    default:
      return result;
  }
}

void deliver_signals() {
  if (signals_to_deliver == 0) return;
  const long pid = RawSyscall(__NR_getpid);
  const long tid = RawSyscall(__NR_gettid);
  for (int signo = 1; signo <= 64; ++signo) {
    if ((signals_to_deliver & BitOf(signo)) == 0) continue;
    // Taken off first: the handler may come back here.
    signals_to_deliver &= ~BitOf(signo);
    RawSyscall(__NR_tgkill, pid, tid, signo);
  }
}

}  // namespace aiolab
