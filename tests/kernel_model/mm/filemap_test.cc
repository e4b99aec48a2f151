// Buffered reads and writes of files whose bytes are in the page cache: what each waits for, what it leaves behind, and
// when pages are written, read ahead and dropped.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kernel_model/mm/paged_file.h"
#include "uapi/aio_abi.h"

namespace aiolab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kSecondNs = 1'000'000'000;

class FilemapTest : public PagedFileTest {};

// ---- Reads

TEST_F(FilemapTest, AReadOfAbsentPagesLeavesAndComesBackUntilItHasThem) {
  FillFile(3);
  std::string read(3 * kPageSize - 10, '-');
  EXPECT_EQ(Read(Open(O_RDWR), &read, 5), 12278);
  EXPECT_EQ(read, (PageOf('a') + PageOf('b') + PageOf('c')).substr(5, 12278));
  EXPECT_GE(machine_.kernel().stats.retries, 1u);
  EXPECT_THAT(disk_.log, ElementsAre("R 0+24"));
}

TEST_F(FilemapTest, APresentPageIsReadInsideIoSubmit) {
  FillFile(1);
  const int fd = Open(O_RDWR);
  std::string read(kPageSize, '-');
  ASSERT_EQ(Read(fd, &read, 0), 4096);
  const uint64_t retries = machine_.kernel().stats.retries;
  ASSERT_EQ(Read(fd, &read, 0), 4096);
  EXPECT_EQ(machine_.kernel().stats.retries, retries);
  EXPECT_EQ(disk_.log.size(), 1u);
}

TEST_F(FilemapTest, HolesAreZerosAndNoTransfer) {
  file_->i_size = 8 * kPageSize;
  std::string read(8 * kPageSize, '-');
  EXPECT_EQ(Read(Open(O_RDWR), &read, 0), 32768);
  EXPECT_EQ(read, std::string(32768, '\0'));
  EXPECT_THAT(disk_.log, IsEmpty());
}

TEST_F(FilemapTest, AReadIsShortAtTheEndAndZeroBehindIt) {
  FillFile(1);
  file_->i_size = 100;
  const int fd = Open(O_RDWR);
  std::string read(kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 90), 10);
  read.resize(10);
  EXPECT_EQ(Read(fd, &read, 100), 0);
}

TEST_F(FilemapTest, AFailedReadIsEioForEveryWaiterAndTheNextOneTriesAgain) {
  FillFile(1);
  disk_.bad_sectors = {3};
  const int fd = Open(O_RDWR);
  iocb first = Request(IOCB_CMD_PREAD, fd, Buffer(kPageSize), kPageSize, 0);
  iocb second = Request(IOCB_CMD_PREAD, fd, Buffer(kPageSize), kPageSize, 0);
  ASSERT_EQ(Submit(first), 1);
  ASSERT_EQ(Submit(second), 1);
  EXPECT_EQ(Reap(), -EIO);
  EXPECT_EQ(Reap(), -EIO);
  disk_.bad_sectors.clear();
  std::string read(kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 0), 4096);
  EXPECT_EQ(read, PageOf('a'));
}

TEST_F(FilemapTest, AFailureAfterProgressGivesTheShortCount) {
  file_->places[1] = 100;  // in two transfers
  FillFile(2);
  disk_.bad_sectors = {800};
  std::string read(2 * kPageSize, '-');
  EXPECT_EQ(Read(Open(O_RDWR), &read, 0), 4096);
  EXPECT_EQ(read, PageOf('a'));
}

// ---- Read-ahead

TEST_F(FilemapTest, ASequentialReaderGetsGrowingWindowsUpTo128KiB) {
  FillFile(200);
  const int fd = Open(O_RDWR);
  for (int page = 0; page < 90; ++page) {
    std::string read(kPageSize, '-');
    ASSERT_EQ(Read(fd, &read, page * 4096), 4096);
    ASSERT_EQ(read, PageOf(static_cast<char>('a' + page % 26))) << page;
  }
  // 4 pages, 8, 16, then 32 each.
  EXPECT_THAT(disk_.log, ElementsAre("R 0+32", "R 32+64", "R 96+128", "R 224+256", "R 480+256", "R 736+256"));
}

TEST_F(FilemapTest, ARandomReaderGetsWhatItAsksFor) {
  FillFile(100);
  const int fd = Open(O_RDWR);
  std::string read(2 * kPageSize, '-');
  ASSERT_EQ(Read(fd, &read, 50 * 4096), 8192);
  ASSERT_EQ(Read(fd, &read, 20 * 4096), 8192);
  EXPECT_THAT(disk_.log, ElementsAre("R 400+16", "R 160+16"));
}

TEST_F(FilemapTest, ReadAheadEndsAtTheEndOfTheFile) {
  FillFile(3);
  std::string read(100, '-');
  ASSERT_EQ(Read(Open(O_RDWR), &read, 0), 100);
  EXPECT_THAT(disk_.log, ElementsAre("R 0+24"));
}

// ---- Writes

TEST_F(FilemapTest, AWriteIsInTheCacheAndOnTheDiskAfterFsync) {
  const int fd = Open(O_RDWR);
  EXPECT_EQ(Write(fd, "hello", 0), 5);
  EXPECT_EQ(file_->i_size, 5);
  EXPECT_THAT(disk_.log, IsEmpty());
  EXPECT_EQ(ResultOf(Request(IOCB_CMD_FSYNC, fd, nullptr, 0, 0)), 0);
  EXPECT_THAT(disk_.log, ElementsAre("W 0+8", "F"));
  EXPECT_EQ(OnDisk(0), "hello" + std::string(4091, '\0'));
  EXPECT_THAT(file_->ends, ElementsAre("0+1 size 5 error 0"));
  EXPECT_EQ(nr_dirty(), 0u);
}

TEST_F(FilemapTest, AWriteOfAPartOfAnAbsentPageWaitsForTheRest) {
  FillFile(1);
  const int fd = Open(O_RDWR);
  EXPECT_EQ(Write(fd, "XX", 100), 2);
  EXPECT_GE(machine_.kernel().stats.retries, 1u);
  ASSERT_EQ(kernel_.fsync(fd), 0);
  EXPECT_EQ(OnDisk(0), PageOf('a', 100) + "XX" + PageOf('a', 3994));
}

TEST_F(FilemapTest, AWriteOfAWholePageReadsNothing) {
  FillFile(2);
  const int fd = Open(O_RDWR);
  EXPECT_EQ(Write(fd, PageOf('X') + "YY", 0), 4098);
  EXPECT_THAT(disk_.log, ElementsAre("R 8+8"));
  std::string read(2 * kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 0), 8192);
  EXPECT_EQ(read, PageOf('X') + "YY" + PageOf('b', 4094));
}

TEST_F(FilemapTest, WithoutRoomAWriteIsShortAndThenEnospc) {
  file_->room = 2;
  const int fd = Open(O_RDWR);
  EXPECT_EQ(Write(fd, std::string(5 * kPageSize, 'x'), 0), 8192);
  EXPECT_EQ(Write(fd, "x", 8192), -ENOSPC);
  EXPECT_EQ(file_->i_size, 8192);
}

TEST_F(FilemapTest, ABadAddressAfterOnePageIsAShortWriteThatKeepsTheOldBytes) {
  FillFile(2);
  const int fd = Open(O_RDWR);
  auto* const map =
      static_cast<char*>(mmap(nullptr, 3 * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  memset(map, 'X', 2 * kPageSize);
  ASSERT_EQ(munmap(map + 2 * kPageSize, kPageSize), 0);
  // Its second page gets half of its bytes.
  EXPECT_EQ(ResultOf(Request(IOCB_CMD_PWRITE, fd, map + 2048, 2 * kPageSize, 0)), 6144);
  munmap(map, 2 * kPageSize);
  std::string read(2 * kPageSize, '-');
  ASSERT_EQ(Read(fd, &read, 0), 8192);
  EXPECT_EQ(read, PageOf('X', 6144) + PageOf('b', 2048));
}

TEST_F(FilemapTest, AnAppendingWriteGoesWhereTheFileEndsWhenItHasTheLock) {
  FillFile(1);
  const int fd = Open(O_RDWR);
  EXPECT_EQ(Write(fd, "one", 0, RWF_APPEND), 3);
  EXPECT_EQ(Write(fd, "two", 0, RWF_APPEND), 3);
  EXPECT_EQ(file_->i_size, 4102);
  const int appending = Open(O_RDWR | O_APPEND);
  EXPECT_EQ(Write(appending, "XX", 1, RWF_NOAPPEND), 2);
  EXPECT_EQ(file_->i_size, 4102);
  std::string read(6, '-');
  ASSERT_EQ(Read(fd, &read, 4096), 6);
  EXPECT_EQ(read, "onetwo");
}

// The first writer waits for its page with the lock, as it sleeps with it in the kernel.
TEST_F(FilemapTest, TheInodeLockIsKeptWhileAWriteWaitsForItsPage) {
  FillFile(2);
  const int fd = Open(O_RDWR);
  char bytes[] = "XX";
  iocb partial = Request(IOCB_CMD_PWRITE, fd, bytes, 2, 100);
  iocb whole = Request(IOCB_CMD_PWRITE, fd, Buffer(kPageSize), kPageSize, 4096);
  ASSERT_EQ(Submit(partial), 1);
  ASSERT_EQ(Submit(whole), 1);
  io_event events[2];
  timespec at_once = {};
  EXPECT_EQ(kernel_.io_getevents(ctx_, 0, 2, events, &at_once), 0);
  EXPECT_NE(file_->i_rwsem.owner, nullptr);
  EXPECT_EQ(kernel_.io_getevents(ctx_, 2, 2, events, nullptr), 2);
  EXPECT_EQ(events[0].obj, reinterpret_cast<uint64_t>(&partial));
  EXPECT_EQ(file_->i_rwsem.owner, nullptr);
}

TEST_F(FilemapTest, WithoutStablePagesAPageUnderWritebackMayBeWrittenAgain) {
  const int fd = Open(O_RDWR);
  ASSERT_EQ(Write(fd, PageOf('1'), 0), 4096);
  disk_.held = true;
  iocb fsync = Request(IOCB_CMD_FSYNC, fd, nullptr, 0, 0);
  ASSERT_EQ(Submit(fsync), 1);
  Sleep(kSecondNs / 1000);
  ASSERT_EQ(Write(fd, PageOf('2'), 0), 4096);
  EXPECT_EQ(nr_dirty(), 1u);
  ReleaseDisk();
  EXPECT_EQ(Reap(), 0);
  EXPECT_EQ(OnDisk(0), PageOf('2'));
  EXPECT_EQ(nr_dirty(), 0u);  // what was dirty again when the fsync had waited went out in its second pass
}

TEST_F(FilemapTest, AStablePageUnderWritebackMakesItsWriterWait) {
  file_->mapping.stable_writes = true;
  const int fd = Open(O_RDWR);
  ASSERT_EQ(Write(fd, PageOf('1'), 0), 4096);
  disk_.held = true;
  iocb fsync = Request(IOCB_CMD_FSYNC, fd, nullptr, 0, 0);
  ASSERT_EQ(Submit(fsync), 1);
  Sleep(kSecondNs / 1000);
  iocb write = Request(IOCB_CMD_PWRITE, fd, Buffer(kPageSize), kPageSize, 0);
  ASSERT_EQ(Submit(write), 1);
  io_event events[2];
  timespec at_once = {};
  EXPECT_EQ(kernel_.io_getevents(ctx_, 0, 2, events, &at_once), 0);
  ReleaseDisk();
  EXPECT_EQ(kernel_.io_getevents(ctx_, 2, 2, events, nullptr), 2);
  EXPECT_EQ(OnDisk(0), PageOf('1'));
}

// ---- RWF flags

// The flush that the device ends later finds nobody: the fsync's state was on the stack of its caller.
TEST_F(FilemapTest, AnFsyncWhoseFlushNeverEndsIsEioAndTheFlushMayStillEnd) {
  const int fd = Open(O_RDWR);
  disk_.held = true;
  EXPECT_EQ(kernel_.fsync(fd), -EIO);
  EXPECT_EQ(findings_.size(), 1u);
  ReleaseDisk();
  Sleep(kSecondNs);
  EXPECT_EQ(kernel_.fsync(fd), 0);
}

TEST_F(FilemapTest, ADsyncWriteIsOnTheDiskWhenItsEventComes) {
  const int fd = Open(O_RDWR);
  EXPECT_EQ(Write(fd, "durable", 0, RWF_DSYNC), 7);
  EXPECT_THAT(disk_.log, ElementsAre("W 0+8", "F"));
  EXPECT_EQ(Write(Open(O_RDWR | O_DSYNC), "DURABLE", 0), 7);
  EXPECT_EQ(OnDisk(0).substr(0, 7), "DURABLE");
}

TEST_F(FilemapTest, ADsyncWriteThatCannotBeMadeDurableFailsAlthoughItsBytesAreInTheCache) {
  const int fd = Open(O_RDWR);
  disk_.bad_sectors = {1};
  EXPECT_EQ(Write(fd, "durable", 0, RWF_DSYNC), -EIO);
  std::string read(7, '-');
  EXPECT_EQ(Read(fd, &read, 0), 7);
  EXPECT_EQ(read, "durable");
}

TEST_F(FilemapTest, ANowaitReadOfAnAbsentPageIsEagainAndHasThePageReadAllTheSame) {
  FillFile(1);
  const int fd = Open(O_RDWR);
  std::string read(kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 0, RWF_NOWAIT), -EAGAIN);
  Sleep(kSecondNs / 1000);
  read.assign(kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 0, RWF_NOWAIT), 4096);
  EXPECT_EQ(read, PageOf('a'));
}

TEST_F(FilemapTest, ANowaitReadIsShortWhereThePagesEnd) {
  FillFile(100);
  const int fd = Open(O_RDWR);
  std::string read(kPageSize, '-');
  ASSERT_EQ(Read(fd, &read, 50 * 4096), 4096);
  read.assign(2 * kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 50 * 4096, RWF_NOWAIT), 4096);
}

TEST_F(FilemapTest, ABufferedNowaitWriteIsRefusedAsOnExt4) {
  EXPECT_EQ(Write(Open(O_RDWR), "x", 0, RWF_NOWAIT), -EOPNOTSUPP);
}

// A file system that takes them (xfs).
class WasyncTest : public FilemapTest {
 protected:
  int OpenWasync() {
    static constexpr file_operations kOps = {.name = "paged",
                                             .fop_flags = FOP_BUFFER_WASYNC,
                                             .read_iter = generic_file_read_iter,
                                             .write_iter = generic_file_write_iter};
    return Open(O_RDWR, &kOps);
  }
};

TEST_F(WasyncTest, ANowaitWriteIsEagainForAPageThatHasToBeRead) {
  FillFile(1);
  const int fd = OpenWasync();
  EXPECT_EQ(Write(fd, "x", 10, RWF_NOWAIT), -EAGAIN);
  EXPECT_EQ(Write(fd, PageOf('x'), 0, RWF_NOWAIT), 4096);
}

TEST_F(WasyncTest, ANowaitWriteIsEagainWhileAnotherHasTheLock) {
  FillFile(2);
  const int fd = OpenWasync();
  char byte = 'x';
  iocb partial = Request(IOCB_CMD_PWRITE, fd, &byte, 1, 10);
  ASSERT_EQ(Submit(partial), 1);
  iocb nowait = Request(IOCB_CMD_PWRITE, fd, Buffer(kPageSize), kPageSize, 4096, RWF_NOWAIT);
  ASSERT_EQ(Submit(nowait), 1);
  EXPECT_EQ(Reap(), -EAGAIN);
  EXPECT_EQ(Reap(), 1);
}

TEST_F(FilemapTest, DontcachePagesGoOnceTheyHaveBeenUsed) {
  FillFile(4);
  const int fd = Open(O_RDWR);
  std::string read(2 * kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 0, RWF_DONTCACHE), 8192);
  EXPECT_FALSE(Cached(0) || Cached(1));
  EXPECT_EQ(Write(fd, PageOf('X'), 0, RWF_DONTCACHE), 4096);
  EXPECT_TRUE(Cached(0));
  Sleep(kSecondNs / 1000);  // its writeback has begun at once
  EXPECT_FALSE(Cached(0));
  EXPECT_EQ(OnDisk(0), PageOf('X'));
}

TEST_F(FilemapTest, ABufferedAtomicWriteIsRefused) {
  EXPECT_EQ(Write(Open(O_RDWR), PageOf('x'), 0, RWF_ATOMIC), -EOPNOTSUPP);
}

// ---- Going away

TEST_F(FilemapTest, ATruncationDropsPagesAndClearsTheRestOfTheLast) {
  FillFile(3);
  const int fd = Open(O_RDWR);
  ASSERT_EQ(Write(fd, PageOf('X') + PageOf('Y') + PageOf('Z'), 0), 12288);
  {
    Machine::Entry entry(machine_, nullptr);
    file_->i_size = 4196;
    EXPECT_EQ(truncate_pagecache(*file_, 4196), 0);
  }
  EXPECT_FALSE(Cached(2));
  EXPECT_EQ(nr_dirty(), 2u);
  file_->i_size = 8192;
  std::string read(kPageSize, '-');
  ASSERT_EQ(Read(fd, &read, 4096), 4096);
  EXPECT_EQ(read, PageOf('Y', 100) + std::string(3996, '\0'));
}

TEST_F(FilemapTest, TheRestOfAnAbsentLastPageIsClearedOnTheDeviceToo) {
  FillFile(1);
  {
    Machine::Entry entry(machine_, nullptr);
    EXPECT_EQ(truncate_pagecache_block(*file_, 100), 0);
    file_->i_size = 100;
  }
  ASSERT_EQ(kernel_.fsync(Open(O_RDWR)), 0);
  EXPECT_EQ(OnDisk(0), PageOf('a', 100) + std::string(3996, '\0'));
}

}  // namespace
}  // namespace aiolab
