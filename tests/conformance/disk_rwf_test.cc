// aio_rw_flags and O_DIRECT's rules where file systems differ: here the disk's, which is ext4 on the real kernel and
// simfs, which follows it, on the emulated one. Seen on ext4 of 6.18.
#include <fcntl.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class DiskRwfTest : public AioConformanceTest {
 protected:
  static constexpr int kPages = 16;

  // A file of 16 pages of 'a's that are on the disk and in memory, open twice.
  void SetUp() override {
    ctx_ = NewContext(8);
    const std::string path = NewDiskPath();
    buffered_ = Open(path, O_CREAT | O_RDWR);
    const std::string contents(kPages * kPageSize, 'a');
    ASSERT_EQ(aio().pwrite64(buffered_, contents.data(), contents.size(), 0), static_cast<long>(contents.size()));
    ASSERT_EQ(aio().fsync(buffered_), 0);
    direct_ = Open(path, O_RDWR | O_DIRECT);
    buf_ = AlignedBuffer(4 * kPageSize);
  }

  long Write(int fd, size_t size, int64_t offset, unsigned rw_flags) {
    iocb write = WriteOf(fd, absl::string_view(buf_.data(), size), offset);
    write.aio_rw_flags = static_cast<__kernel_rwf_t>(rw_flags);
    return SubmitAndReap(&write);
  }
  long Read(int fd, size_t size, int64_t offset, unsigned rw_flags) {
    iocb read = ReadOf(fd, buf_.subspan(0, size), offset);
    read.aio_rw_flags = static_cast<__kernel_rwf_t>(rw_flags);
    return SubmitAndReap(&read);
  }
  void DropPages() { ASSERT_EQ(aio().fadvise64(buffered_, 0, 0, POSIX_FADV_DONTNEED), 0); }
  // Tells whether a page is in memory, and may have it read.
  bool InMemory(int64_t offset) { return Read(buffered_, 1, offset, RWF_NOWAIT) == 1; }

  aio_context_t ctx_ = 0;
  int buffered_ = -1;
  int direct_ = -1;
  absl::Span<char> buf_;

 private:
  long SubmitAndReap(iocb* request) {
    const long submitted = SubmitOne(ctx_, request);
    return submitted == 1 ? static_cast<long>(ReapOne(ctx_).res) : submitted;
  }
};
INSTANTIATE_ON_ALL_BACKENDS(DiskRwfTest);

// ---- RWF_NOWAIT

TEST_P(DiskRwfTest, ABufferedNowaitWriteIsEopnotsupp) {
  EXPECT_EQ(Write(buffered_, kPageSize, 0, RWF_NOWAIT), -EOPNOTSUPP);
}

TEST_P(DiskRwfTest, ABufferedNowaitReadTakesWhatIsInMemoryAndNothingElse) {
  EXPECT_EQ(Read(buffered_, kPageSize, 0, RWF_NOWAIT), 4096);
  DropPages();
  EXPECT_EQ(Read(buffered_, kPageSize, 0, RWF_NOWAIT), -EAGAIN);
}

TEST_P(DiskRwfTest, ADirectNowaitWriteIsEagainOverACleanPageInMemory) {
  EXPECT_EQ(Write(direct_, kPageSize, 0, RWF_NOWAIT), -EAGAIN);
  DropPages();
  EXPECT_EQ(Write(direct_, kPageSize, 0, RWF_NOWAIT), 4096);
}

TEST_P(DiskRwfTest, ADirectNowaitReadIsEagainOverADirtyPageAndNotOverACleanOne) {
  EXPECT_EQ(Read(direct_, kPageSize, 0, RWF_NOWAIT), 4096);
  ASSERT_EQ(aio().pwrite64(buffered_, "dirty", 5, 0), 5);
  EXPECT_EQ(Read(direct_, kPageSize, 0, RWF_NOWAIT), -EAGAIN);
}

TEST_P(DiskRwfTest, ADirectNowaitWriteIsEagainWhereBlocksOrSizeWouldChange) {
  DropPages();
  EXPECT_EQ(Write(direct_, kPageSize, kPages * kPageSize, RWF_NOWAIT), -EAGAIN);
  ASSERT_EQ(aio().ftruncate(buffered_, 2 * kPages * kPageSize), 0);
  EXPECT_EQ(Write(direct_, kPageSize, (kPages + 8) * kPageSize, RWF_NOWAIT), -EAGAIN);
}

// ---- O_DIRECT's alignment, which is asked for where the device is.

TEST_P(DiskRwfTest, AMisalignedDirectReadIsEinvalOfDataAndWorksInAHoleAndBehindTheEnd) {
  ASSERT_EQ(aio().ftruncate(buffered_, 2 * kPages * kPageSize), 0);
  const int64_t hole = (kPages + 8) * kPageSize;
  EXPECT_EQ(Read(direct_, kPageSize, 1, 0), -EINVAL);
  EXPECT_EQ(Read(direct_, 1000, 0, 0), -EINVAL);
  EXPECT_EQ(Read(direct_, kPageSize, hole + 1, 0), 4096);
  EXPECT_EQ(Read(direct_, 1000, hole, 0), 1000);
  EXPECT_EQ(Read(direct_, kPageSize, 2 * kPages * kPageSize + 1, 0), 0);
}

TEST_P(DiskRwfTest, EachSegmentOfADirectReadHasToBeAligned) {
  const iovec halves[] = {{buf_.data(), 256}, {buf_.data() + kPageSize, 256}};
  iocb read = ReadvOf(direct_, halves);
  EXPECT_EQ(ResultOf(ctx_, &read), -EINVAL);
  const iovec wholes[] = {{buf_.data(), 512}, {buf_.data() + kPageSize + 512, 512}};
  read = ReadvOf(direct_, wholes);
  EXPECT_EQ(ResultOf(ctx_, &read), 1024);
}

// ---- RWF_DONTCACHE

TEST_P(DiskRwfTest, AReadThatIsNotToBeCachedLeavesNoPagesThatWereNotThere) {
  DropPages();
  EXPECT_EQ(Read(buffered_, 2 * kPageSize, 0, RWF_DONTCACHE), 8192);
  EXPECT_FALSE(InMemory(0));
}

TEST_P(DiskRwfTest, AReadThatIsNotToBeCachedLeavesPagesThatWereThere) {
  EXPECT_EQ(Read(buffered_, 2 * kPageSize, 0, RWF_DONTCACHE), 8192);
  EXPECT_TRUE(InMemory(0));
}

TEST_P(DiskRwfTest, AWriteThatIsNotToBeCachedIsGoneOnceItIsOnTheDisk) {
  DropPages();
  EXPECT_EQ(Write(buffered_, 2 * kPageSize, 0, RWF_DONTCACHE), 8192);
  ASSERT_EQ(aio().fsync(buffered_), 0);
  // The page goes behind the end of its writing.
  const double deadline = SecondsNow() + 5;
  while (InMemory(0) && SecondsNow() < deadline) {
  }
  EXPECT_LT(SecondsNow(), deadline);
}

TEST_P(DiskRwfTest, DontcacheMeansNothingToADirectRequest) {
  EXPECT_EQ(Read(direct_, kPageSize, 0, RWF_DONTCACHE), 4096);
}

// ---- RWF_ATOMIC: neither disk has it.

TEST_P(DiskRwfTest, AtomicWritesToADiskThatHasNoneAreEopnotsupp) {
  EXPECT_EQ(Write(direct_, kPageSize, 0, RWF_ATOMIC), -EOPNOTSUPP);
  EXPECT_EQ(Write(buffered_, kPageSize, 0, RWF_ATOMIC), -EOPNOTSUPP);
}

}  // namespace
}  // namespace aiolab
