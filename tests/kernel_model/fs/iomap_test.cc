// Direct requests on files with a page cache: what goes to the device, who waits for what, and that no reader sees old
// bytes. What a client can see of it was seen on ext4 first.
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
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class DirectFileTest : public PagedFileTest {
 protected:
  explicit DirectFileTest(SeededBug bug = SeededBug::kNone) : PagedFileTest(*FindProfile("retry"), bug) {}
  int OpenDirect(int flags = 0) { return Open(O_RDWR | O_DIRECT | flags); }

  // True if the request is over when io_submit returns.
  bool IsOverAtOnce(iocb request, int64_t* result) {
    EXPECT_EQ(Submit(request), 1);
    io_event event;
    timespec at_once = {};
    const bool over = kernel_.io_getevents(ctx_, 0, 1, &event, &at_once) == 1;
    *result = over ? event.res : Reap();
    return over;
  }
  iocb WriteRequest(int fd, const std::string& bytes, int64_t offset, int rw_flags = 0) {
    char* const buffer = Buffer(bytes.size());
    memcpy(buffer, bytes.data(), bytes.size());
    return Request(IOCB_CMD_PWRITE, fd, buffer, bytes.size(), offset, rw_flags);
  }
};

TEST_F(DirectFileTest, SeveralExtentsAreSeveralTransfersAndOneEvent) {
  file_->places = {{2, 50}, {3, 51}};
  FillFile(6);
  const int fd = OpenDirect();
  std::string read(6 * kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 0), 24576);
  EXPECT_EQ(read, PageOf('a') + PageOf('b') + PageOf('c') + PageOf('d') + PageOf('e') + PageOf('f'));
  EXPECT_THAT(disk_.log, ElementsAre("R 0+16", "R 400+16", "R 32+16"));
  EXPECT_FALSE(Cached(0));
}

TEST_F(DirectFileTest, HolesAndUnwrittenBlocksAreZerosThatTakeNoTime) {
  file_->i_size = 4 * kPageSize;
  file_->blocks[1] = block_map::kUnwritten;
  const iocb read = Request(IOCB_CMD_PREAD, OpenDirect(), Buffer(4 * kPageSize), 4 * kPageSize, 0);
  int64_t result = 0;
  EXPECT_TRUE(IsOverAtOnce(read, &result));
  EXPECT_EQ(result, 16384);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(read.aio_buf), 16384), std::string(16384, '\0'));
  EXPECT_THAT(disk_.log, IsEmpty());
}

TEST_F(DirectFileTest, AReadIsShortAtTheEndOfTheFile) {
  FillFile(3);
  file_->i_size = 9000;
  const int fd = OpenDirect();
  std::string read(16 * kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 4096), 4904);
  EXPECT_EQ(read, PageOf('b') + PageOf('c', 808));
  EXPECT_EQ(Read(fd, &read, 12288), 0);
}

// As on ext4: a buffered read leaves the rest of its buffer alone, a direct one does not.
TEST_F(DirectFileTest, AReadAcrossTheEndFillsTheRestOfItsBufferWithZeros) {
  FillFile(1);
  char* const buffer = Buffer(3 * kPageSize);
  EXPECT_EQ(ResultOf(Request(IOCB_CMD_PREAD, OpenDirect(), buffer, 3 * kPageSize, 0)), 4096);
  EXPECT_EQ(std::string(buffer, 3 * kPageSize), PageOf('a') + std::string(8192, '\0'));
}

// The writer before it waits for its page with the lock; a direct request sleeps for it in io_submit.
TEST_F(DirectFileTest, AWriteWaitsInIoSubmitForAnInodeLockThatIsTaken) {
  FillFile(2);
  char byte = 'x';
  iocb partial = Request(IOCB_CMD_PWRITE, Open(O_RDWR), &byte, 1, 10);
  ASSERT_EQ(Submit(partial), 1);
  iocb direct = WriteRequest(OpenDirect(), PageOf('X'), 4096);
  ASSERT_EQ(Submit(direct), 1);
  io_event event;
  timespec at_once = {};
  EXPECT_EQ(kernel_.io_getevents(ctx_, 1, 1, &event, &at_once), 1);
  EXPECT_EQ(event.obj, reinterpret_cast<uint64_t>(&partial));
  EXPECT_EQ(Reap(), 4096);
}

TEST_F(DirectFileTest, ALargeRequestIsSeveralTransfers) {
  FillFile(600);
  std::string read(600 * kPageSize, '-');
  EXPECT_EQ(Read(OpenDirect(), &read, 0), 2457600);
  EXPECT_THAT(disk_.log, ElementsAre("R 0+2048", "R 2048+2048", "R 4096+704"));
}

// Where no device is asked, nothing has to be aligned.
TEST_F(DirectFileTest, WhatIsNotAlignedIsEinvalUnlessItLiesInAHoleOrBehindTheEnd) {
  FillFile(2);
  file_->i_size = 8 * kPageSize;
  const int fd = OpenDirect();
  std::string read(kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 1), -EINVAL);
  read.resize(1000);
  EXPECT_EQ(Read(fd, &read, 0), -EINVAL);
  EXPECT_EQ(ResultOf(Request(IOCB_CMD_PREAD, fd, Buffer(8192) + 256, kPageSize, 0)), -EINVAL);
  read.resize(512);
  EXPECT_EQ(Read(fd, &read, 512), 512);
  EXPECT_EQ(Read(fd, &read, 3 * 4096 + 1), 512);
  EXPECT_EQ(Read(fd, &read, 8 * 4096 + 1), 0);
  EXPECT_EQ(Write(fd, PageOf('x'), 1), -EINVAL);
}

TEST_F(DirectFileTest, ABadAddressIsEfault) {
  FillFile(2);
  void* const hole = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const int fd = OpenDirect();
  EXPECT_EQ(ResultOf(Request(IOCB_CMD_PWRITE, fd, hole, 4096, 0)), -EFAULT);
  EXPECT_EQ(ResultOf(Request(IOCB_CMD_PREAD, fd, hole, 4096, 0)), -EFAULT);
  munmap(hole, 4096);
  EXPECT_EQ(OnDisk(0), PageOf('a'));
  EXPECT_EQ(file_->i_dio_count, 0);
}

// ---- Which end inside io_submit

TEST_F(DirectFileTest, AnOverwriteEndsLater) {
  FillFile(1);
  int64_t result = 0;
  EXPECT_FALSE(IsOverAtOnce(WriteRequest(OpenDirect(), PageOf('X'), 0), &result));
  EXPECT_EQ(result, 4096);
  EXPECT_EQ(OnDisk(0), PageOf('X'));
}

TEST_F(DirectFileTest, AWriteThatFillsAHoleEndsLaterAndItsBlocksAreWrittenThen) {
  file_->i_size = 2 * kPageSize;
  iocb write = WriteRequest(OpenDirect(), PageOf('X'), 4096);
  ASSERT_EQ(Submit(write), 1);
  EXPECT_EQ(file_->blocks[1], block_map::kUnwritten);
  EXPECT_EQ(Reap(), 4096);
  EXPECT_EQ(file_->blocks[1], block_map::kMapped);
  EXPECT_THAT(file_->ends, ElementsAre("1+1 size 8192 error 0"));
}

TEST_F(DirectFileTest, AnExtendingWriteIsOverWhenIoSubmitReturns) {
  FillFile(1);
  int64_t result = 0;
  EXPECT_TRUE(IsOverAtOnce(WriteRequest(OpenDirect(), PageOf('X'), 4096), &result));
  EXPECT_EQ(result, 4096);
  EXPECT_EQ(file_->i_size, 8192);
}

TEST_F(DirectFileTest, APartOfABlockInAHoleIsOverAtOnceAndTheRestIsZeros) {
  file_->i_size = kPageSize;
  disk_.Write(0, PageOf('?'));
  int64_t result = 0;
  EXPECT_TRUE(IsOverAtOnce(WriteRequest(OpenDirect(), PageOf('X', 512), 1024), &result));
  EXPECT_EQ(result, 512);
  EXPECT_EQ(OnDisk(0), std::string(1024, '\0') + PageOf('X', 512) + std::string(2560, '\0'));
  EXPECT_THAT(disk_.log, UnorderedElementsAre("W 0+2", "W 2+1", "W 3+5"));
}

TEST_F(DirectFileTest, APartOfAWrittenBlockEndsLater) {
  FillFile(1);
  int64_t result = 0;
  EXPECT_FALSE(IsOverAtOnce(WriteRequest(OpenDirect(), PageOf('X', 512), 1024), &result));
  EXPECT_EQ(OnDisk(0), PageOf('a', 1024) + PageOf('X', 512) + PageOf('a', 2560));
}

TEST_F(DirectFileTest, AnAppendingWriteGoesToTheEnd) {
  FillFile(1);
  EXPECT_EQ(Write(OpenDirect(), PageOf('X'), 0, RWF_APPEND), 4096);
  EXPECT_EQ(OnDisk(1), PageOf('X'));
  EXPECT_EQ(file_->i_size, 8192);
}

TEST_F(DirectFileTest, WithoutRoomAWriteIsEnospc) {
  file_->room = 0;
  EXPECT_EQ(Write(OpenDirect(), PageOf('X'), 0), -ENOSPC);
  EXPECT_EQ(file_->i_size, 0);
}

// ---- Coherence

TEST_F(DirectFileTest, ADirectReadSeesWhatIsDirtyInTheCache) {
  FillFile(2);
  ASSERT_EQ(Write(Open(O_RDWR), PageOf('X'), 0), 4096);
  std::string read(kPageSize, '-');
  EXPECT_EQ(Read(OpenDirect(), &read, 0), 4096);
  EXPECT_EQ(read, PageOf('X'));
  EXPECT_EQ(nr_dirty(), 0u);
}

TEST_F(DirectFileTest, ADirectWriteDropsThePagesThatItMakesStale) {
  FillFile(2);
  const int buffered = Open(O_RDWR);
  std::string read(2 * kPageSize, '-');
  ASSERT_EQ(Read(buffered, &read, 0), 8192);
  ASSERT_EQ(Write(OpenDirect(), PageOf('X'), 0), 4096);
  EXPECT_FALSE(Cached(0));
  EXPECT_TRUE(Cached(1));
  ASSERT_EQ(Read(buffered, &read, 0), 8192);
  EXPECT_EQ(read, PageOf('X') + PageOf('b'));
}

// A page that a reader brings in while the device writes has old bytes, and goes when the write ends.
TEST_F(DirectFileTest, APageThatCameBackDuringADirectWriteGoesToo) {
  FillFile(1);
  iocb write = WriteRequest(OpenDirect(), PageOf('X'), 0);
  disk_.held = true;
  ASSERT_EQ(Submit(write), 1);
  disk_.held = false;
  std::string read(kPageSize, '-');
  const int buffered = Open(O_RDWR);
  ASSERT_EQ(Read(buffered, &read, 0), 4096);
  EXPECT_EQ(read, PageOf('a'));
  ReleaseDisk();
  EXPECT_EQ(Reap(), 4096);
  EXPECT_FALSE(Cached(0));
  ASSERT_EQ(Read(buffered, &read, 0), 4096);
  EXPECT_EQ(read, PageOf('X'));
}

// Two truths: the fsync of whoever wrote into the cache is told that his bytes may be lost.
TEST_F(DirectFileTest, APageThatWasWrittenToDuringADirectWriteStaysAndFsyncTells) {
  FillFile(1);
  const int buffered = Open(O_RDWR);
  iocb write = WriteRequest(OpenDirect(), PageOf('X'), 0);
  disk_.held = true;
  ASSERT_EQ(Submit(write), 1);
  ASSERT_EQ(Write(buffered, PageOf('Y'), 0), 4096);
  ReleaseDisk();
  EXPECT_EQ(Reap(), 4096);
  EXPECT_TRUE(Cached(0));
  EXPECT_EQ(kernel_.fsync(buffered), -EIO);
  EXPECT_EQ(OnDisk(0), PageOf('Y'));
}

// ---- Durability

TEST_F(DirectFileTest, ADsyncOverwriteUsesFua) {
  FillFile(1);
  EXPECT_EQ(Write(OpenDirect(), PageOf('X'), 0, RWF_DSYNC), 4096);
  EXPECT_THAT(disk_.log, ElementsAre("WF 0+8"));
}

TEST_F(DirectFileTest, ADsyncOverwriteIsFlushedWithoutFua) {
  FillFile(1);
  file_->mapping.limits.fua = false;
  EXPECT_EQ(Write(OpenDirect(O_DSYNC), PageOf('X'), 0), 4096);
  EXPECT_THAT(disk_.log, ElementsAre("W 0+8", "F"));
}

TEST_F(DirectFileTest, ASyncOverwriteEndsOnAWorkerWithAnFsync) {
  FillFile(1);
  int64_t result = 0;
  EXPECT_FALSE(IsOverAtOnce(WriteRequest(OpenDirect(), PageOf('X'), 0, RWF_SYNC), &result));
  EXPECT_EQ(result, 4096);
  EXPECT_THAT(disk_.log, ElementsAre("W 0+8", "F"));
}

TEST_F(DirectFileTest, ADsyncWriteOfNewBlocksIsFollowedByAnFsync) {
  file_->i_size = kPageSize;
  EXPECT_EQ(Write(OpenDirect(), PageOf('X'), 0, RWF_DSYNC), 4096);
  EXPECT_THAT(disk_.log, ElementsAre("W 0+8", "F"));
}

TEST_F(DirectFileTest, AWriteWhoseFsyncFailsFails) {
  FillFile(1);
  file_->fsync_fails = true;
  EXPECT_EQ(Write(OpenDirect(), PageOf('X'), 0, RWF_SYNC), -EIO);
}

// ---- RWF_NOWAIT

TEST_F(DirectFileTest, NowaitWorksWhereNothingIsInTheWay) {
  FillFile(2);
  const int fd = OpenDirect();
  EXPECT_EQ(Write(fd, PageOf('X'), 0, RWF_NOWAIT), 4096);
  std::string read(2 * kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 0, RWF_NOWAIT), 8192);
}

TEST_F(DirectFileTest, NowaitIsEagainForBlocksToAllocateAndForAnExtension) {
  FillFile(1);
  file_->i_size = 2 * kPageSize;
  const int fd = OpenDirect();
  EXPECT_EQ(Write(fd, PageOf('X'), 4096, RWF_NOWAIT), -EAGAIN);
  EXPECT_EQ(Write(fd, PageOf('X'), 8192, RWF_NOWAIT), -EAGAIN);
}

TEST_F(DirectFileTest, NowaitIsEagainWhileTheLockIsTaken) {
  FillFile(2);
  char byte = 'x';
  iocb partial = Request(IOCB_CMD_PWRITE, Open(O_RDWR), &byte, 1, 10);
  ASSERT_EQ(Submit(partial), 1);
  iocb nowait = WriteRequest(OpenDirect(), PageOf('X'), 4096, RWF_NOWAIT);
  ASSERT_EQ(Submit(nowait), 1);
  EXPECT_EQ(Reap(), -EAGAIN);
  EXPECT_EQ(Reap(), 1);
}

TEST_F(DirectFileTest, NowaitIsEagainWhenTheQueueIsFull) {
  FillFile(2);
  disk_.full = true;
  const int fd = OpenDirect();
  EXPECT_EQ(Write(fd, PageOf('X'), 0, RWF_NOWAIT), -EAGAIN);
  EXPECT_EQ(disk_.refusals, 1);
  EXPECT_EQ(Write(fd, PageOf('X'), 0), 4096);
}

// ---- RWF_ATOMIC

TEST_F(DirectFileTest, AnAtomicWriteIsOneTransferThatSaysSo) {
  FillFile(8);
  EXPECT_EQ(Write(OpenDirect(), PageOf('X', 8192), 8192, RWF_ATOMIC), 8192);
  EXPECT_THAT(disk_.log, ElementsAre("WU 16+16"));
}

TEST_F(DirectFileTest, AnAtomicWriteThatIsNoPowerOfTwoOrNotAlignedOrTooLargeIsEinval) {
  FillFile(32);
  const int fd = OpenDirect();
  EXPECT_EQ(Write(fd, PageOf('X', 12288), 0, RWF_ATOMIC), -EINVAL);
  EXPECT_EQ(Write(fd, PageOf('X', 8192), 4096, RWF_ATOMIC), -EINVAL);
  EXPECT_EQ(Write(fd, PageOf('X', 32768), 0, RWF_ATOMIC), -EINVAL);
  EXPECT_EQ(Write(fd, PageOf('X', 512), 0, RWF_ATOMIC), -EINVAL);
  char* const buffer = Buffer(8192);
  iovec segments[] = {{buffer, 4096}, {buffer + 4096, 4096}};
  EXPECT_EQ(ResultOf(Request(IOCB_CMD_PWRITEV, fd, segments, 2, 0, RWF_ATOMIC)), -EINVAL);
  EXPECT_THAT(disk_.log, IsEmpty());
}

TEST_F(DirectFileTest, AnAtomicWriteOverTwoExtentsIsEinval) {
  file_->places = {{1, 50}};
  FillFile(2);
  EXPECT_EQ(Write(OpenDirect(), PageOf('X', 8192), 0, RWF_ATOMIC), -EINVAL);
}

TEST_F(DirectFileTest, AtomicIsRefusedForReadsAndOnDevicesThatCannot) {
  FillFile(1);
  std::string read(kPageSize, '-');
  EXPECT_EQ(Read(OpenDirect(), &read, 0, RWF_ATOMIC), -EOPNOTSUPP);
  file_->mapping.limits.atomic_write_unit_max = 0;
  EXPECT_EQ(Write(OpenDirect(), PageOf('X'), 0, RWF_ATOMIC), -EOPNOTSUPP);
}

// ---- Errors

TEST_F(DirectFileTest, OneBadExtentFailsTheWholeRequest) {
  file_->places = {{1, 50}};
  FillFile(2);
  disk_.bad_sectors = {400};
  const int fd = OpenDirect();
  std::string read(2 * kPageSize, '-');
  EXPECT_EQ(Read(fd, &read, 0), -EIO);
  EXPECT_EQ(Write(fd, PageOf('X', 8192), 0), -EIO);
  EXPECT_THAT(file_->ends, ElementsAre("0+2 size 8192 error -EIO"));
}

TEST_F(DirectFileTest, AFailedExtendingWriteLeavesTheSize) {
  disk_.bad_sectors = {0};
  EXPECT_EQ(Write(OpenDirect(), PageOf('X'), 0), -EIO);
  EXPECT_EQ(file_->i_size, 0);
}

// ---- mainline sleeps in the same places

class MainlineDirectTest : public PagedFileTest {
 protected:
  MainlineDirectTest() : PagedFileTest(*FindProfile("mainline")) {}
};

TEST_F(MainlineDirectTest, SynchronousCallsSleepUntilTheDeviceIsDone) {
  FillFile(1);
  const int fd = Open(O_RDWR | O_DIRECT | O_DSYNC);
  char* const buffer = Buffer(kPageSize);
  EXPECT_EQ(kernel_.pread64(fd, buffer, kPageSize, 0), 4096);
  EXPECT_EQ(buffer[0], 'a');
  EXPECT_EQ(kernel_.pwrite64(fd, buffer, kPageSize, 4096), 4096);
  EXPECT_EQ(file_->i_size, 8192);
  EXPECT_THAT(disk_.log, ElementsAre("R 0+8", "W 8+8", "F"));
}

}  // namespace
}  // namespace aiolab
