// aiolab run --simfs with the fault `reboot`: the power goes, and the command is started again on a machine that boots
// from what the disk has kept. The client here is a log that knows what it has acknowledged: reboots_log.
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tests/tools/preload/aiolab_run.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kPrefix[] = "/aiolab-test-data";

class RebootTest : public testing::Test {
 protected:
  // Another run begins with nothing acknowledged.
  AiolabRun Run(const std::vector<std::string>& more, const std::vector<std::string>& client) {
    unlink((directory_ + "/acknowledged").c_str());
    std::vector<std::string> flags = {absl::StrCat("--simfs=", kPrefix, ":size=8M")};
    flags.insert(flags.end(), more.begin(), more.end());
    return RunUnderAiolab(flags, client, directory_);
  }
  std::vector<std::string> Log(const std::string& way = "sync", int records = 20) {
    return {RunfilePath("tests/clients/reboots_log"), kPrefix, "acknowledged", way, absl::StrCat(records)};
  }
  // The traces of the first boots.
  std::vector<std::string> Traces(int boots) {
    std::vector<std::string> traces;
    for (int boot = 1; boot <= boots; ++boot) {
      const std::string suffix = boot == 1 ? "" : absl::StrCat(".boot", boot);
      traces.push_back(ReadFile(directory_ + "/trace" + suffix).value_or("no trace"));
    }
    return traces;
  }
  static std::string TokenOf(const nlohmann::json& process) {
    const std::string token = process.value("token", "");
    return token.empty() ? absl::StrCat("@", process.value("token_path", "")) : token;
  }

  const std::string directory_ = NewTestDirectory();
};

TEST_F(RebootTest, ALogFindsAllThatItHasAcknowledgedAfterEveryBoot) {
  for (const char* rule :
       {"complete=every(8)x2:reboot", "device=every(25)x2:reboot(tear=512)", "fsync=every(6)x2:reboot"}) {
    for (int seed = 1; seed <= 3; ++seed) {
      const AiolabRun run = Run({absl::StrCat("--seed=", seed), absl::StrCat("--fault=", rule)}, Log());
      EXPECT_EQ(run.result.status, 0) << run.result.out << run.result.err;
      EXPECT_THAT(run.result.out, AllOf(StartsWith("found 0\nfound "), HasSubstr("done\n"), Not(HasSubstr("LOST"))));
      EXPECT_EQ(run.report["boots"], 3);
      EXPECT_EQ(run.report["reboots"], nlohmann::json({rule, rule}));
      EXPECT_EQ(run.report["ended_by_power_cut"], false);
    }
  }
}

TEST_F(RebootTest, ALogWithoutFdatasyncIsCaught) {
  bool lost = false;
  for (int seed = 1; seed <= 5 && !lost; ++seed) {
    const AiolabRun run = Run({absl::StrCat("--seed=", seed), "--fault=complete=every(8)x2:reboot"}, Log("nosync"));
    lost = run.result.status == 1 && run.result.out.find("LOST") != std::string::npos;
  }
  EXPECT_TRUE(lost);
}

// The second step of a chain counts from the boot that the first one made. What the processes count is told once.
TEST_F(RebootTest, RulesAndTheClockGoOnInTheNextBoot) {
  const AiolabRun run = Run({"--fault=complete=nth(8):reboot->nth(3):reboot"}, Log());
  EXPECT_EQ(run.result.out, "found 0\nfound 7\nfound 9\ndone\n") << run.result.err;
  const nlohmann::json& processes = run.report["processes"];
  ASSERT_EQ(processes.size(), 3);
  EXPECT_EQ(processes[0]["power_cut"], true);
  EXPECT_EQ(processes[2]["power_cut"], false);
  EXPECT_EQ(processes[2]["boot"], 3);
  EXPECT_EQ(processes[2]["faults"][0]["hits"], 2);
  EXPECT_EQ(processes[2]["faults"][0]["first_ns"], processes[0]["faults"][0]["first_ns"]);
  EXPECT_GT(processes[2]["faults"][0]["last_ns"], processes[0]["virtual_time_ns"]);
  EXPECT_GT(processes[1]["virtual_time_ns"], processes[0]["virtual_time_ns"]);
  EXPECT_EQ(run.report["totals"]["faults"][0]["hits"], 2);
  EXPECT_EQ(run.Count("PWRITE", "ok"), 20);
}

// Method: twice by the seed, and once by the token of the first; every boot's trace, byte for byte.
TEST_F(RebootTest, TheSameSeedAndTheTokenRepeatEveryBoot) {
  const std::string rule = "--fault=device=every(25)x2:reboot(tear=512),complete=pct(20):delay(exp 1ms)";
  const AiolabRun first = Run({"--seed=5", "--trace=text:trace", rule}, Log());
  const std::vector<std::string> traces = Traces(3);
  ASSERT_EQ(first.report["boots"], 3) << first.result.err;
  EXPECT_THAT(traces[2], HasSubstr("sys_enter_io_submit"));
  const nlohmann::json& processes = first.report["processes"];
  // One token for all boots.
  EXPECT_EQ(processes[0].value("token", "-") + processes[0].value("token_path", "-"), "");
  const std::string token = TokenOf(processes[2]);

  for (const std::string& how : {std::string("--seed=5"), "--replay=" + token}) {
    const AiolabRun again = Run({how, "--trace=text:trace", rule}, Log());
    EXPECT_EQ(again.result.out, first.result.out) << again.result.err;
    EXPECT_EQ(Traces(3) == traces, true) << how;
    EXPECT_EQ(again.report["totals"]["operations"], first.report["totals"]["operations"]);
    EXPECT_EQ(again.report["processes"][2]["virtual_time_ns"], processes[2]["virtual_time_ns"]);
  }
  const AiolabRun other = Run({"--seed=6", "--trace=text:trace", rule}, Log());
  EXPECT_EQ(Traces(3) == traces, false);
}

// The traces of earlier runs go, and each boot has its own.
TEST_F(RebootTest, ABootWritesATraceOfItsOwn) {
  ASSERT_TRUE(CreateFile(directory_ + "/trace.boot3", "of an earlier run").ok());
  const AiolabRun run = Run({"--trace=text:trace", "--fault=fsync=nth(6):reboot"}, Log());
  EXPECT_THAT(run.report["processes"][0].value("trace_path", ""), EndsWith("/trace"));
  EXPECT_THAT(run.report["processes"][1].value("trace_path", ""), EndsWith("/trace.boot2"));
  EXPECT_THAT(Traces(2)[0], HasSubstr("power_cut:"));
  EXPECT_EQ(Traces(3)[2], "no trace");
}

TEST_F(RebootTest, WhatIsLeftAtTheEndGoesBackToTheHost) {
  const std::string to = directory_ + "/to";
  unlink((directory_ + "/acknowledged").c_str());
  const AiolabRun run = RunUnderAiolab(
      {absl::StrCat("--simfs=", kPrefix, ":size=8M,to=", to), "--fault=complete=every(8)x2:reboot"}, Log(), directory_);
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_EQ(ReadFile(to + "/log").value_or("").size(), 20 * 600);
}

// The shell neither sees its child go nor comes to its next word.
TEST_F(RebootTest, TheWholeClientGoesWithThePower) {
  const std::string log = absl::StrJoin(Log(), " ");
  const AiolabRun run =
      Run({"--fault=complete=nth(8):reboot"}, {"sh", "-c", absl::StrCat(log, "; echo the shell goes on after $?")});
  EXPECT_EQ(run.result.out, "found 0\nfound 7\ndone\nthe shell goes on after 0\n") << run.result.err;
  EXPECT_EQ(run.report["boots"], 2);
}

// WUNTRACED, as a shell with job control waits.
TEST_F(RebootTest, AParentThatWaitsForStopsSeesNone) {
  std::vector<std::string> client = {"perl", "-e", "fork or exec @ARGV; waitpid(-1, 2); print \"next $?\\n\""};
  for (const std::string& word : Log()) client.push_back(word);
  const AiolabRun run = Run({"--fault=complete=nth(8):reboot"}, client);
  EXPECT_EQ(run.result.out, "found 0\nfound 7\ndone\nnext 0\n") << run.result.err;
}

// It has left the shell's family and session, and holds a lock that its successor in the next boot wants at once.
TEST_F(RebootTest, AnOrphanGoesWithThePowerAndHoldsNothingAnyMore) {
  const std::string script =
      absl::StrCat("rm -f pid; exec 9> lock; flock -n 9 || echo locked; ",
                   "(setsid sh -c 'echo $$ > pid; exec sleep 41.7' &); exec 9>&-; until [ -s pid ]; do :; done; ",
                   absl::StrJoin(Log(), " "), "; kill $(cat pid)");
  const AiolabRun run = Run({"--fault=complete=nth(8):reboot"}, {"sh", "-c", script});
  EXPECT_EQ(run.result.out, "found 0\nfound 7\ndone\n") << run.result.err;
  EXPECT_EQ(run.result.status, 0);
  EXPECT_EQ(run.report["boots"], 2);
}

// The runner gets the signal, as from a service manager or a terminal; the power goes before the client has obeyed.
TEST_F(RebootTest, AClientThatWasToldToEndIsNotStartedAgain) {
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGQUIT}) {
    const std::string script =
        absl::StrCat("trap '' ", signal, "; kill -", signal, " $PPID; ", absl::StrJoin(Log(), " "));
    const AiolabRun run = Run({"--fault=fsync=always:reboot"}, {"sh", "-c", script});
    EXPECT_EQ(run.result.status, 128 + signal) << run.result.err;
    EXPECT_EQ(run.report["client_signal"], signal);
    EXPECT_EQ(run.report["boots"], 1) << signal;
    EXPECT_EQ(run.report["ended_by_power_cut"], false) << signal;
    EXPECT_EQ(run.report["processes"].size(), 1) << signal;
  }
}

// A machine beside the first one, a forked child's, has nobody to boot it.
TEST_F(RebootTest, AnotherProcessIsEndedAsByAPowerCut) {
  const AiolabRun run =
      Run({"--fault=fsync[path=*/log]=nth(1):reboot"},
          {"sh", "-c", absl::StrCat("echo x > ", kPrefix, "/y; ", absl::StrJoin(Log(), " "), "; echo $?")});
  EXPECT_EQ(run.result.out, "found 0\n4\n") << run.result.err;
  EXPECT_EQ(run.report["boots"], 1);
  EXPECT_THAT(run.report["processes"][1]["warnings"].dump(), HasSubstr("its power went for good"));
}

// A disk that lies about its flushes may leave nothing to mount.
TEST_F(RebootTest, AFileSystemThatCannotBeMountedIsAFinding) {
  bool found = false;
  for (int seed = 1; seed <= 5 && !found; ++seed) {
    const AiolabRun run = Run(
        {absl::StrCat("--seed=", seed), "--seeded-bug=flush-keeps-cache", "--fault=device=every(31):reboot"}, Log());
    found = run.result.status == 3 && run.report["ended_by_finding"] == true;
    if (!found) continue;
    EXPECT_THAT(
        run.report["processes"].back()["findings"].dump(),
        HasSubstr("the machine does not boot after the fault rule device=every(31):reboot: cannot mount simfs on"));
    ASSERT_EQ(run.report["totals"]["faults"].size(), 1);
    EXPECT_EQ(run.report["totals"]["faults"][0]["hits"], run.report["reboots"].size());
  }
  EXPECT_TRUE(found);
}

// They may be large.
TEST_F(RebootTest, OnlyTheDisksOfTheLastBootAreKept) {
  const AiolabRun run =
      Run({"--fault=fsync=every(6)x2:reboot"},
          {"sh", "-c", absl::StrCat("find . -name disks | wc -l; ", absl::StrJoin(Log(), " "), " > said")});
  EXPECT_EQ(run.result.out, "0\n1\n1\n") << run.result.err;
  EXPECT_EQ(run.report["boots"], 3);
}

TEST_F(RebootTest, ARuleThatRebootsForEverEnds) {
  const AiolabRun run = Run({"--fault=fsync=always:reboot"}, Log());
  EXPECT_EQ(run.result.status, 4) << run.result.err;
  EXPECT_EQ(run.report["boots"], 50);
  EXPECT_EQ(run.report["ended_by_power_cut"], true);
}

TEST_F(RebootTest, ItIsRefusedWhereNothingCanBoot) {
  const AiolabRun host = RunUnderAiolab({"--fault=fsync=nth(1):reboot"}, {"touch", directory_ + "/ran"}, directory_);
  EXPECT_EQ(host.result.status, 2);
  EXPECT_THAT(host.result.err, HasSubstr("--fault: fsync=nth(1):reboot: powercut, reboot and model= are about"));
  const ProgramResult crash =
      RunProgram({RunfilePath("tools/aiolab/aiolab"), "crash", absl::StrCat("--simfs=", kPrefix),
                  "--check=test -d {dir}", "--fault=fsync=nth(1):reboot", "--", "touch", directory_ + "/ran"},
                 {{{"TMPDIR", directory_}}, directory_});
  EXPECT_EQ(crash.status, 2);
  EXPECT_THAT(crash.err, HasSubstr("`aiolab crash` takes the power at every point itself"));
  EXPECT_NE(access((directory_ + "/ran").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace aiolab
