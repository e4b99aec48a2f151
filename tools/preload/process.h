// The client's process: its run configuration, its machine, and whether it is alone.
#ifndef TOOLS_PRELOAD_PROCESS_H_
#define TOOLS_PRELOAD_PROCESS_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "tools/aiolab/run_protocol.h"
#include "tools/aiolab/simfs_spec.h"

namespace aiolab::preload {

// True in a process that `aiolab run` started. Every interposed function asks this first; false means: forward.
bool Active();

const RunConfig& Config();
inline bool VirtualClock() { return Active() && Config().clock == RunClock::kVirtual; }

// The process's machine; null before its first io_* call. In a child of fork the parent's is gone.
Machine* TheMachine();

// The door to the machine, which is made at the first call. `setup`: this is an io_setup, which claims a rank.
EmulatedSyscalls& Kernel(bool setup);

// The machine, for a call by which the process claims a rank as by io_setup: on a simulated file, or at a fault rule.
Machine& EnterRankedMachine();

// Whether some fault rule can strike at `site`. Requires: Active().
bool HasFaultRule(FaultSite site);

// What --simfs says; null without it.
const SimfsSpec* TheSimfsSpec();

// Virtual time of the client at which the machine's clock began, ns.
int64_t MachineStartNs();

// The process has had one thread only, not counting our own.
bool SingleThreaded();
// It is single-threaded and has neither a parent nor a child by fork: nobody else can be waiting for it or be waited
// for.
bool Alone();
void NoteThreadCreation();

// The calling thread's waits and looks at the clock are the model's affair. False inside the model, whose own calls go
// to the host.
bool ThreadInModel();

// This process owns the memory it runs in: false in a child of vfork or of clone(CLONE_VM).
bool OwnsMemory();

// What the end of the process or an exec does: waits for requests in flight, flushes the trace, writes the report. Does
// nothing where there is no machine or where the memory is another process's.
void Finish();
// Finish(), in a process that may yet go on, as an exec may fail.
void FinishForExec();
// Finish(), on another thread than the one that dies of `signal`. `exit_aio`: the model may still be entered.
void FinishForDeath(int signal, bool exit_aio);
// There will be a report of this process.
bool HasReport();

// By order of the first io_setup, from 1; 0: none yet.
int Rank();
// As in /proc/self/comm.
std::string CommandName();

// `killed_by`: the signal that is about to end the process, if one is. `interim`: it goes on.
void WriteReport(int killed_by = 0, bool interim = false);
// After the last AddFinding().
[[noreturn]] void EndByFinding();

// Ends the process by the system call, from anywhere.
[[noreturn]] void ExitNow(int status);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_PROCESS_H_
