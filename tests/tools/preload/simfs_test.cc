// aiolab run --simfs: files under the prefix are the model's, all others the host's.
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tests/tools/preload/aiolab_run.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Nothing of that name is on the host, here or anywhere.
constexpr char kPrefix[] = "/aiolab-test-data";
const std::string& Flag() {
  static const std::string& flag = *new std::string(absl::StrCat("--simfs=", kPrefix));
  return flag;
}

std::string Client(const std::string& name) { return RunfilePath("tests/clients/" + name); }

class SimfsTest : public testing::Test {
 protected:
  AiolabRun Run(const std::vector<std::string>& flags, const std::vector<std::string>& client) {
    return RunUnderAiolab(flags, client, directory_);
  }
  AiolabRun RunSimulated(const std::vector<std::string>& client) { return Run({Flag()}, client); }

  const std::string directory_ = NewTestDirectory();
};

// A directory on a tmpfs, which the simulated file system follows in what is compared here.
class TmpfsDirectory {
 public:
  TmpfsDirectory() { EXPECT_NE(mkdtemp(path_.data()), nullptr); }
  ~TmpfsDirectory() { RunProgram({"rm", "-rf", path_}); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/dev/shm/aiolab-test.XXXXXX";
};

// Method: one client that makes every call and prints what came back, once on the real kernel and once under the model.
TEST_F(SimfsTest, EveryFileCallAnswersAsTheRealKernelDoes) {
  for (const char* way : {"--bare=0", "--bare=1"}) {
    const TmpfsDirectory real;
    const ProgramResult native = RunProgram({Client("file_calls"), "--dir=" + real.path(), way});
    ASSERT_EQ(native.status, 0) << native.err;
    ASSERT_THAT(native.out, HasSubstr("= ENOTEMPTY"));
    for (const char* profile : {"retry", "mainline"}) {
      const AiolabRun run = Run({Flag(), absl::StrCat("--profile=", profile)},
                                {Client("file_calls"), absl::StrCat("--dir=", kPrefix), way});
      EXPECT_EQ(run.result.status, 0) << run.result.err;
      EXPECT_EQ(run.result.out, native.out) << way << " " << profile;
    }
  }
  EXPECT_NE(access(kPrefix, F_OK), 0) << "the run left something on the host";
}

TEST_F(SimfsTest, EveryClientIsRightThere) {
  for (const char* name : {"ring_spinner", "sleepy_poller", "four_and_two", "eventfd_ppoll", "fork_and_threads",
                           "dlopen_libaio", "closes_all_fds"}) {
    const AiolabRun run = RunSimulated({Client(name), absl::StrCat("--dir=", kPrefix)});
    EXPECT_EQ(run.result.status, 0) << run.result.err;
    EXPECT_THAT(run.result.out, StartsWith(name));
  }
}

TEST_F(SimfsTest, TheReportSaysWhatTheDiskDid) {
  const AiolabRun run =
      RunSimulated({"dd", "if=/dev/zero", absl::StrCat("of=", kPrefix, "/x"), "bs=4k", "count=200", "conv=fsync"});
  ASSERT_TRUE(run.report.is_object()) << run.result.err;
  EXPECT_EQ(run.report["config"]["simfs"], absl::StrCat(kPrefix, ":disk=nvme,size=1G"));
  EXPECT_EQ(run.report["processes"][0]["simfs"]["bytes_written"], 200 * 4096);
  EXPECT_GT(run.report["processes"][0]["simfs"]["disk_requests"], 0);
  EXPECT_GT(run.report["processes"][0]["simfs"]["flushes"], 0);
}

// A client that makes no context has a report too, by its first simulated file.
TEST_F(SimfsTest, AProcessWithoutAioIsReported) {
  const AiolabRun run = RunSimulated({"dd", "if=/dev/zero", absl::StrCat("of=", kPrefix, "/x"), "bs=4k", "count=10"});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  ASSERT_EQ(run.report["processes"].size(), 1) << run.result.err;
  EXPECT_EQ(run.report["processes"][0]["simfs"]["bytes_written"], 40960);
}

TEST_F(SimfsTest, AChildHasACopyOfItsOwnAndTheReportWarns) {
  const AiolabRun run = RunSimulated({Client("forks_with_files"), absl::StrCat("--dir=", kPrefix)});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_EQ(run.result.out, "forks_with_files: the parent finds 'parent'\n");
  ASSERT_EQ(run.report["processes"].size(), 2) << run.result.err;
  EXPECT_EQ(run.report["processes"][0]["warnings"].size(), 0);
  EXPECT_THAT(run.report["processes"][1]["warnings"].dump(), HasSubstr("wrote to its own copy of the files under"));
  // What the parent wrote before the fork is counted once.
  EXPECT_EQ(run.report["processes"][1]["simfs"]["bytes_written"], 6);
  EXPECT_EQ(run.report["totals"]["simfs"]["bytes_written"], 12);
}

// Method: the client itself judges, on the real kernel first. On a hard disk nothing of the commit is over when it
// forks.
TEST_F(SimfsTest, AForkDuringACommitLeavesBothWithTheirFiles) {
  for (const char* bare : {"--bare=0", "--bare=1"}) {
    const ProgramResult native = RunProgram({Client("forks_in_commit"), "--dir=" + directory_, bare});
    ASSERT_EQ(native.status, 0) << native.err;
    for (const char* profile : {"retry", "mainline"}) {
      const AiolabRun run = Run({Flag() + ":disk=hdd", absl::StrCat("--profile=", profile)},
                                {Client("forks_in_commit"), absl::StrCat("--dir=", kPrefix), bare});
      EXPECT_EQ(run.result.status, 0) << bare << profile << run.result.err;
      EXPECT_EQ(run.result.out, native.out) << bare << profile;
    }
  }
}

// The calls of a trace and what they returned. What the model does besides while a parent waits for its child depends
// on how long that takes on the host.
std::string CallsIn(const std::string& trace) {
  std::string calls;
  for (const absl::string_view line : absl::StrSplit(trace, '\n')) {
    const size_t call = line.find(" client/1 0 sys_");
    if (call != absl::string_view::npos) absl::StrAppend(&calls, line.substr(call), "\n");
  }
  return calls;
}

// But for the time at which the child ends, if the parent sleeps until then.
TEST_F(SimfsTest, ARunWithAForkIsRepeatedByItsToken) {
  for (const char* name : {"forks_with_files", "forks_in_commit"}) {
    const std::vector<std::string> client = {Client(name), absl::StrCat("--dir=", kPrefix)};
    const auto trace = [&](const std::string& flag) {
      const AiolabRun run = Run({Flag(), "--trace=text:trace", flag}, client);
      EXPECT_EQ(run.result.status, 0) << name << run.result.err;
      return std::make_pair(run, ReadFile(directory_ + "/trace").value_or(""));
    };
    const auto [first, first_trace] = trace("--seed=5");
    const nlohmann::json process = first.report["processes"][0];
    std::string token = process.value("token", "");
    if (token.empty()) token = "@" + process.value("token_path", "");
    const auto [again, again_trace] = trace("--replay=" + token);
    EXPECT_EQ(again.result.out, first.result.out);
    EXPECT_THAT(CallsIn(first_trace), HasSubstr("sys_exit_pread64: ret="));
    EXPECT_EQ(CallsIn(again_trace), CallsIn(first_trace)) << name;
    EXPECT_EQ(again.report["processes"][0]["findings"].size(), 0) << again.result.err;
  }
}

TEST_F(SimfsTest, AnExecutedProgramDoesNotSeeThemAndTheReportWarns) {
  const std::string file = absl::StrCat(kPrefix, "/x");
  const AiolabRun run = RunSimulated(
      {"sh", "-c", absl::StrCat("echo here > ", file, "; read line < ", file, "; echo $line; exec cat ", file)});
  EXPECT_EQ(run.result.status, 1) << run.result.err;
  EXPECT_EQ(run.result.out, "here\n");
  EXPECT_THAT(run.result.err, HasSubstr(absl::StrCat("cat: ", file, ": No such file or directory")));
  EXPECT_THAT(run.report["processes"][0]["warnings"].dump(), HasSubstr("which does not see the files under"));
}

TEST_F(SimfsTest, ARunIsRepeatedByItsToken) {
  const std::vector<std::string> client = {Client("eventfd_ppoll"), absl::StrCat("--dir=", kPrefix)};
  const auto trace = [&](const std::vector<std::string>& more) {
    std::vector<std::string> flags = {Flag(), "--trace=text:trace"};
    flags.insert(flags.end(), more.begin(), more.end());
    const AiolabRun run = Run(flags, client);
    EXPECT_EQ(run.result.status, 0) << run.result.err;
    return std::make_pair(run, ReadFile(directory_ + "/trace").value_or(""));
  };
  const auto [first, first_trace] = trace({"--seed=5"});
  const nlohmann::json process = first.report["processes"][0];
  ASSERT_TRUE(process.value("replayable", false)) << first.result.err;
  std::string token = process.value("token", "");
  if (token.empty()) token = "@" + process.value("token_path", "");
  EXPECT_THAT(first_trace, HasSubstr("sys_enter_openat"));
  EXPECT_EQ(trace({"--replay=" + token}).second == first_trace, true);
  // A token is of one disk.
  const AiolabRun other = Run({absl::StrCat(Flag(), ":disk=hdd"), "--replay=" + token}, client);
  EXPECT_EQ(other.result.status, 2);
  EXPECT_THAT(other.result.err, HasSubstr("disk=hdd"));
}

TEST_F(SimfsTest, WhatCannotBeIsRefusedBeforeAnythingRuns) {
  const std::string file = directory_ + "/file";
  const std::string occupied = directory_ + "/occupied";
  ASSERT_TRUE(CreateFile(file, "x").ok());
  ASSERT_EQ(mkdir(occupied.c_str(), 0755), 0);
  ASSERT_TRUE(CreateFile(occupied + "/file", "x").ok());
  const struct {
    std::string spec;
    std::string says;
  } cases[] = {
      {"data", "the prefix has to be an absolute path, as in /data, and 'data' is none"},
      {"/", "the prefix has to be a directory below /"},
      {"/data/../etc", "has '..' in it"},
      {file, "it is a file on this machine"},
      {file + "/below", "/file is a file on this machine"},
      {"/data:size=4095", ": column 12: size=4095: it has to be a size from 4K to 16T"},
      {"/data:size=16K", "a disk of 16384 bytes is too small for a file system"},
      {"/data:cache=off,,size=x,disk=ssd", ": column 23: size=x: it has to be a size from 4K to 16T"},
      {"/data:depth=4,disk=nmve", ": column 20: there is no disk \"nmve\"; did you mean nvme?"},
      {"/data:sise=1G", ": column 7: there is no option \"sise\"; did you mean size?"},
      {"/data:size=2M,form=.", ": column 15: there is no option \"form\"; did you mean from?"},
      {"/data:lbs=4096,size=4097K,atomic=512", ": the size has to be a multiple of the logical block, 4096"},
      {"/data:from=/no/such", "from=/no/such: there is no such directory"},
      {"/data:from=" + file, "file: it is a file; it has to be a directory"},
      {"/data:from=", ": column 12: from= names no directory"},
      {"/data:error-model=xfd", ": there is no error model \"xfd\"; did you mean xfs?"},
      {"/data:error-model=zfs2020", "there are ext4-ordered, ext4-data, xfs, btrfs"},
      {"/data:to=/no/such", "to=/no/such: it cannot be made: No such file or directory"},
      {"/data:to=" + occupied, ": there are files in it; it has to be new or empty, or that of from="},
      {"/data:from=.,to=.", "to=.: the directory for temporary files, "},
  };
  for (const auto& [spec, says] : cases) {
    const AiolabRun run = Run({"--simfs=" + spec}, {"touch", directory_ + "/ran"});
    EXPECT_EQ(run.result.status, 2) << spec;
    EXPECT_THAT(run.result.err, HasSubstr(says)) << spec;
    EXPECT_THAT(run.result.err, StartsWith("aiolab run: --simfs=")) << spec;
  }
  EXPECT_NE(access((directory_ + "/ran").c_str(), F_OK), 0);
}

// The client ends where it is: it neither prints its last line nor runs its exit handlers.
TEST_F(SimfsTest, APowerCutByARuleEndsTheClient) {
  const std::vector<std::string> client = {Client("four_and_two"), absl::StrCat("--dir=", kPrefix)};
  const AiolabRun run = Run({Flag(), "--fault=complete=nth(3):powercut"}, client);
  EXPECT_EQ(run.result.status, 4) << run.result.err;
  EXPECT_EQ(run.result.out, "");
  EXPECT_EQ(run.report["ended_by_power_cut"], true);
  EXPECT_EQ(run.report["processes"][0]["power_cut"], true);
  EXPECT_EQ(run.report["processes"][0]["faults"][0]["hits"], 1);
  // The host's files keep what they have.
  const AiolabRun refused = Run({"--fault=complete=nth(3):powercut"}, client);
  EXPECT_EQ(refused.result.status, 2);
  EXPECT_THAT(refused.result.err,
              HasSubstr("--fault: complete=nth(3):powercut: powercut, reboot and model= are about"));
}

TEST_F(SimfsTest, AFullDiskIsENOSPC) {
  const AiolabRun run =
      Run({absl::StrCat(Flag(), ":size=8M")}, {"dd", "if=/dev/zero", absl::StrCat("of=", kPrefix, "/x"), "bs=4k"});
  EXPECT_EQ(run.result.status, 1);
  EXPECT_THAT(run.result.err, HasSubstr("No space left on device"));
}

// Method: one process copies a file that was loaded; what it finds and leaves is looked at on the host.
TEST_F(SimfsTest, FilesOfTheHostAreThereAtFirstAndGoBackAtTheEnd) {
  const std::string from = directory_ + "/from";
  const std::string to = directory_ + "/to";
  ASSERT_EQ(mkdir(from.c_str(), 0755), 0);
  ASSERT_TRUE(CreateFile(from + "/file", std::string(100'000, 'x')).ok());
  ASSERT_EQ(chmod((from + "/file").c_str(), 0640), 0);
  const AiolabRun run = Run({absl::StrCat(Flag(), ":from=from,to=", to), "--trace=text:trace"},
                            {"cp", "-p", absl::StrCat(kPrefix, "/file"), absl::StrCat(kPrefix, "/copy")});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_EQ(ReadFile(to + "/copy").value_or("missing"), std::string(100'000, 'x'));
  EXPECT_EQ(ReadFile(to + "/file").value_or("missing"), std::string(100'000, 'x'));
  EXPECT_FALSE(ReadFile(from + "/copy").ok());
  struct stat status;
  ASSERT_EQ(stat((to + "/copy").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFREG | 0640);
  // What the client did, without what was done for it.
  EXPECT_EQ(run.report["processes"][0]["simfs"]["bytes_written"], 100'000) << run.result.err;
  EXPECT_LT(run.report["processes"][0]["virtual_time_ns"].get<long>(), 5'000'000) << run.result.err;
  EXPECT_THAT(ReadFile(directory_ + "/trace").value_or(""), Not(HasSubstr("sys_enter_mkdirat")));
}

TEST_F(SimfsTest, AClientFindsWhatWasLoadedOnTheDiskAndNotInMemory) {
  ASSERT_TRUE(CreateFile(directory_ + "/file", std::string(100'000, 'x')).ok());
  const AiolabRun run = Run({absl::StrCat(Flag(), ":from=.")}, {"cksum", absl::StrCat(kPrefix, "/file")});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_GT(run.report["processes"][0]["simfs"]["disk_requests"], 0) << run.result.err;
}

// Loading takes longer than that. The rule that strikes at once shows where the count begins, in the trace too.
TEST_F(SimfsTest, ARulesTimeAndItsHitsCountFromWhereTheClientBegins) {
  constexpr int64_t kAfterNs = 200'000;
  ASSERT_TRUE(CreateFile(directory_ + "/file", std::string(4 << 20, 'x')).ok());
  const AiolabRun run = Run({absl::StrCat(Flag(), ":from=."), "--trace=text:trace",
                             "--fault=device=nth(1):delay(1us),device=at(200us):delay(2us)"},
                            {"cksum", absl::StrCat(kPrefix, "/file")});
  const nlohmann::json& faults = run.report["processes"][0]["faults"];
  ASSERT_EQ(faults.size(), 2) << run.result.err;
  EXPECT_LT(faults[0]["first_ns"].get<int64_t>(), kAfterNs);
  EXPECT_GE(faults[1]["first_ns"].get<int64_t>(), kAfterNs);
  EXPECT_LT(faults[1]["last_ns"].get<int64_t>(), run.report["processes"][0]["virtual_time_ns"].get<int64_t>());
  const std::string trace = ReadFile(directory_ + "/trace").value_or("");
  EXPECT_THAT(trace, StartsWith("[1] "));
  for (const nlohmann::json& fault : faults) {
    EXPECT_THAT(trace,
                ContainsRegex(absl::StrCat("\\] ", fault["first_ns"].get<int64_t>(), " [^ ]+ 0 fault: rule=device")));
  }
}

// A client that reads nothing: who would meet the bad disk is the export.
TEST_F(SimfsTest, ARuleIsForTheClientAndNotForTheExportOfItsFiles) {
  ASSERT_EQ(mkdir((directory_ + "/from").c_str(), 0755), 0);
  ASSERT_TRUE(CreateFile(directory_ + "/from/file", std::string(100'000, 'x')).ok());
  const AiolabRun run =
      Run({absl::StrCat(Flag(), ":from=from,to=to"), "--fault=device[op=read]=always:eio"}, {"test", "-d", kPrefix});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_EQ(ReadFile(directory_ + "/to/file").value_or("missing").size(), 100'000);
}

// Where the trace and the token go by names, another directory is the same run.
TEST_F(SimfsTest, ARunOnLoadedFilesIsRepeatedByItsTokenFromAnotherDirectory) {
  for (const char* name : {"/a", "/b"}) {
    ASSERT_EQ(mkdir((directory_ + name).c_str(), 0755), 0);
    ASSERT_TRUE(CreateFile(directory_ + name + "/file", std::string(100'000, 'x')).ok());
  }
  const std::vector<std::string> client = {"cp", absl::StrCat(kPrefix, "/file"), absl::StrCat(kPrefix, "/copy")};
  const AiolabRun first = Run({absl::StrCat(Flag(), ":from=a,to=a")}, client);
  const std::string token = first.report["processes"][0].value("token", "");
  ASSERT_NE(token, "") << first.result.err;
  const AiolabRun again = Run({absl::StrCat(Flag(), ":from=b,to=b"), "--replay=" + token}, client);
  EXPECT_EQ(again.result.status, 0) << again.result.err;
  EXPECT_EQ(again.report["processes"][0]["virtual_time_ns"], first.report["processes"][0]["virtual_time_ns"]);
  EXPECT_EQ(ReadFile(directory_ + "/b/copy").value_or("missing").size(), 100'000);
}

TEST_F(SimfsTest, FilesThatDoNotFitAreNamed) {
  ASSERT_TRUE(CreateFile(directory_ + "/large", std::string(3 << 20, 'x')).ok());
  const AiolabRun run = Run({absl::StrCat(Flag(), ":size=2M,from=.")}, {"ls", kPrefix});
  EXPECT_EQ(run.result.status, 2) << run.result.err;
  EXPECT_THAT(run.result.err, HasSubstr(absl::StrCat(kPrefix, "/large: cannot be written: ENOSPC")));
  EXPECT_THAT(run.result.err, HasSubstr("size=N makes the disk larger"));
}

// Its first write-back fails. ext4's data mode tells of that one fsync too late, so there is nothing to retry, and
// nobody writes again.
TEST_F(SimfsTest, AClientThatRetriesAFailedFsyncLosesItsDataUnderEveryErrorModel) {
  const auto run = [&](const std::string& model, const char* rewrite) {
    return Run({absl::StrCat(Flag(), ":error-model=", model), "--fault=bio[op=write,size=16384]=nth(1):eio"},
               {Client("retries_fsync"), absl::StrCat("--dir=", kPrefix), rewrite});
  };
  const ProgramResult native = RunProgram({Client("retries_fsync"), "--dir=" + directory_});
  ASSERT_EQ(native.status, 0) << native.err;
  for (const char* model : {"ext4-ordered", "ext4-data", "xfs", "btrfs"}) {
    const AiolabRun retried = run(model, "--rewrite=0");
    EXPECT_EQ(retried.result.status, 1) << model << retried.result.err;
    EXPECT_THAT(retried.result.err, HasSubstr("block 0 of file 1 is wrong")) << model;
    const AiolabRun rewritten = run(model, "--rewrite=1");
    EXPECT_EQ(rewritten.result.status, std::string(model) == "ext4-data" ? 1 : 0) << model << rewritten.result.err;
  }
  const AiolabRun none = RunSimulated({Client("retries_fsync"), absl::StrCat("--dir=", kPrefix)});
  EXPECT_EQ(none.result.out, native.out) << none.result.err;
}

// Pipes and devices are made on the host only: simfs has none, and says so. Method: Python's functions are the C
// library's four, which are given a name, or a directory and a name.
TEST_F(SimfsTest, APipeOrANodeIsMadeOnTheHostAndNotOnSimfs) {
  const std::string script = absl::StrReplaceAll(R"(
import os, stat
def make(directory):
  fd = os.open(directory, os.O_RDONLY)
  for call in (lambda: os.mkfifo(directory + '/fifo'), lambda: os.mkfifo('fifoat', dir_fd=fd),
               lambda: os.mknod(directory + '/nod'), lambda: os.mknod('nodat', dir_fd=fd)):
    try:
      call()
    except OSError as e:
      print(os.strerror(e.errno))
  print([(name, stat.filemode(os.lstat(name, dir_fd=fd).st_mode)[0]) for name in sorted(os.listdir(fd))])
make('PREFIX/d')
make('HOST')
)",
                                                 {{"PREFIX", kPrefix}, {"HOST", directory_ + "/host"}});
  ASSERT_EQ(mkdir((directory_ + "/host").c_str(), 0755), 0);
  const std::string from = directory_ + "/from";
  ASSERT_EQ(mkdir(from.c_str(), 0755), 0);
  ASSERT_EQ(mkdir((from + "/d").c_str(), 0755), 0);
  const AiolabRun run = Run({absl::StrCat(Flag(), ":from=", from)}, {"python3", "-c", script});
  EXPECT_EQ(run.result.out,
            "Operation not permitted\nOperation not permitted\nOperation not permitted\nOperation not permitted\n[]\n"
            "[('fifo', 'p'), ('fifoat', 'p'), ('nod', '-'), ('nodat', '-')]\n")
      << run.result.err;
}

// The C library would look at the host, where nothing is. Method: its functions called from Python.
TEST_F(SimfsTest, AWalkOfTheCLibrarysOwnIsRefusedAndTheReportSaysSo) {
  const std::string script = absl::StrReplaceAll(R"(
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
for walk in (lambda: libc.ftw(b'PREFIX', None, 5), lambda: libc.nftw64(b'PREFIX', None, 5, 0),
             lambda: libc.fts_open((ctypes.c_char_p * 2)(b'PREFIX', None), 0, None)):
  ctypes.set_errno(0)
  walk()
  print(ctypes.get_errno() == errno.EOPNOTSUPP)
)",
                                                 {{"PREFIX", kPrefix}});
  const AiolabRun run = RunSimulated({"python3", "-c", script});
  EXPECT_EQ(run.result.out, "True\nTrue\nTrue\n") << run.result.err;
  const nlohmann::json& warnings = run.report["processes"][0]["warnings"];
  ASSERT_EQ(warnings.size(), 3) << run.result.err;
  EXPECT_THAT(warnings[1], StartsWith(absl::StrCat("nftw64 of ", kPrefix, ", a simulated file, was refused")));
}

TEST_F(SimfsTest, APathThatLeavesThePrefixIsTheHosts) {
  ASSERT_TRUE(CreateFile(directory_ + "/file", "host's\n").ok());
  const AiolabRun run = RunSimulated({"cat", absl::StrCat(kPrefix, "/..", directory_, "/file")});
  EXPECT_EQ(run.result.out, "host's\n") << run.result.err;
}

}  // namespace
}  // namespace aiolab
