// When dirty pages are written, what becomes of errors, which pages stay in memory, and the wake-ups that can be lost.
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>

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

Profile WithLimits(const char* name, uint64_t dirty_background, uint64_t dirty, uint64_t cached) {
  Profile profile = *FindProfile(name);
  profile.dirty_background_pages = dirty_background;
  profile.dirty_pages = dirty;
  profile.page_cache_pages_max = cached;
  return profile;
}

class WritebackTest : public PagedFileTest {};

// ---- Writeback

TEST_F(WritebackTest, DirtyPagesAreWrittenWhenTheyAreThirtySecondsOldAndThenTheMachineIsIdle) {
  const int fd = Open(O_RDWR);
  ASSERT_EQ(Write(fd, "old", 0), 3);
  Sleep(25 * kSecondNs);
  EXPECT_THAT(disk_.log, IsEmpty());
  Sleep(11 * kSecondNs);
  EXPECT_THAT(disk_.log, ElementsAre("W 0+8"));
  EXPECT_EQ(nr_dirty(), 0u);
  Sleep(6 * kSecondNs);
  EXPECT_FALSE(machine_.has_events());
}

TEST_F(WritebackTest, AFailedWritebackIsToldOnceToEachOpenFile) {
  const int first = Open(O_RDWR);
  const int second = Open(O_RDWR);
  disk_.bad_sectors = {0};
  ASSERT_EQ(Write(first, "lost", 0), 4);
  Sleep(40 * kSecondNs);
  EXPECT_EQ(kernel_.fsync(first), -EIO);
  EXPECT_EQ(kernel_.fsync(first), 0);
  EXPECT_EQ(ResultOf(Request(IOCB_CMD_FDSYNC, second, nullptr, 0, 0)), -EIO);
  EXPECT_EQ(kernel_.fsync(second), 0);
  EXPECT_EQ(kernel_.fsync(Open(O_RDWR)), 0);
}

class BackgroundTest : public PagedFileTest {
 protected:
  BackgroundTest() : PagedFileTest(WithLimits("retry", 8, 1000, 100000)) {}
};

TEST_F(BackgroundTest, TooManyDirtyPagesAreWrittenBeforeTheyAreOld) {
  const int fd = Open(O_RDWR);
  ASSERT_EQ(Write(fd, std::string(20 * kPageSize, 'x'), 0), 81920);
  Sleep(kSecondNs);
  EXPECT_EQ(nr_dirty(), 8u);
}

class ThrottleTest : public PagedFileTest {
 protected:
  explicit ThrottleTest(SeededBug bug = SeededBug::kNone, const char* profile = "retry")
      : PagedFileTest(WithLimits(profile, 4, 8, 100000), bug) {}
};

TEST_F(ThrottleTest, AWriterOverTheDirtyLimitWaitsForTheFlusher) {
  const int fd = Open(O_RDWR);
  iocb write = Request(IOCB_CMD_PWRITE, fd, Buffer(40 * kPageSize), 40 * kPageSize, 0);
  ASSERT_EQ(Submit(write), 1);
  EXPECT_EQ(nr_dirty(), 8u);
  EXPECT_EQ(Reap(), 163840);
  EXPECT_LE(nr_dirty(), 8u);
  EXPECT_GE(machine_.kernel().stats.retries, 1u);
}

TEST_F(ThrottleTest, ANowaitWriteOverTheDirtyLimitIsShort) {
  static constexpr file_operations kOps = {
      .name = "paged", .fop_flags = FOP_BUFFER_WASYNC, .write_iter = generic_file_write_iter};
  const int fd = Open(O_RDWR, &kOps);
  disk_.held = true;
  EXPECT_EQ(Write(fd, std::string(20 * kPageSize, 'x'), 0, RWF_NOWAIT), 32768);
  EXPECT_EQ(Write(fd, PageOf('x'), 32768, RWF_NOWAIT), -EAGAIN);
}

class MainlineThrottleTest : public ThrottleTest {
 protected:
  MainlineThrottleTest() : ThrottleTest(SeededBug::kNone, "mainline") {}
};

TEST_F(MainlineThrottleTest, TheClientSleepsInsideIoSubmitInstead) {
  FillFile(1);
  const int fd = Open(O_RDWR);
  iocb write = Request(IOCB_CMD_PWRITE, fd, Buffer(40 * kPageSize), 40 * kPageSize, 1);
  ASSERT_EQ(Submit(write), 1);
  io_event event;
  timespec at_once = {};
  EXPECT_EQ(kernel_.io_getevents(ctx_, 1, 1, &event, &at_once), 1);
  EXPECT_EQ(event.res, 163840);
  EXPECT_EQ(machine_.kernel().stats.retries, 0u);
}

// ---- Memory

class ReclaimTest : public PagedFileTest {
 protected:
  ReclaimTest() : PagedFileTest(WithLimits("retry", 1000, 2000, 64)) {}
};

TEST_F(ReclaimTest, CleanPagesBeyondTheLimitGoInOrderOfUse) {
  FillFile(200);
  const int fd = Open(O_RDWR);
  std::string read(kPageSize, '-');
  for (int page = 10; page < 10 + 63 * 3; page += 3) ASSERT_EQ(Read(fd, &read, page * 4096), 4096);
  for (int page : {10, 5, 7}) ASSERT_EQ(Read(fd, &read, page * 4096), 4096);
  EXPECT_EQ(machine_.kernel().vm->nr_pages, 64u);
  EXPECT_TRUE(Cached(10) && Cached(16) && Cached(7));
  EXPECT_FALSE(Cached(13));
}

TEST_F(WritebackTest, AThousandPagesOfATerabyteCostLittleMoreThanAThousandPages) {
  file_->i_size = loff_t{1} << 40;
  const int fd = Open(O_RDWR);
  const size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(Write(fd, "x", (loff_t{1} << 30) * i + 5), 1);
  const size_t after = mallinfo2().uordblks;
  EXPECT_EQ(machine_.kernel().vm->nr_pages, 1000u);
  EXPECT_LT(after - before, 10u << 20);
}

// ---- Seeded bugs: each blocking reason has a wake-up that can be lost, and that is found.

template <SeededBug bug>
class LostPageTest : public PagedFileTest {
 protected:
  LostPageTest() : PagedFileTest(WithLimits("retry", 4, 8, 100000), bug) {}
  void ExpectStuck(const char* reason) {
    io_event event;
    EXPECT_EQ(kernel_.io_getevents(ctx_, 1, 1, &event, nullptr), -EDEADLK);
    ASSERT_FALSE(findings_.empty());
    EXPECT_THAT(findings_.front(), HasSubstr(reason));
    EXPECT_THAT(findings_.front(), HasSubstr("nothing is under way that could wake it"));
  }
};

using LostPageReadTest = LostPageTest<SeededBug::kPageReadWakesNobody>;
TEST_F(LostPageReadTest, IsFoundByARead) {
  FillFile(1);
  iocb read = Request(IOCB_CMD_PREAD, Open(O_RDWR), Buffer(kPageSize), kPageSize, 0);
  ASSERT_EQ(Submit(read), 1);
  ExpectStuck("waits for a page of its file");
  EXPECT_THAT(findings_.front(), HasSubstr("request 1 of context 1 (PREAD"));
}
TEST_F(LostPageReadTest, IsFoundByAWriteOfAPartOfAPage) {
  FillFile(1);
  iocb write = Request(IOCB_CMD_PWRITE, Open(O_RDWR), Buffer(10), 10, 0);
  ASSERT_EQ(Submit(write), 1);
  ExpectStuck("waits for a page of its file");
}

using LostInodeLockTest = LostPageTest<SeededBug::kInodeLockNotPassedOn>;
TEST_F(LostInodeLockTest, IsFoundByTheSecondWriter) {
  FillFile(1);
  const int fd = Open(O_RDWR);
  iocb first = Request(IOCB_CMD_PWRITE, fd, Buffer(10), 10, 0);
  iocb second = Request(IOCB_CMD_PWRITE, fd, Buffer(10), 10, 0);
  ASSERT_EQ(Submit(first), 1);
  ASSERT_EQ(Submit(second), 1);
  EXPECT_EQ(Reap(), 10);
  ExpectStuck("waits for the lock of its file's inode");
}

using LostThrottleTest = LostPageTest<SeededBug::kThrottledForEver>;
TEST_F(LostThrottleTest, IsFoundByAWriterOverTheLimit) {
  iocb write = Request(IOCB_CMD_PWRITE, Open(O_RDWR), Buffer(40 * kPageSize), 40 * kPageSize, 0);
  ASSERT_EQ(Submit(write), 1);
  ExpectStuck("waits for dirty pages to become fewer");
}

using ForeignMemoryDeathTest = LostPageTest<SeededBug::kWorkerWithoutMm>;
TEST_F(ForeignMemoryDeathTest, AWorkerThatCopiesWithoutTheSubmittersMemoryIsABugOfTheModel) {
  FillFile(1);
  const int fd = Open(O_RDWR);
  // In the child that dies the parent's contexts are gone.
  const auto read_in_a_new_context = [&] {
    ctx_ = 0;
    static_cast<void>(kernel_.io_setup(8, &ctx_));
    iocb read = Request(IOCB_CMD_PREAD, fd, Buffer(kPageSize), kPageSize, 0);
    static_cast<void>(Submit(read));
    Sleep(kSecondNs);
  };
  EXPECT_DEATH(read_in_a_new_context(), "current\\(\\).mm != iter->mm");
}

}  // namespace
}  // namespace aiolab
