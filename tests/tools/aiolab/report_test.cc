#include "tools/aiolab/report.h"

#include <signal.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace aiolab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

RankFiles RankWithReport(int rank) {
  RankFiles files;
  files.rank = rank;
  files.command = files.report.command = "fio";
  files.has_report = true;
  files.report.rank = rank;
  files.report.operations = {{"PREAD", {{"ok", 10}, {"-EAGAIN", 1}}}};
  files.report.retries = 5;
  files.report.virtual_time_ns = 1000 * rank;
  files.report.replayable = true;
  files.report.token = "TOKEN";
  return files;
}

RunOutcome OutcomeOf(std::vector<RankFiles> ranks) {
  RunOutcome outcome;
  outcome.client = {"fio", "job file"};
  outcome.ranks = std::move(ranks);
  return outcome;
}

TEST(ReportTest, OneProcessIsTold) {
  EXPECT_EQ(TextReport(OutcomeOf({RankWithReport(1)})),
            "aiolab: fio ended with status 0; seed 1, profile retry, 4 CPUs, virtual clock\n"
            "aiolab: process 1 (fio):\n"
            "aiolab:   operation    result              count\n"
            "aiolab:   PREAD        -EAGAIN                 1\n"
            "aiolab:   PREAD        ok                     10\n"
            "aiolab:   retries 5, kicks 0, plugs 0, bios 0\n"
            "aiolab:   virtual time 1.000 us, real time 0.000 us\n"
            "aiolab:   replay it with: aiolab run --replay=TOKEN -- fio 'job file'\n");
}

// The rules of the first process count on from boot to boot, and one token repeats them all.
TEST(ReportTest, TheBootsOfAMachineAreTold) {
  RankFiles first = RankWithReport(1);
  first.report.faults = {{"fsync=nth(3):reboot", 3, 1, 1000, 1000, ""}};
  first.report.power_cut = true;
  first.report.token.clear();
  RankFiles second = RankWithReport(1);
  second.boot = 2;
  second.report.faults = {{"fsync=nth(3):reboot", 7, 1, 1000, 1000, ""}};
  RunOutcome outcome = OutcomeOf({first, second});
  outcome.reboots = {"fsync=nth(3):reboot"};
  EXPECT_THAT(TextReport(outcome), AllOf(HasSubstr("fio ended with status 0; "),
                                         HasSubstr("aiolab:   boot 1 ended by the fault rule fsync=nth(3):reboot\n"),
                                         HasSubstr("aiolab: boot 1, process 1 (fio), ended by a power cut:\n"),
                                         HasSubstr("aiolab: boot 2, process 1 (fio):\n"), HasSubstr("replay it with: "),
                                         Not(HasSubstr("the most"))));
  ASSERT_EQ(Totals(outcome).faults.size(), 1);
  EXPECT_EQ(Totals(outcome).faults[0].occasions, 7);
  EXPECT_EQ(Totals(outcome).faults[0].hits, 1);
  // A client may end with any status, and this power cut was not its end.
  outcome.end.status = kPowerCutExitStatus;
  EXPECT_FALSE(EndedByPowerCut(outcome));
}

TEST(ReportTest, TheLastBootThatThereIsSaysWhatToDo) {
  std::vector<RankFiles> ranks;
  for (int boot = 1; boot <= kBootsMax; ++boot) {
    ranks.push_back(RankWithReport(1));
    ranks.back().boot = boot;
    ranks.back().report.power_cut = true;
  }
  RunOutcome outcome = OutcomeOf(std::move(ranks));
  outcome.reboots.assign(kBootsMax, "fsync=always:reboot");
  outcome.end.status = kPowerCutExitStatus;
  EXPECT_TRUE(EndedByPowerCut(outcome));
  EXPECT_THAT(TextReport(outcome), AllOf(HasSubstr("was ended by a power cut (status 4)"),
                                         HasSubstr("50 boots are the most"), HasSubstr("as in always x2")));
}

TEST(ReportTest, ATokenInAFileIsNamedOnce) {
  RankFiles files = RankWithReport(1);
  files.report.token.clear();
  files.report.token_path = "/tmp/aiolab-token.x";
  EXPECT_THAT(
      TextReport(OutcomeOf({files})),
      AllOf(HasSubstr("replay it with: aiolab run --replay=@/tmp/aiolab-token.x -- fio"), Not(HasSubstr("  token "))));
}

TEST(ReportTest, TheTokensOfSeveralProcessesAreNamedAlone) {
  EXPECT_THAT(TextReport(OutcomeOf({RankWithReport(1), RankWithReport(2)})),
              AllOf(HasSubstr("  token TOKEN\n"), Not(HasSubstr("replay it with"))));
}

TEST(ReportTest, TheReplayCommandNamesWhatTheTokenDependsOn) {
  RunOutcome outcome = OutcomeOf({RankWithReport(1)});
  outcome.config.profile = "mainline";
  outcome.config.cpus = 1;
  outcome.config.seeded_bug = "lost-kick";
  EXPECT_THAT(TextReport(outcome),
              HasSubstr("--replay=TOKEN --profile=mainline --cpus=1 --seeded-bug=lost-kick -- fio"));
}

TEST(ReportTest, ARuleThatNeverStruckInAnyProcessIsAWarning) {
  RankFiles one = RankWithReport(1);
  RankFiles two = RankWithReport(2);
  one.report.faults = {{"any", 5, 1, 2000, 2000, ""},
                       {"submit=nth(9):eagain", 3, 0, -1, -1, "its turn did not come in 3 occasions"}};
  two.report.faults = {{"any", 2, 0, -1, -1, "why"},
                       {"submit=nth(9):eagain", 1, 0, -1, -1, "its turn did not come in 1 occasion"}};
  RunOutcome outcome = OutcomeOf({one, two});
  outcome.config.fault_rules = "any,submit=nth(9):eagain";
  EXPECT_THAT(TextReport(outcome),
              AllOf(HasSubstr("  fault any: struck 1 time in 5 occasions, at 2.000 us\n"),
                    HasSubstr("  fault any: struck 1 time in 7 occasions\n"),
                    HasSubstr("WARNING: the fault rule submit=nth(9):eagain never struck: its turn did not come"),
                    Not(HasSubstr("WARNING: the fault rule any"))));
  const nlohmann::json json = nlohmann::json::parse(JsonReport(outcome));
  EXPECT_EQ(json["totals"]["faults"][0]["hits"], 1);
  EXPECT_EQ(json["processes"][1]["faults"][1]["occasions"], 1);
  EXPECT_EQ(json["config"]["fault_rules"], "any,submit=nth(9):eagain");
}

TEST(ReportTest, AChainThatCameToItsEndInNoProcessIsAWarning) {
  RankFiles one = RankWithReport(1);
  RankFiles two = RankWithReport(2);
  one.report.faults = {{"ends", 2, 2, 2000, 3000, ""}, {"waits", 1, 1, 2000, 2000, "its step 2, eio: why"}};
  two.report.faults = {{"ends", 1, 1, 2000, 2000, "its step 2, eio: why"},
                       {"waits", 0, 0, -1, -1, "nothing was there"}};
  EXPECT_THAT(TextReport(OutcomeOf({one, two})),
              AllOf(HasSubstr("WARNING: the fault rule waits did not strike to its end: its step 2, eio: why\n"),
                    Not(HasSubstr("WARNING: the fault rule ends"))));
}

TEST(ReportTest, TheReplayCommandNamesTheFaultRules) {
  RunOutcome outcome = OutcomeOf({RankWithReport(1)});
  outcome.config.fault_rules = "complete=1in(5):eio";
  EXPECT_THAT(TextReport(outcome), HasSubstr("--replay=TOKEN '--fault=complete=1in(5):eio' -- fio"));
}

TEST(ReportTest, ARunThatCannotBeReplayedSaysWhy) {
  RankFiles files = RankWithReport(1);
  files.report.replayable = false;
  files.report.not_replayable_because = {"the host's clock was used", "two threads were inside at once"};
  EXPECT_THAT(TextReport(OutcomeOf({files})),
              AllOf(HasSubstr("this run cannot be replayed exactly: the host's clock was used; two threads"),
                    Not(HasSubstr("replay it with"))));
}

TEST(ReportTest, ProcessesAreSummedUp) {
  const RunReport totals = Totals(OutcomeOf({RankWithReport(1), RankWithReport(2)}));
  EXPECT_EQ(totals.operations.at("PREAD").at("ok"), 20u);
  EXPECT_EQ(totals.retries, 10u);
  EXPECT_EQ(totals.virtual_time_ns, 2000) << "processes run side by side";
}

TEST(ReportTest, TheTimesOfAFaultAreThoseOfItsFirstAndItsLastHit) {
  RankFiles one = RankWithReport(1);
  one.report.faults = {{"any(x3)", 5, 3, 2000, 4'500'000, ""}};
  EXPECT_THAT(TextReport(OutcomeOf({one})),
              HasSubstr("  fault any(x3): struck 3 times in 5 occasions, from 2.000 us to 4.500 ms\n"));
}

TEST(ReportTest, AReportFromTheMiddleSaysSo) {
  RankFiles waits = RankWithReport(1);
  waits.report.interim = true;
  RankFiles killed = waits;
  waits.runs = true;
  EXPECT_THAT(TextReport(OutcomeOf({waits})), HasSubstr("process 1 (fio), which still runs, when it began to wait:\n"));
  EXPECT_THAT(TextReport(OutcomeOf({killed})),
              HasSubstr("process 1 (fio), killed before its end, when it began to wait"));
}

TEST(ReportTest, AProcessWithoutAReportWasKilledOrStillRuns) {
  RankFiles running;
  running.rank = 1;
  running.command = "daemon";
  RankFiles killed = running;
  running.runs = true;
  killed.rank = 2;
  EXPECT_THAT(TextReport(OutcomeOf({running, killed})),
              AllOf(HasSubstr("process 1 (daemon) still runs, so there is no report of it"),
                    HasSubstr("process 2 (daemon) was killed before it could write its report")));
}

// What a killed process had written by then is there.
TEST(ReportTest, TheTraceOfAKilledProcessIsNamedIfThereIsOne) {
  RankFiles killed;
  killed.rank = 1;
  RunOutcome outcome = OutcomeOf({killed});
  outcome.config.trace_format = "text";
  outcome.config.trace_path = testing::TempDir() + "/no_such_trace";
  EXPECT_THAT(TextReport(outcome), Not(HasSubstr("trace")));
  outcome.config.trace_path = "/dev/null";
  EXPECT_THAT(TextReport(outcome), HasSubstr("  trace in /dev/null\n"));
  outcome.ranks[0].runs = true;
  EXPECT_THAT(TextReport(outcome), HasSubstr("  trace, without its last events, in /dev/null\n"));
}

TEST(ReportTest, ATraceThatIsNotWholeIsSaid) {
  RankFiles files = RankWithReport(1);
  files.report.trace_path = "/dev/full";
  files.report.trace_error = "/dev/full: cannot be written: ENOSPC (No space left on device)";
  EXPECT_THAT(TextReport(OutcomeOf({files})),
              HasSubstr("  trace in /dev/full\naiolab:   THE TRACE IS NOT WHOLE: /dev/full: cannot be written"));
}

TEST(ReportTest, AProcessThatASignalEndedSaysWhich) {
  RankFiles files = RankWithReport(1);
  files.report.killed_by = SIGINT;
  EXPECT_THAT(TextReport(OutcomeOf({files})), HasSubstr("process 1 (fio), killed by SIGINT (Interrupt):\n"));
}

TEST(ExitStatusTest, IsTheClientsOwn) {
  RunOutcome outcome = OutcomeOf({});
  outcome.end.status = 77;
  EXPECT_EQ(ExitStatus(outcome), 77);
  outcome.end.signal = SIGSEGV;
  EXPECT_EQ(ExitStatus(outcome), 139);
  outcome.refusal = "no";
  EXPECT_EQ(ExitStatus(outcome), kRefusedExitStatus);
}

// A client may use status 3 for itself.
TEST(ExitStatusTest, StatusThreeIsAFindingOnlyIfThereIsOne) {
  RunOutcome outcome = OutcomeOf({RankWithReport(1)});
  outcome.end.status = kFindingExitStatus;
  EXPECT_FALSE(EndedByFinding(outcome));
  EXPECT_THAT(TextReport(outcome), HasSubstr("fio ended with status 3"));
  outcome.ranks[0].report.findings = {"a hang"};
  EXPECT_TRUE(EndedByFinding(outcome));
  EXPECT_THAT(TextReport(outcome), HasSubstr("fio was ended by a finding (status 3)"));
}

TEST(JsonReportTest, HoldsProcessesWithAndWithoutAReport) {
  RankFiles killed;
  killed.rank = 2;
  killed.command = "fio";
  RankFiles damaged = killed;
  damaged.rank = 3;
  damaged.has_report = true;
  damaged.report_error = absl::InvalidArgumentError("is not a JSON object");
  RunOutcome outcome = OutcomeOf({RankWithReport(1), killed, damaged});
  outcome.end.signal = SIGKILL;
  const std::string text = JsonReport(outcome);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const nlohmann::json json = nlohmann::json::parse(text);
  EXPECT_EQ(json["client"][1], "job file");
  EXPECT_EQ(json["exit_status"], 137);
  EXPECT_EQ(json["client_signal"], SIGKILL);
  EXPECT_TRUE(json["client_status"].is_null());
  EXPECT_EQ(json["processes"][0]["operations"]["PREAD"]["-EAGAIN"], 1);
  EXPECT_EQ(json["processes"][1]["has_report"], false);
  EXPECT_EQ(json["processes"][2]["error"], "is not a JSON object");
}

TEST(ShellQuoteTest, QuotesWhatAShellWouldChange) {
  EXPECT_EQ(ShellQuote({"a-b_c./:=@,+%9", "", "a b", "it's", "$x"}), "a-b_c./:=@,+%9 '' 'a b' 'it'\\''s' '$x'");
}

}  // namespace
}  // namespace aiolab
