#include "kernel_model/mm/uaccess.h"

#include <ucontext.h>

#include <atomic>

#include "kernel_model/kernel/fault_inject.h"
#include "kernel_model/kernel/sched.h"

#if !defined(__x86_64__)
#error "the guarded copy is written for x86-64 only so far"
#endif

// size_t aiolab_guarded_copy(void* to, const void* from, size_t n): the bytes left over. A fault inside the one
// instruction between the two labels leaves in rcx what is still to do; the handler goes on behind it. Assembly, so
// that no sanitizer looks at the client's memory.
asm(R"(
    .text
    .p2align 4
    .type aiolab_guarded_copy, @function
    .hidden aiolab_guarded_copy
    .hidden aiolab_guarded_copy_begin
    .hidden aiolab_guarded_copy_end
    .globl aiolab_guarded_copy
    .globl aiolab_guarded_copy_begin
    .globl aiolab_guarded_copy_end
aiolab_guarded_copy:
    movq %rdx, %rcx
aiolab_guarded_copy_begin:
    rep movsb
aiolab_guarded_copy_end:
    movq %rcx, %rax
    ret
    .size aiolab_guarded_copy, . - aiolab_guarded_copy
)");

extern "C" {
size_t aiolab_guarded_copy(void* to, const void* from, size_t n);
extern const char aiolab_guarded_copy_begin[];
extern const char aiolab_guarded_copy_end[];
}

namespace aiolab {
namespace {

// What the client wants done with faults of its own. Written rarely, read in a signal handler.
struct sigaction client_segv = {};
struct sigaction client_bus = {};
std::atomic<bool> installed{false};

struct sigaction& ClientAction(int signal) {
  return signal == SIGBUS ? client_bus : client_segv;
}

void PassOn(int signal, siginfo_t* info, void* ucontext) {
  const struct sigaction& action = ClientAction(signal);
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signal, info, ucontext);
  } else if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
    action.sa_handler(signal);
  } else {
    // The kernel does not let a synchronous fault be ignored either: the instruction runs again and the default action
    // ends the process.
    ::signal(signal, SIG_DFL);
    if (info->si_code <= 0) raise(signal);
  }
}

}  // namespace

bool fixup_exception(void* ucontext) {
  auto* context = static_cast<ucontext_t*>(ucontext);
  greg_t& rip = context->uc_mcontext.gregs[REG_RIP];
  const auto begin = reinterpret_cast<greg_t>(aiolab_guarded_copy_begin);
  const auto end = reinterpret_cast<greg_t>(aiolab_guarded_copy_end);
  if (rip >= begin && rip < end) {
    rip = end;
    return true;
  }
  return false;
}

void HandleFault(int signal, siginfo_t* info, void* ucontext) {
  if (!fixup_exception(ucontext)) PassOn(signal, info, ucontext);
}

void InstallFaultHandler(int (*sigaction_function)(int, const struct sigaction*, struct sigaction*)) {
  if (installed.exchange(true)) return;
  struct sigaction action = {};
  action.sa_sigaction = HandleFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction_function(SIGSEGV, &action, &client_segv);
  sigaction_function(SIGBUS, &action, &client_bus);
}

void SetClientFaultAction(int signal, const struct sigaction& action) { ClientAction(signal) = action; }
struct sigaction ClientFaultAction(int signal) {
  return ClientAction(signal);
}

size_t copy_from_user(void* to, const void* from_user, size_t n) {
  BUG_ON(current().mm == nullptr);
  if (fault_armed(FaultSite::kCopyFromUser) && fault_copy(FaultSite::kCopyFromUser, n)) [[unlikely]]
    return n;
  return aiolab_guarded_copy(to, from_user, n);
}

size_t copy_to_user(void* to_user, const void* from, size_t n) {
  BUG_ON(current().mm == nullptr);
  if (fault_armed(FaultSite::kCopyToUser) && fault_copy(FaultSite::kCopyToUser, n)) [[unlikely]]
    return n;
  return aiolab_guarded_copy(to_user, from, n);
}

size_t CopyPinned(void* to, const void* from, size_t n) { return aiolab_guarded_copy(to, from, n); }

ScopedUseMm::ScopedUseMm(mm_struct* mm) : outer_(current().mm) { current().mm = mm; }
ScopedUseMm::~ScopedUseMm() { current().mm = outer_; }

}  // namespace aiolab
