// What of a file is in the page cache, and how posix_fadvise and sync_file_range change it. A file's pages leave no
// other trace than that a read which may not wait (RWF_NOWAIT) finds them. tmpfs takes no such reads: it is all cache.
#include "tests/conformance/file_system_fixture.h"

namespace aiolab {
namespace {

class AdviceTest : public FileSystemTest {
 protected:
  // A file of `pages` pages that are all on the disk and, but on tmpfs, not in the page cache.
  int UncachedFile(size_t pages) {
    const int file = MakeFile("f", std::string(pages * kPageSize, 'a'));
    EXPECT_EQ(aio().fsync(file), 0);
    Drop(file);
    return file;
  }
  void Drop(int file) { EXPECT_EQ(aio().fadvise64(file, 0, 0, POSIX_FADV_DONTNEED), 0); }

  long ReadPage(int file, size_t page, int flags) {
    char bytes[kPageSize];
    const iovec iov = {bytes, sizeof(bytes)};
    return aio().preadv2(file, &iov, 1, static_cast<loff_t>(page * kPageSize), flags);
  }
  bool Cached(int file, size_t page) {
    const long read = ReadPage(file, page, RWF_NOWAIT);
    if (read == -EOPNOTSUPP) return OnTmpfs();
    EXPECT_TRUE(read == static_cast<long>(kPageSize) || read == -EAGAIN) << ResultName(read);
    return read > 0;
  }
  // Long enough for a disk to read what has been asked of it.
  void Sleep() {
    timespec time = Milliseconds(50);
    EXPECT_EQ(aio().ppoll(nullptr, 0, &time, nullptr, 0), 0);
  }
};
INSTANTIATE_ON_ALL_FILE_SYSTEMS(AdviceTest);

TEST_P(AdviceTest, WhatIsNotNeededLeavesTheCache) { EXPECT_EQ(Cached(UncachedFile(2), 1), OnTmpfs()); }

TEST_P(AdviceTest, APageOfWhichAPartIsNeededStays) {
  const int file = UncachedFile(1);
  ASSERT_EQ(ReadPage(file, 0, 0), 4096);
  ASSERT_EQ(aio().fadvise64(file, 0, 4095, POSIX_FADV_DONTNEED), 0);
  ASSERT_EQ(aio().fadvise64(file, 1, 4095, POSIX_FADV_DONTNEED), 0);
  EXPECT_TRUE(Cached(file, 0));
  ASSERT_EQ(aio().fadvise64(file, 0, 4096, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(Cached(file, 0), OnTmpfs());
}

TEST_P(AdviceTest, AReadThatMayNotWaitHasItsPageReadAllTheSame) {
  const int file = UncachedFile(1);
  EXPECT_EQ(Cached(file, 0), OnTmpfs());
  Sleep();
  EXPECT_TRUE(Cached(file, 0));
}

TEST_P(AdviceTest, WhatWillBeNeededIsReadAhead) {
  const int file = UncachedFile(16);
  ASSERT_EQ(aio().fadvise64(file, 0, 4 * 4096, POSIX_FADV_WILLNEED), 0);
  Sleep();
  EXPECT_TRUE(Cached(file, 3));
  EXPECT_EQ(Cached(file, 8), OnTmpfs());
}

TEST_P(AdviceTest, ARandomReaderGetsNothingReadAheadAndANormalOneDoes) {
  const int file = UncachedFile(16);
  ASSERT_EQ(aio().fadvise64(file, 0, 0, POSIX_FADV_RANDOM), 0);
  ASSERT_EQ(ReadPage(file, 0, 0), 4096);
  Sleep();
  EXPECT_EQ(Cached(file, 1), OnTmpfs());

  Drop(file);
  ASSERT_EQ(aio().fadvise64(file, 0, 0, POSIX_FADV_NORMAL), 0);
  ASSERT_EQ(ReadPage(file, 0, 0), 4096);
  Sleep();
  EXPECT_TRUE(Cached(file, 1));
}

// What is not on the disk yet cannot leave the cache. The whole file, because pages of one folio stay or go together.
TEST_P(AdviceTest, SyncFileRangeWritesWhatIsDirty) {
  const int file = MakeFile("f", std::string(4 * kPageSize, 'a'));
  constexpr unsigned kAll = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  ASSERT_EQ(aio().sync_file_range(file, 0, 0, kAll), 0);
  Drop(file);
  EXPECT_EQ(Cached(file, 1), OnTmpfs());
  EXPECT_EQ(Read("f"), std::string(4 * kPageSize, 'a'));
}

}  // namespace
}  // namespace aiolab
