// What is left after the power went: at every event of a workload, with several seeds.
#include <errno.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/kernel_model/fs/simfs/simfs_rig.h"

namespace aiolab {
namespace {

// What the workload was promised: by each fsync that returned 0.
struct Promises {
  std::map<std::string, std::string> files;  // a file that has to be there, and how its contents begin
  std::map<std::string, bool> directories;
};

std::string Text(char c, size_t n) { return std::string(n, c); }

// A bit of everything. Stops at the first call that finds the power gone.
bool Workload(SimfsRig& rig, Promises* promises) {
  const auto gone = [&](long result) { return result == -EIO; };
  const long a = rig.Open("/data/a", O_RDWR | O_CREAT);
  if (a < 0 || gone(rig.Write(a, Text('a', 6000), 0)) || gone(rig.Fsync(a))) return false;
  promises->files["/data/a"] = Text('a', 6000);

  // A directory, a file in it, and the safe way to replace a file.
  if (gone(rig.Mkdir("/data/d"))) return false;
  const long b = rig.Open("/data/d/b.tmp", O_RDWR | O_CREAT);
  if (b < 0 || gone(rig.Write(b, Text('b', 9000), 0)) || gone(rig.Fsync(b))) return false;
  promises->directories["/data/d"] = true;
  promises->files["/data/d/b.tmp"] = Text('b', 9000);
  promises->files.erase("/data/d/b.tmp");  // the rename may be there, or not
  if (gone(rig.Rename("/data/d/b.tmp", "/data/d/b"))) return false;
  const long d = rig.Open("/data/d", O_RDONLY | O_DIRECTORY);
  if (d < 0 || gone(rig.Fsync(d))) return false;
  promises->files["/data/d/b"] = Text('b', 9000);

  // An append that is promised, one that is not, and names that come and go.
  if (gone(rig.Write(a, Text('A', 3000), 6000)) || gone(rig.Fdatasync(a))) return false;
  promises->files["/data/a"] = Text('a', 6000) + Text('A', 3000);
  if (gone(rig.Put("/data/c", Text('c', 20000))) || gone(rig.Link("/data/c", "/data/d/c2"))) return false;
  if (gone(rig.Unlink("/data/c"))) return false;
  if (gone(rig.Mkdir("/data/d/e")) || gone(rig.Rename("/data/d/e", "/data/e"))) return false;
  if (gone(rig.Rmdir("/data/e"))) return false;
  if (gone(rig.Sync())) return false;
  promises->files["/data/d/c2"] = Text('c', 20000);

  // What is cut off may be zeros before it is gone.
  promises->files["/data/d/b"] = Text('b', 5000);
  if (gone(rig.Truncate(b, 5000)) || gone(rig.Fsync(b))) return false;
  if (gone(rig.Put("/data/last", Text('z', 5000)))) return false;
  rig.Sleep(40'000'000'000);
  return !rig.machine().power_is_off();
}

void ExpectPromisesKept(SimfsRig& rig, const Promises& promises) {
  for (const auto& [path, contents] : promises.files) {
    const std::string found = rig.Contents(path);
    // A later change of the same file may or may not be there; what was promised is its beginning.
    EXPECT_EQ(found.compare(0, contents.size(), contents), 0)
        << path << " has " << found.size() << " bytes, promised were " << contents.size();
  }
  struct stat status;
  for (const auto& [path, there] : promises.directories) EXPECT_EQ(rig.Stat(path, &status), 0) << path;
}

uint64_t EventsOfWorkload(uint64_t seed) {
  SimfsRig rig(seed);
  const uint64_t before = rig.events_run();
  Promises promises;
  EXPECT_TRUE(Workload(rig, &promises));
  return rig.events_run() - before;
}

class RecoveryTest : public testing::TestWithParam<int> {};

// Every event is an instant at which the power can go; what the disk had in its cache is decided by the seed.
TEST_P(RecoveryTest, WhatWasSyncedIsThereWheneverThePowerGoes) {
  const auto seed = static_cast<uint64_t>(GetParam());
  const uint64_t events = EventsOfWorkload(seed);
  ASSERT_GT(events, 50u);
  for (uint64_t event = 1; event <= events; ++event) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", power cut at event ", event, " of ", events));
    SimfsRig rig(seed);
    rig.machine().CutPowerAtEvent(rig.events_run() + event);
    Promises promises;
    EXPECT_FALSE(Workload(rig, &promises));
    rig.PowerCutAndReboot();
    ExpectPromisesKept(rig, promises);
    // And it works on.
    EXPECT_EQ(rig.Put("/data/after", "after"), 5);
    EXPECT_EQ(rig.Sync(), 0);
    for (const std::string& problem : rig.CheckDisk()) ADD_FAILURE() << problem;
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RecoveryTest, testing::Range(1, 6));

// The journal wraps and is replaced by checkpoints: small transactions on the smallest disk, cut at any of them.
TEST(CheckpointTest, ACutDuringAnyCommitLeavesTheLastOneThatReturned) {
  for (uint64_t cut = 1; cut <= 400; cut += 3) {
    SCOPED_TRACE(absl::StrCat("power cut at event ", cut));
    SimfsRig rig(/*seed=*/cut, "nvme,size=1M");
    const long dir = rig.Open("/data", O_RDONLY | O_DIRECTORY);
    rig.machine().CutPowerAtEvent(rig.events_run() + cut);
    int made = 0;
    while (made < 40) {
      if (rig.Mkdir(absl::StrCat("/data/", made)) != 0 || rig.Fsync(dir) != 0) break;
      ++made;
    }
    rig.PowerCutAndReboot();
    struct stat status;
    for (int i = 0; i < made; ++i) ASSERT_EQ(rig.Stat(absl::StrCat("/data/", i), &status), 0) << i << " of " << made;
    ASSERT_EQ(rig.Stat(absl::StrCat("/data/", made + 1), &status), -ENOENT);
    if (HasFailure()) return;
  }
}

// The classical mistake: the name is committed, the data are not.
TEST(RecoveryBugTest, ARenameBeforeTheFsyncOfItsFileLeavesItShortOrEmpty) {
  bool found = false;
  for (uint64_t seed = 1; seed <= 20 && !found; ++seed) {
    SimfsRig rig(seed);
    EXPECT_EQ(rig.Put("/data/config", "old contents"), 12);
    EXPECT_EQ(rig.Sync(), 0);
    EXPECT_EQ(rig.Put("/data/config.tmp", "new contents"), 12);
    EXPECT_EQ(rig.Rename("/data/config.tmp", "/data/config"), 0);
    rig.Sleep(6'000'000'000);  // the periodic commit
    rig.PowerCutAndReboot();
    const std::string contents = rig.Contents("/data/config");
    found = contents != "old contents" && contents != "new contents";
    if (found) {
      EXPECT_EQ(contents, "");
    }
  }
  EXPECT_TRUE(found);
}

// The same with the fsync where it belongs is never caught.
TEST(RecoveryBugTest, AnFsyncBeforeTheRenameKeepsOneOfTheTwo) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimfsRig rig(seed);
    EXPECT_EQ(rig.Put("/data/config", "old contents"), 12);
    EXPECT_EQ(rig.Sync(), 0);
    const long fd = rig.Open("/data/config.tmp", O_RDWR | O_CREAT);
    EXPECT_EQ(rig.Write(fd, "new contents", 0), 12);
    EXPECT_EQ(rig.Fsync(fd), 0);
    EXPECT_EQ(rig.Rename("/data/config.tmp", "/data/config"), 0);
    rig.Sleep(static_cast<int64_t>(seed % 3) * 3'000'000'000);
    rig.PowerCutAndReboot();
    const std::string contents = rig.Contents("/data/config");
    EXPECT_TRUE(contents == "old contents" || contents == "new contents") << contents;
  }
}

TEST(RecoveryTest, AFileWithoutANameIsFreedAtTheNextMount) {
  SimfsRig rig;
  EXPECT_EQ(rig.Sync(), 0);
  const uint64_t free = rig.FreeBlocks();
  EXPECT_EQ(rig.Put("/data/a", Text('a', 40960)), 40960);
  const long fd = rig.Open("/data/a");
  EXPECT_EQ(rig.Fsync(fd), 0);
  EXPECT_EQ(rig.Unlink("/data/a"), 0);
  EXPECT_EQ(rig.Fsync(fd), 0);
  EXPECT_EQ(rig.FreeBlocks(), free - 10);
  rig.PowerCutAndReboot();
  EXPECT_EQ(rig.Contents("/data/a"), "-ENOENT");
  EXPECT_EQ(rig.FreeBlocks(), free);
}

TEST(PowerCutTest, EveryCallIsEioUntilTheReboot) {
  SimfsRig rig;
  const long fd = rig.Open("/data/a", O_RDWR | O_CREAT);
  rig.machine().PowerCut();
  EXPECT_EQ(rig.Write(fd, "x", 0), -EIO);
  EXPECT_EQ(rig.Fsync(fd), -EIO);
  aio_context_t ctx = 0;
  EXPECT_EQ(rig.kernel().io_setup(8, &ctx), -EIO);
  rig.PowerCutAndReboot();
  EXPECT_EQ(rig.Write(fd, "x", 0), -EBADF);
  EXPECT_EQ(rig.kernel().io_setup(8, &ctx), 0);
}

// A client that sleeps in io_getevents for more events than will ever come.
TEST(PowerCutTest, AWaiterInIoGeteventsComesBackWithEio) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 4096)), 4096);
  EXPECT_EQ(rig.Sync(), 0);
  rig.machine().DropCaches();
  const long fd = rig.Open("/data/a", O_RDWR | O_DIRECT);
  aio_context_t ctx = 0;
  ASSERT_EQ(rig.kernel().io_setup(8, &ctx), 0);
  alignas(4096) static char buffer[4096];
  iocb read = {};
  read.aio_lio_opcode = IOCB_CMD_PREAD;
  read.aio_fildes = static_cast<uint32_t>(fd);
  read.aio_buf = reinterpret_cast<uint64_t>(buffer);
  read.aio_nbytes = sizeof(buffer);
  iocb* batch[] = {&read};
  rig.machine().CutPowerAtEvent(rig.events_run() + 1);
  ASSERT_EQ(rig.kernel().io_submit(ctx, 1, batch), 1);
  io_event events[2];
  EXPECT_EQ(rig.kernel().io_getevents(ctx, 2, 2, events, nullptr), -EIO);
  rig.PowerCutAndReboot();
  EXPECT_EQ(rig.Contents("/data/a"), Text('a', 4096));
}

}  // namespace
}  // namespace aiolab
