#include "tools/preload/signals.h"

#include <errno.h>
#include <string.h>

#include <atomic>

#include "kernel_model/machine.h"
#include "kernel_model/mm/uaccess.h"
#include "tools/preload/clock.h"
#include "tools/preload/death.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/thread_state.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

constexpr int kSignals = 65;

RealFunction<int(int, const struct sigaction*, struct sigaction*)> real_sigaction("sigaction");
RealFunction<int(int, const sigset_t*, sigset_t*)> real_pthread_sigmask("pthread_sigmask");

int RealSigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  return real_sigaction(signal, action, old);
}

// What the client installed, for the signals behind Dispatch(). Read in handlers, so an entry is replaced whole.
struct ClientAction {
  std::atomic<uint32_t> version{0};  // odd while it is written
  struct sigaction action = {};
};
ClientAction client_actions[kSignals];

struct sigaction LoadAction(int signal) {
  ClientAction& entry = client_actions[signal];
  for (;;) {
    const uint32_t before = entry.version.load(std::memory_order_acquire);
    const struct sigaction action = entry.action;
    // Not a load behind a fence, which ThreadSanitizer does not know: a write that changes nothing keeps the copy
    // before it as well.
    if (before % 2 == 0 && entry.version.fetch_add(0, std::memory_order_acq_rel) == before) return action;
  }
}

void StoreAction(int signal, const struct sigaction& action) {
  ClientAction& entry = client_actions[signal];
  entry.version.fetch_add(1, std::memory_order_acq_rel);
  entry.action = action;
  entry.version.fetch_add(1, std::memory_order_release);
}

bool HasHandler(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 || (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

bool IsFault(int signal) { return signal == SIGSEGV || signal == SIGBUS; }

void Dispatch(int signal, siginfo_t* info, void* ucontext);

struct sigaction OurAction(const struct sigaction& client) {
  struct sigaction ours = client;
  ours.sa_sigaction = Dispatch;
  ours.sa_flags = (client.sa_flags & ~static_cast<int>(SA_RESETHAND)) | SA_SIGINFO;
  ours.sa_mask = WithoutFaults(client.sa_mask);
  return ours;
}

// For a signal whose action is the default one, which has no stack and lets nothing else in.
struct sigaction OurEnd() {
  struct sigaction ours = {};
  ours.sa_sigaction = Dispatch;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigfillset(&ours.sa_mask);
  ours.sa_mask = WithoutFaults(ours.sa_mask);
  return ours;
}

std::atomic<bool> came_from_outside{false};

// The client's own raise() and kill() repeat with the run.
bool IsFromOutside(const siginfo_t& info) {
  if (IsOwnFault(info)) return false;
  if (info.si_signo == SIGALRM && info.si_code == SI_KERNEL && VirtualClock()) return false;  // the model's
  const bool has_sender = info.si_code == SI_USER || info.si_code == SI_TKILL || info.si_code == SI_QUEUE;
  return !has_sender || info.si_pid != RawSyscall(__NR_getpid);
}

// What ends a process unless it does something about it.
bool EndsByDefault(int signal) {
  switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
    case SIGKILL:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
      return false;
    default:
      return true;
  }
}

bool IsDefault(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL;
}

// The signals that end the process come to Dispatch(), too.
std::atomic<bool> catching_ends{false};

void Dispatch(int signal, siginfo_t* info, void* ucontext) {
  const int saved_errno = errno;
  if (TheMachine() != nullptr && IsFromOutside(*info)) came_from_outside = true;
  if (IsDefault(LoadAction(signal)) && (!Machine::InsideModel() || !CanWaitForSwitchingPoint(*info))) {
    DieOf(signal, *info);
    errno = saved_errno;
    return;
  }
  if ((LoadAction(signal).sa_flags & SA_RESTART) == 0) Me().handler_interrupts = true;
  if (Machine::InsideModel()) {
    ThreadState& me = Me();
    // A standard signal is pending once at most; more than this many of the others are lost, as beyond
    // RLIMIT_SIGPENDING.
    if (me.deferred_count == 0) me.deferred_since_ns = HostMonotonicNs();
    if (me.deferred_count < kDeferredSignalsMax) {
      me.deferred[me.deferred_count] = *info;
      me.deferred[me.deferred_count].si_signo = signal;
      ++me.deferred_count;
    }
    Machine::InterruptCurrent();
    errno = saved_errno;
    return;
  }
  const struct sigaction action = LoadAction(signal);
  if ((action.sa_flags & SA_RESETHAND) != 0) {
    struct sigaction reset = {};
    reset.sa_handler = SIG_DFL;
    ClientSigaction(signal, &reset, nullptr);
  }
  errno = saved_errno;
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signal, info, ucontext);
  } else if (HasHandler(action)) {
    action.sa_handler(signal);
  }
}

void OnFault(int signal, siginfo_t* info, void* ucontext) {
  const int saved_errno = errno;
  if (signal == SIGSEGV && info->si_code == SI_KERNEL && VirtualClock() && EmulateInstruction(ucontext)) {
    errno = saved_errno;
    return;
  }
  if (fixup_exception(ucontext)) return;
  const struct sigaction action = ClientFaultAction(signal);
  if (HasHandler(action)) {
    HandleFault(signal, info, ucontext);
  } else if (IsDefault(action) || info->si_code > 0) {
    // A fault cannot be ignored, only somebody's kill().
    if (TheMachine() != nullptr && IsFromOutside(*info)) came_from_outside = true;
    DieOf(signal, *info);
  }
  errno = saved_errno;
}

}  // namespace

sigset_t WithoutFaults(const sigset_t& mask) {
  sigset_t without = mask;
  sigdelset(&without, SIGSEGV);
  sigdelset(&without, SIGBUS);
  return without;
}

void CatchFaults() {
  struct sigaction action = {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  real_sigaction(SIGSEGV, &action, nullptr);
  real_sigaction(SIGBUS, &action, nullptr);
}

void IgnoreFaultsAsClientDoes() {
  for (const int signal : {SIGSEGV, SIGBUS}) {
    const struct sigaction action = ClientFaultAction(signal);
    if (!HasHandler(action) && !IsDefault(action)) real_sigaction(signal, &action, nullptr);
  }
}

void InitSignals() {
  // First of all, so that the machine finds it done and does not come by way of our own sigaction.
  InstallFaultHandler(RealSigaction);
  CatchFaults();
  // A mask is inherited through exec.
  sigset_t inherited;
  real_pthread_sigmask(SIG_SETMASK, nullptr, &inherited);
  if (sigismember(&inherited, SIGSEGV) != 0) Me().blocked_faults |= 1;
  if (sigismember(&inherited, SIGBUS) != 0) Me().blocked_faults |= 2;
  const sigset_t without = WithoutFaults(inherited);
  real_pthread_sigmask(SIG_SETMASK, &without, nullptr);
}

void CatchEndingSignals() {
  if (catching_ends.exchange(true)) return;
  for (int signal = 1; signal < kSignals; ++signal) {
    struct sigaction action = {};
    // The C library keeps two for itself, and refuses.
    if (!EndsByDefault(signal) || IsFault(signal) || real_sigaction(signal, nullptr, &action) != 0) continue;
    if (!IsDefault(action)) continue;
    StoreAction(signal, action);
    const struct sigaction ours = OurEnd();
    real_sigaction(signal, &ours, nullptr);
  }
}

bool SignalCameFromOutside() { return came_from_outside; }
void ForgetSignals() { came_from_outside = false; }

void DeliverDeferredSignals() {
  ThreadState& me = Me();
  StopIfDying();
  while (me.deferred_count > 0 && !Machine::InsideModel()) [[unlikely]] {
      const siginfo_t info = me.deferred[0];
      --me.deferred_count;
      memmove(&me.deferred[0], &me.deferred[1], sizeof(siginfo_t) * static_cast<size_t>(me.deferred_count));
      if (Machine* machine = TheMachine(); machine != nullptr) machine->ClearInterrupt();
      // Unblocked when it came, it has to be unblocked now: io_pgetevents and ppoll have put the old mask back.
      const uint64_t bit = uint64_t{1} << (info.si_signo - 1);
      uint64_t before = 0;
      const int saved_errno = errno;
      RawSyscall(__NR_rt_sigprocmask, SIG_UNBLOCK, &bit, &before, sizeof(bit));
      RawSyscall(__NR_rt_tgsigqueueinfo, RawSyscall(__NR_getpid), RawSyscall(__NR_gettid), info.si_signo, &info);
      if ((before & bit) != 0) RawSyscall(__NR_rt_sigprocmask, SIG_BLOCK, &bit, nullptr, sizeof(bit));
      errno = saved_errno;
    }
}

int ClientSigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  if (signal <= 0 || signal >= kSignals || signal == SIGKILL || signal == SIGSTOP) {
    return real_sigaction(signal, action, old) == 0 ? 0 : errno;
  }
  if (IsFault(signal)) {
    const struct sigaction before = ClientFaultAction(signal);
    if (action != nullptr) SetClientFaultAction(signal, *action);
    if (old != nullptr) *old = before;
    return 0;
  }
  const struct sigaction client_before = LoadAction(signal);
  struct sigaction before = {};
  const bool ends = action != nullptr && IsDefault(*action) && EndsByDefault(signal) && catching_ends;
  if (action == nullptr || !(HasHandler(*action) || ends)) {
    if (real_sigaction(signal, action, &before) != 0) return errno;
  } else {
    StoreAction(signal, *action);
    const struct sigaction ours = ends ? OurEnd() : OurAction(*action);
    if (real_sigaction(signal, &ours, &before) != 0) {
      const int error = errno;
      StoreAction(signal, client_before);
      return error;
    }
  }
  if (old != nullptr) *old = before.sa_sigaction == Dispatch ? client_before : before;
  return 0;
}

int ClientSigmask(int how, const sigset_t* set, sigset_t* old) {
  ThreadState& me = Me();
  const unsigned char before = me.blocked_faults;
  sigset_t without;
  if (set != nullptr) {
    const unsigned char named =
        static_cast<unsigned char>((sigismember(set, SIGSEGV) != 0 ? 1 : 0) | (sigismember(set, SIGBUS) != 0 ? 2 : 0));
    if (how == SIG_BLOCK) me.blocked_faults |= named;
    if (how == SIG_UNBLOCK) me.blocked_faults &= static_cast<unsigned char>(~named);
    if (how == SIG_SETMASK) me.blocked_faults = named;
    without = WithoutFaults(*set);
  }
  const int error = real_pthread_sigmask(how, set == nullptr ? nullptr : &without, old);
  if (error != 0) {
    me.blocked_faults = before;
  } else if (old != nullptr) {
    if ((before & 1) != 0) sigaddset(old, SIGSEGV);
    if ((before & 2) != 0) sigaddset(old, SIGBUS);
  }
  return error;
}

namespace {

int SetErrno(int error) {
  if (error == 0) return 0;
  errno = error;
  return -1;
}

sighandler_t Signal(int signal, sighandler_t handler, int flags) {
  struct sigaction action = {};
  struct sigaction old = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  if (handler == SIG_ERR) {
    errno = EINVAL;
    return SIG_ERR;
  }
  if ((flags & SA_NODEFER) == 0 && signal > 0 && signal < kSignals) sigaddset(&action.sa_mask, signal);
  return SetErrno(ClientSigaction(signal, &action, &old)) == 0 ? old.sa_handler : SIG_ERR;
}

// System V's: the handler and the mask in one call.
sighandler_t SigSet(int signal, sighandler_t handler) {
  sigset_t set;
  sigset_t old_mask;
  struct sigaction old = {};
  sigemptyset(&set);
  if (sigaddset(&set, signal) != 0 || handler == SIG_ERR) {
    errno = EINVAL;
    return SIG_ERR;
  }
  if (handler == SIG_HOLD) {
    if (SetErrno(ClientSigaction(signal, nullptr, &old)) != 0) return SIG_ERR;
  } else {
    struct sigaction action = {};
    action.sa_handler = handler;
    if (SetErrno(ClientSigaction(signal, &action, &old)) != 0) return SIG_ERR;
  }
  if (SetErrno(ClientSigmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &set, &old_mask)) != 0) return SIG_ERR;
  return sigismember(&old_mask, signal) != 0 ? SIG_HOLD : old.sa_handler;
}

RealFunction<int(int)> real_sigignore("sigignore");
RealFunction<sighandler_t(int, sighandler_t)> real_sigset("sigset");
RealFunction<int(int, const sigset_t*, sigset_t*)> real_sigprocmask("sigprocmask");
RealFunction<sighandler_t(int, sighandler_t)> real_signal("signal");
RealFunction<sighandler_t(int, sighandler_t)> real_sysv_signal("__sysv_signal");

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

INTERPOSE(int, sigaction, (int signal, const struct sigaction* action, struct sigaction* old)) {
  return Active() ? SetErrno(ClientSigaction(signal, action, old)) : real_sigaction(signal, action, old);
}

INTERPOSE(sighandler_t, signal, (int signal, sighandler_t handler)) {
  return Active() ? Signal(signal, handler, SA_RESTART) : real_signal(signal, handler);
}

INTERPOSE(sighandler_t, __sysv_signal, (int signal, sighandler_t handler)) {
  return Active() ? Signal(signal, handler, static_cast<int>(SA_RESETHAND | SA_NODEFER))
                  : real_sysv_signal(signal, handler);
}

INTERPOSE(int, sigprocmask, (int how, const sigset_t* set, sigset_t* old)) {
  return Active() ? SetErrno(ClientSigmask(how, set, old)) : real_sigprocmask(how, set, old);
}

INTERPOSE(int, pthread_sigmask, (int how, const sigset_t* set, sigset_t* old)) {
  return Active() ? ClientSigmask(how, set, old) : real_pthread_sigmask(how, set, old);
}

INTERPOSE(sighandler_t, bsd_signal, (int signal, sighandler_t handler)) {
  return aiolab_interposed_signal(signal, handler);
}

INTERPOSE(sighandler_t, ssignal, (int signal, sighandler_t handler)) {
  return aiolab_interposed_signal(signal, handler);
}

INTERPOSE(int, sigignore, (int signal)) {
  return Active() ? (Signal(signal, SIG_IGN, 0) == SIG_ERR ? -1 : 0) : real_sigignore(signal);
}

INTERPOSE(sighandler_t, sigset, (int signal, sighandler_t handler)) {
  return Active() ? SigSet(signal, handler) : real_sigset(signal, handler);
}
