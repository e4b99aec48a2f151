// Ranges of a file: allocated, punched, zeroed, truncated or never written, and what requests see of them.
#include <linux/falloc.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tests/conformance/file_system_fixture.h"

namespace aiolab {
namespace {

constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
constexpr loff_t kGiB = loff_t{1} << 30;

std::string Pages(int count, char c) { return std::string(static_cast<size_t>(count) * kPageSize, c); }

class RangeTest : public FileSystemTest {
 protected:
  // What a request reads.
  std::string ReadAt(int file, size_t size, loff_t offset) {
    std::string contents(size, '?');
    iocb read = ReadOf(file, absl::MakeSpan(&contents[0], size), offset);
    const long got = ResultOf(ctx_, &read);
    EXPECT_GE(got, 0) << ResultName(got);
    contents.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return contents;
  }

  // What a request to write is told.
  long WriteAt(int file, const std::string& contents, loff_t offset) {
    iocb write = WriteOf(file, contents, offset);
    return ResultOf(ctx_, &write);
  }

  uint64_t BytesAllocated(int file) { return static_cast<uint64_t>(AttributesOf(file).st_blocks) * 512; }
};

using FallocateTest = RangeTest;
INSTANTIATE_ON_ALL_FILE_SYSTEMS(FallocateTest);

TEST_P(FallocateTest, AllocatingGrowsTheFile) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().fallocate(file, 0, 0, 10000), 0);
  EXPECT_EQ(SizeOf(file), 10000);
}

TEST_P(FallocateTest, AnAllocatedRangeReadsZeros) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().fallocate(file, 0, 0, 8192), 0);
  EXPECT_EQ(ReadAt(file, 8192, 0), Pages(2, '\0'));
}

TEST_P(FallocateTest, AllocatingKeepsWhatIsThere) {
  const int file = MakeFile("f", "contents");
  ASSERT_EQ(aio().fallocate(file, 0, 0, 8192), 0);
  EXPECT_EQ(ReadAt(file, 8, 0), "contents");
}

TEST_P(FallocateTest, KeepSizeAllocatesBehindTheEnd) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 65536), 0);
  EXPECT_EQ(SizeOf(file), 0);
  EXPECT_GE(BytesAllocated(file), 65536u);
  EXPECT_EQ(ReadAt(file, 100, 0), "");
}

TEST_P(FallocateTest, AWriteIntoARangeBehindTheEndEndsTheFileThere) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 65536), 0);
  EXPECT_EQ(WriteAt(file, "contents", 4096), 8);
  EXPECT_EQ(SizeOf(file), 4104);
  EXPECT_EQ(ReadAt(file, 8192, 0), Pages(1, '\0') + "contents");
}

TEST_P(FallocateTest, AWriteIntoAnAllocatedRangeLeavesTheRestZero) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().fallocate(file, 0, 0, 8192), 0);
  EXPECT_EQ(WriteAt(file, "xy", 4095), 2);
  EXPECT_EQ(ReadAt(file, 8192, 0), std::string(4095, '\0') + "xy" + std::string(4095, '\0'));
}

TEST_P(FallocateTest, APunchedHoleReadsZerosAndItsNeighboursStay) {
  const int file = MakeFile("f", Pages(3, 'a'));
  ASSERT_EQ(aio().fallocate(file, kPunch, 4096, 4096), 0);
  EXPECT_EQ(ReadAt(file, 3 * 4096, 0), Pages(1, 'a') + Pages(1, '\0') + Pages(1, 'a'));
}

TEST_P(FallocateTest, AHoleOfAFewBytesReadsZeros) {
  const int file = MakeFile("f", Pages(1, 'a'));
  ASSERT_EQ(aio().fallocate(file, kPunch, 100, 200), 0);
  EXPECT_EQ(ReadAt(file, 4096, 0), std::string(100, 'a') + std::string(200, '\0') + std::string(3796, 'a'));
}

TEST_P(FallocateTest, AHoleOverPartsOfTwoPagesReadsZeros) {
  const int file = MakeFile("f", Pages(2, 'a'));
  ASSERT_EQ(aio().fallocate(file, kPunch, 4000, 200), 0);
  EXPECT_EQ(ReadAt(file, 8192, 0), std::string(4000, 'a') + std::string(200, '\0') + std::string(3992, 'a'));
}

TEST_P(FallocateTest, APunchedHoleGivesItsBlocksBack) {
  const int file = MakeFile("f", Pages(64, 'a'));
  ASSERT_EQ(aio().fsync(file), 0);
  const uint64_t before = BytesAllocated(file);
  ASSERT_EQ(aio().fallocate(file, kPunch, 0, 32 * 4096), 0);
  EXPECT_EQ(BytesAllocated(file), before - 32 * 4096);
}

TEST_P(FallocateTest, AHoleOverTheEndKeepsTheSize) {
  const int file = MakeFile("f", Pages(2, 'a'));
  ASSERT_EQ(aio().fallocate(file, kPunch, 4096, 1 << 20), 0);
  EXPECT_EQ(SizeOf(file), 8192);
  EXPECT_EQ(ReadAt(file, 8192, 0), Pages(1, 'a') + Pages(1, '\0'));
}

TEST_P(FallocateTest, AWriteIntoAPunchedHoleIsReadBack) {
  const int file = MakeFile("f", Pages(3, 'a'));
  ASSERT_EQ(aio().fallocate(file, kPunch, 4096, 4096), 0);
  EXPECT_EQ(WriteAt(file, "b", 5000), 1);
  EXPECT_EQ(ReadAt(file, 4096, 4096), std::string(904, '\0') + "b" + std::string(3191, '\0'));
}

// The page cache had the old bytes: a direct read goes past it, and must not.
TEST_P(FallocateTest, ADirectReadOfAPunchedHoleReadsZeros) {
  const int file = MakeFile("f", Pages(2, 'a'));
  ASSERT_EQ(aio().fsync(file), 0);
  const int direct = Open(Path("f"), O_RDWR | O_DIRECT);
  ASSERT_EQ(aio().fallocate(file, kPunch, 4096, 4096), 0);
  const absl::Span<char> buf = AlignedBuffer(8192);
  iocb read = ReadOf(direct, buf);
  EXPECT_EQ(ResultOf(ctx_, &read), 8192);
  EXPECT_EQ(std::string(buf.data(), buf.size()), Pages(1, 'a') + Pages(1, '\0'));
}

TEST_P(FallocateTest, ADirectWriteIntoAPunchedHoleIsReadThroughTheCache) {
  const int file = MakeFile("f", Pages(3, 'a'));
  ASSERT_EQ(aio().fallocate(file, kPunch, 4096, 4096), 0);
  const absl::Span<char> buf = AlignedBuffer(4096);
  memset(buf.data(), 'd', buf.size());
  iocb write = WriteOf(Open(Path("f"), O_RDWR | O_DIRECT), absl::string_view(buf.data(), buf.size()), 4096);
  EXPECT_EQ(ResultOf(ctx_, &write), 4096);
  EXPECT_EQ(ReadAt(file, 3 * 4096, 0), Pages(1, 'a') + Pages(1, 'd') + Pages(1, 'a'));
}

TEST_P(FallocateTest, PunchingWithoutKeepSizeIsEopnotsupp) {
  EXPECT_THAT(aio().fallocate(MakeFile("f"), FALLOC_FL_PUNCH_HOLE, 0, 4096), FailsWith(EOPNOTSUPP));
}

TEST_P(FallocateTest, TwoOperationsAtOnceAreEopnotsupp) {
  EXPECT_THAT(aio().fallocate(MakeFile("f"), kPunch | FALLOC_FL_ZERO_RANGE, 0, 4096), FailsWith(EOPNOTSUPP));
}

// tmpfs has no such thing; a disk zeroes the range.
TEST_P(FallocateTest, ZeroRangeIsForDisks) {
  const int file = MakeFile("f", Pages(2, 'a'));
  if (OnTmpfs()) {
    EXPECT_THAT(aio().fallocate(file, FALLOC_FL_ZERO_RANGE, 0, 4096), FailsWith(EOPNOTSUPP));
  } else {
    ASSERT_EQ(aio().fallocate(file, FALLOC_FL_ZERO_RANGE, 0, 4096), 0);
    EXPECT_EQ(ReadAt(file, 8192, 0), Pages(1, '\0') + Pages(1, 'a'));
  }
}

TEST_P(FallocateTest, NoLengthAndANegativeOffsetAreEinval) {
  const int file = MakeFile("f");
  EXPECT_THAT(aio().fallocate(file, 0, 0, 0), FailsWith(EINVAL));
  EXPECT_THAT(aio().fallocate(file, 0, -1, 4096), FailsWith(EINVAL));
}

TEST_P(FallocateTest, ARangeBehindTheLargestOffsetIsEfbig) {
  EXPECT_THAT(aio().fallocate(MakeFile("f"), 0, INT64_MAX, 4096), FailsWith(EFBIG));
}

TEST_P(FallocateTest, AFileThatIsNotOpenForWritingIsEbadf) {
  MakeFile("f");
  EXPECT_THAT(aio().fallocate(Open(Path("f"), O_RDONLY), 0, 0, 4096), FailsWith(EBADF));
}

TEST_P(FallocateTest, APipeIsEspipe) {
  EXPECT_THAT(aio().fallocate(NewPipe().write_fd, 0, 0, 4096), FailsWith(ESPIPE));
}

TEST_P(FallocateTest, AllocatingMovesTheTimeOfModification) {
  const int file = MakeFile("f");
  const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(aio().utimensat(file, nullptr, long_ago, 0), 0);
  ASSERT_EQ(aio().fallocate(file, 0, 0, 4096), 0);
  EXPECT_GT(AttributesOf(file).st_mtim.tv_sec, 1000);
}

// ---- Files with holes.

using SparseTest = RangeTest;
INSTANTIATE_ON_ALL_FILE_SYSTEMS(SparseTest);

TEST_P(SparseTest, AReadOfAHoleReadsZeros) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().ftruncate(file, 65536), 0);
  EXPECT_EQ(ReadAt(file, 8192, 10000), Pages(2, '\0'));
}

TEST_P(SparseTest, AWriteIntoAHoleLeavesZerosAroundIt) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().ftruncate(file, 65536), 0);
  EXPECT_EQ(WriteAt(file, "contents", 20000), 8);
  EXPECT_EQ(ReadAt(file, 4096, 18000), std::string(2000, '\0') + "contents" + std::string(2088, '\0'));
  EXPECT_EQ(SizeOf(file), 65536);
}

TEST_P(SparseTest, AWriteBehindTheEndLeavesZerosBeforeIt) {
  const int file = MakeFile("f", "begin");
  EXPECT_EQ(WriteAt(file, "end", 10000), 3);
  EXPECT_EQ(ReadAt(file, 20000, 0), "begin" + std::string(9995, '\0') + "end");
}

TEST_P(SparseTest, AReadGoesOverDataAHoleAndData) {
  const int file = MakeFile("f", Pages(1, 'a'));
  EXPECT_EQ(WriteAt(file, Pages(1, 'b'), 4 * 4096), 4096);
  EXPECT_EQ(ReadAt(file, 5 * 4096, 0), Pages(1, 'a') + Pages(3, '\0') + Pages(1, 'b'));
}

TEST_P(SparseTest, AVectoredReadIsFilledWithZerosFromAHole) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().ftruncate(file, 8192), 0);
  char first[10], second[20];
  memset(first, 'x', sizeof(first));
  memset(second, 'x', sizeof(second));
  const iovec parts[] = {{first, sizeof(first)}, {second, sizeof(second)}};
  iocb read = ReadvOf(file, parts, 4090);
  EXPECT_EQ(ResultOf(ctx_, &read), 30);
  EXPECT_EQ(std::string(first, 10) + std::string(second, 20), std::string(30, '\0'));
}

TEST_P(SparseTest, AWriteBeyondFourGibibytesIsReadBack) {
  const int file = MakeFile("f");
  EXPECT_EQ(WriteAt(file, "contents", 5 * kGiB + 123), 8);
  EXPECT_EQ(SizeOf(file), 5 * kGiB + 131);
  EXPECT_EQ(ReadAt(file, 100, 5 * kGiB + 120), std::string(3, '\0') + "contents");
}

TEST_P(SparseTest, OffsetsThatDifferInTheHighHalfAreDifferentPlaces) {
  const int file = MakeFile("f");
  EXPECT_EQ(WriteAt(file, "low", 4096), 3);
  EXPECT_EQ(WriteAt(file, "high", 4 * kGiB + 4096), 4);
  EXPECT_EQ(ReadAt(file, 3, 4096), "low");
  EXPECT_EQ(ReadAt(file, 4, 4 * kGiB + 4096), "high");
  EXPECT_EQ(ReadAt(file, 4, 8192), std::string(4, '\0'));
}

TEST_P(SparseTest, ADirectWriteBeyondFourGibibytesIsReadBack) {
  MakeFile("f");
  const int direct = Open(Path("f"), O_RDWR | O_DIRECT);
  const absl::Span<char> buf = AlignedBuffer(4096);
  memset(buf.data(), 'd', buf.size());
  iocb write = WriteOf(direct, absl::string_view(buf.data(), buf.size()), 6 * kGiB);
  EXPECT_EQ(ResultOf(ctx_, &write), 4096);
  memset(buf.data(), '?', buf.size());
  iocb read = ReadOf(direct, buf, 6 * kGiB);
  EXPECT_EQ(ResultOf(ctx_, &read), 4096);
  EXPECT_EQ(std::string(buf.data(), buf.size()), Pages(1, 'd'));
}

TEST_P(SparseTest, ADirectReadOfAHoleReadsZeros) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().ftruncate(file, 65536), 0);
  const absl::Span<char> buf = AlignedBuffer(8192);
  memset(buf.data(), '?', buf.size());
  iocb read = ReadOf(Open(Path("f"), O_RDONLY | O_DIRECT), buf, 4096);
  EXPECT_EQ(ResultOf(ctx_, &read), 8192);
  EXPECT_EQ(std::string(buf.data(), buf.size()), Pages(2, '\0'));
}

TEST_P(SparseTest, AHugeFileTakesBlocksOnlyWhereItWasWritten) {
  const int file = MakeFile("f");
  EXPECT_EQ(WriteAt(file, "contents", 100 * kGiB), 8);
  ASSERT_EQ(aio().fsync(file), 0);
  EXPECT_LE(BytesAllocated(file), 65536u);
}

TEST_P(SparseTest, SeekDataFindsWhatARequestWrote) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().ftruncate(file, 1 << 20), 0);
  EXPECT_EQ(WriteAt(file, Pages(1, 'a'), 65536), 4096);
  EXPECT_EQ(aio().lseek(file, 0, SEEK_DATA), 65536);
  EXPECT_EQ(aio().lseek(file, 65536, SEEK_HOLE), 65536 + 4096);
}

TEST_P(SparseTest, SeekDataInAHoleToTheEndIsEnxio) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().ftruncate(file, 65536), 0);
  EXPECT_THAT(aio().lseek(file, 0, SEEK_DATA), FailsWith(ENXIO));
}

TEST_P(SparseTest, TheEndOfAFileIsAHole) {
  const int file = MakeFile("f", "contents");
  EXPECT_EQ(aio().lseek(file, 0, SEEK_HOLE), 8);
  EXPECT_THAT(aio().lseek(file, 8, SEEK_HOLE), FailsWith(ENXIO));
}

TEST_P(SparseTest, ARangeThatWasOnlyAllocatedIsAHoleForSeek) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().fallocate(file, 0, 0, 65536), 0);
  EXPECT_THAT(aio().lseek(file, 0, SEEK_DATA), FailsWith(ENXIO));
}

TEST_P(SparseTest, APunchedHoleIsAHoleForSeek) {
  const int file = MakeFile("f", Pages(4, 'a'));
  ASSERT_EQ(aio().fallocate(file, kPunch, 4096, 8192), 0);
  EXPECT_EQ(aio().lseek(file, 0, SEEK_HOLE), 4096);
  EXPECT_EQ(aio().lseek(file, 4096, SEEK_DATA), 3 * 4096);
}

// ---- truncate.

using TruncateTest = RangeTest;
INSTANTIATE_ON_ALL_FILE_SYSTEMS(TruncateTest);

TEST_P(TruncateTest, AReadOverTheNewEndIsShort) {
  const int file = MakeFile("f", Pages(2, 'a'));
  ASSERT_EQ(aio().ftruncate(file, 5000), 0);
  EXPECT_EQ(ReadAt(file, 8192, 4096), std::string(904, 'a'));
}

TEST_P(TruncateTest, AReadBehindTheNewEndIsEmpty) {
  const int file = MakeFile("f", Pages(2, 'a'));
  ASSERT_EQ(aio().ftruncate(file, 4096), 0);
  EXPECT_EQ(ReadAt(file, 4096, 4096), "");
}

TEST_P(TruncateTest, WhatWasCutOffIsZeroWhenTheFileGrowsAgain) {
  const int file = MakeFile("f", Pages(2, 'a'));
  ASSERT_EQ(aio().ftruncate(file, 1000), 0);
  ASSERT_EQ(aio().ftruncate(file, 8192), 0);
  EXPECT_EQ(ReadAt(file, 8192, 0), std::string(1000, 'a') + std::string(7192, '\0'));
}

TEST_P(TruncateTest, WhatWasCutOffIsZeroBeforeAWriteBehindTheEnd) {
  const int file = MakeFile("f", Pages(2, 'a'));
  ASSERT_EQ(aio().ftruncate(file, 1000), 0);
  EXPECT_EQ(WriteAt(file, "b", 2000), 1);
  EXPECT_EQ(ReadAt(file, 8192, 0), std::string(1000, 'a') + std::string(1000, '\0') + "b");
}

TEST_P(TruncateTest, WhatWasCutOffIsZeroForADirectReadToo) {
  const int file = MakeFile("f", Pages(2, 'a'));
  ASSERT_EQ(aio().fsync(file), 0);
  ASSERT_EQ(aio().ftruncate(file, 1000), 0);
  ASSERT_EQ(aio().ftruncate(file, 8192), 0);
  const absl::Span<char> buf = AlignedBuffer(8192);
  iocb read = ReadOf(Open(Path("f"), O_RDONLY | O_DIRECT), buf);
  EXPECT_EQ(ResultOf(ctx_, &read), 8192);
  EXPECT_EQ(std::string(buf.data(), buf.size()), std::string(1000, 'a') + std::string(7192, '\0'));
}

TEST_P(TruncateTest, AnAppendingWriteGoesToTheNewEnd) {
  MakeFile("f", "contents");
  const int appending = Open(Path("f"), O_WRONLY | O_APPEND);
  ASSERT_EQ(aio().ftruncate(appending, 3), 0);
  EXPECT_EQ(WriteAt(appending, "end", 100), 3);
  EXPECT_EQ(Read("f"), "conend");
}

TEST_P(TruncateTest, TruncatingToNothingGivesTheBlocksBack) {
  const int file = MakeFile("f", Pages(16, 'a'));
  ASSERT_EQ(aio().fsync(file), 0);
  ASSERT_EQ(aio().ftruncate(file, 0), 0);
  EXPECT_EQ(BytesAllocated(file), 0u);
}

// The request has begun or it has not: it sees all of the page or nothing, but no byte that was never written.
TEST_P(TruncateTest, ATruncateUnderAReadGivesTheDataOrTheEndOfTheFile) {
  const int file = MakeFile("f", Pages(1, 'a'));
  ASSERT_EQ(aio().fsync(file), 0);
  std::string contents(kPageSize, '?');
  iocb read = ReadOf(file, absl::MakeSpan(&contents[0], contents.size()));
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  ASSERT_EQ(aio().ftruncate(file, 0), 0);
  const io_event event = ReapOne(ctx_);
  if (event.res == 0) {
    EXPECT_EQ(contents, std::string(kPageSize, '?'));
  } else {
    EXPECT_THAT(event, IsEvent(&read, 4096));
    EXPECT_EQ(contents, Pages(1, 'a'));
  }
}

// Either order is one in which they may have come; the size and the contents belong to the same.
TEST_P(TruncateTest, ATruncateUnderAWriteLeavesAllOfItOrNothing) {
  const int file = MakeFile("f");
  const std::string page = Pages(1, 'a');
  iocb write = WriteOf(file, page);
  ASSERT_EQ(SubmitOne(ctx_, &write), 1);
  ASSERT_EQ(aio().ftruncate(file, 0), 0);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&write, 4096));
  EXPECT_THAT(ContentsOf(file), testing::AnyOf("", page));
}

TEST_P(TruncateTest, ADirectWriteAfterATruncateStartsTheFileAnew) {
  const int file = MakeFile("f", Pages(4, 'a'));
  ASSERT_EQ(aio().ftruncate(file, 0), 0);
  const absl::Span<char> buf = AlignedBuffer(4096);
  memset(buf.data(), 'd', buf.size());
  iocb write = WriteOf(Open(Path("f"), O_RDWR | O_DIRECT), absl::string_view(buf.data(), buf.size()), 4096);
  EXPECT_EQ(ResultOf(ctx_, &write), 4096);
  EXPECT_EQ(ReadAt(file, 3 * 4096, 0), Pages(1, '\0') + Pages(1, 'd'));
}

TEST_P(TruncateTest, TruncateByNameIsFtruncate) {
  const int file = MakeFile("f", "contents");
  ASSERT_EQ(aio().truncate(Path("f").c_str(), 3), 0);
  EXPECT_EQ(ReadAt(file, 100, 0), "con");
}

TEST_P(TruncateTest, TruncateOfADirectoryIsEisdir) {
  EXPECT_THAT(aio().truncate(Path(".").c_str(), 0), FailsWith(EISDIR));
}

TEST_P(TruncateTest, TruncateToANegativeLengthIsEinval) {
  MakeFile("f");
  EXPECT_THAT(aio().truncate(Path("f").c_str(), -1), FailsWith(EINVAL));
}

TEST_P(TruncateTest, TruncateOfAMissingNameIsEnoent) {
  EXPECT_THAT(aio().truncate(Path("missing").c_str(), 0), FailsWith(ENOENT));
}

TEST_P(TruncateTest, TruncatingToTheSameSizeMovesTheTimeOfModification) {
  const int file = MakeFile("f", "contents");
  const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(aio().utimensat(file, nullptr, long_ago, 0), 0);
  ASSERT_EQ(aio().truncate(Path("f").c_str(), 8), 0);
  EXPECT_GT(AttributesOf(file).st_mtim.tv_sec, 1000);
  ASSERT_EQ(aio().utimensat(file, nullptr, long_ago, 0), 0);
  ASSERT_EQ(aio().ftruncate(file, 8), 0);
  EXPECT_GT(AttributesOf(file).st_mtim.tv_sec, 1000);
}

}  // namespace
}  // namespace aiolab
