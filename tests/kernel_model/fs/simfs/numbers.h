// Numbers for tests that try many things.
#ifndef TESTS_KERNEL_MODEL_FS_SIMFS_NUMBERS_H_
#define TESTS_KERNEL_MODEL_FS_SIMFS_NUMBERS_H_

#include <cstdint>

namespace aiolab {

// A sequence of numbers that looks random and is the same everywhere.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t Below(uint64_t n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (state_ >> 33) % n;
  }

 private:
  uint64_t state_;
};

}  // namespace aiolab

#endif  // TESTS_KERNEL_MODEL_FS_SIMFS_NUMBERS_H_
