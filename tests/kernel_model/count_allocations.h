// Counts the calls of operator new in a test that links this, which replaces it.
#ifndef TESTS_KERNEL_MODEL_COUNT_ALLOCATIONS_H_
#define TESTS_KERNEL_MODEL_COUNT_ALLOCATIONS_H_

#include <cstdint>

namespace aiolab {

// So far, of all threads.
uint64_t Allocations();

}  // namespace aiolab

#endif  // TESTS_KERNEL_MODEL_COUNT_ALLOCATIONS_H_
