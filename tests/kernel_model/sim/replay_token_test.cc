#include "kernel_model/sim/replay_token.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aiolab {
namespace {

using testing::HasSubstr;

const RunIdentity kRun = {"retry", 4, ""};

Chooser::Recording SomeRun(uint64_t seed, int questions) {
  SeededChooser chooser(seed);
  for (int i = 0; i < questions; ++i) {
    chooser.Choose(Choice::kLatency, 64, "sim_disk/read");
    chooser.Choose(Choice::kOrder, 2 + static_cast<uint32_t>(i % 3), "executor");
  }
  return chooser.recording();
}

std::string MessageOf(absl::string_view token, const RunIdentity& identity = kRun) {
  return std::string(DecodeReplayToken(token, identity).status().message());
}

TEST(ReplayTokenTest, ARunComesBackAsItWas) {
  for (const int questions : {0, 1, 2, 1000}) {
    const Chooser::Recording run = SomeRun(7, questions);
    const auto back = DecodeReplayToken(EncodeReplayToken(kRun, run), kRun);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_TRUE(*back == run) << questions;
  }
}

// A latency of 64 kinds takes 6 bits, its place in the code one or two, and that it does not repeat one.
TEST(ReplayTokenTest, IsShort) {
  const Chooser::Recording run = SomeRun(7, 1000);
  EXPECT_LT(EncodeReplayToken(kRun, run).size(), run.answers.size() * 2);
  Chooser::Recording same;
  same.sites.push_back({Choice::kLatency, 64, 1});
  same.answers.assign(100000, {0, 5});
  EXPECT_LT(EncodeReplayToken(kRun, same).size(), 60u);
}

TEST(ReplayTokenTest, CapitalsAndSpaceAroundDoNoHarm) {
  std::string token = EncodeReplayToken(kRun, SomeRun(7, 5));
  for (char& c : token) c = static_cast<char>(toupper(c));
  EXPECT_TRUE(DecodeReplayToken(" " + token + "\n", kRun).ok());
}

TEST(ReplayTokenTest, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(MessageOf("hello"), HasSubstr("begins with 'hello', not with 'aiolab1'"));
  EXPECT_THAT(MessageOf(""), HasSubstr("not a replay token"));
  EXPECT_THAT(MessageOf("aiolab9abc"), HasSubstr("format 'aiolab9', but this build reads 'aiolab1'"));
  EXPECT_THAT(MessageOf("aiolab1ab!c"), HasSubstr("column 10 is '!'"));
  EXPECT_THAT(MessageOf("aiolab1"), HasSubstr("damaged"));
}

TEST(ReplayTokenTest, RefusesByNameWhatWasMadeForAnotherRun) {
  const std::string token = EncodeReplayToken(kRun, SomeRun(7, 5));
  EXPECT_THAT(MessageOf(token, {"mainline", 4, ""}), HasSubstr("profile 'retry', but this run has 'mainline'"));
  EXPECT_THAT(MessageOf(token, {"retry", 8, ""}), HasSubstr("CPU count '4', but this run has '8'"));
  EXPECT_THAT(MessageOf(token, {"retry", 4, "lost-kick"}), HasSubstr("fault rules '', but this run has 'lost-kick'"));
}

// Every single damaged character is noticed, and every one that is missing or too many.
TEST(ReplayTokenTest, NoticesEveryChangedCharacter) {
  const std::string token = EncodeReplayToken(kRun, SomeRun(7, 20));
  for (size_t i = 7; i < token.size(); ++i) {
    std::string damaged = token;
    damaged[i] = damaged[i] == 'a' ? 'b' : 'a';
    EXPECT_FALSE(DecodeReplayToken(damaged, kRun).ok()) << "column " << i + 1;
  }
  for (size_t size = 7; size < token.size(); ++size) {
    EXPECT_FALSE(DecodeReplayToken(token.substr(0, size), kRun).ok()) << size << " characters";
  }
  for (const char* more : {"a", "x", "aa"}) EXPECT_FALSE(DecodeReplayToken(token + more, kRun).ok()) << more;
}

}  // namespace
}  // namespace aiolab
