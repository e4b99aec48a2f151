#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

std::vector<FaultProgress> FaultEngine::Progress() {
  std::vector<FaultProgress> progress;
  ReplaceProgress([&progress](const FaultProgress& now) { return progress.emplace_back(now); });
  return progress;
}

void FaultEngine::GoOnFrom(const std::vector<FaultProgress>& progress) {
  size_t next = 0;
  ReplaceProgress([&](const FaultProgress&) { return progress[next++]; });
  Reindex();
}

}  // namespace aiolab
