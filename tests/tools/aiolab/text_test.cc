// The small text tools: nearest words, stories, places and help.
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/sim/nearest_word.h"
#include "tools/aiolab/help.h"
#include "tools/aiolab/install_paths.h"
#include "tools/aiolab/story.h"

namespace aiolab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;

TEST(EditDistanceTest, CountsEachKindOfSlip) {
  EXPECT_EQ(EditDistance("seed", "seed"), 0u);
  EXPECT_EQ(EditDistance("sed", "seed"), 1u);
  EXPECT_EQ(EditDistance("seeed", "seed"), 1u);
  EXPECT_EQ(EditDistance("seat", "seed"), 2u);
  EXPECT_EQ(EditDistance("sede", "seed"), 1u);
  EXPECT_EQ(EditDistance("", "seed"), 4u);
  EXPECT_EQ(EditDistance("seed", ""), 4u);
}

TEST(NearestWordTest, FindsWhatWasMeantOrNothing) {
  EXPECT_EQ(NearestWord("profle", {"seed", "profile"}), "profile");
  EXPECT_EQ(NearestWord("rnu", {"help", "run"}), "run");
  EXPECT_EQ(NearestWord("x", {"help", "run"}), "");
  EXPECT_EQ(NearestWord("fio", {}), "");
  EXPECT_EQ(NearestWord("linux-5.1", {"linux-3.10", "linux-5.10", "linux-6.1"}), "linux-5.10");
}

constexpr char kTrace[] =
    "[1] 100 fio:req=9 0 sys_enter_io_submit: nr=2\n"
    "[2] 110 fio 0 aio_get_req: ctx=1 req=1 op=pread\n"
    "[3] 110 fio 0 aio_get_req: ctx=1 req=12 op=pread\n"
    "[4] 120 fio 0 block_rq_issue: req=1,12 sectors=16\n"
    "[5] 900 kworker 1 aio_complete: req=12 res=4096\n"
    "[6] 950 kworker 1 aio_complete: ctx=1 req=1 res=4096\n"
    "[7] 960 fio 0 aio_read_event: req=12\n";

TEST(StoryTest, ARequestsLinesAreThoseThatNameIt) {
  EXPECT_THAT(StoryOf(kTrace, "1"), ElementsAre("[2] 110 fio 0 aio_get_req: ctx=1 req=1 op=pread",
                                                "[4] 120 fio 0 block_rq_issue: req=1,12 sectors=16",
                                                "[6] 950 kworker 1 aio_complete: ctx=1 req=1 res=4096"));
  EXPECT_THAT(StoryOf(kTrace, "2"), IsEmpty());
  EXPECT_THAT(StoryOf("", "1"), IsEmpty());
}

TEST(StoryTest, FieldsBeginBehindTheEventsName) {
  EXPECT_THAT(RequestsOfLine("[1] 100 fio:req=9 0 sys_enter_io_submit: nr=2"), IsEmpty());
  EXPECT_THAT(RequestsOfLine("[1] 100 fio 0 x: prereq=3"), IsEmpty());
  EXPECT_THAT(RequestsOfLine("[1] 100 fio 0 x: req=3"), ElementsAre("3"));
  EXPECT_THAT(RequestsOfLine("[1] 100 fio 0 x: req=3,4"), ElementsAre("3", "4"));
  EXPECT_THAT(RequestsOfLine("no event"), IsEmpty());
}

TEST(StoryTest, TheMostEventfulRequestIsTheLongestAndOfThoseTheFirst) {
  EXPECT_EQ(MostEventfulRequest(kTrace), "12");
  EXPECT_EQ(MostEventfulRequest("[1] 1 a 0 x: req=7\n[2] 1 a 0 x: req=3\n"), "7");
  EXPECT_EQ(MostEventfulRequest("[1] 1 a 0 x: nr=2\n"), "");
}

TEST(InstallPathsTest, RunfilesComeBeforeTheBinarysNeighbours) {
  EXPECT_THAT(InstallPaths("tools/preload/l.so", "/b/tools/aiolab/aiolab", "/r"),
              ElementsAre("/b/tools/aiolab/aiolab.runfiles/aiolab/tools/preload/l.so",
                          "/b/tools/aiolab/aiolab.runfiles/_main/tools/preload/l.so", "/r/aiolab/tools/preload/l.so",
                          "/r/_main/tools/preload/l.so", "/b/tools/aiolab/l.so", "/b/tools/aiolab/../lib/aiolab/l.so",
                          "/b/tools/aiolab/../../tools/preload/l.so"));
}

TEST(InstallPathsTest, AMissingFileNamesThePlaces) {
  const absl::StatusOr<std::string> found = FindInstalled("tools/preload/no_such_library.so");
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("no_such_library.so is not installed; looked for /"));
}

TEST(WrapTextTest, BreaksBetweenWords) {
  EXPECT_EQ(WrapText("one two  three four", 2, 9), "  one two\n  three\n  four\n");
  EXPECT_EQ(WrapText("unbreakable", 2, 5), "  unbreakable\n");
  EXPECT_EQ(WrapText("", 2, 5), "");
}

TEST(HelpTest, FitsATerminal) {
  for (const std::string& help : {GeneralHelp(), RunHelp()}) {
    EXPECT_EQ(help.back(), '\n');
    for (const absl::string_view line : absl::StrSplit(help, '\n')) EXPECT_THAT(line.size(), Le(80u)) << line;
  }
}

TEST(StoryTest, WorkThatBelongsToNoRequestIsNoStory) {
  EXPECT_EQ(MostEventfulRequest("[1] 0 a 0 x: req=0\n[2] 0 a 0 x: req=0\n[3] 0 a 0 x: req=5\n"), "5");
}

}  // namespace
}  // namespace aiolab
