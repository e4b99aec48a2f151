#include "kernel_model/sim/exponential.h"
#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

int64_t FaultEngine::DrawDelayNs(const FaultDelay& delay, absl::string_view site) {
  if (delay.distribution == FaultDelay::Distribution::kFixed) return delay.first_ns;
  const int64_t quantile = chooser_.Choose(Choice::kLatency, kQuantiles, site);
  if (delay.distribution == FaultDelay::Distribution::kUniform) {
    return delay.first_ns + (delay.last_ns - delay.first_ns) / (kQuantiles - 1) * quantile;
  }
  return delay.first_ns / 1000 * kExponential[quantile] + delay.first_ns % 1000 * kExponential[quantile] / 1000;
}

}  // namespace aiolab
