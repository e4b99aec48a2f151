// The images that a power cut can leave, one by one and each once: all of them where they are few, a sample where they
// are not.
//
//   CrashImages images(chooser);
//   for (state.MoveTo(p); ...) {
//     images.Visit(state, acknowledged, /*images_max=*/100, [&](const CrashState::Selection& image) { return true; });
//   }
//
// A sample begins with the disk that lost nothing, the one that lost everything volatile, and the one that got what was
// under way, too; with room for it come those that lost one write, that have one only, and that have all up to one. The
// rest are drawn: whole writes and units of the disk that are there or not, and writes that are torn. For each the
// Chooser is asked one question, whose answer says all of it.
#ifndef KERNEL_MODEL_DRIVERS_BLOCK_CRASH_IMAGES_H_
#define KERNEL_MODEL_DRIVERS_BLOCK_CRASH_IMAGES_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "kernel_model/drivers/block/crash_state.h"
#include "kernel_model/sim/chooser.h"

namespace aiolab {

class CrashImages {
 public:
  // False ends the visit.
  using Visitor = absl::FunctionRef<bool(const CrashState::Selection& image)>;

  explicit CrashImages(Chooser& chooser) : chooser_(chooser) {}

  // Calls `visitor` for up to `images_max` images of the state's point that no earlier visit had with the same
  // `acknowledged`: a checker that is promised more may see more. Returns false if the visitor did.
  bool Visit(const CrashState& state, uint64_t acknowledged, uint64_t images_max, Visitor visitor);

  // Of all visits: images that were made, and those of them that were new.
  uint64_t generated() const { return generated_; }
  uint64_t distinct() const { return distinct_; }
  // Points of which every image was made, or was there before; and the others.
  uint64_t points_complete() const { return points_complete_; }
  uint64_t points_sampled() const { return points_sampled_; }
  // The most images that a sampled point has, as a power of ten.
  double images_of_a_point_log10() const { return images_log10_max_; }

 private:
  class Sampler;
  bool IsNew(uint64_t digest);
  bool VisitAll(const CrashState& state, Visitor visitor);
  bool VisitSample(const CrashState& state, uint64_t images_max, Visitor visitor);

  Chooser& chooser_;
  uint64_t acknowledged_ = 0;  // of the visit
  absl::flat_hash_set<uint64_t> seen_;
  uint64_t generated_ = 0;
  uint64_t distinct_ = 0;
  uint64_t points_complete_ = 0;
  uint64_t points_sampled_ = 0;
  double images_log10_max_ = 0;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_BLOCK_CRASH_IMAGES_H_
