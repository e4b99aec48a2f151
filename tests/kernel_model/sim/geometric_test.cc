#include "kernel_model/sim/geometric.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace aiolab {
namespace {

struct Chance {
  uint64_t chances;
  uint64_t of;
};

class GeometricWaitTest : public testing::TestWithParam<Chance> {};

// Method: over all answers, how often the wait is 0, 1 and 2, and how long it is in the mean.
TEST_P(GeometricWaitTest, EachOccasionHasTheSameChance) {
  const auto [chances, of] = GetParam();
  const double chance = static_cast<double>(chances) / static_cast<double>(of);
  double count[3] = {};
  double sum = 0;
  for (uint32_t answer = 0; answer < kGeometricAnswers; ++answer) {
    const uint64_t wait = GeometricWait(chances, of, answer);
    if (wait < 3) ++count[wait];
    sum += static_cast<double>(wait);
  }
  double expected = chance;
  for (const double of_this_length : count) {
    EXPECT_NEAR(of_this_length / kGeometricAnswers, expected, 1.5 / kGeometricAnswers);
    expected *= 1 - chance;
  }
  const double mean = (1 - chance) / chance;
  EXPECT_NEAR(sum / kGeometricAnswers, mean, mean * 0.001 + 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, GeometricWaitTest,
                         testing::Values(Chance{1, 2}, Chance{1, 3}, Chance{1, 50}, Chance{250, 10000},
                                         Chance{9900, 10000}, Chance{1, 100'000}, Chance{1, 4'000'000'000}));

TEST(GeometricWaitTest, TheFirstAnswerIsTheLongestWait) {
  EXPECT_EQ(GeometricWait(1, 2, 0), 16);
  for (uint32_t answer = 1; answer < kGeometricAnswers; ++answer) {
    EXPECT_LE(GeometricWait(1, 1000, answer), GeometricWait(1, 1000, answer - 1));
  }
}

TEST(GeometricWaitTest, WhatIsCertainIsNeverWaitedFor) {
  EXPECT_EQ(GeometricWait(5, 5, 0), 0);
  EXPECT_EQ(GeometricWait(5, 5, kGeometricAnswers - 1), 0);
}

}  // namespace
}  // namespace aiolab
