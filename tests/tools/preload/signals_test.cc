// Signals under `aiolab run`: what ends a client, what wakes it, and what it can see of them.
#include <signal.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tests/tools/preload/aiolab_run.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;

class SignalsTest : public testing::Test {
 protected:
  AiolabRun Probe(const std::vector<std::string>& how, std::vector<std::string> flags = {}) {
    std::vector<std::string> client = {RunfilePath("tests/tools/preload/signal_probe")};
    client.insert(client.end(), how.begin(), how.end());
    return RunUnderAiolab(flags, client, directory_);
  }
  std::string File(const std::string& name) { return ReadFile(directory_ + "/" + name).value_or("(no such file)"); }

  const std::string directory_ = NewTestDirectory();
};

class DeadlySignalTest : public SignalsTest, public testing::WithParamInterface<int> {};

// exit_aio waits for what is in flight also when a signal ends the process.
TEST_P(DeadlySignalTest, LetsRequestsEndAndLeavesAReportAndTheWholeTrace) {
  const AiolabRun run = Probe({"die", absl::StrCat(GetParam())}, {"--trace=text:trace"});
  EXPECT_EQ(run.result.status, 128 + GetParam());
  ASSERT_TRUE(run.report.is_object()) << run.result.err;
  EXPECT_EQ(run.report["client_signal"], GetParam());
  EXPECT_EQ(run.report["processes"][0]["killed_by"], GetParam());
  EXPECT_TRUE(run.report["processes"][0]["replayable"].get<bool>()) << run.result.err;
  EXPECT_EQ(run.Count("PWRITE", "ok"), 1) << run.result.err;
  EXPECT_EQ(File("written"), "in flight");
  EXPECT_THAT(File("trace"), HasSubstr("aio_run_iocb: req=1 attempt=2 ret=9"));

  const std::string token = run.report["processes"][0].value("token", "");
  const AiolabRun replay = Probe({"die", absl::StrCat(GetParam())}, {"--replay=" + token});
  EXPECT_EQ(replay.result.status, 128 + GetParam()) << replay.result.err;
  EXPECT_EQ(replay.report["processes"][0].value("token", ""), token);
}

INSTANTIATE_TEST_SUITE_P(All, DeadlySignalTest,
                         testing::Values(SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGILL, SIGTRAP, SIGALRM,
                                         SIGPIPE, SIGUSR1, 40),
                         [](const auto& info) { return absl::StrCat("Signal", info.param); });

// Nothing can run any more, but the trace is there up to the last event.
TEST_F(SignalsTest, SigkillLeavesTheTrace) {
  const AiolabRun run = Probe({"die", absl::StrCat(SIGKILL)}, {"--trace=text:trace"});
  EXPECT_EQ(run.result.status, 128 + SIGKILL);
  EXPECT_FALSE(run.report["processes"][0]["has_report"].get<bool>());
  EXPECT_TRUE(absl::EndsWith(File("trace"), "sys_exit_io_submit: ret=1\n")) << File("trace");
}

TEST_F(SignalsTest, ActionsAreWhatTheClientSet) {
  EXPECT_EQ(RunProgram({RunfilePath("tests/tools/preload/signal_probe"), "actions"}).status, 0);  // without a model
  const AiolabRun run = Probe({"actions"});
  EXPECT_EQ(run.result.status, 0) << run.result.out;
}

TEST_F(SignalsTest, AlarmsEndWaits) {
  EXPECT_EQ(RunProgram({RunfilePath("tests/tools/preload/signal_probe"), "alarms"}).status, 0);  // without a model
  for (const char* clock : {"--clock=virtual", "--clock=host"}) {
    const AiolabRun run = Probe({"alarms"}, {clock});
    EXPECT_EQ(run.result.status, 0) << clock << ": " << run.result.out;
  }
}

TEST_F(SignalsTest, AnAlarmIsInTheModelsTimeAndRepeatsWithTheRun) {
  const AiolabRun run = Probe({"alarm_in_an_hour"}, {"--trace=text:trace"});
  EXPECT_EQ(run.result.status, 0) << run.result.out;
  EXPECT_THAT(File("trace"), HasSubstr("itimer_expire: which=ITIMER_REAL"));
  EXPECT_TRUE(run.report["processes"][0]["replayable"].get<bool>()) << run.result.err;
}

// exec keeps a timer. The other program's time is real.
TEST_F(SignalsTest, AnAlarmOutlivesExec) {
  EXPECT_EQ(Probe({"exec", "sleep 10; exit 5"}).result.status, 128 + SIGALRM);
}

TEST_F(SignalsTest, ABadPointerHandedToAWaitIsEfault) {
  EXPECT_EQ(RunProgram({RunfilePath("tests/tools/preload/signal_probe"), "bad_pointers"}).status, 0);  // no model
  for (const char* clock : {"--clock=virtual", "--clock=host"}) {
    const AiolabRun run = Probe({"bad_pointers"}, {clock});
    EXPECT_EQ(run.result.status, 0) << clock << ": " << run.result.out;
  }
}

// The wait is the client's own mistake and goes on, but not in silence.
TEST_F(SignalsTest, AWaitThatNobodyCanEndIsSaidWhileItLasts) {
  const AiolabRun run = Probe({"waits"}, {"--report=text"});
  EXPECT_EQ(run.result.status, 128 + SIGTERM);
  const std::string hint =
      "aiolab: process 1 (signal_probe): client/1 waits in io_getevents for 3 events of context 1, which has nothing "
      "in flight";
  EXPECT_TRUE(absl::StartsWith(run.result.err, hint)) << run.result.err;
  EXPECT_EQ(run.result.err.find(hint, 1), std::string::npos);
}

// More than the tail holds, so that it is met while the client runs.
TEST_F(SignalsTest, ATraceThatCannotBeWrittenIsSaidOnceAndChangesNothing) {
  const AiolabRun run = Probe({"ends_with", "7"}, {"--report=text", "--trace=text:/dev/full"});
  EXPECT_EQ(run.result.status, 7);
  const std::string what = "THE TRACE IS NOT WHOLE: /dev/full: cannot be written: ENOSPC (No space left on device)\n";
  EXPECT_THAT(run.result.err, HasSubstr(what));
  EXPECT_EQ(run.result.err.find(what), run.result.err.rfind(what));
}

TEST_F(SignalsTest, AReplayWithoutAContextIsSaid) {
  const std::string token = Probe({"ends_with", "0"}).report["processes"][0].value("token", "");
  const AiolabRun run = RunUnderAiolab({"--report=text", "--replay=" + token}, {"true"}, directory_);
  EXPECT_EQ(run.result.status, 0);
  EXPECT_THAT(run.result.err, HasSubstr("the replay token was not used"));
}

TEST_F(SignalsTest, AnotherProgramInItsPlaceHasDefaultActionsAndKeepsWhatIsIgnored) {
  EXPECT_EQ(Probe({"exec", "kill -INT $$; exit 5"}).result.status, 128 + SIGINT);
  EXPECT_EQ(Probe({"exec", "kill -TERM $$; exit 5"}).result.status, 5);
}

}  // namespace
}  // namespace aiolab
