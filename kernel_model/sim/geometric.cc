#include "kernel_model/sim/geometric.h"

#include <array>
#include <cstddef>

#include "absl/numeric/int128.h"

namespace aiolab {
namespace {

// Of two fractions of 2^64.
uint64_t Product(uint64_t a, uint64_t b) { return absl::Uint128High64(absl::uint128(a) * b); }

}  // namespace

// The wait is the largest k for which that nothing happens k times in a row is likelier than the answer's quantile:
// found bit by bit, from the chances of 1, 2, 4, ... times in a row.
uint64_t GeometricWait(uint64_t chances, uint64_t of, uint32_t answer) {
  constexpr size_t kBits = 40;
  std::array<uint64_t, kBits> nothing_happens;
  nothing_happens[0] = static_cast<uint64_t>((absl::uint128(of - chances) << 64) / of);
  for (size_t i = 1; i < kBits; ++i) nothing_happens[i] = Product(nothing_happens[i - 1], nothing_happens[i - 1]);

  const uint64_t quantile = ((uint64_t{answer} << 1) + 1) << 47;  // the middle of the answer's share
  uint64_t likely = ~uint64_t{0};
  uint64_t wait = 0;
  for (size_t i = kBits; i-- > 0;) {
    const uint64_t longer = Product(likely, nothing_happens[i]);
    if (longer <= quantile) continue;
    likely = longer;
    wait += uint64_t{1} << i;
  }
  return wait;
}

}  // namespace aiolab
