// What a failed write-back and a failed commit leave behind, cell by cell of the table in simfs.h. Method: the disk
// refuses every write to its data blocks, or to its journal.
#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "tests/kernel_model/fs/simfs/simfs_rig.h"

namespace aiolab {
namespace {

constexpr size_t kBlock = 4096;
constexpr uint64_t kFirstDataBlock = 97;  // of a disk of 4 MiB
constexpr uint64_t kBlocks = 1024;

struct Row {
  const char* model;
  // What the fsyncs behind the failed write-back return.
  long first_fsync;
  long second_fsync;
  // The file's blocks: "A" and "b" are new, "a" is old, "0" is zeros.
  const char* in_the_cache;
  const char* from_the_disk;
  const char* after_a_reboot;
  // After a failed commit.
  long change;
  long look;
};

constexpr Row kRows[] = {
    {"ext4-ordered", -EIO, 0, "Ab", "a0", "a0", -EROFS, 0},
    {"ext4-data", 0, -EIO, "Ab", "a0", "a0", -EROFS, 0},
    {"xfs", -EIO, 0, "Ab", "a0", "a", -EIO, -EIO},
    {"btrfs", -EIO, 0, "a0", "a0", "a", -EROFS, 0},
};

// Each block by its first byte; "?" if it is not the same throughout, which none may be.
std::string BlocksOf(const std::string& bytes) {
  std::string blocks;
  for (size_t at = 0; at < bytes.size(); at += kBlock) {
    const std::string block = bytes.substr(at, kBlock);
    const bool uniform = block.find_first_not_of(block[0]) == std::string::npos && block.size() == kBlock;
    blocks += !uniform ? '?' : block[0] == '\0' ? '0' : block[0];
  }
  return blocks;
}

// The file "a" is durable; its block is overwritten, and one is appended, neither of which the disk will take.
class FsyncErrorTest : public testing::TestWithParam<Row> {
 protected:
  FsyncErrorTest() {
    const absl::Status mounted =
        rig_.machine().MountSimfs({.path = "/e", .disk = "nvme,size=4M", .error_model = GetParam().model});
    EXPECT_TRUE(mounted.ok()) << mounted;
    EXPECT_EQ(rig_.Put("/e/file", std::string(kBlock, 'a')), kBlock);
    EXPECT_EQ(rig_.Sync(), 0);
    fd_ = rig_.Open("/e/file");
  }
  void FailBlocks(uint64_t first, uint64_t count) {
    rig_.machine().DiskOf("/e")->AddBadSectors({.first = 8 * first, .count = 8 * count, .writes_fail = true});
  }
  void Mend() { rig_.machine().DiskOf("/e")->ClearBadSectors(); }
  long WriteBlock(char c, loff_t block) {
    return rig_.Write(fd_, std::string(kBlock, c), block * static_cast<loff_t>(kBlock));
  }
  void WriteWhatFails() {
    EXPECT_EQ(WriteBlock('A', 0), kBlock);
    EXPECT_EQ(WriteBlock('b', 1), kBlock);
    FailBlocks(kFirstDataBlock, kBlocks - kFirstDataBlock);
    EXPECT_EQ(rig_.Fsync(fd_), GetParam().first_fsync);
    Mend();
  }
  std::string Blocks() { return BlocksOf(rig_.Contents("/e/file")); }

  SimfsRig rig_;
  long fd_;
};

TEST_P(FsyncErrorTest, OneFsyncSaysSoAndThenNoneDoes) {
  WriteWhatFails();
  EXPECT_EQ(rig_.Fsync(fd_), GetParam().second_fsync);
  EXPECT_EQ(rig_.Fsync(fd_), 0);
  EXPECT_EQ(rig_.Fdatasync(fd_), 0);
}

// What was written behind the failure goes to the disk, unless that fsync only tells of it.
TEST_P(FsyncErrorTest, AnFsyncThatTellsOfAnEarlierFailureWritesNothing) {
  WriteWhatFails();
  EXPECT_EQ(WriteBlock('C', 0), kBlock);
  const uint64_t requests = rig_.machine().kernel().stats.requests;
  EXPECT_EQ(rig_.Fsync(fd_), GetParam().second_fsync);
  EXPECT_EQ(rig_.machine().kernel().stats.requests == requests, GetParam().second_fsync != 0);
  EXPECT_EQ(rig_.Fsync(fd_), 0);
  rig_.PowerCutAndReboot();
  EXPECT_EQ(Blocks()[0], 'C');
}

// Who has the file open is told each for himself; who opens it when everybody knows is not.
TEST_P(FsyncErrorTest, EachOpenFileIsToldOnce) {
  const long other = rig_.Open("/e/file");
  WriteWhatFails();
  if (GetParam().first_fsync == 0) {
    EXPECT_EQ(rig_.Fsync(fd_), -EIO);
  }
  EXPECT_EQ(rig_.Fsync(other), -EIO);
  EXPECT_EQ(rig_.Fsync(other), 0);
  EXPECT_EQ(rig_.Fsync(rig_.Open("/e/file")), 0);
}

TEST_P(FsyncErrorTest, TheCacheHoldsTheNewDataOrTheOld) {
  WriteWhatFails();
  EXPECT_EQ(Blocks(), GetParam().in_the_cache);
}

// The pages are clean: fsyncs on a disk that takes everything again bring nothing there.
TEST_P(FsyncErrorTest, WhatLeavesTheCacheIsLostWhateverFsyncSaid) {
  WriteWhatFails();
  while (rig_.Fsync(fd_) != 0) {
  }
  rig_.machine().DropCaches();
  EXPECT_EQ(Blocks(), GetParam().from_the_disk);
}

TEST_P(FsyncErrorTest, AfterARebootTheSizeIsTheNewOneOrTheOld) {
  WriteWhatFails();
  EXPECT_EQ(rig_.Sync(), 0);
  rig_.PowerCutAndReboot();
  EXPECT_EQ(Blocks(), GetParam().after_a_reboot);
}

TEST_P(FsyncErrorTest, TheNextAppendLeavesZerosWhereTheLostOneWas) {
  WriteWhatFails();
  EXPECT_EQ(WriteBlock('c', 2), kBlock);
  while (rig_.Fsync(fd_) != 0) {
  }
  rig_.PowerCutAndReboot();
  EXPECT_EQ(Blocks(), "a0c");
}

TEST_P(FsyncErrorTest, WritingTheDataAgainMakesThemDurable) {
  WriteWhatFails();
  while (rig_.Fsync(fd_) != 0) {
  }
  EXPECT_EQ(WriteBlock('A', 0), kBlock);
  EXPECT_EQ(WriteBlock('b', 1), kBlock);
  EXPECT_EQ(rig_.Fsync(fd_), 0);
  rig_.PowerCutAndReboot();
  EXPECT_EQ(Blocks(), "Ab");
}

TEST_P(FsyncErrorTest, TheFileSystemGoesOnAfterAFailedDataWrite) {
  WriteWhatFails();
  EXPECT_EQ(rig_.Put("/e/other", std::string(kBlock, 'o')), kBlock);
  const long other = rig_.Open("/e/other");
  EXPECT_EQ(rig_.Fsync(other), 0);
  rig_.PowerCutAndReboot();
  EXPECT_EQ(BlocksOf(rig_.Contents("/e/other")), "o");
}

TEST_P(FsyncErrorTest, AFailedCommitEndsChangesOrEverything) {
  FailBlocks(1, 8);
  EXPECT_EQ(rig_.Mkdir("/e/new"), 0);
  const long directory = rig_.Open("/e", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(rig_.Fsync(directory), -EIO);

  EXPECT_EQ(rig_.Mkdir("/e/newer"), GetParam().change);
  EXPECT_EQ(rig_.Unlink("/e/file"), GetParam().change);
  EXPECT_EQ(WriteBlock('A', 0), GetParam().change);
  EXPECT_EQ(rig_.Truncate(fd_, 0), GetParam().change);
  EXPECT_EQ(rig_.Fallocate(fd_, 0, 0, 1 << 20), GetParam().change);
  EXPECT_EQ(rig_.Fsync(fd_), -EIO);

  const long look = GetParam().look;
  struct stat status;
  char byte;
  EXPECT_EQ(rig_.Stat("/e/file", &status), look);
  EXPECT_EQ(rig_.kernel().pread64(static_cast<int>(fd_), &byte, 1, 0), look == 0 ? 1 : look);
  EXPECT_EQ(std::min(rig_.Open("/e/file", O_RDONLY), 0L), look);
  char entries[512];
  EXPECT_EQ(std::min(rig_.kernel().getdents64(static_cast<int>(directory), entries, sizeof(entries)), 0L), look);

  Mend();
  rig_.PowerCutAndReboot();
  EXPECT_EQ(Blocks(), "a");
  EXPECT_EQ(rig_.Stat("/e/new", &status), -ENOENT);
}

INSTANTIATE_TEST_SUITE_P(All, FsyncErrorTest, testing::ValuesIn(kRows), [](const auto& info) {
  std::string name = info.param.model;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

// The error was there before anybody had the file open to be told.
TEST(FsyncErrorReportTest, AnErrorThatNobodyHasSeenIsToldToWhoOpensTheFileLater) {
  SimfsRig rig;
  const long fd = rig.Open("/data/file", O_RDWR | O_CREAT);
  EXPECT_EQ(rig.Write(fd, std::string(kBlock, 'a'), 0), kBlock);
  rig.machine().DiskOf("/data")->AddBadSectors({.first = 8 * kFirstDataBlock, .count = 8, .writes_fail = true});
  rig.Sync();
  EXPECT_EQ(rig.Fsync(rig.Open("/data/file")), -EIO);
}

}  // namespace
}  // namespace aiolab
