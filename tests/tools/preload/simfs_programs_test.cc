// Programs as the distribution ships them, with their files on a simulated disk.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tests/tools/preload/aiolab_run.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SimfsProgramsTest : public testing::Test {
 protected:
  AiolabRun Run(const std::vector<std::string>& client, const std::vector<std::string>& flags = {}) {
    std::vector<std::string> all = {"--seed=7", "--simfs=/aiolab-test-data"};
    all.insert(all.end(), flags.begin(), flags.end());
    return RunUnderAiolab(all, client, directory_);
  }

  const std::string directory_ = NewTestDirectory();
};

class SimfsFioTest : public SimfsProgramsTest, public testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(SimfsFioTest, VerifiesItsData) {
  for (const char* profile : {"retry", "mainline"}) {
    std::vector<std::string> fio = {"fio",
                                    "--name=job",
                                    "--ioengine=libaio",
                                    "--directory=/aiolab-test-data",
                                    "--iodepth=32",
                                    "--bs=4k",
                                    "--size=2M",
                                    "--verify=crc32c",
                                    "--verify_fatal=1",
                                    "--group_reporting"};
    fio.insert(fio.end(), GetParam().begin(), GetParam().end());
    const AiolabRun run = Run(fio, {absl::StrCat("--profile=", profile)});
    EXPECT_EQ(run.result.status, 0) << run.result.out << run.result.err;
    EXPECT_THAT(run.result.out, HasSubstr("err= 0"));
    EXPECT_THAT(run.result.out, Not(HasSubstr("verify:")));
    EXPECT_EQ(run.Count("PWRITE", "ok") % 512, 0) << run.result.err;
    EXPECT_GT(run.Count("PWRITE", "ok"), 0) << run.result.err;
    EXPECT_EQ(run.Count("PREAD", "ok"), run.Count("PWRITE", "ok"));
    EXPECT_GE(run.report["totals"]["simfs"]["bytes_written"].get<long>(), 2 << 20);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SimfsFioTest,
    testing::Values(std::vector<std::string>{"--rw=randwrite", "--direct=0"},
                    std::vector<std::string>{"--rw=randwrite", "--direct=1"},
                    std::vector<std::string>{"--rw=write", "--direct=0"},
                    std::vector<std::string>{"--rw=write", "--direct=1", "--iodepth_batch=16"},
                    std::vector<std::string>{"--rw=randwrite", "--direct=0", "--thread"},
                    std::vector<std::string>{"--rw=randwrite", "--direct=1", "--thread", "--numjobs=2"},
                    std::vector<std::string>{"--rw=randwrite", "--direct=0", "--thread", "--numjobs=4"},
                    std::vector<std::string>{"--rw=randwrite", "--direct=0", "--numjobs=2"},
                    std::vector<std::string>{"--rw=randwrite", "--direct=1", "--numjobs=3"},
                    std::vector<std::string>{"--rw=write", "--direct=0", "--numjobs=4"},
                    std::vector<std::string>{"--rw=randwrite", "--direct=0", "--fsync=8"}),
    [](const auto& info) {
      std::string name;
      for (const std::string& option : info.param) {
        for (const char c : option) name += isalnum(c) ? c : '_';
      }
      return name;
    });

// 32 neighbours in one io_submit are a request or two at the disk.
TEST_F(SimfsProgramsTest, AWholeDiskIsAFileAndItsWritesMerge) {
  EXPECT_EQ(Run({"blockdev", "--getsize64", "/aiolab-test-data/dev0"}).result.out, "1073741824\n");
  const AiolabRun run = Run({"fio", "--name=job", "--ioengine=libaio", "--filename=/aiolab-test-data/dev0",
                             "--direct=1", "--rw=write", "--bs=4k", "--size=2M", "--iodepth=32", "--iodepth_batch=32",
                             "--iodepth_batch_complete_min=32", "--thread", "--verify=crc32c", "--verify_fatal=1"});
  EXPECT_EQ(run.result.status, 0) << run.result.out << run.result.err;
  EXPECT_EQ(run.Count("PWRITE", "ok"), 512) << run.result.err;
  EXPECT_GE(run.report["totals"]["simfs"]["merges"].get<long>(), 512 - 512 / 32 * 2) << run.result.err;
}

TEST_F(SimfsProgramsTest, StressNgVerifies) {
  const AiolabRun run =
      Run({"stress-ng", "--aiol", "2", "--aiol-ops", "500", "--verify", "--temp-path", "/aiolab-test-data"});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  // Newer versions say it on standard output.
  EXPECT_THAT(run.result.out + run.result.err, HasSubstr("successful run completed"));
  EXPECT_GT(run.Count("PREADV", "ok") + run.Count("PREAD", "ok"), 0) << run.result.err;
}

TEST_F(SimfsProgramsTest, QemuImgWritesItsFormatsThere) {
  ASSERT_TRUE(CreateFile(directory_ + "/image", std::string(4 << 20, 'x')).ok());
  for (const char* format : {"raw", "qcow2"}) {
    const std::string image = absl::StrCat("/aiolab-test-data/image.", format);
    EXPECT_EQ(Run({"qemu-img", "create", "-f", format, image, "16M"}).result.status, 0);
    for (const char* cache : {"none", "writeback"}) {
      const AiolabRun run = Run({"qemu-img", "convert", "-f", "raw", "-O", format, "-t", cache, "image", image});
      EXPECT_EQ(run.result.status, 0) << run.result.err;
      EXPECT_GE(run.report["totals"]["simfs"]["bytes_written"].get<long>(), 4 << 20) << format << " " << cache;
    }
  }
}

// Each a process of its own, which finds what the one before has left. Started in a host directory of the prefix's
// name, a program is in the simulated one.
TEST_F(SimfsProgramsTest, SysbenchPreparesRunsAndCleansUp) {
  const std::string files = directory_ + "/files";
  ASSERT_EQ(RunProgram({"mkdir", files}, {}).status, 0);
  const auto sysbench = [&](const char* command) {
    return RunUnderAiolab({absl::StrCat("--simfs=", files, ":from=.,to=.")},
                          {"sysbench", "fileio", "--file-num=2", "--file-total-size=8M", "--file-test-mode=rndrw",
                           "--file-io-mode=async", "--file-extra-flags=direct", "--events=300", command},
                          files, directory_);
  };
  const AiolabRun prepare = sysbench("prepare");
  EXPECT_EQ(prepare.result.status, 0) << prepare.result.err;
  EXPECT_THAT(prepare.result.out, HasSubstr("8388608 bytes written"));
  EXPECT_EQ(prepare.report["totals"]["simfs"]["bytes_written"], 8 << 20) << prepare.result.err;
  EXPECT_EQ(ReadFile(files + "/test_file.1").value_or("").size(), 4 << 20);
  const AiolabRun run = sysbench("run");
  EXPECT_EQ(run.result.status, 0) << run.result.out << run.result.err;
  EXPECT_GE(run.Count("PREAD", "ok") + run.Count("PWRITE", "ok"), 250) << run.result.err;
  EXPECT_EQ(sysbench("cleanup").result.status, 0);
  EXPECT_FALSE(ReadFile(files + "/test_file.0").ok());
}

TEST_F(SimfsProgramsTest, SysbenchRunsOnFilesThatWerePreparedNatively) {
  const std::vector<std::string> sysbench = {"sysbench", "fileio", "--file-num=2", "--file-total-size=8M"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = sysbench;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  ASSERT_EQ(RunProgram(with({"prepare"}), {{}, directory_}).status, 0);
  const AiolabRun run =
      RunUnderAiolab({absl::StrCat("--simfs=", directory_, ":from=", directory_)},
                     with({"--file-test-mode=seqrd", "--file-io-mode=async", "--events=300", "run"}), directory_);
  EXPECT_EQ(run.result.status, 0) << run.result.out << run.result.err;
  EXPECT_GE(run.Count("PREAD", "ok"), 250) << run.result.err;
}

TEST_F(SimfsProgramsTest, QemuImgMeasuresAnImageThatWasMadeNatively) {
  const std::string images = directory_ + "/images";
  const std::string image = images + "/image";
  ASSERT_EQ(RunProgram({"mkdir", images}, {}).status, 0);
  ASSERT_TRUE(CreateFile(image, std::string(4 << 20, 'x')).ok());
  const std::vector<std::string> bench = {"qemu-img", "bench", "-n",  "-t", "none", "-i",
                                          "native",   "-c",    "600", "-f", "raw"};
  const auto on = [&](const std::string& path) {
    std::vector<std::string> all = bench;
    all.push_back(path);
    return all;
  };
  const ProgramResult native = RunProgram(on(image), {});
  ASSERT_EQ(native.status, 0) << native.err;
  const AiolabRun run = Run(on("/aiolab-test-data/image"), {"--simfs=/aiolab-test-data:from=" + images});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_EQ(run.Count("PREADV", "ok"), 600) << run.result.err;
  EXPECT_GT(run.report["totals"]["simfs"]["disk_requests"].get<long>(), 0) << "the image is still in memory";
}

TEST_F(SimfsProgramsTest, AClientGoesToWorkThere) {
  const AiolabRun run = Run({"python3", "-c",
                             "import os\n"
                             "os.chdir('/aiolab-test-data')\n"
                             "open('here', 'w').write('x' * 5000)\n"
                             "print(os.getcwd(), sorted(os.listdir('.')), os.stat('here').st_size)\n"});
  EXPECT_EQ(run.result.out, "/aiolab-test-data ['dev0', 'here'] 5000\n") << run.result.err;
}

TEST_F(SimfsProgramsTest, SqliteKeepsItsPromises) {
  const AiolabRun run = Run({"sqlite3", "/aiolab-test-data/db",
                             "create table t(a, b); with recursive n(i) as (select 1 union all select i + 1 from n "
                             "where i < 2000) insert into t select i, i * i from n; update t set b = b + 1 where a > "
                             "1000; delete from t where a % 2 = 0; vacuum; pragma integrity_check; select count(*), "
                             "sum(b) from t;"});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_EQ(run.result.out, "ok\n1000|1333333500\n");
}

TEST_F(SimfsProgramsTest, CoreutilsWork) {
  const std::vector<std::vector<std::string>> commands = {
      {"cp", "-a", "/etc/apt", "/aiolab-test-data/copy"},
      {"dd", "if=/dev/zero", "of=/aiolab-test-data/zeros", "bs=4k", "count=64", "oflag=direct", "conv=fsync"},
      {"mkdir", "-p", "/aiolab-test-data/a/b/c"},
      {"ln", "-s", "target", "/aiolab-test-data/link"},
      {"truncate", "-s", "1M", "/aiolab-test-data/sparse"},
      {"touch", "-d", "2020-01-01", "/aiolab-test-data/old"},
      {"df", "/aiolab-test-data"},
      {"ls", "-laR", "/aiolab-test-data"},
      {"install", "-D", "-m", "600", "/etc/passwd", "/aiolab-test-data/x/y"},
      {"rm", "-rf", "/aiolab-test-data/none"},
  };
  for (const std::vector<std::string>& command : commands) {
    const AiolabRun run = Run(command);
    EXPECT_EQ(run.result.status, 0) << command[0] << run.result.err;
  }
}

// A whole tree, made, walked and removed by one process.
TEST_F(SimfsProgramsTest, PythonWalksATree) {
  const AiolabRun run =
      Run({"python3", "-c",
           "import os, shutil, tempfile\n"
           "d = tempfile.mkdtemp(dir='/aiolab-test-data')\n"
           "shutil.copytree('/etc/apt', d + '/apt', symlinks=True)\n"
           "def tree(at):\n"
           "  return sorted((os.path.relpath(r, at), sorted(n), sorted(f)) for r, n, f in os.walk(at))\n"
           "print(tree(d + '/apt') == tree('/etc/apt'))\n"
           "shutil.rmtree(d)\n"
           "print(os.listdir('/aiolab-test-data'))\n"});
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_EQ(run.result.out, "True\n['dev0']\n");
}

}  // namespace
}  // namespace aiolab
