#include "kernel_model/sim/chooser.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aiolab {
namespace {

using testing::HasSubstr;

TEST(SeededChooserTest, TheSameSeedGivesTheSameAnswers) {
  SeededChooser one(7), two(7), other(8);
  for (int i = 0; i < 100; ++i) {
    one.Choose(Choice::kLatency, 64, "a");
    two.Choose(Choice::kLatency, 64, "a");
    other.Choose(Choice::kLatency, 64, "a");
  }
  EXPECT_TRUE(one.recording() == two.recording());
  EXPECT_FALSE(one.recording() == other.recording());
}

TEST(SeededChooserTest, EveryAnswerComesUp) {
  SeededChooser chooser(1);
  std::set<uint32_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(chooser.Choose(Choice::kOrder, 5, "a"));
  EXPECT_THAT(seen, testing::ElementsAre(0, 1, 2, 3, 4));
}

// The numbers are part of what a seed means: a new build must not change them.
TEST(SeededChooserTest, ASeedMeansTheSameInEveryBuild) {
  SeededChooser chooser(7);
  std::vector<uint32_t> answers;
  for (int i = 0; i < 6; ++i) answers.push_back(chooser.Choose(Choice::kLatency, 1000, "a"));
  EXPECT_THAT(answers, testing::ElementsAre(389, 16, 900, 582, 452, 249));
}

TEST(ChooserTest, AQuestionWithOneAnswerIsNotRecorded) {
  SeededChooser chooser(1);
  EXPECT_EQ(chooser.Choose(Choice::kOrder, 1, "a"), 0u);
  EXPECT_TRUE(chooser.recording().answers.empty());
}

TEST(ReplayChooserTest, NamesTheFirstQuestionThatDiffers) {
  SeededChooser recorded(7);
  recorded.Choose(Choice::kLatency, 64, "sim_disk/read");
  recorded.Choose(Choice::kLatency, 64, "sim_disk/read");
  std::string why;
  ReplayChooser replay(recorded.recording(), [&why](const std::string& message) { why = message; });
  replay.Choose(Choice::kLatency, 64, "sim_disk/read");
  EXPECT_EQ(why, "");
  replay.Choose(Choice::kLatency, 64, "sim_disk/write");
  EXPECT_TRUE(replay.diverged());
  EXPECT_THAT(why, HasSubstr("question 2 differs"));
  EXPECT_THAT(why, HasSubstr("latency of 64 at sim_disk/write"));
  EXPECT_THAT(why, HasSubstr("at another place"));
}

TEST(ReplayChooserTest, NamesAQuestionTooMany) {
  std::string why;
  ReplayChooser replay({}, [&why](const std::string& message) { why = message; });
  replay.Choose(Choice::kOrder, 2, "executor");
  EXPECT_THAT(why, HasSubstr("ends after 0 answers"));
  EXPECT_THAT(why, HasSubstr("order of 2 at executor"));
}

}  // namespace
}  // namespace aiolab
