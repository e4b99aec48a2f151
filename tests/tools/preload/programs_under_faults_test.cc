// What programs of the distribution make of faults: they report errors or try again; where one hangs, the run says on
// what, and ends.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
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

using Words = std::vector<std::string>;

class ProgramsUnderFaultsTest : public testing::Test {
 protected:
  AiolabRun Run(Words flags, const std::string& rules, const Words& client) {
    flags.insert(flags.end(), {"--seed=7", absl::StrCat("--fault=", rules)});
    const AiolabRun run = RunUnderAiolab(flags, client, directory_);
    EXPECT_TRUE(run.report.is_object()) << run.result.out << run.result.err;
    return run;
  }

  static Words Fio(Words options) {
    options.insert(options.begin(), {"fio", "--name=job", "--ioengine=libaio", "--iodepth=32", "--rw=randwrite",
                                     "--bs=4k", "--size=512k", "--verify=crc32c", "--group_reporting"});
    return options;
  }
  static Words StressNg(Words options = {}) {
    options.insert(options.begin(), {"stress-ng", "--aiol", "1", "--aiol-ops", "100", "--verify"});
    return options;
  }
  static Words QemuImg(const std::string& image) {
    return {"qemu-img", "bench", "-i", "native", "-t", "none", "-f", "raw", "-c", "200", "-d", "32", image};
  }
  std::string Image() {
    EXPECT_TRUE(CreateFile(directory_ + "/image", std::string(4 << 20, 'x')).ok());
    return "image";
  }

  std::string NewDirectory() {
    const std::string directory = directory_ + "/new";
    EXPECT_EQ(mkdir(directory.c_str(), 0755), 0);
    return directory;
  }
  // What /data has comes from a directory of the host, and goes back there.
  static std::string Kept(const std::string& directory) {
    return absl::StrCat("--simfs=/data:from=", directory, ",to=", directory);
  }

  static long CountAll(const AiolabRun& run, const std::string& outcome) {
    long count = 0;
    for (const char* opcode : {"PREAD", "PREADV", "PWRITE", "PWRITEV"}) count += run.Count(opcode, outcome);
    return count;
  }
  static long Hits(const AiolabRun& run) {
    const nlohmann::json::json_pointer where("/totals/faults/0/hits");
    return run.report.contains(where) ? run.report[where].get<long>() : -1;
  }
  static std::string Findings(const AiolabRun& run) {
    std::string findings;
    for (const nlohmann::json& process : run.report["processes"]) {
      if (!process.contains("findings")) continue;
      for (const nlohmann::json& finding : process["findings"]) absl::StrAppend(&findings, finding.dump());
    }
    return findings;
  }

  const std::string directory_ = NewTestDirectory();
};

// Where the files are.
struct Files {
  Words flags;
  Words options;
};
std::vector<Files> HostAndSimulated() { return {{{}, {}}, {{"--simfs=/data"}, {"--directory=/data"}}}; }

TEST_F(ProgramsUnderFaultsTest, FioReportsAnEioAndStops) {
  for (Files files : HostAndSimulated()) {
    const AiolabRun run = Run(files.flags, "complete=1in(50):eio", Fio(files.options));
    EXPECT_EQ(run.result.status, 1) << run.result.out << run.result.err;
    EXPECT_THAT(run.result.out, HasSubstr("error=Input/output error"));
    EXPECT_GE(CountAll(run, "-EIO"), 1);
  }
}

// fio counts what the model says that it has failed.
TEST_F(ProgramsUnderFaultsTest, FioCountsEachErrorWhenItIsToGoOn) {
  for (Files files : HostAndSimulated()) {
    Words options = files.options;
    options.insert(options.end(), {"--direct=1", "--continue_on_error=all"});
    const AiolabRun run = Run(files.flags, "complete=1in(20):eio", Fio(options));
    EXPECT_EQ(run.result.status, 0) << run.result.out << run.result.err;
    EXPECT_GT(Hits(run), 1);
    EXPECT_EQ(CountAll(run, "-EIO"), Hits(run));
    EXPECT_THAT(run.result.out, HasSubstr(absl::StrCat("total=", Hits(run), ", first_error=5/<Input/output error>")));
  }
}

TEST_F(ProgramsUnderFaultsTest, FioReportsEagainInACompletion) {
  const struct {
    const char* rules;
    Words flags;
    Words options;
  } cases[] = {
      {"complete=1in(20):eagain", {}, {}},
      {"complete[rwf=nowait]=1in(20):nowait-block", {}, {"--nowait=1"}},
      {"request=1in(5):queue-full", {"--simfs=/data"}, {"--nowait=1", "--directory=/data"}},
  };
  for (const auto& each : cases) {
    Words options = each.options;
    options.push_back("--direct=1");
    const AiolabRun run = Run(each.flags, each.rules, Fio(options));
    EXPECT_EQ(run.result.status, 1) << each.rules << run.result.out << run.result.err;
    EXPECT_THAT(run.result.out, HasSubstr("error=Resource temporarily unavailable")) << each.rules;
  }
}

// fio up to 3.33 at least waits for events that it has no requests for, when a signal has ended a wait (axboe/fio#1556)
// or io_submit has refused what it counts on: an end that it finds on the real kernel too.
// Method: requests that take long, as fio's other thread sleeps the virtual time away and few waits would be left.
TEST_F(ProgramsUnderFaultsTest, FioVerifiesItsDataOrTheRunSaysWhatItWaitsFor) {
  for (const char* rules : {"getevents=every(2):eintr,complete=always:delay(exp 100s)",
                            "getevents=every(2):short,complete=always:delay(exp 100s)", "submit=every(3):eagain",
                            "submit_one=1in(10):eagain(x5)", "slab=1in(20):enomem"}) {
    const AiolabRun run = Run({"--hang-after=1", "--simfs=/data"}, rules,
                              Fio({"--direct=1", "--thread", "--directory=/data", "--iodepth_batch_complete_min=8"}));
    EXPECT_GT(Hits(run), 0) << rules;
    const std::string findings = Findings(run);
    if (findings.empty()) {
      EXPECT_EQ(run.result.status, 0) << rules << run.result.out << run.result.err;
      EXPECT_EQ(run.Count("PREAD", "ok"), 128) << rules;
    } else {
      EXPECT_EQ(run.result.status, 3) << rules;
      EXPECT_THAT(findings, HasSubstr("waits in io_getevents for")) << rules;
    }
  }
}

// No memory any more: fio waits for requests that it could not submit.
TEST_F(ProgramsUnderFaultsTest, AProgramThatHangsIsEndedWithAFinding) {
  for (const char* how : {"--thread", "--group_reporting"}) {
    const AiolabRun run = Run({"--hang-after=1"}, "slab=after(100):enomem", Fio({"--direct=1", how}));
    EXPECT_THAT(Findings(run), HasSubstr("context 1, which has nothing in flight")) << how << run.result.err;
    EXPECT_NE(run.result.status, 0) << how;
  }
}

// dd knows no AIO, and syncs what it has written.
TEST_F(ProgramsUnderFaultsTest, DdReportsAnFsyncThatFails) {
  const AiolabRun run =
      Run({}, "fsync[path=*/x]=nth(1):enospc", {"dd", "if=/dev/zero", "of=x", "bs=4k", "count=1", "conv=fsync"});
  EXPECT_EQ(run.result.status, 1);
  EXPECT_THAT(run.result.err, HasSubstr("No space left on device"));
  EXPECT_EQ(Hits(run), 1) << run.result.err;
}

TEST_F(ProgramsUnderFaultsTest, DdReportsADirectWriteThatFails) {
  const AiolabRun run = Run({"--simfs=/data"}, "device[op=write]=nth(3):eio",
                            {"dd", "if=/dev/zero", "of=/data/x", "bs=4k", "count=8", "oflag=direct"});
  EXPECT_EQ(run.result.status, 1);
  EXPECT_THAT(run.result.err, HasSubstr("'/data/x': Input/output error"));
  EXPECT_THAT(run.result.err, HasSubstr("2+0 records out"));
}

// SQLite knows no AIO either. What it could not make durable it takes back; of a directory's fsync it does not look at
// the result.
TEST_F(ProgramsUnderFaultsTest, SqliteTakesBackWhatItCouldNotSync) {
  const std::string files = NewDirectory();
  const Words in_order = {"sqlite3", files + "/db", "pragma integrity_check; select count(*) from t;"};
  const Words create = {"sqlite3", files + "/db", "create table t(a); insert into t values(1);"};
  ASSERT_EQ(RunProgram(create).status, 0);
  const Words insert = {"sqlite3", "/data/db", "insert into t values(2);"};
  for (const char* model : {"ext4-ordered", "xfs", "btrfs"}) {
    const AiolabRun run = Run({Kept(files)}, absl::StrCat("fsync[path=*/db]=nth(1):eio(model=", model, ")"), insert);
    EXPECT_GT(run.result.status, 0) << model << run.result.err;
    EXPECT_THAT(run.result.err, HasSubstr("disk I/O error")) << model;
    EXPECT_EQ(RunProgram(in_order).out, "ok\n1\n") << model;
  }
  const AiolabRun run = Run({Kept(files)}, "fsync[path=/data]=always:eio", insert);
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_GT(Hits(run), 0);
}

// RocksDB stops at what it cannot make durable, a directory's entries included. Method: each record is synced, so that
// those before the one that failed have to be there afterwards.
TEST_F(ProgramsUnderFaultsTest, RocksDbReportsAnFsyncThatFailsAndKeepsWhatWasDurable) {
  const std::string files = NewDirectory();
  const Words put = {"db_bench", "--db=/data/db", "--benchmarks=fillseq",
                     "--num=30", "--sync=1",      "--compression_type=none"};
  AiolabRun run = Run({Kept(files)}, "fsync[path=*.log]=nth(20):eio(model=ext4-ordered)", put);
  EXPECT_EQ(run.result.status, 1);
  EXPECT_THAT(run.result.err, HasSubstr("put error: IO error: While fdatasync: /data/db/"));
  const ProgramResult look =
      RunProgram({"ldb", absl::StrCat("--db=", files, "/db"), "scan", "--no_value", "--key_hex"});
  EXPECT_GE(std::count(look.out.begin(), look.out.end(), '\n'), 19) << look.out << look.err;
  run = Run({"--simfs=/data"}, "fsync[path=/data/db]=nth(2):eio", put);
  EXPECT_EQ(run.result.status, 1);
  EXPECT_THAT(run.result.err, HasSubstr("open error: IO error: While fsync: a directory: Input/output error"));
}

// The tools for the metadata of device-mapper's thin pools, which up to version 0.9 read and write them by libaio.
// Method: a pool with one volume. Later versions are expected to meet no fault.
class ThinPoolTest : public ProgramsUnderFaultsTest {
 protected:
  ThinPoolTest() {
    EXPECT_TRUE(CreateFile(directory_ + "/xml", R"(<superblock uuid="" time="0" transaction="1" flags="0" version="2"
        data_block_size="128" nr_data_blocks="4096">
      <device dev_id="0" mapped_blocks="1024" transaction="0" creation_time="0" snap_time="0">
        <range_mapping origin_begin="0" data_begin="0" length="1024" time="0"/>
      </device>
    </superblock>)")
                    .ok());
    NewMetadata();
    EXPECT_EQ(RunProgram(Restore(), {{}, directory_}).status, 0);
  }
  void NewMetadata() { EXPECT_TRUE(ReplaceFile(directory_ + "/metadata", std::string(4 << 20, '\0')).ok()); }
  static Words Restore() { return {"/usr/sbin/thin_restore", "-i", "xml", "-o", "metadata"}; }
  static Words Check() { return {"/usr/sbin/thin_check", "metadata"}; }
  // Whether this is such a version, by what it says and by what it does.
  bool UsesAio() {
    const bool uses = RunProgram({"/usr/sbin/thin_check", "--version"}).out.substr(0, 2) == "0.";
    const AiolabRun run = Run({}, "complete=always:eio", Check());
    EXPECT_EQ(run.result.status != 0, uses) << run.result.err;
    return uses;
  }
  static std::string Said(const AiolabRun& run) { return run.result.out + run.result.err; }
};

TEST_F(ThinPoolTest, ThinCheckReportsAnErrorAndARefusedRequest) {
  EXPECT_EQ(RunUnderAiolab({}, Check(), directory_).result.status, 0);
  if (!UsesAio()) return;
  AiolabRun run = Run({}, "complete=nth(1):eio", Check());
  EXPECT_EQ(run.result.status, 1) << run.result.err;
  EXPECT_THAT(Said(run), HasSubstr("couldn't get block 0"));
  // What it reads ahead it takes as read.
  run = Run({}, "complete=nth(5):eio", Check());
  EXPECT_EQ(run.result.status, 1) << run.result.err;
  EXPECT_THAT(Said(run), HasSubstr("bad checksum in btree node"));
  for (const char* rules : {"submit=1in(3):eagain", "submit_one=always:eagain", "slab=nth(5):enomem"}) {
    run = Run({}, rules, Check());
    EXPECT_EQ(run.result.status, 1) << rules << run.result.err;
    EXPECT_THAT(Said(run), HasSubstr("io_submit failed with -11")) << rules;
  }
}

// After a short read thin_check of 0.9 waits for the same read again, and so it does on the real kernel.
TEST_F(ThinPoolTest, ThinCheckReportsAShortReadAndWaitsForEver) {
  if (!UsesAio()) return;
  const AiolabRun run = Run({"--hang-after=1"}, "complete=nth(1):short(512)", Check());
  EXPECT_EQ(run.result.status, 3);
  EXPECT_THAT(Said(run), HasSubstr("incomplete io for block 0, e.res = 512"));
  EXPECT_THAT(Findings(run), HasSubstr("context 1, which has nothing in flight"));
}

// thin_restore of 0.9 ends well, on the real kernel too, and leaves metadata that are damaged.
TEST_F(ThinPoolTest, ThinRestoreDoesNotReportAWriteThatFailed) {
  if (!UsesAio()) return;
  NewMetadata();
  const AiolabRun run = Run({}, "complete=nth(5):eio", Restore());
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_EQ(CountAll(run, "-EIO"), 1);
  EXPECT_EQ(RunProgram(Check(), {{}, directory_}).status, 1);
}

TEST_F(ThinPoolTest, ThinRestoreAbortsWhenATransferIsShortOrRefused) {
  if (!UsesAio()) return;
  AiolabRun run = Run({}, "complete=nth(5):short(512)", Restore());
  EXPECT_EQ(run.result.status, 128 + SIGABRT) << run.result.err;
  EXPECT_THAT(Said(run), HasSubstr("incomplete io for block"));
  run = Run({}, "submit=nth(1):eagain", Restore());
  EXPECT_EQ(run.result.status, 128 + SIGABRT) << run.result.err;
  EXPECT_THAT(Said(run), HasSubstr("io_submit failed with -11"));
}

// MariaDB's server without clients: it makes a database from statements and ends.
class MariaDbTest : public ProgramsUnderFaultsTest {
 protected:
  MariaDbTest() {
    NewDirectory();
    EXPECT_TRUE(CreateFile(directory_ + "/fill", R"(
        create database d;
        create table d.t(id int primary key auto_increment, bytes varchar(2000)) engine=innodb;
        insert into d.t(bytes) values(repeat('x', 1900)), (repeat('y', 1900));
        insert into d.t(bytes) select bytes from d.t;
        insert into d.t(bytes) select bytes from d.t;)")
                    .ok());
    // An error unless all rows are there.
    EXPECT_TRUE(CreateFile(directory_ + "/check", R"(
        insert into d.t(bytes)
        select if((select count(*) from d.t where length(bytes) = 1900) = 8, '', (select 1 union select 2));)")
                    .ok());
  }
  Words Server(const std::string& statements) {
    return {"sh", "-c",
            absl::StrCat("exec /usr/sbin/mariadbd --no-defaults --bootstrap --user=root ",
                         "--skip-grant-tables --innodb-buffer-pool-size=8M --innodb-log-file-size=4M ",
                         "--datadir=", directory_, "/new < ", statements)};
  }
};

// It would take io_uring, finds none, and takes libaio.
TEST_F(MariaDbTest, WritesAgainWhatFailed) {
  const AiolabRun run = Run({}, "complete=1in(30):eio,complete=1in(10):short", Server("fill"));
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_GT(CountAll(run, "-EIO"), 0);
  EXPECT_GT(CountAll(run, "short"), 0);
  EXPECT_THAT(run.result.err, HasSubstr("IO Error: 5 during write"));
  const AiolabRun check = RunUnderAiolab({}, Server("check"), directory_);
  EXPECT_EQ(check.result.status, 0) << check.result.err;
}

TEST_F(MariaDbTest, DoesWithoutAioWhereThereIsNone) {
  const AiolabRun run = Run({}, "setup=always:eagain", Server("fill"));
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_THAT(run.result.err, HasSubstr("falling back to innodb_use_native_aio=OFF"));
}

// What io_submit refused is forgotten. Most often its end waits for that, and now and then it crashes: on the real
// kernel too. Its AIO thread waits from the start, with nothing in flight while others work.
TEST_F(MariaDbTest, ReportsEagainAndDoesNotEndWell) {
  const AiolabRun run = Run({"--hang-after=6"}, "submit_one=1in(10):eagain(x3)", Server("fill"));
  EXPECT_THAT(run.result.err, HasSubstr("Operating system error number 11 in a file operation"));
  if (run.result.status == 3) {
    EXPECT_THAT(Findings(run), HasSubstr("context 1, which has nothing in flight"));
  } else {
    EXPECT_GT(run.result.status, 128) << run.result.err;
  }
}

// It does not look at the results of its requests.
TEST_F(ProgramsUnderFaultsTest, StressNgEnds) {
  for (Files files : HostAndSimulated()) {
    Words options;
    if (!files.flags.empty()) options = {"--temp-path", "/data"};
    for (const char* rules : {"complete=1in(50):eio", "complete=1in(20):eagain"}) {
      const AiolabRun run = Run(files.flags, rules, StressNg(options));
      EXPECT_EQ(run.result.status, 0) << rules << run.result.err;
      EXPECT_GT(Hits(run), 0) << rules;
      EXPECT_EQ(CountAll(run, "-EIO") + CountAll(run, "-EAGAIN"), Hits(run)) << rules;
    }
  }
  const AiolabRun run = Run({}, "submit_one=1in(10):eagain(x3)", StressNg());
  EXPECT_EQ(run.result.status, 0) << run.result.err;
  EXPECT_GT(Hits(run), 0);
}

TEST_F(ProgramsUnderFaultsTest, StressNgReportsThatIoSetupFailed) {
  const AiolabRun run = Run({}, "setup=always:enomem", StressNg());
  EXPECT_EQ(run.result.status, 3);
  EXPECT_THAT(run.result.out + run.result.err, HasSubstr("io_setup failed"));
}

TEST_F(ProgramsUnderFaultsTest, QemuImgReportsAnErrorOfARequest) {
  const std::string image = Image();
  for (const auto& [flags, path] :
       {std::pair{Words{}, image}, std::pair{Words{"--simfs=/data"}, std::string("/data/dev0")}}) {
    AiolabRun run = Run(flags, "complete=1in(50):eio", QemuImg(path));
    EXPECT_EQ(run.result.status, 1) << run.result.err;
    EXPECT_THAT(run.result.err, HasSubstr("Failed request: Input/output error"));
    run = Run(flags, "complete=1in(20):eagain", QemuImg(path));
    EXPECT_EQ(run.result.status, 1) << run.result.err;
    EXPECT_THAT(run.result.err, HasSubstr("Failed request: Resource temporarily unavailable"));
  }
}

TEST_F(ProgramsUnderFaultsTest, QemuImgSurvivesAnEagainStorm) {
  const std::string image = Image();
  for (const char* rules : {"submit=1in(3):eagain", "submit_one=1in(10):eagain(x3)", "submit_one=always:eagain",
                            "slab=1in(20):enomem", "complete=1in(10):short"}) {
    const AiolabRun run = Run({}, rules, QemuImg(image));
    EXPECT_EQ(run.result.status, 0) << rules << run.result.err;
    EXPECT_THAT(run.result.out, HasSubstr("Run completed")) << rules;
    EXPECT_GT(Hits(run), 0) << rules;
  }
}

TEST_F(ProgramsUnderFaultsTest, SysbenchStopsAtTheFirstError) {
  Words sysbench = {"sysbench", "fileio", "--file-num=2", "--file-total-size=4M"};
  sysbench.push_back("prepare");
  ASSERT_EQ(RunProgram(sysbench, {{}, directory_}).status, 0);
  sysbench.back() = "run";
  sysbench.insert(sysbench.end(), {"--file-io-mode=async", "--file-test-mode=rndrw", "--events=300", "--time=0"});
  for (const char* rules : {"complete=1in(50):eio", "submit=1in(3):eagain"}) {
    const AiolabRun run = Run({}, rules, sysbench);
    EXPECT_EQ(run.result.status, 1) << rules;
    EXPECT_THAT(run.result.out, HasSubstr("FATAL")) << rules;
  }
}

// An operation that the client never uses, a file that it never opens, more occasions than there are.
TEST_F(ProgramsUnderFaultsTest, ARuleThatNeverStruckIsNamed) {
  const Words fio = Fio({"--direct=1"});
  const AiolabRun run =
      Run({}, "complete[op=poll]=always:eio,complete[path=*.wal]=always:eio,complete=nth(999):eio", fio);
  EXPECT_EQ(run.result.status, 0);
  const nlohmann::json& faults = run.report["totals"]["faults"];
  ASSERT_EQ(faults.size(), 3u);
  for (const nlohmann::json& fault : faults) EXPECT_NE(fault["unfired_because"], "") << fault;
  const AiolabRun text = RunUnderAiolab({"--report=text", "--fault=complete[path=*.wal]=always:eio"}, fio, directory_);
  EXPECT_THAT(text.result.err, HasSubstr("WARNING: the fault rule complete[path=*.wal]=always:eio never struck"));
}

}  // namespace
}  // namespace aiolab
