#include "tools/aiolab/run_protocol.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

RunConfig FullConfig() {
  RunConfig config;
  config.seed = 18446744073709551615u;
  config.profile = "linux-3.4";
  config.cpus = 96;
  config.clock = RunClock::kHost;
  config.trace_format = "text";
  config.trace_path = "/home/anna/100% = a & b\n\xff.trace";
  config.replay_token = "1-ABCDEF=";
  config.replay_path = "/tmp/token";
  config.seeded_bug = "lost-kick";
  config.simfs = "/data:disk=hdd,size=2M,cache=off";
  config.fault_rules = "complete[path=/a b&c]=nth(1):short(512)->eio";
  config.hang_after_s = 7;
  config.run_dir = "/tmp/aiolab-run.x y";
  config.boot_from = "/tmp/aiolab-run.x y/boot.2";
  config.record_writes = true;
  return config;
}

TEST(RunConfigTest, ParseIsTheInverseOfSerialize) {
  const absl::StatusOr<RunConfig> parsed = ParseRunConfig(SerializeRunConfig(FullConfig()));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, FullConfig());

  RunConfig defaults;
  defaults.run_dir = "/d";
  const absl::StatusOr<RunConfig> parsed_defaults = ParseRunConfig(SerializeRunConfig(defaults));
  ASSERT_TRUE(parsed_defaults.ok()) << parsed_defaults.status();
  EXPECT_EQ(*parsed_defaults, defaults);
}

// An environment string ends at the first NUL, and a shell user who prints it wants one line.
TEST(RunConfigTest, SerializedTextIsOneLineOfPrintableAscii) {
  for (const char c : SerializeRunConfig(FullConfig())) {
    EXPECT_GT(c, ' ');
    EXPECT_LT(c, 127);
  }
}

// The message for the defaults' text after one replacement.
std::string ErrorAfter(absl::string_view from, absl::string_view to) {
  RunConfig config;
  config.run_dir = "/d";
  const std::string text = SerializeRunConfig(config);
  EXPECT_THAT(text, HasSubstr(std::string(from)));
  const absl::StatusOr<RunConfig> parsed = ParseRunConfig(absl::StrReplaceAll(text, {{from, to}}));
  return std::string(parsed.status().message());
}

TEST(RunConfigTest, MistakesAreNamed) {
  EXPECT_EQ(ErrorAfter("seed=1", "seed=-1"),
            "AIOLAB_RUN: seed is '-1', but has to be a number from 0 to 18446744073709551615");
  EXPECT_EQ(ErrorAfter("cpus=4", "cpus=0"), "AIOLAB_RUN: cpus is '0', but has to be a number of at least 1");
  EXPECT_EQ(ErrorAfter("clock=virtual", "clock=wall"), "AIOLAB_RUN: clock is 'wall', but has to be virtual or host");
  EXPECT_EQ(ErrorAfter("run_dir=/d", "run_dir=d"), "AIOLAB_RUN: run_dir is 'd', but has to be an absolute path");
  EXPECT_EQ(ErrorAfter("run_dir=/d", "run_dir="), "AIOLAB_RUN: run_dir is '', but has to be an absolute path");
  EXPECT_EQ(ErrorAfter("profile=retry", "profile="), "AIOLAB_RUN: profile is '', but has to be the name of a profile");
  EXPECT_EQ(ErrorAfter("profile=retry", "profile=%4"),
            "AIOLAB_RUN: profile '%4' is not '%' and two hexadecimal digits");
  EXPECT_EQ(ErrorAfter("trace_format=", "trace_format=xml"),
            "AIOLAB_RUN: trace_format is 'xml', but has to be text, or nothing");
  EXPECT_EQ(ErrorAfter("trace_format=", "trace_format=text"),
            "AIOLAB_RUN: trace_format and trace_path need each other");
  EXPECT_THAT(ErrorAfter("seed=1", "sede=1"), HasSubstr("sede is not known"));
  EXPECT_THAT(ErrorAfter("seed=1&", ""), HasSubstr("seed is missing"));
  EXPECT_THAT(ErrorAfter("seed=1", "seed=1&seed=2"), HasSubstr("seed is there twice"));
  EXPECT_THAT(ErrorAfter("version=1", "version=2"), HasSubstr("version is '2', but has to be 1"));
  EXPECT_THAT(ErrorAfter("seed=1", "seed"), HasSubstr("'seed' is not key=value"));
  EXPECT_THAT(std::string(ParseRunConfig("").status().message()), HasSubstr("is not key=value"));
}

TEST(RunConfigTest, TheTokenComesFromTheVariableOrTheFile) {
  RunConfig config;
  EXPECT_EQ(ReadReplayToken(config).value(), "");
  config.replay_token = "short";
  EXPECT_EQ(ReadReplayToken(config).value(), "short");
  config.replay_token = "";
  config.replay_path = NewTestDirectory() + "/token";
  EXPECT_TRUE(absl::IsNotFound(ReadReplayToken(config).status()));
  ASSERT_TRUE(CreateFile(config.replay_path, "long").ok());
  EXPECT_EQ(ReadReplayToken(config).value(), "long");
}

TEST(RunConfigTest, EachRankHasATraceOfItsOwn) {
  RunConfig config;
  EXPECT_EQ(TracePathOfRank(config, 2), "");
  config.trace_path = "/t/x.trace";
  EXPECT_EQ(TracePathOfRank(config, 1), "/t/x.trace");
  EXPECT_EQ(TracePathOfRank(config, 2), "/t/x.trace.2");
}

TEST(ClaimRankTest, RanksCountFromOne) {
  const std::string run_dir = NewTestDirectory();
  EXPECT_EQ(ClaimRank(run_dir).value(), 1);
  EXPECT_EQ(ClaimRank(run_dir).value(), 2);
  const std::vector<RankFiles> ranks = ReadRankFiles(run_dir);
  ASSERT_EQ(ranks.size(), 2u);
  EXPECT_EQ(ranks[0].rank, 1);
  EXPECT_EQ(ranks[1].rank, 2);
  EXPECT_EQ(ranks[0].pid, getpid());
  EXPECT_THAT(ranks[0].command, testing::StartsWith("run_protocol"));
  EXPECT_FALSE(ranks[0].has_report);
  EXPECT_TRUE(ranks[0].runs);
}

// One that nobody has waited for yet has ended, too.
TEST(ClaimRankTest, AProcessThatHasEndedRunsNoMore) {
  const std::string run_dir = NewTestDirectory();
  const pid_t child = fork();
  if (child == 0) _exit(ClaimRank(run_dir).value_or(0));
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(ReadRankFiles(run_dir).at(0).runs);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(ReadRankFiles(run_dir).at(0).runs);
}

// Many claims at once: every rank is given out once, none is left out.
TEST(ClaimRankTest, ConcurrentClaimsGetDifferentRanks) {
  const std::string run_dir = NewTestDirectory();
  constexpr int kThreads = 4;
  constexpr int kClaims = 25;
  std::vector<std::vector<int>> claimed(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kClaims; ++i) claimed[t].push_back(ClaimRank(run_dir).value());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<int> all;
  for (const std::vector<int>& ranks : claimed) all.insert(ranks.begin(), ranks.end());
  EXPECT_EQ(all.size(), static_cast<size_t>(kThreads * kClaims));
  EXPECT_EQ(*all.begin(), 1);
  EXPECT_EQ(*all.rbegin(), kThreads * kClaims);
}

TEST(ClaimRankTest, AMissingDirectoryIsAnError) {
  const absl::StatusOr<int> rank = ClaimRank("/no/such/directory");
  EXPECT_TRUE(absl::IsNotFound(rank.status())) << rank.status();
}

RunReport FullReport(int rank) {
  RunReport report;
  report.rank = rank;
  report.command = "fio";
  report.operations = {{"PREAD", {{"ok", 18446744073709551615u}, {"-EAGAIN", 3}}}, {"FSYNC", {{"ok", 1}}}};
  report.retries = 1;
  report.simfs = {.files = 1, .bytes_written = 2, .disk_requests = 3, .merges = 4, .flushes = 5};
  report.warnings = {"it executed /bin/sh"};
  report.kicks = 2;
  report.plugs = 3;
  report.bios = 4;
  report.virtual_time_ns = 5000000000;
  report.real_time_ns = 6;
  report.replayable = false;
  report.not_replayable_because = {"two threads", "host clock"};
  report.faults = {{"any", 18446744073709551615u, 2, 5, 7, ""},
                   {"submit=nth(9):eagain", 3, 0, -1, -1, "its turn did not come"}};
  report.findings = {"a hang\n  task 1 waits for the ring"};
  report.token = "ABC";
  report.token_path = "/t/token";
  report.trace_path = "/t/trace";
  report.interim = true;
  return report;
}

TEST(RunReportTest, JsonHoldsEverything) {
  const absl::StatusOr<RunReport> report = RunReportFromJson(RunReportToJson(FullReport(3)));
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(*report, FullReport(3));
}

TEST(RunReportTest, ANameThatIsNotUtf8IsNoObstacle) {
  RunReport report = FullReport(1);
  report.command = "a\xff";
  EXPECT_EQ(RunReportFromJson(RunReportToJson(report)).value().command, "a\xef\xbf\xbd");
}

TEST(RunReportTest, MistakesAreNamed) {
  EXPECT_EQ(RunReportFromJson("{").status().message(), "is not a JSON object");
  EXPECT_EQ(RunReportFromJson("[]").status().message(), "is not a JSON object");
  EXPECT_EQ(RunReportFromJson("{}").status().message(), "'rank' is missing");
  const std::string json = RunReportToJson(FullReport(1));
  EXPECT_EQ(RunReportFromJson(absl::StrReplaceAll(json, {{"\"retries\": 1", "\"retries\": -1"}})).status().message(),
            "'retries' has to be a whole number of at least 0");
  EXPECT_EQ(RunReportFromJson(absl::StrReplaceAll(json, {{"\"-EAGAIN\": 3", "\"-EAGAIN\": \"3\""}})).status().message(),
            "'operations': 'PREAD': '-EAGAIN' has to be a count");
  EXPECT_EQ(RunReportFromJson(absl::StrReplaceAll(json, {{"\"two threads\"", "2"}})).status().message(),
            "'not_replayable_because' has to be a list of strings");
}

TEST(RankFilesTest, ReportsBelongToTheirRanks) {
  const std::string run_dir = NewTestDirectory();
  ASSERT_EQ(ClaimRank(run_dir).value(), 1);
  ASSERT_EQ(ClaimRank(run_dir).value(), 2);
  ASSERT_EQ(ClaimRank(run_dir).value(), 3);
  ASSERT_TRUE(WriteRunReport(run_dir, FullReport(2)).ok());
  ASSERT_TRUE(CreateFile(run_dir + "/report.3.json", "{\"rank\": 3}").ok());

  const std::vector<RankFiles> ranks = ReadRankFiles(run_dir);
  ASSERT_EQ(ranks.size(), 3u);
  EXPECT_FALSE(ranks[0].has_report);
  EXPECT_TRUE(ranks[1].has_report);
  EXPECT_TRUE(ranks[1].report_error.ok());
  EXPECT_EQ(ranks[1].report, FullReport(2));
  EXPECT_TRUE(ranks[2].has_report);
  EXPECT_EQ(ranks[2].report_error.message(), run_dir + "/report.3.json: 'command' is missing");
}

TEST(RankFilesTest, ALaterReportReplacesTheFirst) {
  const std::string run_dir = NewTestDirectory();
  ASSERT_EQ(ClaimRank(run_dir).value(), 1);
  RunReport report = FullReport(1);
  ASSERT_TRUE(WriteRunReport(run_dir, report).ok());
  report.retries = 77;
  ASSERT_TRUE(WriteRunReport(run_dir, report).ok());
  EXPECT_EQ(ReadRankFiles(run_dir).at(0).report.retries, 77u);
}

TEST(RefusalTest, TheFirstReasonStays) {
  const std::string run_dir = NewTestDirectory();
  EXPECT_EQ(ReadRefusal(run_dir), "");
  EXPECT_TRUE(WriteRefusal(run_dir, "no such profile").ok());
  EXPECT_TRUE(WriteRefusal(run_dir, "another").ok());
  EXPECT_EQ(ReadRefusal(run_dir), "no such profile");
  EXPECT_THAT(ReadRankFiles(run_dir), IsEmpty());
}

}  // namespace
}  // namespace aiolab
