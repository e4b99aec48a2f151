// Whether a fault rule is about an occasion.
#ifndef KERNEL_MODEL_SIM_FAULT_MATCH_H_
#define KERNEL_MODEL_SIM_FAULT_MATCH_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

inline constexpr uint64_t kFaultSectorSize = 512;  // bytes

// Whether `size` bytes at `off` touch [first, last]. No bytes are at their position.
inline bool FaultRangesOverlap(int64_t off, uint64_t size, int64_t first, int64_t last) {
  return off <= last && off + static_cast<int64_t>(size == 0 ? 1 : size) - 1 >= first;
}

// The numbers of a filter, but for `off`.
bool FaultNumbersMatch(const FaultFilter& filter, const FaultPoint& point);

// Whether `what` can happen to this very request or call. It does not depend on point.off.
bool FaultFits(const FaultWhat& what, FaultSite site, const FaultPoint& point);

bool IsFaultFsync(uint16_t op);

// What a user should know of a rule whose `what` fitted nothing: ": none had to wait", or empty.
absl::string_view WhyItDoesNotFit(const FaultWhat& what);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_FAULT_MATCH_H_
