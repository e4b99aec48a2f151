// Signals of a client that is inside the model: a handler there could call back into it, so it runs when the call
// leaves.
#ifndef TOOLS_PRELOAD_SIGNALS_H_
#define TOOLS_PRELOAD_SIGNALS_H_

#include <signal.h>

namespace aiolab::preload {

// Installs the fault handler, and keeps SIGSEGV and SIGBUS unblocked from here on. Idempotent.
void InitSignals();
// Around an exec, which keeps what is ignored, and not who catches: faults that the client ignores are ignored for
// real.
void IgnoreFaultsAsClientDoes();
void CatchFaults();

// From now on signals end the process by DieOf(). To the client they have their default action still. Idempotent.
void CatchEndingSignals();

// Runs the handlers of the signals that came while the thread was inside the model. Called after each such call.
void DeliverDeferredSignals();

// A handler of the client's ran for a signal that the client did not send itself, while there was a machine.
bool SignalCameFromOutside();
// In a child of fork.
void ForgetSignals();

// `mask` without the signals that must never be blocked.
sigset_t WithoutFaults(const sigset_t& mask);

// sigaction and pthread_sigmask as the client sees them. 0 or an errno.
int ClientSigaction(int signal, const struct sigaction* action, struct sigaction* old);
int ClientSigmask(int how, const sigset_t* set, sigset_t* old);

// Makes DeliverDeferredSignals() the last thing of a scope.
class ScopedSignalDelivery {
 public:
  ScopedSignalDelivery() = default;
  ~ScopedSignalDelivery() { DeliverDeferredSignals(); }
  ScopedSignalDelivery(const ScopedSignalDelivery&) = delete;
  ScopedSignalDelivery& operator=(const ScopedSignalDelivery&) = delete;
};

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_SIGNALS_H_
