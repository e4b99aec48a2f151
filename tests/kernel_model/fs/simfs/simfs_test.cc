// What a client sees of files and directories on simfs.
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/kernel_model/fs/simfs/simfs_rig.h"

namespace aiolab {
namespace {

std::string Text(char c, size_t n) { return std::string(n, c); }
std::string Zeros(size_t n) { return Text('\0', n); }

// "4096*a 10*0": for messages that can be read.
std::string Runs(const std::string& bytes) {
  std::string runs;
  for (size_t at = 0; at < bytes.size();) {
    size_t end = at;
    while (end < bytes.size() && bytes[end] == bytes[at]) ++end;
    absl::StrAppend(&runs, end - at, "*", bytes[at] == '\0' ? std::string("zero") : std::string(1, bytes[at]), " ");
    at = end;
  }
  return runs;
}

// What the test made is the same after everything was written and read back by another boot.
void RebootCleanly(SimfsRig& rig) {
  EXPECT_EQ(rig.Sync(), 0);
  rig.PowerCutAndReboot();
}

TEST(SimfsTest, AFileHasItsBytesAfterASyncAndAReboot) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 10000)), 10000);
  EXPECT_EQ(Runs(rig.Contents("/data/a")), Runs(Text('a', 10000)));
  RebootCleanly(rig);
  EXPECT_EQ(Runs(rig.Contents("/data/a")), Runs(Text('a', 10000)));
}

TEST(SimfsTest, AHoleReadsAsZerosAndHasNoBlocks) {
  SimfsRig rig;
  const long fd = rig.Open("/data/a", O_RDWR | O_CREAT);
  EXPECT_EQ(rig.Write(fd, "x", 1 << 20), 1);
  RebootCleanly(rig);
  struct stat status;
  ASSERT_EQ(rig.Stat("/data/a", &status), 0);
  EXPECT_EQ(status.st_size, (1 << 20) + 1);
  EXPECT_EQ(status.st_blocks, 8);
  EXPECT_EQ(Runs(rig.Contents("/data/a")), Runs(Zeros(1 << 20) + "x"));
}

TEST(SimfsTest, SeekFindsDataAndHoles) {
  SimfsRig rig;
  const long fd = rig.Open("/data/a", O_RDWR | O_CREAT);
  EXPECT_EQ(rig.Write(fd, Text('x', 4096), 8192), 4096);
  for (const char* when : {"dirty", "on the disk"}) {
    SCOPED_TRACE(when);
    EXPECT_EQ(rig.Seek(fd, 0, SEEK_DATA), 8192);
    EXPECT_EQ(rig.Seek(fd, 0, SEEK_HOLE), 0);
    EXPECT_EQ(rig.Seek(fd, 9000, SEEK_DATA), 9000);
    EXPECT_EQ(rig.Seek(fd, 9000, SEEK_HOLE), 12288);
    EXPECT_EQ(rig.Seek(fd, 12288, SEEK_DATA), -ENXIO);
    EXPECT_EQ(rig.Fsync(fd), 0);
  }
}

TEST(SimfsTest, TruncateCutsAndWhatComesBackIsZeros) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 10000)), 10000);
  EXPECT_EQ(rig.Sync(), 0);
  rig.machine().DropCaches();
  const long fd = rig.Open("/data/a");
  EXPECT_EQ(rig.Truncate(fd, 5000), 0);
  EXPECT_EQ(rig.Truncate(fd, 9000), 0);
  EXPECT_EQ(Runs(rig.Contents("/data/a")), Runs(Text('a', 5000) + Zeros(4000)));
  RebootCleanly(rig);
  EXPECT_EQ(Runs(rig.Contents("/data/a")), Runs(Text('a', 5000) + Zeros(4000)));
}

TEST(SimfsTest, FallocateReservesWithoutData) {
  SimfsRig rig;
  const long fd = rig.Open("/data/a", O_RDWR | O_CREAT);
  EXPECT_EQ(rig.Fallocate(fd, 0, 0, 10000), 0);
  struct stat status;
  ASSERT_EQ(rig.Stat("/data/a", &status), 0);
  EXPECT_EQ(status.st_size, 10000);
  EXPECT_EQ(status.st_blocks, 24);
  EXPECT_EQ(rig.Fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 40960), 0);
  EXPECT_EQ(rig.Write(fd, "x", 5000), 1);
  RebootCleanly(rig);
  EXPECT_EQ(Runs(rig.Contents("/data/a")), Runs(Zeros(5000) + "x" + Zeros(4999)));
  ASSERT_EQ(rig.Stat("/data/a", &status), 0);
  EXPECT_EQ(status.st_blocks, 80);
}

TEST(SimfsTest, APunchedHoleGivesItsBlocksBack) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 20480)), 20480);
  EXPECT_EQ(rig.Sync(), 0);
  const uint64_t free = rig.FreeBlocks();
  const long fd = rig.Open("/data/a");
  EXPECT_EQ(rig.Fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 10000), 0);
  const std::string expected = Text('a', 5000) + Zeros(10000) + Text('a', 5480);
  EXPECT_EQ(Runs(rig.Contents("/data/a")), Runs(expected));
  RebootCleanly(rig);
  EXPECT_EQ(Runs(rig.Contents("/data/a")), Runs(expected));
  EXPECT_EQ(rig.FreeBlocks(), free + 1);
}

TEST(SimfsTest, ZeroRangeKeepsTheBlocks) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 20480)), 20480);
  EXPECT_EQ(rig.Sync(), 0);
  const uint64_t free = rig.FreeBlocks();
  const long fd = rig.Open("/data/a");
  EXPECT_EQ(rig.Fallocate(fd, FALLOC_FL_ZERO_RANGE, 4096, 12288), 0);
  RebootCleanly(rig);
  EXPECT_EQ(Runs(rig.Contents("/data/a")), Runs(Text('a', 4096) + Zeros(12288) + Text('a', 4096)));
  EXPECT_EQ(rig.FreeBlocks(), free);
}

TEST(SimfsTest, CollapsingARangeIsEopnotsupp) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 20480)), 20480);
  const long fd = rig.Open("/data/a");
  EXPECT_EQ(rig.Fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
}

TEST(SimfsTest, NamesMoveAndReplace) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", "a"), 1);
  EXPECT_EQ(rig.Put("/data/b", "b"), 1);
  EXPECT_EQ(rig.Mkdir("/data/d"), 0);
  EXPECT_EQ(rig.Rename("/data/a", "/data/b", RENAME_NOREPLACE), -EEXIST);
  EXPECT_EQ(rig.Rename("/data/a", "/data/d", RENAME_EXCHANGE), 0);
  EXPECT_EQ(rig.Rename("/data/d", "/data/b"), 0);
  EXPECT_EQ(rig.Put("/data/a/in", "in"), 2);
  EXPECT_EQ(rig.Link("/data/b", "/data/a/b2"), 0);
  EXPECT_EQ(rig.Symlink("a/in", "/data/l"), 0);
  EXPECT_EQ(rig.Rmdir("/data/a"), -ENOTEMPTY);
  RebootCleanly(rig);
  EXPECT_EQ(rig.Contents("/data/a/b2"), "a");
  EXPECT_EQ(rig.Contents("/data/b"), "a");
  EXPECT_EQ(rig.Contents("/data/l"), "in");
  EXPECT_EQ(rig.Contents("/data/d"), "-ENOENT");
  struct stat status;
  ASSERT_EQ(rig.Stat("/data/b", &status), 0);
  EXPECT_EQ(status.st_nlink, 2u);
}

TEST(SimfsTest, AnUnlinkedFileLivesWhileItIsOpen) {
  SimfsRig rig;
  EXPECT_EQ(rig.Sync(), 0);
  const uint64_t free = rig.FreeBlocks();
  EXPECT_EQ(rig.Put("/data/a", Text('a', 8192)), 8192);
  const long fd = rig.Open("/data/a");
  EXPECT_EQ(rig.Unlink("/data/a"), 0);
  char byte = 0;
  EXPECT_EQ(rig.kernel().pread64(static_cast<int>(fd), &byte, 1, 100), 1);
  EXPECT_EQ(byte, 'a');
  EXPECT_EQ(rig.Close(fd), 0);
  EXPECT_EQ(rig.FreeBlocks(), free);
}

TEST(SimfsTest, AFullDiskIsEnospcAndCanBeEmptied) {
  SimfsRig rig(7, "nvme,size=1M");
  const long fd = rig.Open("/data/a", O_RDWR | O_CREAT);
  const std::string megabyte = Text('a', 1 << 20);
  const long written = rig.Write(fd, megabyte, 0);
  EXPECT_GT(written, 512 * 1024);
  EXPECT_LT(written, 1 << 20);
  EXPECT_EQ(rig.Write(fd, "x", written + 4096), -ENOSPC);
  EXPECT_EQ(rig.Fsync(fd), 0);
  EXPECT_EQ(rig.Close(fd), 0);
  EXPECT_EQ(rig.Unlink("/data/a"), 0);
  // The blocks come back with a commit, for which the write waits.
  EXPECT_EQ(rig.Put("/data/b", absl::string_view(megabyte).substr(0, 512 * 1024)), 512 * 1024);
  EXPECT_EQ(rig.Sync(), 0);
  for (const std::string& problem : rig.CheckDisk()) ADD_FAILURE() << problem;
}

TEST(SimfsTest, TooManyNamesAreEnospc) {
  SimfsRig rig(7, "nvme,size=1M");
  long result = 0;
  int made = 0;
  while (result >= 0 && made < 1000) {
    result = rig.Mkdir(absl::StrCat("/data/", made));
    if (result == 0) ++made;
  }
  EXPECT_EQ(result, -ENOSPC);
  EXPECT_EQ(rig.Sync(), 0);
  for (int i = 0; i < made; ++i) EXPECT_EQ(rig.Rmdir(absl::StrCat("/data/", i)), 0);
  RebootCleanly(rig);
  EXPECT_EQ(rig.Mkdir("/data/again"), 0);
}

TEST(SimfsTest, BeyondTheLargestFileIsEfbig) {
  SimfsRig rig;
  const long fd = rig.Open("/data/a", O_RDWR | O_CREAT);
  constexpr loff_t kMax = loff_t{0xffffffff} << 12;
  EXPECT_EQ(rig.Write(fd, "x", kMax), -EFBIG);
  EXPECT_EQ(rig.Truncate(fd, kMax + 1), -EFBIG);
  EXPECT_EQ(rig.Truncate(fd, kMax), 0);
}

// ---- Advice. Method: what a read asks the disk for says what is in memory.

uint64_t RequestsOfRead(SimfsRig& rig, long fd, loff_t offset) {
  const uint64_t before = rig.machine().kernel().stats.requests;
  char byte;
  EXPECT_EQ(rig.kernel().pread64(static_cast<int>(fd), &byte, 1, offset), 1);
  return rig.machine().kernel().stats.requests - before;
}

TEST(FadviseTest, WhatIsNotNeededLeavesMemoryInWholePages) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 4 * 4096)), 4 * 4096);
  EXPECT_EQ(rig.Sync(), 0);
  const int fd = static_cast<int>(rig.Open("/data/a"));
  EXPECT_EQ(rig.kernel().fadvise64(fd, 0, 0, POSIX_FADV_RANDOM), 0);
  EXPECT_EQ(rig.kernel().fadvise64(fd, 100, 2 * 4096, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(RequestsOfRead(rig, fd, 0), 0);
  EXPECT_EQ(RequestsOfRead(rig, fd, 4096), 1);
  EXPECT_EQ(RequestsOfRead(rig, fd, 2 * 4096), 0);
  EXPECT_EQ(rig.kernel().fadvise64(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(RequestsOfRead(rig, fd, 0), 1);
  EXPECT_EQ(RequestsOfRead(rig, fd, 3 * 4096), 1);
}

TEST(FadviseTest, WhatIsDirtyStaysAndIsWritten) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 4096)), 4096);
  const int fd = static_cast<int>(rig.Open("/data/a"));
  EXPECT_EQ(rig.kernel().fadvise64(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(RequestsOfRead(rig, fd, 0), 0);
  rig.Sleep(100'000'000);
  EXPECT_EQ(rig.kernel().fadvise64(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(RequestsOfRead(rig, fd, 0), 1);
}

TEST(FadviseTest, WhatWillBeNeededIsReadAtOnce) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 64 * 4096)), 64 * 4096);
  EXPECT_EQ(rig.Sync(), 0);
  rig.machine().DropCaches();
  const int fd = static_cast<int>(rig.Open("/data/a"));
  EXPECT_EQ(rig.kernel().fadvise64(fd, 0, 0, POSIX_FADV_WILLNEED), 0);
  rig.Sleep(100'000'000);
  for (loff_t page : {0, 20, 63}) EXPECT_EQ(RequestsOfRead(rig, fd, page * 4096), 0) << page;
}

TEST(FadviseTest, ARandomReaderGetsNoMoreThanItAsksFor) {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", Text('a', 64 * 4096)), 64 * 4096);
  EXPECT_EQ(rig.Sync(), 0);
  rig.machine().DropCaches();
  const int fd = static_cast<int>(rig.Open("/data/a"));
  EXPECT_EQ(rig.kernel().fadvise64(fd, 0, 0, POSIX_FADV_RANDOM), 0);
  EXPECT_EQ(RequestsOfRead(rig, fd, 0), 1);
  EXPECT_EQ(RequestsOfRead(rig, fd, 4096), 1);
  EXPECT_EQ(rig.kernel().fadvise64(fd, 0, 0, POSIX_FADV_NORMAL), 0);
  EXPECT_EQ(RequestsOfRead(rig, fd, 2 * 4096), 1);
  EXPECT_EQ(rig.kernel().fadvise64(fd, 0, 0, POSIX_FADV_RANDOM), 0);
  EXPECT_EQ(RequestsOfRead(rig, fd, 3 * 4096), 0);
}

// ---- The disk without a file system.

TEST(BlockDevTest, ReadsAndWritesTheDisk) {
  SimfsRig rig;
  const long fd = rig.Open("/data/dev0", O_RDWR);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(rig.Write(fd, "hello", 10000), 5);
  EXPECT_EQ(rig.Fsync(fd), 0);
  EXPECT_EQ(rig.Write(fd, "x", 4 << 20), -ENOSPC);
  EXPECT_EQ(rig.Write(fd, "xy", (4 << 20) - 1), 1);
  uint64_t size = 0;
  EXPECT_EQ(rig.Ioctl(fd, BLKGETSIZE64, &size), 0);
  EXPECT_EQ(size, uint64_t{4} << 20);
  int block = 0;
  EXPECT_EQ(rig.Ioctl(fd, BLKSSZGET, &block), 0);
  EXPECT_EQ(block, 512);
  EXPECT_EQ(rig.Ioctl(fd, BLKFLSBUF, nullptr), 0);
  EXPECT_EQ(rig.Unlink("/data/dev0"), -EPERM);
  rig.PowerCutAndReboot();
  EXPECT_EQ(rig.Contents("/data/dev0").substr(10000, 5), "hello");
}

TEST(BlockDevTest, ADirectWriteHasToBeAligned) {
  SimfsRig rig;
  const long fd = rig.Open("/data/dev0", O_RDWR | O_DIRECT);
  alignas(4096) static char buffer[4096] = {'d'};
  EXPECT_EQ(rig.kernel().pwrite64(static_cast<int>(fd), buffer, 512, 512), 512);
  EXPECT_EQ(rig.kernel().pwrite64(static_cast<int>(fd), buffer, 512, 100), -EINVAL);
  EXPECT_EQ(rig.kernel().pwrite64(static_cast<int>(fd), buffer, 100, 512), -EINVAL);
}

// Neither the end of a file nor the limit of its size means anything here (seen on a loop device).
TEST(BlockDevTest, AnAppendingWriteGoesWhereItIsSent) {
  SimfsRig rig;
  const long fd = rig.Open("/data/dev0", O_RDWR | O_APPEND);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(rig.Write(fd, "hello", 4096), 5);
  EXPECT_EQ(rig.Contents("/data/dev0").substr(4096, 5), "hello");
}

TEST(BlockDevTest, ZerooutAndDiscardMakeZeros) {
  SimfsRig rig;
  const long fd = rig.Open("/data/dev0", O_RDWR);
  EXPECT_EQ(rig.Write(fd, Text('x', 16384), 0), 16384);
  uint64_t range[2] = {4096, 4096};
  EXPECT_EQ(rig.Ioctl(fd, BLKZEROOUT, range), 0);
  range[0] = 12288;
  EXPECT_EQ(rig.Ioctl(fd, BLKDISCARD, range), 0);
  range[0] = 100;
  EXPECT_EQ(rig.Ioctl(fd, BLKDISCARD, range), -EINVAL);
  EXPECT_EQ(Runs(rig.Contents("/data/dev0").substr(0, 16384)),
            Runs(Text('x', 4096) + Zeros(4096) + Text('x', 4096) + Zeros(4096)));
}

TEST(MountSimfsTest, SaysWhatIsWrong) {
  SimfsRig rig;
  EXPECT_EQ(rig.machine().MountSimfs({.path = "/x", .disk = "nvme,size=64K"}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(rig.machine().MountSimfs({.path = "/x", .disk = "floppy"}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(rig.machine().MountSimfs({.path = "/x", .error_model = "zfs"}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(rig.Put("/tmp/f", "f"), 1);
  EXPECT_EQ(rig.machine().MountSimfs({.path = "/tmp/f", .disk = "nvme,size=4M"}).code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace aiolab
