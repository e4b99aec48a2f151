// Whether the parts of a fault rule make sense together.
#ifndef KERNEL_MODEL_SIM_FAULT_LINT_H_
#define KERNEL_MODEL_SIM_FAULT_LINT_H_

#include <string>
#include <vector>

#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

// Where in the text the parts of a step were read.
struct FaultStepPlaces {
  size_t where = 0;
  size_t filter = 0;
  size_t when = 0;
  size_t what = 0;
};

struct FaultMistake {
  size_t place = 0;     // in the text
  std::string message;  // empty: there is none
};

// The first mistake of `step`; an empty message if there is none. `filters` are the kFaultFilter* bits that were given.
FaultMistake LintFaultStep(const FaultStep& step, uint32_t filters, const FaultStepPlaces& places);

// A tag that some rule holds and none releases; empty if there is none.
std::string UnreleasedFaultTag(const std::vector<FaultRule>& rules);
// A tag that some rule releases and none holds.
std::string UnheldFaultTag(const std::vector<FaultRule>& rules);
// The text of a rule that takes a file system of the model's own: powercut, reboot, model=. Empty if there is none.
std::string FaultRuleForSimfs(const std::vector<FaultRule>& rules);
// The text of a rule with reboot; empty if there is none.
std::string FaultRuleThatReboots(const std::vector<FaultRule>& rules);
// Whether some rule can strike at `site`, now or after others.
bool HasFaultRuleAt(const std::vector<FaultRule>& rules, FaultSite site);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_FAULT_LINT_H_
