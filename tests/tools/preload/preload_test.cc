// The small clients and the probe under `aiolab run`, on the model.
#include <string>
#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tests/tools/preload/aiolab_run.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Client(const std::string& name) { return RunfilePath("tests/clients/" + name); }

// (client, profile, clock)
class ClientUnderModelTest : public testing::TestWithParam<std::tuple<const char*, const char*, const char*>> {};

TEST_P(ClientUnderModelTest, EndsWell) {
  const auto [client, profile, clock] = GetParam();
  const std::string directory = NewTestDirectory();
  for (const char* seed : {"1", "2", "3"}) {
    const AiolabRun run = RunUnderAiolab(
        {std::string("--seed=") + seed, std::string("--profile=") + profile, std::string("--clock=") + clock},
        {Client(client), "--dir=" + directory}, directory);
    ASSERT_EQ(run.result.status, 0) << run.result.out << run.result.err;
    EXPECT_THAT(run.result.out, StartsWith(std::string(client) + ": "));
    // It was the model that it ran on.
    EXPECT_GT(run.Count("PREAD", "ok"), 0) << run.result.err;
    EXPECT_TRUE(run.report["processes"][0]["findings"].empty()) << run.result.err;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ClientUnderModelTest,
                         testing::Combine(testing::Values("ring_spinner", "sleepy_poller", "four_and_two",
                                                          "eventfd_ppoll", "fork_and_threads", "dlopen_libaio",
                                                          "closes_all_fds"),
                                          testing::Values("retry", "mainline"), testing::Values("virtual", "host")),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param) + "_" +
                                  std::get<2>(info.param);
                         });

class PreloadTest : public testing::Test {
 protected:
  AiolabRun Probe(const std::string& look, std::vector<std::string> flags = {}) {
    return RunUnderAiolab(flags, {RunfilePath("tests/tools/preload/probe"), look}, directory_);
  }
  const std::string directory_ = NewTestDirectory();
};

// libaio's io_submit goes through syscall(), and both are interposed: the client's 64 blocks are written once.
TEST_F(PreloadTest, ACallComesInOnce) {
  for (const char* client : {"sleepy_poller", "dlopen_libaio"}) {
    const AiolabRun run = RunUnderAiolab({}, {Client(client), "--dir=" + directory_}, directory_);
    EXPECT_EQ(run.Count("PWRITE", "ok"), 64) << run.result.err;
    EXPECT_EQ(run.Count("PREAD", "ok"), 64);
  }
}

TEST_F(PreloadTest, TheSameSeedGivesTheSameTraceInAnotherDirectory) {
  const std::string elsewhere = NewTestDirectory();
  for (const char* client : {"sleepy_poller", "eventfd_ppoll", "closes_all_fds"}) {
    const auto trace = [&](const std::string& flag, const std::string& directory) {
      const AiolabRun run =
          RunUnderAiolab({flag, "--trace=text:trace"}, {Client(client), "--dir=" + directory}, directory);
      EXPECT_EQ(run.result.status, 0) << run.result.err;
      EXPECT_TRUE(run.report["processes"][0]["replayable"].get<bool>()) << run.result.err;
      return std::pair(ReadFile(directory + "/trace").value_or(""), run.report["processes"][0].value("token", ""));
    };
    const auto [first, token] = trace("--seed=7", directory_);
    EXPECT_THAT(first, HasSubstr("sys_enter_io_submit"));
    EXPECT_EQ(trace("--seed=7", elsewhere).first, first) << client;
    EXPECT_NE(trace("--seed=8", elsewhere).first, first) << client;
    EXPECT_EQ(trace("--replay=" + token, elsewhere).first, first) << client;
  }
}

TEST_F(PreloadTest, ADamagedTokenIsRefused) {
  const AiolabRun run = Probe("return", {"--replay=aiolab1aaaa"});
  EXPECT_EQ(run.result.status, 2);
  EXPECT_THAT(run.result.err, HasSubstr("token"));
}

TEST_F(PreloadTest, ClocksAndSleepsAreTheModels) {
  const AiolabRun first = Probe("clocks");
  EXPECT_EQ(first.result.status, 0) << first.result.out;
  EXPECT_THAT(first.result.out, StartsWith("1735689600 "));  // 2025-01-01
  EXPECT_EQ(Probe("clocks").result.out, first.result.out);
}

TEST_F(PreloadTest, AThreadThatIsNoClientHasAClockToo) {
  const AiolabRun run = Probe("threads");
  EXPECT_EQ(run.result.status, 0) << run.result.out;
}

TEST_F(PreloadTest, HandlersRunBehindTheCallThatTheyInterrupt) {
  const AiolabRun run = Probe("signals");
  EXPECT_EQ(run.result.status, 0) << run.result.out;
  EXPECT_THAT(run.report["processes"][0]["not_replayable_because"].dump(), HasSubstr("a signal came from outside"));
}

TEST_F(PreloadTest, ABadPointerIsEfaultWhateverTheClientDoesWithSigsegv) {
  const AiolabRun run = Probe("faults");
  EXPECT_EQ(run.result.status, 0) << run.result.out;
}

TEST_F(PreloadTest, ACrashStaysACrash) { EXPECT_EQ(Probe("crash").result.status, 128 + 11); }

TEST_F(PreloadTest, AioNrAndAioMaxNrAreTheProcesssOwn) {
  const AiolabRun run = Probe("proc_files");
  EXPECT_EQ(run.result.status, 0) << run.result.out;
}

TEST_F(PreloadTest, EveryEndLeavesAReport) {
  for (const char* end : {"return", "exit", "_exit", "_Exit", "quick_exit", "exit_group"}) {
    const AiolabRun run = Probe(end);
    EXPECT_EQ(run.result.status, 11) << end;
    ASSERT_TRUE(run.report.is_object()) << run.result.err;
    EXPECT_FALSE(run.report["processes"][0].value("token", "").empty()) << end << ": " << run.result.err;
  }
}

}  // namespace
}  // namespace aiolab
