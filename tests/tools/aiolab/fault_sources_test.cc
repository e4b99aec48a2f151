#include "tools/aiolab/fault_sources.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ErrorOf(const absl::StatusOr<std::string>& rules) {
  EXPECT_FALSE(rules.ok());
  return std::string(rules.status().message());
}

TEST(FaultSourcesTest, NoSourceHasNoRules) { EXPECT_EQ(CollectFaultRules("", "", {}).value(), ""); }

TEST(FaultSourcesTest, TheVariableTheFileAndTheFlagsComeTogether) {
  const std::string path = NewTestDirectory() + "/rules";
  ASSERT_TRUE(CreateFile(path, "# weather\nslab=nth(1):enomem\ncancel=nth(1):einval # late\n").ok());
  EXPECT_EQ(CollectFaultRules("any", path, {"submit=nth(1):eagain", "setup=nth(2):eagain"}).value(),
            "any,slab=nth(1):enomem,cancel=nth(1):einval,submit=nth(1):eagain,setup=nth(2):eagain");
}

TEST(FaultSourcesTest, AMistakeIsNamedWithItsSource) {
  const std::string path = NewTestDirectory() + "/rules";
  ASSERT_TRUE(CreateFile(path, "any\nslab=nth(1):eio\n").ok());
  EXPECT_THAT(ErrorOf(CollectFaultRules("", path, {})), StartsWith(path + ": line 2, column 13: eio makes no sense"));
  EXPECT_THAT(ErrorOf(CollectFaultRules("sumbit=nth(1):eagain", "", {})), StartsWith("AIOLAB_FAULT: column 1: "));
  EXPECT_THAT(ErrorOf(CollectFaultRules("", "/nowhere/rules", {})), StartsWith("--fault-file: /nowhere/rules: "));
}

// What one source holds another may release, and somebody has to.
TEST(FaultSourcesTest, TagsAreAMatterOfAllSources) {
  EXPECT_TRUE(CollectFaultRules("complete=nth(1):hold(a)", "", {"getevents=nth(2):release(a)"}).ok());
  EXPECT_THAT(ErrorOf(CollectFaultRules("complete=nth(1):hold(a)", "", {})), HasSubstr("nobody releases it"));
}

TEST(FaultSourcesTest, WhatTakesADiskOfTheModelIsRefusedOnTheHostsFiles) {
  EXPECT_TRUE(CheckRulesOnHostFiles("").ok());
  EXPECT_TRUE(CheckRulesOnHostFiles("complete=nth(1):eio,any").ok());
  for (const char* rule : {"device=nth(3):powercut", "device=nth(3):reboot", "fsync=nth(1):eio(model=xfs)"}) {
    const std::string error(CheckRulesOnHostFiles(std::string("any,") + rule).message());
    EXPECT_THAT(error, StartsWith(std::string("--fault: ") + rule + ": "));
    EXPECT_THAT(error, HasSubstr("--simfs=PREFIX"));
  }
}

TEST(FaultSourcesTest, MoreThanFitsIntoTheEnvironmentIsRefused) {
  EXPECT_THAT(ErrorOf(CollectFaultRules("", "", std::vector<std::string>(1000, "submit=nth(1):eagain"))),
              HasSubstr("the rules are 20999 bytes long; 16384 is the most"));
}

}  // namespace
}  // namespace aiolab
