// What is written down while a client works.
#include "tools/crash/crash_recorder.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aiolab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Kind = DiskObserver::Kind;

class CrashRecorderTest : public testing::Test {
 protected:
  void Write() { recorder_.OnRequest({Kind::kWrite, 0, 8, 1, bytes_, /*fua=*/false, began_++}); }
  WriteLog Log() { return *ParseWriteLog(text_); }

  const std::string bytes_ = std::string(512, 'a');
  std::string text_;
  uint64_t acknowledged_ = 0;
  uint64_t began_ = 0;
  CrashRecorder recorder_{{.append = [this](absl::string_view piece) { absl::StrAppend(&text_, piece); },
                           .acknowledged = [this] { return acknowledged_; }}};
};

// What is promised between two requests counts for a crash before the second.
TEST_F(CrashRecorderTest, APromiseIsMarkedBeforeTheRequestThatCompletesNext) {
  recorder_.Begin();
  Write();
  acknowledged_ = 5;
  Write();
  Write();
  EXPECT_THAT(Log().marks, ElementsAre(LogMark{1, 5, ""}));
}

TEST_F(CrashRecorderTest, TheLastPromiseIsMarkedWhenTheClientEnds) {
  recorder_.Begin();
  Write();
  acknowledged_ = 5;
  recorder_.Finish();
  EXPECT_THAT(Log().marks, ElementsAre(LogMark{1, 5, ""}));
}

TEST_F(CrashRecorderTest, WhatIsWrittenAfterTheEndIsBehindTheLastCrashPoint) {
  recorder_.Begin();
  Write();
  EXPECT_FALSE(Log().has_end);
  EXPECT_EQ(Log().last_crash_point, 1u);
  recorder_.Finish();
  Write();
  EXPECT_TRUE(Log().has_end);
  EXPECT_EQ(Log().last_crash_point, 1u);
  EXPECT_THAT(Log().requests, SizeIs(2));
}

TEST_F(CrashRecorderTest, WhatMadeTheFileSystemIsBeforeTheFirstCrashPoint) {
  Write();
  Write();
  recorder_.Begin();
  Write();
  EXPECT_EQ(Log().first_crash_point, 2u);
  EXPECT_THAT(Log().marks, IsEmpty());
}

TEST_F(CrashRecorderTest, NothingIsWrittenAfterStop) {
  recorder_.Begin();
  Write();
  recorder_.Stop();
  Write();
  EXPECT_THAT(Log().requests, SizeIs(1));
}

// Or the marks would say of the client what was done for it.
TEST_F(CrashRecorderTest, BehindTheEndNothingIsMarkedUnlessTheClientGoesOn) {
  recorder_.Begin();
  recorder_.Finish();
  acknowledged_ = 5;
  Write();
  EXPECT_THAT(Log().marks, IsEmpty());
  recorder_.GoOn();
  Write();
  EXPECT_THAT(Log().marks, ElementsAre(LogMark{1, 5, ""}));
}

// The tests have no files, so the promise stands for what could be lost.
TEST_F(CrashRecorderTest, AChildsLogSaysWhereItsParentsEnds) {
  recorder_.Begin();
  Write();
  acknowledged_ = 5;
  recorder_.BeforeFork();
  recorder_.InChild();
  recorder_.Finish();
  Write();
  EXPECT_THAT(Log().marks, ElementsAre(LogMark{1, 5, ""}));
  EXPECT_EQ(Log().own_requests_begin, 1u);
  EXPECT_EQ(Log().own_marks_begin, 1u);
  EXPECT_FALSE(Log().HasOwnWork());
}

TEST(UndurableNoteTest, IsReadBackAsItWasWritten) {
  const std::vector<simfs::Undurable> undurable = {{simfs::Undurable::kData, "/a b\nc", 4096, 10},
                                                   {simfs::Undurable::kName, "/d", 0, 0}};
  const std::vector<simfs::Undurable> decoded = DecodeUndurable(EncodeUndurable(undurable));
  ASSERT_THAT(decoded, SizeIs(2));
  EXPECT_EQ(decoded[0].what, simfs::Undurable::kData);
  EXPECT_EQ(decoded[0].path, "/a b\nc");
  EXPECT_EQ(decoded[0].bytes, 4096u);
  EXPECT_EQ(decoded[0].size, 10u);
  EXPECT_EQ(decoded[1].what, simfs::Undurable::kName);
  EXPECT_EQ(decoded[1].path, "/d");
}

}  // namespace
}  // namespace aiolab
