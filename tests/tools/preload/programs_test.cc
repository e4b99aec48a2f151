// Programs that were never meant for a model, as the distribution ships them.
#include <signal.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tests/tools/preload/aiolab_run.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ProgramsTest : public testing::Test {
 protected:
  AiolabRun Run(const std::vector<std::string>& flags, const std::vector<std::string>& client) {
    return RunUnderAiolab(flags, client, directory_);
  }

  // fio writes in random order and verifies what it wrote.
  static std::vector<std::string> Fio(const std::string& size, std::vector<std::string> options) {
    options.insert(options.begin(),
                   {"fio", "--name=job", "--ioengine=libaio", "--iodepth=32", "--rw=randwrite", "--bs=4k",
                    "--size=" + size, "--verify=crc32c", "--verify_fatal=1", "--group_reporting"});
    return options;
  }

  AiolabRun SignalProbe(const std::vector<std::string>& how) {
    std::vector<std::string> client = {RunfilePath("tests/tools/preload/signal_probe")};
    client.insert(client.end(), how.begin(), how.end());
    return Run({}, client);
  }

  const std::string directory_ = NewTestDirectory();
};

class FioTest : public ProgramsTest, public testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(FioTest, VerifiesItsDataOnEveryProfile) {
  for (const char* profile : {"retry", "mainline"}) {
    const AiolabRun run = Run({"--seed=7", "--cpus=host", absl::StrCat("--profile=", profile)}, Fio("4M", GetParam()));
    EXPECT_EQ(run.result.status, 0) << run.result.out << run.result.err;
    EXPECT_THAT(run.result.out, HasSubstr("err= 0"));
    EXPECT_THAT(run.result.out, Not(HasSubstr("verify:")));
    // 1024 blocks a job, written and read back.
    EXPECT_EQ(run.Count("PWRITE", "ok") % 1024, 0) << run.result.err;
    EXPECT_EQ(run.Count("PREAD", "ok"), run.Count("PWRITE", "ok"));
    EXPECT_GT(run.Count("PREAD", "ok"), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, FioTest,
                         testing::Values(std::vector<std::string>{"--direct=1"}, std::vector<std::string>{"--direct=0"},
                                         std::vector<std::string>{"--direct=1", "--thread", "--numjobs=2"},
                                         std::vector<std::string>{"--direct=0", "--thread", "--numjobs=2"},
                                         std::vector<std::string>{"--direct=0", "--numjobs=2"},
                                         std::vector<std::string>{"--direct=0", "--userspace_reap"},
                                         std::vector<std::string>{"--direct=1", "--userspace_reap", "--thread"},
                                         std::vector<std::string>{"--direct=0", "--clocksource=cpu"},
                                         std::vector<std::string>{"--direct=0", "--clocksource=gettimeofday"},
                                         std::vector<std::string>{"--direct=1", "--iodepth_batch=8",
                                                                  "--iodepth_batch_complete_min=4"}),
                         [](const auto& info) {
                           std::string name;
                           for (const std::string& option : info.param) {
                             for (const char c : option) name += isalnum(c) ? c : '_';
                           }
                           return name;
                         });

TEST_F(ProgramsTest, TheSameSeedGivesFioTheSameTrace) {
  for (const char* direct : {"--direct=0", "--direct=1"}) {
    const auto trace = [&](const char* seed) {
      const AiolabRun run =
          Run({absl::StrCat("--seed=", seed), "--trace=text:trace"}, Fio("2M", {direct, "--iodepth_batch=8"}));
      EXPECT_EQ(run.result.status, 0) << run.result.err;
      return ReadFile(directory_ + "/trace").value_or("");
    };
    const std::string first = trace("7");
    EXPECT_THAT(first, HasSubstr("aio_complete"));
    EXPECT_EQ(trace("7") == first, true) << direct;
    EXPECT_EQ(trace("8") == first, false) << direct;
  }
}

// Each seeded bug hangs fio, and the run says on what.
TEST_F(ProgramsTest, ASeededBugIsFound) {
  for (const char* bug : {"lost-kick", "plug-never-flushed"}) {
    const AiolabRun run = Run({"--seed=7", absl::StrCat("--seeded-bug=", bug)},
                              Fio("1M", {"--direct=0", "--thread", "--iodepth_batch=8"}));
    EXPECT_EQ(run.result.status, 3) << bug << run.result.out << run.result.err;
    EXPECT_THAT(run.report["processes"][0]["findings"].dump(), HasSubstr("waits for a page of its file")) << bug;
  }
}

TEST_F(ProgramsTest, StressNgVerifies) {
  const AiolabRun run = Run({"--seed=1"}, {"stress-ng", "--aiol", "2", "--aiol-ops", "2000", "--verify"});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  // Newer versions say it on standard output.
  EXPECT_THAT(run.result.out + run.result.err, HasSubstr("successful run completed"));
  EXPECT_GT(run.Count("PREADV", "ok") + run.Count("PREAD", "ok"), 0) << run.result.err;
}

// qemu sleeps in ppoll on an eventfd and reaps from the ring by itself.
TEST_F(ProgramsTest, QemuImgBenchEnds) {
  ASSERT_TRUE(CreateFile(directory_ + "/image", std::string(8 << 20, 'x')).ok());
  const AiolabRun run = Run({"--seed=1"}, {"qemu-img", "bench", "-i", "native", "-t", "none", "-f", "raw", "-c", "1000",
                                           "-d", "32", "image"});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_THAT(run.result.out, HasSubstr("Run completed"));
  EXPECT_EQ(run.Count("PREADV", "ok") + run.Count("PREAD", "ok"), 1000) << run.result.err;
}

// The programs that the probe starts are sh.
TEST_F(ProgramsTest, ProgramsStartFromAClientAndItGoesOn) {
  const AiolabRun run = Run({}, {RunfilePath("tests/tools/preload/probe"), "exec"});
  EXPECT_EQ(run.result.status, 0) << run.result.out;
}

TEST_F(ProgramsTest, AnotherProgramInItsPlaceLeavesAReport) {
  const AiolabRun run = Run({}, {RunfilePath("tests/tools/preload/probe"), "execve"});
  EXPECT_EQ(run.result.status, 11);
  ASSERT_TRUE(run.report.is_object()) << run.result.err;
  EXPECT_FALSE(run.report["processes"][0].value("token", "").empty()) << run.result.err;
}

// exec keeps a timer. The other program's time is real.
TEST_F(ProgramsTest, AnAlarmOutlivesExec) {
  EXPECT_EQ(SignalProbe({"exec", "sleep 10; exit 5"}).result.status, 128 + SIGALRM);
}

TEST_F(ProgramsTest, AnotherProgramHasDefaultActionsAndKeepsWhatIsIgnored) {
  EXPECT_EQ(SignalProbe({"exec", "kill -INT $$; exit 5"}).result.status, 128 + SIGINT);
  EXPECT_EQ(SignalProbe({"exec", "kill -SEGV $$; exit 5"}).result.status, 128 + SIGSEGV);
  EXPECT_EQ(SignalProbe({"exec", "kill -TERM $$; exit 5"}).result.status, 5);
  EXPECT_EQ(SignalProbe({"exec", "kill -BUS $$; exit 5"}).result.status, 5);
}

TEST_F(ProgramsTest, AReplayWithoutAContextIsSaid) {
  const std::string token = SignalProbe({"ends_with", "0"}).report["processes"][0].value("token", "");
  const AiolabRun run = RunUnderAiolab({"--report=text", "--replay=" + token}, {"true"}, directory_);
  EXPECT_EQ(run.result.status, 0);
  EXPECT_THAT(run.result.err, HasSubstr("the replay token was not used"));
}

TEST_F(ProgramsTest, SysbenchRuns) {
  const std::vector<std::string> sysbench = {"sysbench", "fileio", "--file-num=2", "--file-total-size=8M"};
  std::vector<std::string> prepare = sysbench;
  prepare.push_back("prepare");
  ASSERT_EQ(RunProgram(prepare, {{}, directory_}).status, 0);
  for (const char* threads : {"--threads=1", "--threads=3"}) {
    std::vector<std::string> command = sysbench;
    command.insert(command.end(),
                   {"--file-io-mode=async", "--file-test-mode=rndrw", "--events=1000", "--time=0", threads, "run"});
    const AiolabRun run = Run({"--seed=1"}, command);
    EXPECT_EQ(run.result.status, 0) << run.result.out << run.result.err;
    EXPECT_THAT(run.result.out, HasSubstr("total number of events"));
    EXPECT_GT(run.Count("PREAD", "ok"), 0) << run.result.err;
  }
}

}  // namespace
}  // namespace aiolab
