// Fault rules of a machine, and the completions that they hold.
#include <algorithm>
#include <utility>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/kernel/fault_inject.h"
#include "kernel_model/machine.h"

namespace aiolab {
namespace {

struct NoTraceSink : TraceSink {
  void OnEvent(const TraceEvent&) override {}
};

}  // namespace

// Steps are counted by the trace, which without a sink counts nothing.
void Machine::CountStepsFor(const FaultRule& rule) {
  static NoTraceSink& nowhere = *new NoTraceSink;
  const bool by_step = std::any_of(rule.steps.begin(), rule.steps.end(),
                                   [](const FaultStep& step) { return step.when.kind == FaultWhen::Kind::kAtStep; });
  if (by_step && !trace_.enabled()) trace_.set_sink(&nowhere);
}

FaultRuleCounts Machine::FromClientStart(FaultRuleCounts counts) const {
  if (counts.hits == 0) return counts;
  counts.first_ns -= kernel_.client_start_ns;
  counts.last_ns -= kernel_.client_start_ns;
  return counts;
}

// Not an Entry: what a test does is no client's call.
int Machine::AddFaultRule(FaultRule rule) {
  executor_.Enter();
  CountStepsFor(rule);
  for (FaultStep& step : rule.steps) {
    if (step.when.kind == FaultWhen::Kind::kAtTime) step.when.first += static_cast<uint64_t>(kernel_.client_start_ns);
  }
  const int id = kernel_.faults.Add(std::move(rule));
  executor_.Leave();
  return id;
}

void Machine::RemoveFaultRule(int rule) {
  executor_.Enter();
  kernel_.faults.Remove(rule);
  executor_.Leave();
}

FaultRuleCounts Machine::CountsOfFaultRule(int rule) {
  executor_.Enter();
  FaultRuleCounts counts = FromClientStart(kernel_.faults.counts(rule));
  executor_.Leave();
  return counts;
}

std::vector<FaultRuleCounts> Machine::FaultCounts() {
  std::vector<FaultRuleCounts> all = kernel_.faults.AllCounts();
  for (FaultRuleCounts& counts : all) counts = FromClientStart(std::move(counts));
  return all;
}

void Machine::PauseFaults() {
  executor_.Enter();
  kernel_.faults.Pause();
  executor_.Leave();
}

void Machine::ResumeFaults() {
  executor_.Enter();
  kernel_.faults.Resume();
  executor_.Leave();
}

int Machine::CountHeld(absl::string_view tag) {
  executor_.Enter();
  const int count = count_held(kernel_, tag);
  executor_.Leave();
  return count;
}

bool Machine::RunUntilHeld(absl::string_view tag, int count) {
  Entry entry(*this, nullptr);
  const auto enough = [&] { return count_held(kernel_, tag) >= count; };
  while (!enough() && executor_.has_events()) executor_.AdvanceTo(executor_.NextEventNs());
  return enough();
}

int Machine::Release(absl::string_view tag) {
  Entry entry(*this, nullptr);
  return release_held(tag);
}

long Machine::FaultAtHostFsync(int fd) {
  if (!kernel_.faults.armed(FaultSite::kFsync)) return 0;
  Entry entry(*this, nullptr);
  file* const filp = files_->fget(fd);
  if (filp == nullptr) return 0;
  fsync_state state;
  const long error = filp->f_op->fsync == nullptr ? 0 : fault_fsync(filp, &state);
  fput(filp);
  return error;
}

}  // namespace aiolab
