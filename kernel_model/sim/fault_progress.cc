#include "kernel_model/sim/fault_place.h"
#include "kernel_model/sim/fault_rules.h"

namespace aiolab {
namespace {

// All that a FaultProgress is.
auto CountersOf(InstalledFaultRule& rule) {
  return std::tie(rule.step, rule.over, rule.matched, rule.fired, rule.burst_left, rule.chance_turn, rule.occasions,
                  rule.hits, rule.first_ns, rule.last_ns, rule.near_misses, rule.spike_until_ns);
}

}  // namespace

// Reindex() brings the counts up to date.
std::vector<FaultProgress> FaultEngine::Progress() {
  Reindex();
  std::vector<FaultProgress> progress;
  for (const auto& rule : rules_) progress.push_back(CountersOf(*rule));
  return progress;
}

void FaultEngine::GoOnFrom(const std::vector<FaultProgress>& progress, int64_t later_ns) {
  Reindex();
  for (size_t i = 0; i < rules_.size(); ++i) {
    InstalledFaultRule& rule = *rules_[i];
    CountersOf(rule) = progress[i];
    for (int64_t* const time_ns : {&rule.first_ns, &rule.last_ns, &rule.spike_until_ns}) {
      if (rule.hits > 0) *time_ns += later_ns;
    }
  }
  Reindex();
}

}  // namespace aiolab
