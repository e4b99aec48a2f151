#include "tools/aiolab/run_flags.h"

#include <unistd.h>

#include "absl/flags/reflection.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aiolab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RunFlagsTest : public testing::Test {
 protected:
  std::string ErrorFor(const std::vector<std::string>& arguments) {
    const absl::StatusOr<RunOptions> options = ParseRunArguments(arguments);
    EXPECT_FALSE(options.ok());
    return std::string(options.status().message());
  }

  absl::FlagSaver saver_;
};

TEST_F(RunFlagsTest, DefaultsAreThoseOfTheProtocol) {
  const absl::StatusOr<RunOptions> options = ParseRunArguments({});
  ASSERT_TRUE(options.ok()) << options.status();
  const RunConfig defaults;
  EXPECT_EQ(options->seed, defaults.seed);
  EXPECT_EQ(options->profile, defaults.profile);
  EXPECT_EQ(options->cpus, defaults.cpus);
  EXPECT_EQ(options->clock, defaults.clock);
  EXPECT_FALSE(options->json);
  EXPECT_THAT(options->client, IsEmpty());
}

TEST_F(RunFlagsTest, EveryFlagIsTaken) {
  const absl::StatusOr<RunOptions> options =
      ParseRunArguments({"--seed=18446744073709551615", "--profile", "mainline", "-cpus=7", "--clock=host",
                         "--trace=text:a:b", "--report=json", "--seeded_bug=lost-kick",
                         "--simfs=/data/:disk=hdd,size=2M", "--fault=any", "--fault", "submit=nth(1):eagain",
                         "--fault-file=f", "--hang-after=9", "--preload-library=x.so", "--", "fio", "--seed=3", "--"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->seed, 18446744073709551615u);
  EXPECT_EQ(options->profile, "mainline");
  EXPECT_EQ(options->cpus, 7);
  EXPECT_EQ(options->clock, RunClock::kHost);
  EXPECT_EQ(options->trace_path, "a:b");
  EXPECT_TRUE(options->json);
  EXPECT_EQ(options->seeded_bug, "lost-kick");
  EXPECT_EQ(options->simfs, "/data:disk=hdd,size=2M");
  EXPECT_THAT(options->faults, ElementsAre("any", "submit=nth(1):eagain"));
  EXPECT_EQ(options->fault_file, "f");
  EXPECT_EQ(options->hang_after_s, 9);
  EXPECT_EQ(options->preload_library, "x.so");
  EXPECT_THAT(options->client, ElementsAre("fio", "--seed=3", "--"));
}

TEST_F(RunFlagsTest, AMistakeInAFaultRuleIsNamedWithItsColumn) {
  EXPECT_EQ(ErrorFor({"--fault=submit=nth(2):shrot(1)"}),
            "--fault: column 15: there is no fault 'shrot'; did you mean short?; at submit it can be short, eagain, "
            "enosys, delay, release\n  submit=nth(2):shrot(1)\n                ^");
}

TEST_F(RunFlagsTest, TheLastOfAFlagWins) { EXPECT_EQ(ParseRunArguments({"--seed=1", "--seed=9"}).value().seed, 9u); }

TEST_F(RunFlagsTest, EveryProfileIsTaken) {
  for (const std::string& name : ProfileNames()) {
    EXPECT_EQ(ParseRunArguments({"--profile=" + name}).value().profile, name);
  }
}

TEST_F(RunFlagsTest, CpusOfTheHostAreItsPossibleOnes) {
  const int cpus = ParseRunArguments({"--cpus=host"}).value().cpus;
  EXPECT_GE(cpus, sysconf(_SC_NPROCESSORS_ONLN));
}

TEST(CountCpuListTest, CountsRanges) {
  EXPECT_EQ(CountCpuList("0\n"), 1);
  EXPECT_EQ(CountCpuList("0-3\n"), 4);
  EXPECT_EQ(CountCpuList("0-3,8,10-11"), 7);
  for (const char* wrong : {"", "x", "3-0", "1-2-3", "-1", "0-"}) EXPECT_EQ(CountCpuList(wrong), 0) << wrong;
}

TEST_F(RunFlagsTest, MistakesAreNamed) {
  EXPECT_EQ(ErrorFor({"--seed=abc"}), "--seed=abc: a seed is a whole number from 0 to 18446744073709551615");
  EXPECT_THAT(ErrorFor({"--seed=-1"}), HasSubstr("a seed is a whole number"));
  EXPECT_THAT(ErrorFor({"--seed="}), HasSubstr("a seed is a whole number"));
  EXPECT_EQ(ErrorFor({"--clock=virtul"}), "--clock=virtul: did you mean virtual? There are virtual, host");
  EXPECT_THAT(ErrorFor({"--profile=mainlin"}), HasSubstr("did you mean mainline?"));
  EXPECT_THAT(ErrorFor({"--profile=windows"}),
              HasSubstr("--profile=windows: there is no 'windows'; there are retry, mainline"));
  EXPECT_THAT(ErrorFor({"--cpus=0"}), HasSubstr("--cpus=0: it has to be a number from 1 to 8192, or the word host"));
  EXPECT_THAT(ErrorFor({"--trace=/tmp/x"}), HasSubstr("as in --trace=text:/tmp/x"));
  EXPECT_THAT(ErrorFor({"--trace=html:/tmp/x"}),
              HasSubstr("there is no trace format 'html'; did you mean --trace=text:/tmp/x? There is text"));
  EXPECT_THAT(ErrorFor({"--trace=text:"}), HasSubstr("the name of the file is missing"));
  EXPECT_EQ(ErrorFor({"--report=xml"}), "--report=xml: did you mean json? There are text, json");
  EXPECT_EQ(ErrorFor({"--report=tables"}), "--report=tables: there is no 'tables'; there are text, json");
  EXPECT_THAT(ErrorFor({"--clock=real"}), HasSubstr("did you mean host?"));
  EXPECT_THAT(ErrorFor({"--replay=@"}), HasSubstr("@ and the name of the file"));
  EXPECT_THAT(ErrorFor({"--seeded-bug=lost-kik"}), HasSubstr("did you mean lost-kick? There are none, lost-kick"));
  EXPECT_EQ(ErrorFor({"--seed"}), "--seed needs a value: --seed=N");
  EXPECT_EQ(ErrorFor({"--seed", "--", "fio"}), "--seed needs a value: --seed=N");
  EXPECT_THAT(ErrorFor({"--sed=1"}), HasSubstr("there is no flag --sed; did you mean --seed?"));
  EXPECT_THAT(ErrorFor({"--undefok=x"}), HasSubstr("there is no flag --undefok; `aiolab help run` lists them"));
  EXPECT_THAT(ErrorFor({"fio"}), HasSubstr("put -- before it: aiolab run -- fio"));
  EXPECT_EQ(ErrorFor({"--seed=1", "--"}), "the client is missing behind --");
}

TEST_F(RunFlagsTest, AReplayHasNoSeed) {
  EXPECT_THAT(ErrorFor({"--seed=1", "--replay=ABC"}), HasSubstr("--seed and --replay exclude each other"));
}

TEST_F(RunFlagsTest, AReplayHasNoHostClock) {
  EXPECT_THAT(ErrorFor({"--clock=host", "--replay=ABC"}), HasSubstr("--clock=host and --replay exclude each other"));
}

TEST_F(RunFlagsTest, HelpNeedsNothingElse) { EXPECT_TRUE(ParseRunArguments({"--help"}).value().help); }

TEST_F(RunFlagsTest, HelpNamesEveryFlagButTheOneForDevelopers) {
  std::string usages;
  for (const FlagHelp& flag : RunFlagHelp()) usages += flag.usage + " ";
  EXPECT_EQ(usages,
            "--seed=N --profile=NAME --cpus=N|host --clock=virtual|host --trace=text:FILE --report=text|json "
            "--replay=TOKEN|@FILE --simfs=PREFIX[:OPTION,...] --seeded-bug=NAME --fault=RULES --fault-file=PATH "
            "--hang-after=SECONDS ");
}

}  // namespace
}  // namespace aiolab
