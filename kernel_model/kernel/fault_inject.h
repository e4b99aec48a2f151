// How kernel code asks the fault rules.
//
// A place that can fail asks in one line, which without a rule about it is one test of a bit:
//
//   if (fault_armed(FaultSite::kSlab) && fault_slab()) [[unlikely]] return nullptr;
//
// To make a new place: a row for each fault in sim/fault_table.cc, a question here or beside the code that asks
// (ask_fault), and in tests/kernel_model/fault_cells_test.cc the test of each new cell.
//
// Mirrors: include/linux/fault-inject.h in purpose.
#ifndef KERNEL_MODEL_KERNEL_FAULT_INJECT_H_
#define KERNEL_MODEL_KERNEL_FAULT_INJECT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "kernel_model/kernel/list.h"
#include "kernel_model/kernel/sched.h"
#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

inline bool fault_armed(FaultSite site, FaultKinds kinds = kAllFaultKinds) {
  return current_kernel().faults.armed(site, kinds);
}

// Asks, and traces what strikes as the event `fault`.
Fault ask_fault_now(const FaultOccasion& occasion);
inline Fault ask_fault(FaultSite site, FaultKinds kinds, const FaultPoint& point) {
  const FaultOccasion occasion = {site, kinds, point, current().comm};
  return current_kernel().faults.Passes(occasion) ? Fault() : ask_fault_now(occasion);
}

// A system call begins. The -errno with which it ends, or 0; a delay has passed, and a release is done. `size` and
// `others` as in FaultPoint.
long fault_syscall(FaultSite site, int64_t ctx, uint64_t size, bool others = false);

// How many iocbs an io_submit of `nr` looks at: `nr`, or fewer.
long fault_short_submit(int64_t ctx, long nr);

// Whether there is no memory.
bool fault_slab();
// 0, or the -errno with which mapping a ring fails.
int fault_ring_mapping();
// Whether a copy of `n` bytes finds no memory of the client's.
bool fault_copy(FaultSite site, size_t n);
// Whether a signal ends the sleep that is about to begin.
bool fault_signal();

// Something that a fault keeps back: a completion, a notification, a bio. Armed as an event, or waiting for its tag.
struct held_back : Executor::Event {
  virtual ~held_back();
  // Called in interrupt context, off every list. May delete itself.
  virtual void let_go() = 0;

  list_head entry;         // in kernel_state::held_back
  std::string tag;         // of hold(tag)
  int64_t overtakers = 0;  // the context behind whose next completion it comes; 0: none
  kernel_state* kernel = nullptr;
};

// Lets it go at `when_ns`.
void hold_back_until(held_back* held, int64_t when_ns);
// Lets it go when its tag is released, or a completion of `overtakers` has come.
void hold_back(held_back* held);

// Lets go of everything that is held under `tag`. Returns how many there were.
int release_held(absl::string_view tag);
// How many are held under `tag`.
int count_held(const kernel_state& kernel, absl::string_view tag);
// The power has gone: everything goes on to its end.
void release_all_held();
// A completion of context `ctx` has come: what waits to be overtaken by it follows.
void release_overtaken(int64_t ctx);

}  // namespace aiolab

#endif  // KERNEL_MODEL_KERNEL_FAULT_INJECT_H_
