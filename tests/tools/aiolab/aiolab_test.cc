// The program as its user meets it. The model is not here: a small library in its place speaks the run protocol, so
// what is tested is the command line, the client's life under the runner, and the report.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/subprocess/subprocess.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string Aiolab() { return RunfilePath("tools/aiolab/aiolab"); }
std::string Wal() { return RunfilePath("tools/aiolab/wal/wal"); }
std::string FakePreload() { return RunfilePath("tests/tools/aiolab/libfake_preload.so"); }

class AiolabTest : public testing::Test {
 protected:
  ProgramResult Run(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {Aiolab()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return RunProgram(argv, options_);
  }

  // `aiolab run` with the library above, `flags`, and a client.
  ProgramResult RunClient(const std::vector<std::string>& client, std::vector<std::string> flags = {}) {
    std::vector<std::string> arguments = {"run", "--preload-library=" + FakePreload()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    arguments.push_back("--");
    arguments.insert(arguments.end(), client.begin(), client.end());
    return Run(arguments);
  }

  void SetMode(const std::string& mode) { options_.environment.push_back({"FAKE_PRELOAD", mode}); }

  // The command line is refused with `message`, before anything ran.
  void ExpectRefused(const ProgramResult& result, const std::string& message) {
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, AllOf(StartsWith("aiolab"), HasSubstr(message)));
  }

  // What a run leaves in TMPDIR.
  std::vector<std::string> LeftInTmpdir(const std::string& prefix) {
    std::vector<std::string> left;
    for (const auto& entry : std::filesystem::directory_iterator(tmpdir_)) {
      if (entry.path().filename().string().rfind(prefix, 0) == 0) left.push_back(entry.path().string());
    }
    return left;
  }

  const std::string directory_ = NewTestDirectory();
  const std::string tmpdir_ = NewTestDirectory();
  ProgramOptions options_ = {{{"TMPDIR", tmpdir_}, SanitizerEnvironment()}, directory_};
};

TEST_F(AiolabTest, HelpGoesToStandardOutput) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--help"}, {"-h"}, {"help"}, {"help", "help"}}) {
    const ProgramResult result = Run(words);
    EXPECT_EQ(result.status, 0);
    EXPECT_THAT(result.out, AllOf(StartsWith("aiolab runs a program"), HasSubstr("aiolab run -- ./server")));
    EXPECT_EQ(result.err, "");
  }
  const ProgramResult help_run = Run({"help", "run"});
  EXPECT_EQ(help_run.status, 0);
  EXPECT_THAT(help_run.out, AllOf(HasSubstr("--profile=NAME  (default retry)"), HasSubstr("mainline"),
                                  HasSubstr("Exit status:"), Not(HasSubstr("preload-library"))));
  EXPECT_EQ(Run({"run", "--help"}).out, help_run.out);
}

TEST_F(AiolabTest, VersionIsPrinted) { EXPECT_THAT(Run({"--version"}).out, StartsWith("aiolab ")); }

TEST_F(AiolabTest, MistakesInTheCommandAreNamed) {
  ExpectRefused(Run({"rnu"}), "there is no command 'rnu'; did you mean run?");
  ExpectRefused(Run({"explode"}), "there is no command 'explode'; `aiolab help` lists them");
  ExpectRefused(Run({"/bin/true"}), "To run a program: aiolab run -- /bin/true");
  ExpectRefused(Run({"help", "rum"}), "there is no command 'rum'; did you mean run?");
  ExpectRefused(Run({"--seed=7", "run"}), "the flag --seed=7 needs a command before it");
  const ProgramResult nothing = Run({});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_THAT(nothing.err, HasSubstr("aiolab: no command was named"));
}

TEST_F(AiolabTest, AFlagThatIsWrongStopsEverything) {
  const std::string mark = directory_ + "/mark";
  ExpectRefused(RunClient({"touch", mark}, {"--sede=7"}), "there is no flag --sede; did you mean --seed?");
  EXPECT_NE(access(mark.c_str(), F_OK), 0);
}

TEST_F(AiolabTest, TheClientsStatusAndStreamsAreItsOwn) {
  const ProgramResult result = RunClient({"sh", "-c", "cat; echo out; echo err >&2; exit 41"});
  EXPECT_EQ(result.status, 41);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_THAT(result.err, HasSubstr("err\n"));
  EXPECT_THAT(result.err, HasSubstr("aiolab: sh ended with status 41"));
}

TEST_F(AiolabTest, ASignalThatKillsTheClientIsNamed) {
  const ProgramResult result = RunClient({"sh", "-c", "kill -KILL $$"});
  EXPECT_EQ(result.status, 128 + SIGKILL);
  EXPECT_THAT(result.err, HasSubstr("sh was killed by SIGKILL (Killed), status 137"));
}

TEST_F(AiolabTest, AClientWithoutAioIsToldSo) {
  const ProgramResult result = RunClient({"true"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("no process called io_setup"), HasSubstr("--ioengine=libaio")));
}

TEST_F(AiolabTest, TheReportTellsOperationsAndTheToken) {
  const ProgramResult result = RunClient({Wal(), "append", "log", "10"}, {"--seed=7", "--cpus=2"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("wal: appended 10 records"));
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("seed 7, profile retry, 2 CPUs, virtual clock"), HasSubstr("process 1 (wal):"),
                    HasSubstr("PWRITE       ok"), HasSubstr("virtual time 1.500 ms"),
                    HasSubstr("--replay=TOKEN-OF-SEED-7 --cpus=2 -- " + Wal() + " append log 10")));
  EXPECT_THAT(LeftInTmpdir(""), IsEmpty());
}

TEST_F(AiolabTest, TheJsonReportIsOneLineOfJson) {
  const ProgramResult result = RunClient({Wal(), "append", "log", "10"}, {"--report", "json"});
  const nlohmann::json json = nlohmann::json::parse(result.err, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(json.is_object()) << result.err;
  EXPECT_EQ(json["client_status"], 0);
  EXPECT_EQ(json["config"]["seed"], 1);
  EXPECT_EQ(json["processes"][0]["token"], "TOKEN-OF-SEED-1");
  EXPECT_EQ(json["totals"]["operations"], json["processes"][0]["operations"]);
}

TEST_F(AiolabTest, EveryProcessHasItsRankAndTrace) {
  const ProgramResult result =
      RunClient({"sh", "-c", "\"$0\" append a 5; \"$0\" append b 5", Wal()}, {"--trace=text:the trace"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("process 1 (wal)"), HasSubstr("process 2 (wal)"),
                                HasSubstr("all 2 processes together"), Not(HasSubstr("replay it with"))));
  EXPECT_THAT(ReadFile(directory_ + "/the trace").value(), HasSubstr("req=1"));
  EXPECT_THAT(ReadFile(directory_ + "/the trace.2").value(), HasSubstr("req=1"));
}

TEST_F(AiolabTest, ATraceOfAnEarlierRunIsNotTakenForThisOnes) {
  ASSERT_TRUE(CreateFile(directory_ + "/trace", "old").ok());
  EXPECT_EQ(RunClient({"true"}, {"--trace=text:trace"}).status, 0);
  EXPECT_NE(access((directory_ + "/trace").c_str(), F_OK), 0);
}

TEST_F(AiolabTest, AFindingEndsTheClientWithStatusThree) {
  SetMode("finding");
  const ProgramResult result = RunClient({Wal(), "append", "log"});
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("was ended by a finding (status 3)"), HasSubstr("FINDING in process 1 (wal):"),
                    HasSubstr("aiolab:     task 1 waits for the ring")));
}

// The client is the shell: it saw its child's finding and went on.
TEST_F(AiolabTest, AFindingInAChildLeavesTheClientsStatus) {
  SetMode("finding");
  const ProgramResult result = RunClient({"sh", "-c", "\"$0\" append log; exit 5", Wal()});
  EXPECT_EQ(result.status, 5);
  EXPECT_THAT(result.err, AllOf(HasSubstr("sh ended with status 5"), HasSubstr("FINDING in process 1")));
}

TEST_F(AiolabTest, AProcessThatWasKilledHasNoReport) {
  SetMode("kill");
  const ProgramResult result = RunClient({Wal(), "append", "log"});
  EXPECT_EQ(result.status, 128 + SIGKILL);
  EXPECT_THAT(result.err, HasSubstr("process 1 (wal) was killed before it could write its report"));
}

TEST_F(AiolabTest, AReportThatCannotBeReadIsSaid) {
  SetMode("garbage");
  const ProgramResult result = RunClient({Wal(), "append", "log"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("process 1 (wal) wrote a report that cannot be read"),
                                HasSubstr("report.1.json: is not a JSON object")));
}

TEST_F(AiolabTest, ARefusalOfThePreloadLibraryIsTheRunners) {
  SetMode("refuse");
  ExpectRefused(RunClient({Wal(), "append", "log"}), "no seeded bug 'lost-kik'; did you mean lost-kick?");
}

TEST_F(AiolabTest, ATokenInTheRunsDirectoryIsKept) {
  SetMode("long-token");
  const ProgramResult result = RunClient({Wal(), "append", "log"});
  const std::vector<std::string> kept = LeftInTmpdir("aiolab-token.");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(ReadFile(kept[0]).value(), "TOKEN-OF-SEED-1");
  EXPECT_THAT(result.err, HasSubstr("--replay=@" + kept[0]));

  // Its replay has the same one, and makes no second file.
  const ProgramResult replay = RunClient({Wal(), "append", "log"}, {"--replay=@" + kept[0]});
  EXPECT_THAT(replay.err, HasSubstr("--replay=@" + kept[0]));
  EXPECT_EQ(LeftInTmpdir("aiolab-token.").size(), 1u);
}

TEST_F(AiolabTest, TheTokensOfFurtherProcessesAreNotKeptInFiles) {
  SetMode("long-token");
  const ProgramResult result = RunClient({"sh", "-c", "\"$0\" append a 5; \"$0\" append b 5", Wal()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(LeftInTmpdir("aiolab-token.").size(), 1u);
}

// `bazel run` starts the program by a path that nobody would type.
TEST_F(AiolabTest, AfterBazelRunTheCommandsNameTheLinkInTheWorkspace) {
  const std::string workspace = NewTestDirectory();
  std::filesystem::create_directories(workspace + "/bazel-bin/tools/aiolab");
  std::filesystem::create_symlink(std::filesystem::canonical(Aiolab()), workspace + "/bazel-bin/tools/aiolab/aiolab");
  options_.environment.push_back({"BUILD_WORKSPACE_DIRECTORY", workspace});
  options_.environment.push_back({"BUILD_WORKING_DIRECTORY", workspace});
  EXPECT_THAT(RunClient({Wal(), "append", "log", "3"}).err,
              HasSubstr("replay it with: bazel-bin/tools/aiolab/aiolab run --replay="));
  options_.environment.back().second = directory_;
  EXPECT_THAT(RunClient({Wal(), "append", "log", "3"}).err,
              HasSubstr("replay it with: " + workspace + "/bazel-bin/tools/aiolab/aiolab run --replay="));
}

TEST_F(AiolabTest, ReplayTokensComeFromTheCommandLineOrAFile) {
  EXPECT_THAT(RunClient({Wal(), "append", "log"}, {"--replay=ABC"}).err, HasSubstr("--replay=ABC --"));

  // Longer than one environment string may be.
  const std::string token(200'000, 'Q');
  ASSERT_TRUE(CreateFile(directory_ + "/token", token + "\n").ok());
  const ProgramResult result = RunClient({Wal(), "append", "log"}, {"--replay=@token"});
  EXPECT_EQ(result.status, 0) << result.err.substr(0, 500);
  EXPECT_THAT(result.err, HasSubstr("--replay=" + token + " --"));
  EXPECT_THAT(result.err, HasSubstr("a replay, profile retry"));

  ExpectRefused(RunClient({"true"}, {"--replay=@no_such_file"}),
                "aiolab run: --replay=@no_such_file: cannot be opened: ENOENT");
  ExpectRefused(RunClient({"true"}, {"--replay=A B"}), "was it cut or wrapped?");
}

TEST_F(AiolabTest, ClientsThatCannotBeEnteredAreRefused) {
  ExpectRefused(RunClient({"no_such_program"}), "no_such_program: there is no such program in PATH");
  ExpectRefused(RunClient({"./no_such_program"}), "No such file or directory (seen from ");
  ExpectRefused(RunClient({directory_}), "is a directory");
  ExpectRefused(RunClient({RunfilePath("tests/tools/aiolab/static_client")}), "is a static binary");
}

TEST_F(AiolabTest, ATraceThatCannotBeWrittenIsRefused) {
  ExpectRefused(RunClient({"true"}, {"--trace=text:no/such/dir/t"}), "--trace=text:no/such/dir/t: cannot be made in");
  ExpectRefused(RunClient({"true"}, {"--trace=text:/proc/t"}), "--trace=text:/proc/t: cannot be made in /proc");
  ExpectRefused(RunClient({"true"}, {"--trace=text:."}), "is a directory");
}

TEST_F(AiolabTest, AMissingPreloadLibraryIsNamed) {
  ExpectRefused(Run({"run", "--preload-library=nowhere.so", "--", "true"}), "--preload-library=nowhere.so");
}

// LD_PRELOAD cannot name a path with a blank.
TEST_F(AiolabTest, APreloadLibraryMayBeInADirectoryWithABlank) {
  const std::string with_blank = directory_ + "/a b";
  ASSERT_EQ(mkdir(with_blank.c_str(), 0755), 0);
  std::filesystem::copy_file(FakePreload(), with_blank + "/lib.so");
  const ProgramResult result = Run({"run", "--preload-library=a b/lib.so", "--", Wal(), "append", "log", "3"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, HasSubstr("process 1 (wal)"));
}

TEST_F(AiolabTest, ThePreloadLibraryOfTheUserStays) {
  options_.environment.push_back({"LD_PRELOAD", RunfilePath("tests/tools/aiolab/libflaky_libaio.so")});
  const ProgramResult result = RunClient({"sh", "-c", "echo $LD_PRELOAD"});
  EXPECT_THAT(result.out, AllOf(HasSubstr("libfake_preload.so:"), HasSubstr("libflaky_libaio.so")));
}

// `bazel run` starts the program elsewhere and says where the user is.
TEST_F(AiolabTest, RelativePathsAreTheUsersUnderBazelRun) {
  ASSERT_TRUE(CreateFile(directory_ + "/client", "#!/bin/sh\npwd\n").ok());
  ASSERT_EQ(chmod((directory_ + "/client").c_str(), 0755), 0);
  options_.directory = "/";
  options_.environment.push_back({"BUILD_WORKING_DIRECTORY", directory_});
  const ProgramResult result = RunClient({"./client"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, std::filesystem::canonical(directory_).string() + "\n");
}

// Runs `aiolab run -- sh -c script` in a process group of its own, sends `signal` to `whole_group` or the runner alone
// once the script has made the file "ready", and returns the runner's wait status.
int SignalTheRunner(const std::string& script, int signal, bool whole_group, const std::string& directory) {
  const std::string library = "--preload-library=" + FakePreload();
  const pid_t runner = fork();
  if (runner == 0) {
    setpgid(0, 0);
    if (chdir(directory.c_str()) != 0 || freopen("err", "w", stderr) == nullptr) _exit(99);
    setenv(SanitizerEnvironment().first.c_str(), SanitizerEnvironment().second.c_str(), /*overwrite=*/1);
    execl(Aiolab().c_str(), "aiolab", "run", library.c_str(), "--", "sh", "-c", script.c_str(), nullptr);
    _exit(98);
  }
  for (int i = 0; i < 1000 && access((directory + "/ready").c_str(), F_OK) != 0; ++i) usleep(10'000);
  kill(whole_group ? -runner : runner, signal);
  int status = 0;
  waitpid(runner, &status, 0);
  return status;
}

// Ctrl-C: the terminal sends SIGINT to the whole group. The client decides what it means; the runner stays to report.
TEST_F(AiolabTest, CtrlCIsTheClients) {
  const int status = SignalTheRunner("trap 'exit 33' INT; : >ready; while :; do sleep 0.05; done", SIGINT,
                                     /*whole_group=*/true, directory_);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 33);
  EXPECT_THAT(ReadFile(directory_ + "/err").value(), HasSubstr("sh ended with status 33"));
}

TEST_F(AiolabTest, SigtermToTheRunnerReachesTheClient) {
  const int status = SignalTheRunner("trap 'exit 34' TERM; : >ready; while :; do sleep 0.05; done", SIGTERM,
                                     /*whole_group=*/false, directory_);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 34);
}

TEST_F(AiolabTest, AClientThatDiesOfSigtermIsReported) {
  const int status = SignalTheRunner(": >ready; exec sleep 60", SIGTERM, /*whole_group=*/false, directory_);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGTERM);
}

TEST_F(AiolabTest, WithoutAClientTheLogRunsUnderThreeSeedsAndAStoryIsTold) {
  const ProgramResult result = Run({"run", "--preload-library=" + FakePreload(), "--seed=5"});
  EXPECT_EQ(result.status, 0) << result.err;
  for (const char* seed : {"seed 5,", "seed 6,", "seed 7,"}) EXPECT_THAT(result.err, HasSubstr(seed));
  // The log's own checker, once per seed.
  EXPECT_THAT(result.out, HasSubstr("all 200 acknowledged ones in order"));
  EXPECT_THAT(result.err, HasSubstr("One request's story, request 2 of "));
  EXPECT_THAT(result.err, HasSubstr("  [7] 11 wal 0 aio_submit: req=2 op=pwrite\n"
                                    "  [8] 12 kworker 1 aio_retry: req=2 res=-EIOCBRETRY\n"));
  const std::vector<std::string> kept = LeftInTmpdir("aiolab-wal.");
  ASSERT_EQ(kept.size(), 1u);
  for (const char* file : {"/trace.seed-5", "/trace.seed-6", "/trace.seed-7"}) {
    EXPECT_EQ(access((kept[0] + file).c_str(), F_OK), 0) << file;
    EXPECT_THAT(result.err, HasSubstr(kept[0] + file));
  }
  // Logs that were right are gone, and the commands need no path of the log's program.
  EXPECT_NE(access((kept[0] + "/seed-5.wal").c_str(), F_OK), 0);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("aiolab: wal ended with status 0; seed 5"),
                    HasSubstr(Aiolab() + " run --replay=@" + kept[0] + "/token.seed-5\n"), Not(HasSubstr(Wal()))));
  EXPECT_THAT(LeftInTmpdir("aiolab-run."), IsEmpty());
}

// A runner that was killed could not remove its directory; one that lives has it locked.
TEST_F(AiolabTest, TheDirectoriesOfKilledRunnersGoWithTheNextRun) {
  const std::string left = tmpdir_ + "/aiolab-run.killed";
  const std::string used = tmpdir_ + "/aiolab-run.lives";
  for (const std::string& path : {left, used}) {
    ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
    ASSERT_TRUE(CreateFile(path + "/rank.1", "x").ok());
  }
  const int fd = open(used.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  EXPECT_EQ(RunClient({"true"}).status, 0);
  EXPECT_THAT(LeftInTmpdir("aiolab-"), ElementsAre(used));
  close(fd);
}

TEST_F(AiolabTest, TheHelpNamesEveryFault) {
  const std::string help = Run({"help", "run"}).out;
  for (const char* line : {"where[filter]=when:what", "  submit\n      short eagain", "\n  fsync\n      eio enospc"}) {
    EXPECT_THAT(help, HasSubstr(line));
  }
}

TEST_F(AiolabTest, WithoutAClientAFindingIsTheStatus) {
  SetMode("finding");
  EXPECT_EQ(Run({"run", "--preload-library=" + FakePreload()}).status, 3);
}

TEST_F(AiolabTest, WithoutAClientARefusalIsSaidOnce) {
  SetMode("refuse");
  const ProgramResult result = Run({"run", "--preload-library=" + FakePreload()});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.err, "aiolab: no seeded bug 'lost-kik'; did you mean lost-kick?\n");
}

}  // namespace
}  // namespace aiolab
