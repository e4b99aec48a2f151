// aiolab run --simfs: files under the prefix are the model's, all others the host's.
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

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
  const AiolabRun run = RunSimulated({Client("four_and_two"), absl::StrCat("--dir=", kPrefix)});
  ASSERT_TRUE(run.report.is_object()) << run.result.err;
  EXPECT_EQ(run.report["config"]["simfs"], absl::StrCat(kPrefix, ":disk=nvme,size=1G"));
  EXPECT_EQ(run.report["processes"][0]["simfs"]["bytes_written"], 200 * 4096);
  EXPECT_GT(run.report["processes"][0]["simfs"]["disk_requests"], 0);
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
  ASSERT_TRUE(CreateFile(file, "x").ok());
  const struct {
    std::string spec;
    std::string says;
  } cases[] = {
      {"data", "the prefix has to be an absolute path, as in /data, and 'data' is none"},
      {"/", "the prefix has to be a directory below /"},
      {"/data/../etc", "has '..' in it"},
      {file, "it is a file on this machine"},
      {file + "/below", "/file is a file on this machine"},
      {"/data:size=4095", "size=4095: it has to be a size from 4K to 16T"},
      {"/data:size=16K", "a disk of 16384 bytes is too small for a file system"},
      {"/data:size=x", "size=x: it has to be a size from 4K to 16T"},
      {"/data:disk=nmve", "did you mean nvme?"},
      {"/data:sise=1G", "did you mean size?"},
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
  EXPECT_THAT(refused.result.err, HasSubstr("--fault: complete=nth(3):powercut: powercut and model= are about what a"));
}

TEST_F(SimfsTest, AFullDiskIsENOSPC) {
  const AiolabRun run =
      Run({absl::StrCat(Flag(), ":size=8M")}, {"dd", "if=/dev/zero", absl::StrCat("of=", kPrefix, "/x"), "bs=4k"});
  EXPECT_EQ(run.result.status, 1);
  EXPECT_THAT(run.result.err, HasSubstr("No space left on device"));
}

TEST_F(SimfsTest, APathThatLeavesThePrefixIsTheHosts) {
  ASSERT_TRUE(CreateFile(directory_ + "/file", "host's\n").ok());
  const AiolabRun run = RunSimulated({"cat", absl::StrCat(kPrefix, "/..", directory_, "/file")});
  EXPECT_EQ(run.result.out, "host's\n") << run.result.err;
}

}  // namespace
}  // namespace aiolab
