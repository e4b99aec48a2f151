#include "kernel_model/kernel/fault_inject.h"

#include <errno.h>

#include <vector>

namespace aiolab {
namespace {

constexpr FaultKinds kErrnoOnly = FaultKindBit(FaultKind::kErrno);

void LetGo(Executor::Event& event) {
  auto& held = static_cast<held_back&>(event);
  list_del_init(&held.entry);
  ScopedCurrent in_interrupt(held.kernel->irq);
  held.let_go();
}

// What is on the list now and fits. Letting go of one may put others there.
template <typename Fits>
int ReleaseWhere(Fits fits) {
  kernel_state& kernel = current_kernel();
  std::vector<held_back*> released;
  for (list_head* at = kernel.held_back.next; at != &kernel.held_back; at = at->next) {
    held_back* const held = list_entry(at, held_back, entry);
    if (fits(*held)) released.push_back(held);
  }
  for (held_back* const held : released) {
    // Not here and now: who releases may be in the middle of something.
    held->tag.clear();
    held->overtakers = 0;
    hold_back_until(held, kernel.executor.NowNs());
  }
  return static_cast<int>(released.size());
}

}  // namespace

Fault ask_fault_now(const FaultOccasion& occasion) {
  kernel_state& kernel = current_kernel();
  const Fault fault = kernel.faults.Ask(occasion, {kernel.executor.NowNs(), kernel.trace.step()});
  if (!fault) return fault;
  TRACE_EVENT("fault",
              {{"rule", fault.rule}, {"hit", fault.hit}, {"what", fault.what->text}, {"req", occasion.point.request}});
  return fault;
}

long fault_syscall(FaultSite site, int64_t ctx, uint64_t size, bool others) {
  constexpr FaultKinds kTimings = FaultKindBit(FaultKind::kDelay) | FaultKindBit(FaultKind::kRelease);
  FaultPoint point;
  point.ctx = ctx;
  point.size = size;
  point.others = others;
  if (fault_armed(site, kTimings)) {
    const Fault timing = ask_fault(site, kTimings, point);
    Executor& executor = current_kernel().executor;
    if (timing.kind == FaultKind::kDelay) executor.AdvanceTo(executor.NowNs() + timing.delay_ns);
    if (timing.kind == FaultKind::kRelease) release_held(timing.what->tag);
  }
  if (!fault_armed(site, kErrnoOnly)) return 0;
  // Whether a wait is interrupted is asked where it would begin.
  if (site == FaultSite::kGetevents || site == FaultSite::kPgetevents) point.waits = false;
  return -ask_fault(site, kErrnoOnly, point).error;
}

long fault_short_submit(int64_t ctx, long nr) {
  constexpr FaultKinds kShort = FaultKindBit(FaultKind::kShort);
  if (!fault_armed(FaultSite::kSubmit, kShort)) return nr;
  FaultPoint point;
  point.ctx = ctx;
  point.size = static_cast<uint64_t>(nr);
  const Fault fault = ask_fault(FaultSite::kSubmit, kShort, point);
  return fault ? static_cast<long>(fault.n) : nr;
}

bool fault_slab() { return static_cast<bool>(ask_fault(FaultSite::kSlab, kErrnoOnly, {})); }

int fault_ring_mapping() { return -ask_fault(FaultSite::kRingMapping, kErrnoOnly, {}).error; }

bool fault_copy(FaultSite site, size_t n) {
  FaultPoint point;
  point.size = n;
  return static_cast<bool>(ask_fault(site, kErrnoOnly, point));
}

bool fault_signal() { return static_cast<bool>(ask_fault(FaultSite::kSignal, kErrnoOnly, {})); }

held_back::~held_back() {
  list_del_init(&entry);
  if (kernel != nullptr && Executor::armed(*this)) kernel->executor.Cancel(*this);
}

void hold_back_until(held_back* held, int64_t when_ns) {
  hold_back(held);
  held->run = LetGo;
  held->kernel->executor.At(*held, when_ns);
}

void hold_back(held_back* held) {
  held->kernel = &current_kernel();
  if (list_empty(&held->entry)) list_add_tail(&held->entry, &held->kernel->held_back);
}

int release_held(absl::string_view tag) {
  const int released = ReleaseWhere([tag](const held_back& held) { return held.tag == tag && !held.tag.empty(); });
  TRACE_EVENT("fault_release", {{"tag", tag}, {"released", released}});
  return released;
}

int count_held(const kernel_state& kernel, absl::string_view tag) {
  int count = 0;
  for (const list_head* at = kernel.held_back.next; at != &kernel.held_back; at = at->next) {
    if (list_entry(const_cast<list_head*>(at), held_back, entry)->tag == tag) ++count;
  }
  return count;
}

void release_all_held() {
  ReleaseWhere([](const held_back&) { return true; });
}

void release_overtaken(int64_t ctx) {
  ReleaseWhere([ctx](const held_back& held) { return held.overtakers == ctx; });
}

}  // namespace aiolab
