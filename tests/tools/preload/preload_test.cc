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

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Client(const std::string& name) { return RunfilePath("tests/clients/" + name); }

// As --replay takes it: a long one is in a file.
std::string TokenOf(const AiolabRun& run) {
  const nlohmann::json& process = run.report["processes"][0];
  const std::string path = process.value("token_path", "");
  return path.empty() ? process.value("token", "") : "@" + path;
}

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
                                                          "closes_all_fds", "old_libaio"),
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
      return std::pair(ReadFile(directory + "/trace").value_or(""), TokenOf(run));
    };
    const auto [first, token] = trace("--seed=7", directory_);
    EXPECT_THAT(first, HasSubstr("sys_enter_io_submit"));
    EXPECT_EQ(trace("--seed=7", elsewhere).first, first) << client;
    EXPECT_NE(trace("--seed=8", elsewhere).first, first) << client;
    EXPECT_EQ(trace("--replay=" + token, elsewhere).first, first) << client;
  }
}

TEST_F(PreloadTest, ASyncOfAFileOfTheHostFailsByARule) {
  const AiolabRun probe = Probe("syncs", {"--fault=fsync=always:eio"});
  EXPECT_EQ(probe.result.status, 0) << probe.result.out;
  EXPECT_EQ(probe.report["processes"][0]["faults"][0]["hits"], 3) << probe.result.err;
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

// A client that trusts the counter reads it without a call, and each such look is a trap.
TEST_F(PreloadTest, TheProcessorDoesNotCallItsTimeStampCounterSteady) {
  const AiolabRun run = Probe("cpuid");
  EXPECT_EQ(run.result.status, 0) << run.result.out;
}

TEST_F(PreloadTest, TheTimeStampCounterCanBeReadOnASmallStack) {
  const AiolabRun run = Probe("alternate_stack");
  EXPECT_EQ(run.result.status, 0) << run.result.out;
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

// The parent ends inside the C library.
TEST_F(PreloadTest, AProcessThatBecomesADaemonLeavesAReport) {
  const AiolabRun run = Probe("daemon");
  EXPECT_EQ(run.result.status, 0);
  ASSERT_TRUE(run.report.is_object()) << run.result.err;
  EXPECT_TRUE(run.report["processes"][0]["has_report"].get<bool>()) << run.result.err;
}

TEST_F(PreloadTest, ARequestOutlivesItsFd) {
  for (const char* profile : {"retry", "mainline"}) {
    const AiolabRun run = Probe("closes_in_flight", {std::string("--profile=") + profile});
    EXPECT_EQ(run.result.status, 0) << run.result.out;
  }
}

TEST_F(PreloadTest, PagesThatAreNotNeededAreBroughtInAnew) {
  for (const char* profile : {"retry", "mainline"}) {
    const AiolabRun run = Probe("advice", {std::string("--profile=") + profile});
    EXPECT_EQ(run.result.status, 0) << run.result.out;
    EXPECT_EQ(run.report["totals"]["bios"], 6) << profile;
  }
}

// More and fewer blocks than the token's run had: the run ends where it is seen, and says what differs.
TEST_F(PreloadTest, AReplayOfAnotherRunIsToldApart) {
  const auto run = [&](const char* flag, const char* blocks) {
    return RunUnderAiolab({flag}, {Client("sleepy_poller"), "--dir=" + directory_, blocks}, directory_);
  };
  const AiolabRun recorded = run("--seed=7", "--blocks=16");
  ASSERT_EQ(recorded.result.status, 0) << recorded.result.err;
  const std::string replay = "--replay=" + TokenOf(recorded);
  EXPECT_EQ(run(replay.c_str(), "--blocks=16").result.status, 0);
  for (const auto& [blocks, why] : {std::pair("--blocks=32", "the run asks"), {"--blocks=8", "not asked for"}}) {
    const AiolabRun other = run(replay.c_str(), blocks);
    EXPECT_EQ(other.result.status, 3) << blocks << ": " << other.result.err;
    EXPECT_THAT(other.report["processes"][0]["findings"].dump(),
                AllOf(HasSubstr("not the one of the replay token"), HasSubstr(why)));
  }
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
