// O_DIRECT, on disk and on tmpfs.
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class DirectTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(32); }

  // A file on disk of `pages` pages; the first holds 'a's, the second 'b's, and so on.
  int NewDirectFile(int pages) {
    const std::string path = NewDiskPath();
    const int file = Open(path, O_CREAT | O_RDWR);
    for (int i = 0; i < pages; ++i) {
      const std::string page(kPageSize, static_cast<char>('a' + i));
      EXPECT_EQ(aio().pwrite64(file, page.data(), page.size(), static_cast<loff_t>(i * kPageSize)), 4096);
    }
    EXPECT_EQ(aio().fsync(file), 0);
    Close(file);
    return Open(path, O_RDWR | O_DIRECT);
  }

  aio_context_t ctx_ = 0;
};
INSTANTIATE_ON_ALL_BACKENDS(DirectTest);

TEST_P(DirectTest, AnAlignedReadGetsItsPage) {
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  iocb read = ReadOf(NewDirectFile(3), buf, kPageSize);
  EXPECT_EQ(ResultOf(ctx_, &read), 4096);
  EXPECT_EQ(std::string(buf.data(), buf.size()), std::string(kPageSize, 'b'));
}

TEST_P(DirectTest, AnAlignedWriteIsReadBack) {
  const int file = NewDirectFile(2);
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  memset(buf.data(), 'w', buf.size());
  iocb write = WriteOf(file, absl::string_view(buf.data(), buf.size()), kPageSize);
  EXPECT_EQ(ResultOf(ctx_, &write), 4096);
  const absl::Span<char> back = AlignedBuffer(2 * kPageSize);
  iocb read = ReadOf(file, back);
  EXPECT_EQ(ResultOf(ctx_, &read), 8192);
  EXPECT_EQ(std::string(back.data(), back.size()), std::string(kPageSize, 'a') + std::string(kPageSize, 'w'));
}

TEST_P(DirectTest, AWriteThatExtendsTheFileIsComplete) {
  const int file = NewDirectFile(1);
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  memset(buf.data(), 'w', buf.size());
  iocb write = WriteOf(file, absl::string_view(buf.data(), buf.size()), 4 * kPageSize);
  EXPECT_EQ(ResultOf(ctx_, &write), 4096);
  struct stat attributes;
  ASSERT_EQ(aio().fstat(file, &attributes), 0);
  EXPECT_EQ(attributes.st_size, 5 * 4096);
}

TEST_P(DirectTest, AReadAcrossTheEndIsShort) {
  const absl::Span<char> buf = AlignedBuffer(4 * kPageSize);
  iocb read = ReadOf(NewDirectFile(2), buf, kPageSize);
  EXPECT_EQ(ResultOf(ctx_, &read), 4096);
}

TEST_P(DirectTest, AReadAtTheEndIsZero) {
  iocb read = ReadOf(NewDirectFile(1), AlignedBuffer(kPageSize), kPageSize);
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(DirectTest, AVectoredReadFillsItsSegments) {
  const absl::Span<char> first = AlignedBuffer(kPageSize);
  const absl::Span<char> second = AlignedBuffer(kPageSize);
  const iovec iovs[] = {{first.data(), kPageSize}, {second.data(), kPageSize}};
  iocb read = ReadvOf(NewDirectFile(2), iovs);
  EXPECT_EQ(ResultOf(ctx_, &read), 8192);
  EXPECT_EQ(first[0], 'a');
  EXPECT_EQ(second[0], 'b');
}

// More than two iocbs go through a plug, where neighbours are merged: each still has its own event and its own bytes.
TEST_P(DirectTest, ABatchOfNeighboursCompletesOneByOne) {
  const int file = NewDirectFile(16);
  const absl::Span<char> buf = AlignedBuffer(16 * kPageSize);
  iocb reads[16];
  iocb* batch[16];
  for (int i = 0; i < 16; ++i) {
    const int page = (i * 7) % 16;
    reads[i] = WithData(ReadOf(file, buf.subspan(page * kPageSize, kPageSize), page * 4096), page);
    batch[i] = &reads[i];
  }
  ASSERT_EQ(aio().io_submit(ctx_, 16, batch), 16);
  for (const io_event& event : ReapAll(ctx_, 16)) EXPECT_EQ(event.res, 4096) << "page " << event.data;
  for (int page = 0; page < 16; ++page) EXPECT_EQ(buf[page * kPageSize + 99], 'a' + page);
}

TEST_P(DirectTest, AnUnmappedBufferCompletesWithEfault) {
  const int file = NewDirectFile(1);
  iocb read = ReadOf(file, absl::MakeSpan(InaccessiblePage(), kPageSize));
  EXPECT_EQ(ResultOf(ctx_, &read), -EFAULT);
  iocb write = WriteOf(file, absl::string_view(InaccessiblePage(), kPageSize));
  EXPECT_EQ(ResultOf(ctx_, &write), -EFAULT);
}

TEST_P(DirectTest, AReadOnlyBufferOfAReadCompletesWithEfault) {
  iocb read = ReadOf(NewDirectFile(1), absl::MakeSpan(ReadOnlyPage(), kPageSize));
  EXPECT_EQ(ResultOf(ctx_, &read), -EFAULT);
}

// Where the file system has a rule, breaking it is an event's error, not io_submit's. Where it has none, the request
// works.
TEST_P(DirectTest, AnOffsetThatIsNotAlignedCompletesWithEinval) {
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  iocb read = ReadOf(NewDirectFile(2), buf, 1);
  EXPECT_EQ(ResultOf(ctx_, &read), GetParam().disk_direct_alignment > 1 ? -EINVAL : 4096);
}

TEST_P(DirectTest, ALengthThatIsNotAlignedCompletesWithEinval) {
  iocb read = ReadOf(NewDirectFile(2), AlignedBuffer(kPageSize).subspan(0, 1000));
  EXPECT_EQ(ResultOf(ctx_, &read), GetParam().disk_direct_alignment > 1 ? -EINVAL : 1000);
}

TEST_P(DirectTest, TheFdMayBeClosedOnceSubmitReturned) {
  const int file = NewDirectFile(1);
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  iocb read = ReadOf(file, buf);
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  Close(file);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&read, 4096));
  EXPECT_EQ(buf[0], 'a');
}

// Method: nobody reaps, and destroy has to have waited, because the buffer is looked at right after it.
TEST_P(DirectTest, DestroyWaitsForAReadInFlight) {
  const absl::Span<char> buf = AlignedBuffer(16 * kPageSize);
  iocb read = ReadOf(NewDirectFile(16), buf);
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  ASSERT_EQ(aio().io_destroy(ctx_), 0);
  for (int page = 0; page < 16; ++page) EXPECT_EQ(buf[page * kPageSize], 'a' + page);
}

// The mapping may go while the device still writes: the request holds the pages.
TEST_P(DirectTest, TheBufferMayBeUnmappedInFlight) {
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  iocb read = ReadOf(NewDirectFile(1), buf);
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  // Fresh memory in its place, so that the fixture still has something to unmap.
  ASSERT_EQ(mmap(buf.data(), kPageSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), buf.data());
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&read, 4096));
}

TEST_P(DirectTest, ADirectReadSeesABufferedWriteThatNobodySynced) {
  const std::string path = NewDiskPath();
  const int buffered = Open(path, O_CREAT | O_RDWR);
  ASSERT_EQ(aio().pwrite64(buffered, std::string(kPageSize, 'o').data(), kPageSize, 0), 4096);
  const int direct = Open(path, O_RDWR | O_DIRECT);
  iocb write = WriteOf(buffered, "new");
  ASSERT_EQ(ResultOf(ctx_, &write), 3);
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  iocb read = ReadOf(direct, buf);
  ASSERT_EQ(ResultOf(ctx_, &read), 4096);
  EXPECT_EQ(std::string(buf.data(), 4), "newo");
}

// The page is in the cache when the write goes past it.
TEST_P(DirectTest, ABufferedReadSeesADirectWrite) {
  const std::string path = NewDiskPath();
  const int buffered = Open(path, O_CREAT | O_RDWR);
  ASSERT_EQ(aio().pwrite64(buffered, std::string(kPageSize, 'o').data(), kPageSize, 0), 4096);
  char first[4];
  iocb before = ReadOf(buffered, absl::MakeSpan(first));
  ASSERT_EQ(ResultOf(ctx_, &before), 4);
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  memset(buf.data(), 'n', buf.size());
  iocb write = WriteOf(Open(path, O_RDWR | O_DIRECT), absl::string_view(buf.data(), buf.size()));
  ASSERT_EQ(ResultOf(ctx_, &write), 4096);
  iocb after = ReadOf(buffered, absl::MakeSpan(first));
  ASSERT_EQ(ResultOf(ctx_, &after), 4);
  EXPECT_EQ(std::string(first, 4), "nnnn");
}

TEST_P(DirectTest, BehindAHoleThatAWriteLeavesReadsAreZeros) {
  const int file = NewDirectFile(1);
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  memset(buf.data(), 'w', buf.size());
  iocb write = WriteOf(file, absl::string_view(buf.data(), buf.size()), 3 * kPageSize);
  ASSERT_EQ(ResultOf(ctx_, &write), 4096);
  const absl::Span<char> back = AlignedBuffer(4 * kPageSize);
  iocb read = ReadOf(file, back);
  ASSERT_EQ(ResultOf(ctx_, &read), 16384);
  EXPECT_EQ(std::string(back.data(), back.size()),
            std::string(kPageSize, 'a') + std::string(2 * kPageSize, '\0') + std::string(kPageSize, 'w'));
}

TEST_P(DirectTest, AnAppendingWriteGoesToTheEndWhateverItsOffset) {
  const int file = NewDirectFile(2);
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  memset(buf.data(), 'w', buf.size());
  iocb write = WriteOf(file, absl::string_view(buf.data(), buf.size()));
  write.aio_rw_flags = RWF_APPEND;
  ASSERT_EQ(ResultOf(ctx_, &write), 4096);
  const absl::Span<char> back = AlignedBuffer(4 * kPageSize);
  iocb read = ReadOf(file, back);
  ASSERT_EQ(ResultOf(ctx_, &read), 12288);
  EXPECT_EQ(back[0], 'a');
  EXPECT_EQ(back[2 * kPageSize], 'w');
}

TEST_P(DirectTest, WritesWithSyncFlagsAreWhole) {
  const int file = NewDirectFile(2);
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  for (int flags : {RWF_DSYNC, RWF_SYNC}) {
    for (int64_t offset : {int64_t{0}, int64_t{8 * kPageSize}}) {
      memset(buf.data(), 'x', buf.size());
      iocb write = WriteOf(file, absl::string_view(buf.data(), buf.size()), offset);
      write.aio_rw_flags = flags;
      EXPECT_EQ(ResultOf(ctx_, &write), 4096) << flags << " at " << offset;
    }
  }
}

// tmpfs takes the flag since 6.6 and asks for no alignment, having no device.
TEST_P(DirectTest, OnTmpfsNothingHasToBeAligned) {
  const std::string path = NewTmpfsPath();
  ASSERT_EQ(aio().write(Open(path, O_CREAT | O_RDWR), "0123456789", 10), 10);
  char buf[8];
  iocb read = ReadOf(Open(path, O_RDWR | O_DIRECT), absl::MakeSpan(buf + 1, 5), 3);
  EXPECT_EQ(ResultOf(ctx_, &read), 5);
  EXPECT_EQ(std::string(buf + 1, 5), "34567");
}

}  // namespace
}  // namespace aiolab
