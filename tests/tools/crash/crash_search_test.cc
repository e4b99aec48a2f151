// How a write log is searched for a crash, and how it is said what was looked at.
#include "tools/crash/crash_search.h"

#include <fcntl.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/testing/crashes.h"

namespace aiolab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Five files, each synced and acknowledged.
const WriteLog& FiveFiles() {
  static const WriteLog& log =
      *new WriteLog(Crashes([](ScenarioRun& run) {
                      for (int i = 0; i < 5; ++i) {
                        const std::string path = absl::StrCat("/data/", i);
                        const int fd =
                            static_cast<int>(run.kernel().openat(AT_FDCWD, path.c_str(), O_CREAT | O_WRONLY, 0600));
                        EXPECT_EQ(run.kernel().write(fd, "x", 1), 1);
                        EXPECT_EQ(run.kernel().fsync(fd), 0);
                        run.Acknowledge();
                      }
                    }).log());
  return log;
}

CrashSearchOptions Options() {
  CrashSearchOptions options;
  options.simfs.disk = "nvme,size=4M";
  options.images_max = 150;
  return options;
}

const CrashChecker kAnything = [](const CrashedMachine&) { return std::string(); };

TEST(CrashSearchTest, ACheckerGetsEveryPromiseThatTheClientMade) {
  std::set<uint64_t> promises;
  const absl::StatusOr<CrashSearchResult> result =
      SearchCrashes(FiveFiles(), Options(), [&](const CrashedMachine& crashed) {
        promises.insert(crashed.acknowledged);
        return std::string();
      });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->violation.has_value());
  EXPECT_EQ(result->points, result->points_of_log);
  EXPECT_THAT(promises, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(CrashSearchTest, FewerPointsAreDrawnByTheSeed) {
  CrashSearchOptions options = Options();
  options.points_max = 4;
  options.images_max = 8;
  // What was promised at the points that a seed draws.
  const auto promises = [&](uint64_t seed) {
    std::vector<uint64_t> found;
    options.seed = seed;
    options.progress = [](uint64_t point, uint64_t points, uint64_t) {
      EXPECT_LT(point, 4u);
      EXPECT_EQ(points, 4u);
    };
    const absl::StatusOr<CrashSearchResult> result =
        SearchCrashes(FiveFiles(), options, [&found](const CrashedMachine& crashed) {
          found.push_back(crashed.acknowledged);
          return std::string();
        });
    EXPECT_EQ(result->points, 4u);
    EXPECT_THAT(result->Coverage(), HasSubstr(absl::StrCat(" at 4 of ", result->points_of_log, " crash points")));
    return found;
  };
  std::set<std::vector<uint64_t>> drawn;
  for (uint64_t seed = 1; seed <= 8; ++seed) drawn.insert(promises(seed));
  EXPECT_GT(drawn.size(), 1u) << "every seed drew the same points";
  EXPECT_EQ(promises(1), promises(1));
}

TEST(CrashSearchTest, NoMoreImagesAreCheckedThanAskedFor) {
  for (const uint64_t images_max : {1, 3, 17, 100}) {
    CrashSearchOptions options = Options();
    options.images_max = images_max;
    const absl::StatusOr<CrashSearchResult> result = SearchCrashes(FiveFiles(), options, kAnything);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_LE(result->images, images_max);
    EXPECT_GT(result->images, 0u);
  }
}

TEST(CrashSearchTest, TheFirstImageThatIsRefusedEndsIt) {
  int checked = 0;
  const absl::StatusOr<CrashSearchResult> result =
      SearchCrashes(FiveFiles(), Options(), [&](const CrashedMachine& crashed) {
        ++checked;
        return std::string(crashed.acknowledged == 3 ? "no" : "");
      });
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->violation.has_value());
  EXPECT_EQ(result->violation->acknowledged, 3u);
  EXPECT_EQ(result->violation->problem, "no");
  EXPECT_EQ(result->images, static_cast<uint64_t>(checked));
  // The image is handed out as it was checked.
  EXPECT_TRUE(RebootedMachine::Boot(result->violation->contents, Options().simfs, "retry").ok());
}

TEST(CrashSearchTest, AnErrorOfTheCheckerEndsItToo) {
  const absl::StatusOr<CrashSearchResult> result = SearchCrashes(
      FiveFiles(), Options(),
      [](const CrashedMachine&) -> absl::StatusOr<std::string> { return absl::CancelledError("enough"); });
  EXPECT_EQ(result.status(), absl::CancelledError("enough"));
}

TEST(CrashSearchTest, ALogWithoutAFileSystemIsRefused) {
  EXPECT_EQ(SearchCrashes(WriteLog{}, Options(), kAnything).status(),
            absl::InvalidArgumentError("nothing was written to a simulated file system"));
}

TEST(CrashSearchTest, ADiskThatDoesNotMountSaysWhy) {
  const SectorStore empty;
  EXPECT_THAT(std::string(RebootedMachine::Boot(empty, Options().simfs, "retry").status().message()),
              HasSubstr("cannot mount simfs on /data: block 0 is no superblock of simfs"));
}

}  // namespace
}  // namespace aiolab
