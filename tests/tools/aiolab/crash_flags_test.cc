// What `aiolab crash` makes of its command line.
#include "tools/aiolab/crash_flags.h"

#include <string>
#include <vector>

#include "absl/flags/reflection.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aiolab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CrashFlagsTest : public testing::Test {
 protected:
  CrashCommandOptions Parse(const std::vector<std::string>& arguments) {
    const absl::FlagSaver saver;
    const absl::StatusOr<CrashCommandOptions> options = ParseCrashArguments(arguments);
    EXPECT_TRUE(options.ok()) << options.status();
    return options.value_or(CrashCommandOptions());
  }
  std::string Error(const std::vector<std::string>& arguments) {
    const absl::FlagSaver saver;
    return std::string(ParseCrashArguments(arguments).status().message());
  }
};

TEST_F(CrashFlagsTest, WithoutAnyItIsTheEmbeddedLogOverAllPoints) {
  const CrashCommandOptions options = Parse({});
  EXPECT_EQ(options.points_max, 0u);
  EXPECT_EQ(options.images_max, 1000u);
  EXPECT_FALSE(options.rename_before_fsync);
  EXPECT_EQ(options.run.simfs, "/data:disk=nvme,size=64M");
  EXPECT_THAT(options.run.client, testing::IsEmpty());
}

TEST_F(CrashFlagsTest, ItsOwnFlagsAndThoseOfRunStandTogether) {
  const CrashCommandOptions options =
      Parse({"--at", "7", "--seed=5", "--check=c {dir}", "--profile", "mainline", "--images=9", "--model=xfs",
             "--export-files=f", "--check-timeout=3", "--export-image=i", "--export-log", "l", "--simfs=/db:size=4M",
             "--", "client", "--at=x"});
  EXPECT_EQ(options.points_max, 7u);
  EXPECT_EQ(options.images_max, 9u);
  EXPECT_EQ(options.run.seed, 5u);
  EXPECT_EQ(options.run.profile, "mainline");
  EXPECT_EQ(options.check, "c {dir}");
  EXPECT_EQ(options.check_seconds_max, 3);
  EXPECT_EQ(options.export_files, "f");
  EXPECT_EQ(options.export_image, "i");
  EXPECT_EQ(options.export_log, "l");
  EXPECT_EQ(options.run.simfs, "/db:disk=nvme,size=4M,error-model=xfs");
  EXPECT_THAT(options.run.client, ElementsAre("client", "--at=x"));
}

TEST_F(CrashFlagsTest, ItsHelpIsNotTheOneOfRun) { EXPECT_TRUE(Parse({"--at=3", "--help"}).run.help); }

TEST_F(CrashFlagsTest, MistakesAreNamedWithWhatWouldBeRight) {
  EXPECT_EQ(Error({"--at=some"}),
            "--at=some: it has to be the word all, or how many crash points are to be looked at, from 1");
  EXPECT_EQ(Error({"--images=0"}), "--images=0: it has to be a number from 1");
  EXPECT_EQ(Error({"--check-timeout=1m"}), "--check-timeout=1m: it has to be a number of seconds, from 1");
  EXPECT_EQ(Error({"--check=true", "--", "c"}),
            "--check=true: there is no {dir} in it, so it would look at nothing that a crash left");
  EXPECT_EQ(Error({"--check=c {dir}"}), "--check needs a client, behind --: aiolab crash --check=CMD -- PROGRAM");
  EXPECT_THAT(Error({"--", "c"}), HasSubstr("--check='CMD {dir}' names a command that does"));
  EXPECT_THAT(Error({"--model=ext4"}), HasSubstr("--model=ext4: there is no error model \"ext4\"; "));
  EXPECT_THAT(Error({"--demo=rename-before-fsyn"}), HasSubstr("did you mean rename-before-fsync?"));
  EXPECT_THAT(Error({"--chek=c {dir}"}), HasSubstr("there is no flag --chek; did you mean --check?"));
  EXPECT_THAT(Error({"--sede=1"}), HasSubstr("there is no flag --sede; did you mean --seed?"));
  EXPECT_EQ(Error({"--at"}), "--at needs a value: --at=all|N");
  EXPECT_THAT(Error({"--report=json"}), HasSubstr("aiolab crash reports as text only"));
  EXPECT_THAT(Error({"--replay=x"}), HasSubstr("--replay: aiolab crash repeats a run by its --seed"));
  EXPECT_THAT(Error({"--demo=wal", "--check=c {dir}", "--", "c"}), HasSubstr("--demo is what runs without a client"));
}

}  // namespace
}  // namespace aiolab
