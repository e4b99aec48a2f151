// aiolab crash, as its users start it.
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sector_store.h"
#include "kernel_model/fs/simfs/image.h"
#include "tests/subprocess/subprocess.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Nothing of that name is on the host.
constexpr char kSimfs[] = "--simfs=/aiolab-test-data:size=4M";
constexpr char kPrefix[] = "/aiolab-test-data";

// Every record that the client has named is in its log, whole.
constexpr char kCheck[] =
    "--check=test $(cat {dir}/log 2>/dev/null | grep -acE '^[a-z]{600}$') -ge $(grep -c . {acked})";
constexpr char kDeviceCheck[] = "--check=test $(grep -acE '^[a-z]{600}$' {dir}/dev0) -ge $(grep -c . {acked})";

class CrashCommandTest : public testing::Test {
 protected:
  ProgramResult Crash(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {RunfilePath("tools/aiolab/aiolab"), "crash"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return RunProgram(argv, {{{"TMPDIR", directory_}, SanitizerEnvironment()}, directory_});
  }
  ProgramResult CrashClient(const std::vector<std::string>& flags, const char* way, const char* file = "log") {
    std::vector<std::string> arguments = {kSimfs};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    for (const std::string& word : {std::string("--"), RunfilePath("tests/clients/appends_and_says"),
                                    absl::StrCat(kPrefix, "/", file), std::string(way), std::string("4")}) {
      arguments.push_back(word);
    }
    return Crash(arguments);
  }
  std::string Path(const std::string& name) { return absl::StrCat(directory_, "/", name); }

  const std::string directory_ = NewTestDirectory();
};

void ReadDisk(const SectorStore& store, simfs::Image* image) {
  std::string problem;
  const int error = simfs::ReadImage(
      [&store](uint64_t first, uint64_t blocks, char* to) {
        store.Read(first * simfs::kSectorsPerBlock, absl::MakeSpan(to, blocks * simfs::kBlockSize));
        return 0;
      },
      image, &problem);
  ASSERT_EQ(error, 0) << problem;
}

// The size of a file in the root directory; -1 if it is not there.
int64_t SizeOf(simfs::Image& image, const std::string& name) {
  const auto entry = image.inodes[simfs::kRootIno].entries.find(name);
  if (entry == image.inodes[simfs::kRootIno].entries.end()) return -1;
  return static_cast<int64_t>(image.inodes[entry->second].attributes.size);
}

TEST_F(CrashCommandTest, TheEmbeddedLogSurvivesEveryPowerCut) {
  const ProgramResult result = Crash({kSimfs});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr(" distinct images at "), HasSubstr("no power cut that breaks it")));
  EXPECT_EQ(result.out, "");
}

TEST_F(CrashCommandTest, ItsVariantWithRenameBeforeFsyncDoesNotAndTheFsyncIsNamed) {
  const ProgramResult result = Crash({kSimfs, "--demo=rename-before-fsync"});
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("FOUND: a power cut that breaks it: 6 records were acknowledged, but only 0 are there"),
                    HasSubstr("the last line: acknowledged 6"), HasSubstr("aiolab: crash point "),
                    HasSubstr("the image has the file with 0 bytes): no fsync or fdatasync of /aiolab-test-data/log "
                              "after they were written")));
}

// Not a terminal: no progress.
TEST_F(CrashCommandTest, InAPipeItSaysOnlyItsReport) {
  const ProgramResult result = Crash({kSimfs, "--demo=rename-before-fsync"});
  EXPECT_THAT(result.err, Not(HasSubstr("\r")));
  for (const absl::string_view line : absl::StrSplit(result.err, '\n', absl::SkipEmpty())) {
    EXPECT_THAT(std::string(line), StartsWith("aiolab: "));
  }
}

TEST_F(CrashCommandTest, TheSameSeedFindsTheSame) {
  const std::vector<std::string> arguments = {kSimfs, "--demo=rename-before-fsync", "--seed=3", "--at=20"};
  EXPECT_EQ(Crash(arguments).err, Crash(arguments).err);
}

TEST_F(CrashCommandTest, TheExportedImageIsTheDiskThatWasRefused) {
  ASSERT_EQ(Crash({kSimfs, "--demo=rename-before-fsync", "--export-image=bad.img"}).status, 1);
  const std::string bytes = ReadFile(Path("bad.img")).value();
  ASSERT_EQ(bytes.size(), size_t{4} << 20);
  SectorStore store;
  store.Write(0, bytes);
  simfs::Image image;
  ReadDisk(store, &image);
  EXPECT_EQ(SizeOf(image, "log"), 0);
}

// Method: the log is replayed as replay-log does it, from the layout in the kernel's dm-log-writes.c, and has to give
// the disk as the client left it.
TEST_F(CrashCommandTest, TheExportedLogReplaysToTheLastDisk) {
  ASSERT_EQ(Crash({kSimfs, "--export-log=writes"}).status, 0);
  const std::string log = ReadFile(Path("writes")).value();
  const auto number = [&log](size_t at) {
    uint64_t value;
    memcpy(&value, log.data() + at, sizeof(value));
    return value;
  };
  ASSERT_GT(log.size(), 512u);
  EXPECT_EQ(number(0), 0x6a736677736872u);
  EXPECT_EQ(number(8), 1u);
  uint32_t sector_bytes;
  memcpy(&sector_bytes, log.data() + 24, sizeof(sector_bytes));
  EXPECT_EQ(sector_bytes, 512u);
  SectorStore store;
  size_t at = 512;
  int marks = 0;
  for (uint64_t entry = 0; entry < number(16); ++entry) {
    ASSERT_LE(at + 512, log.size());
    const uint64_t sector = number(at);
    const size_t bytes = number(at + 8) * 512;
    marks += number(at + 16) == 8 ? 1 : 0;
    at += 512;
    ASSERT_LE(at + bytes, log.size());
    store.Write(sector, absl::string_view(log).substr(at, bytes));
    at += bytes;
  }
  EXPECT_EQ(at, log.size());
  EXPECT_GT(marks, 4);  // one for each acknowledgement
  simfs::Image image;
  ReadDisk(store, &image);
  EXPECT_GT(SizeOf(image, "log"), 0);
  EXPECT_EQ(SizeOf(image, "log.new"), -1);
}

TEST_F(CrashCommandTest, AClientThatSyncsBeforeItSpeaksSurvives) {
  const ProgramResult result = CrashClient({kCheck, "--images=24"}, "sync");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "1\n2\n3\n4\n") << "the client's output is the user's, too";
  EXPECT_THAT(result.err, HasSubstr("no power cut that breaks it"));
  EXPECT_NE(access(kPrefix, F_OK), 0) << "something was left on the host";
}

TEST_F(CrashCommandTest, AClientThatForgetsItsFdatasyncIsFoundAndTheCallIsNamed) {
  const ProgramResult result = CrashClient({kCheck, "--images=24"}, "nosync");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("the checker ended with status 1"), HasSubstr("the last line: "),
                                HasSubstr("no fsync or fdatasync of /aiolab-test-data/log after they were written")));
}

TEST_F(CrashCommandTest, AKilledClientLeavesItsLog) {
  const ProgramResult result = CrashClient({kCheck, "--images=24"}, "killed");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("WARNING: the client ended with status 137"), HasSubstr("no power cut that breaks it")));
}

TEST_F(CrashCommandTest, AForkMakesNothingDurable) {
  const ProgramResult result = CrashClient({kCheck, "--images=24"}, "forks");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("no fsync or fdatasync of /aiolab-test-data/log after they were written"));
}

// Killed before anything reached the disk: that is lost whatever the disk does.
TEST_F(CrashCommandTest, AClientThatIsKilledWithItsPromisesInMemoryIsFound) {
  const ProgramResult result =
      Crash({kSimfs, kCheck, "--", "sh", "-c", absl::StrCat("echo a >", kPrefix, "/x; echo 1; kill -9 $$")});
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("The client had promised 2 bytes of output; the last line: 1"));
}

// Its disk begins as its parent's was at the fork.
TEST_F(CrashCommandTest, AChildThatDoesTheWorkIsLookedAt) {
  const ProgramResult synced = CrashClient({kCheck, "--images=24"}, "child");
  EXPECT_EQ(synced.status, 0) << synced.err;
  EXPECT_THAT(synced.err,
              AllOf(HasSubstr("2 processes wrote to files below /aiolab-test-data, each to files of its own; "
                              "only those of process 2 are looked at"),
                    HasSubstr("24 distinct images at ")));
  const ProgramResult lost = CrashClient({kCheck, "--images=24"}, "child-nosync");
  EXPECT_EQ(lost.status, 1) << lost.err;
  EXPECT_THAT(lost.err, HasSubstr("no fsync or fdatasync of /aiolab-test-data/log after they were written"));
}

TEST_F(CrashCommandTest, AChildThatOnlyReadsIsNoWriter) {
  const ProgramResult durable = CrashClient({kCheck, "--images=8"}, "lists");
  EXPECT_EQ(durable.status, 0) << durable.err;
  EXPECT_THAT(durable.err, AllOf(HasSubstr("no power cut that breaks it"), Not(HasSubstr("WARNING"))));
  // What its parent could lose is not the child's doing either.
  const std::string script = absl::StrCat("echo a >", kPrefix, "/x; echo 1; (echo ", kPrefix, "/*); echo 2");
  const ProgramResult undurable = Crash({kSimfs, "--check=: {dir}", "--images=8", "--", "sh", "-c", script});
  EXPECT_EQ(undurable.status, 0) << undurable.err;
  EXPECT_EQ(undurable.out, absl::StrCat("1\n", kPrefix, "/dev0 ", kPrefix, "/x\n2\n"));
  EXPECT_THAT(undurable.err, Not(HasSubstr("WARNING")));
}

TEST_F(CrashCommandTest, TheDeviceNodeIsLookedAtToo) {
  const ProgramResult synced = CrashClient({kDeviceCheck, "--images=24", "--export-log=writes"}, "sync", "dev0");
  EXPECT_EQ(synced.status, 0) << synced.err;
  const std::string log = ReadFile(Path("writes.dev0")).value();
  EXPECT_THAT(log, HasSubstr(std::string(600, 'b')));
  EXPECT_THAT(ReadFile(Path("writes")).value(), Not(HasSubstr(std::string(600, 'b'))));

  const ProgramResult lost = CrashClient({kDeviceCheck, "--images=24", "--export-image=bad.img"}, "nosync", "dev0");
  EXPECT_EQ(lost.status, 1) << lost.err;
  EXPECT_THAT(lost.err, AllOf(HasSubstr("no fsync or fdatasync of /aiolab-test-data/dev0 after they were written"),
                              HasSubstr("/bad.img.dev0\n")));
  EXPECT_EQ(ReadFile(Path("bad.img.dev0")).value(), std::string(size_t{4} << 20, '\0'));
}

TEST_F(CrashCommandTest, ADiskThatLosesFlushesIsFoundAndNamed) {
  const ProgramResult result = Crash({kSimfs, "--fault=device[op=flush]=always:lost"});
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("fault device[op=flush]=always:lost: struck "), HasSubstr("FOUND: "),
                                HasSubstr("the disk lied: request "), HasSubstr(", a flush, which it said was done")));
}

// The files are wrong even without a crash; but that is what the fault is for.
TEST_F(CrashCommandTest, ADiskThatLosesAWriteIsFound) {
  const ProgramResult result =
      CrashClient({kCheck, "--images=24", "--fault=device[op=write,size=4096]=nth(2):lost"}, "sync");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("the disk lied: request "), HasSubstr(", which it said was done")));
}

TEST_F(CrashCommandTest, AClientThatBelievesAFailedFsyncIsFound) {
  const std::string fault = "--fault=fsync=nth(2):eio(model=ext4-ordered)";
  const ProgramResult result = CrashClient({kCheck, "--images=24", fault}, "ignores");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("FOUND: a power cut that breaks it"));
  EXPECT_EQ(CrashClient({kCheck, "--images=24", fault}, "sync").status, 0) << "it said no more when the fsync failed";
}

TEST_F(CrashCommandTest, ARuleThatNeverStruckIsNamed) {
  const ProgramResult result = CrashClient({kCheck, "--images=4", "--fault=cancel=nth(1):einval"}, "sync");
  EXPECT_THAT(result.err, HasSubstr("WARNING: the fault rule cancel=nth(1):einval never struck: "));
}

// A terminal sees how far it is; script(1) has one.
TEST_F(CrashCommandTest, OnATerminalItSaysHowFarItIs) {
  const ProgramResult result =
      RunProgram({"script", "-qec", absl::StrCat(RunfilePath("tools/aiolab/aiolab"), " crash ", kSimfs), "/dev/null"},
                 {{{"TMPDIR", directory_}, SanitizerEnvironment()}, directory_});
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("\raiolab: crash point 1 of "), HasSubstr(" images checked "),
                                HasSubstr("\r\033[Kaiolab: seed 1, ")));
}

// Method: a checker that promises nothing and notes what it was given.
TEST_F(CrashCommandTest, ACheckerGetsFilesPromisesAndACleanEnvironment) {
  const ProgramResult result = CrashClient({absl::StrCat("--check=env >", Path("env"), "; ls {dir} >", Path("ls"),
                                                         "; cat {acked} >>", Path("acked"), "; touch {dir}/scratch"),
                                            "--images=20"},
                                           "sync");
  EXPECT_EQ(result.status, 0) << result.err;
  const std::string environment = ReadFile(Path("env")).value();
  EXPECT_THAT(environment, AllOf(HasSubstr("PATH="), Not(HasSubstr("LD_PRELOAD")), Not(HasSubstr("AIOLAB_RUN")),
                                 Not(HasSubstr("TEST_SRCDIR"))));
  EXPECT_EQ(ReadFile(Path("ls")).value(), "log\n") << "a checker saw what another had left";
  EXPECT_THAT(ReadFile(Path("acked")).value(), HasSubstr("1\n2\n3\n4\n"));
}

TEST_F(CrashCommandTest, ACheckerThatCannotBeRunIsRefusedBeforeTheClientRuns) {
  const auto refused = [this](const std::string& check, const std::string& why) {
    const ProgramResult result = Crash({kSimfs, "--check=" + check, "--", "touch", Path("ran")});
    EXPECT_EQ(result.status, 2);
    EXPECT_THAT(result.err, HasSubstr(why));
    EXPECT_NE(access(Path("ran").c_str(), F_OK), 0) << "the client ran";
  };
  refused("no-such-checker {dir}", "there is no program 'no-such-checker' in PATH");
  refused("./no-such-checker {dir}", "there is no program './no-such-checker' that can be run");
  refused("if {dir}", "the shell cannot read it");
  refused("true", "there is no {dir} in it");
}

TEST_F(CrashCommandTest, ACheckerThatRefusesTheFilesWithoutACrashIsRefused) {
  const ProgramResult result = CrashClient({"--check=echo wrong {dir}; false"}, "sync");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("the files as the client left them are refused, without any crash: the checker "
                                    "ended with status 1: wrong"));
}

// A recovery that hangs is as bad as one that fails. The others have to end in time on a busy machine, too. Nobody but
// the user's terminal ever gives a checker an answer.
TEST_F(CrashCommandTest, ACheckerThatDoesNotEndRefusesTheFiles) {
  const ProgramResult result =
      CrashClient({"--check=test -s {dir}/log || test ! -s {acked} || sleep 1000", "--check-timeout=5"}, "nosync");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("FOUND: a power cut that breaks it: the checker had not ended after 5 s"));
  const ProgramResult reads = CrashClient({"--check=cat; : {dir}", "--check-timeout=20", "--images=2"}, "sync");
  EXPECT_EQ(reads.status, 0) << reads.err;
}

TEST_F(CrashCommandTest, WhatACheckerLeavesBehindGoesWithIt) {
  const ProgramResult result =
      CrashClient({absl::StrCat("--check=sleep 1000 & echo $! >", Path("pid"), "; : {dir}"), "--images=1"}, "sync");
  EXPECT_EQ(result.status, 0) << result.err;
  const std::string pid(absl::StripAsciiWhitespace(ReadFile(Path("pid")).value()));
  const auto is_there = [&pid] {
    // Who adopts it may not have buried it yet.
    const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat")).value_or(") Z ");
    return stat.find(") Z ") == stat.npos;
  };
  // Nobody waits for what was killed.
  for (int tries = 0; is_there() && tries < 500; ++tries) usleep(10'000);
  EXPECT_FALSE(is_there());
}

TEST_F(CrashCommandTest, ACheckerThatASignalEndsRefusesTheFiles) {
  EXPECT_THAT(CrashClient({"--check=kill -SEGV $$; : {dir}"}, "sync").err,
              HasSubstr("without any crash: the checker was killed by SIGSEGV, and said nothing"));
  EXPECT_THAT(CrashClient({"--check=sh -c 'kill -SEGV $$'; exit $? {dir}"}, "sync").err,
              HasSubstr("the checker ended with status 139, which a shell says of SIGSEGV"));
}

TEST_F(CrashCommandTest, TheFilesThatWereRefusedCanBeLookedAtAgain) {
  const ProgramResult result = CrashClient({kCheck, "--images=24", "--export-files=bad"}, "nosync");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(ReadFile(Path("bad.acked")).value(), StartsWith("1\n"));
  const std::string again = "aiolab: what checks them again: ";
  const size_t at = result.err.find(again);
  ASSERT_NE(at, std::string::npos) << result.err;
  const std::string command = result.err.substr(at + again.size());
  EXPECT_EQ(RunProgram({"sh", "-c", command}).status, 1) << command;
  EXPECT_THAT(CrashClient({kCheck, "--export-files=bad"}, "sync").err, HasSubstr("it has to be a new directory"));
}

// Behind what can be seen beforehand.
TEST_F(CrashCommandTest, ACheckerThatTurnsOutNotToRunIsRefused) {
  const ProgramResult result = CrashClient({"--check=X=1 no-such-checker {dir}"}, "sync");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("the checker cannot be run (status 127)"));
}

TEST_F(CrashCommandTest, AClientThatWritesElsewhereIsRefused) {
  const ProgramResult result = Crash({kSimfs, "--check=test -d {dir}", "--", "true"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("the client wrote nothing below /aiolab-test-data"));
}

// SQLite's manual on PRAGMA synchronous: FULL keeps every commit in WAL mode; with a rollback journal a power cut
// closely behind a commit may roll it back, which EXTRA prevents by syncing the directory behind the journal's removal;
// NORMAL may lose commits in WAL mode.
TEST_F(CrashCommandTest, SqliteIsAsDurableAsItsManualSays) {
  const std::string check = Path("check");
  ASSERT_TRUE(CreateFile(check,
                         "want=$(grep '^[0-9]*$' \"$2\" | tail -1)\n"
                         "test -n \"$want\" || exit 0\n"
                         "test \"$(sqlite3 $1/t.db 'pragma integrity_check')\" = ok || exit 9\n"
                         "have=$(sqlite3 $1/t.db 'select count(*) from t')\n"
                         "test \"$have\" -ge \"$want\" || { echo \"acknowledged $want, has $have\"; exit 1; }\n")
                  .ok());
  const auto crash = [&](const std::string& pragmas) {
    return Crash({kSimfs, "--images=64", absl::StrCat("--check=sh ", check, " {dir} {acked}"), "--", "stdbuf", "-oL",
                  "sqlite3", absl::StrCat(kPrefix, "/t.db"),
                  absl::StrCat(pragmas, "create table t(a); insert into t values(1); select 1;",
                               "insert into t values(2); select 2;")});
  };
  const ProgramResult full = crash("pragma synchronous=full;");
  EXPECT_EQ(full.status, 1) << full.err;
  EXPECT_THAT(full.err, AllOf(HasSubstr("acknowledged 1, has 0"),
                              HasSubstr("the removal of /aiolab-test-data/t.db-journal: no fsync of its directory")));
  const ProgramResult extra = crash("pragma synchronous=extra;");
  EXPECT_EQ(extra.status, 0) << extra.err;
  const std::string wal = "pragma locking_mode=exclusive; pragma journal_mode=wal;";
  const ProgramResult wal_full = crash(wal + "pragma synchronous=full;");
  EXPECT_EQ(wal_full.status, 0) << wal_full.err;
  const ProgramResult wal_normal = crash(wal + "pragma synchronous=normal;");
  EXPECT_EQ(wal_normal.status, 1) << wal_normal.err;
  EXPECT_THAT(wal_normal.err, HasSubstr("no fsync or fdatasync of /aiolab-test-data/t.db-wal after"));
}

TEST_F(CrashCommandTest, ASampleOfThePointsIsCalledOne) {
  const ProgramResult result = Crash({kSimfs, "--at=3", "--images=60"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr(" distinct images at 3 of "));
}

TEST_F(CrashCommandTest, HelpSaysHowToUseIt) {
  const ProgramResult help = Crash({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("--check=CMD"), HasSubstr("{acked}"),
                              HasSubstr("Exit status: 0 if no power "
                                        "cut broke it, 1 if one did")));
  EXPECT_EQ(RunProgram({RunfilePath("tools/aiolab/aiolab"), "help", "crash"}).out, help.out);
}

}  // namespace
}  // namespace aiolab
