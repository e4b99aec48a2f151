// How long chance lets one wait.
#ifndef KERNEL_MODEL_SIM_GEOMETRIC_H_
#define KERNEL_MODEL_SIM_GEOMETRIC_H_

#include <cstdint>

namespace aiolab {

// Into how many equally likely answers the waits are divided.
inline constexpr uint32_t kGeometricAnswers = 1 << 16;

// How many occasions pass before one at which it happens, if at each it happens `chances` times in `of`: a geometric
// distribution by quantiles, the longest wait (some twelve times the mean) for answer 0. Whole numbers only, so that it
// does not depend on a mathematics library. Requires: 0 < chances <= of < 2^32, answer < kGeometricAnswers.
uint64_t GeometricWait(uint64_t chances, uint64_t of, uint32_t answer);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_GEOMETRIC_H_
