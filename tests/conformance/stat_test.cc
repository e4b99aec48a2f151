// What is told of a file: size, blocks, times, alignment, access; and the advice and locks that it takes.
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/conformance/file_system_fixture.h"

namespace aiolab {
namespace {

class StatTest : public FileSystemTest {
 protected:
  // Sets both times to second 1000.
  void MakeOld(int file) {
    const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
    ASSERT_EQ(aio().utimensat(file, nullptr, long_ago, 0), 0);
  }

  struct statx StatxOf(int fd, unsigned mask) {
    struct statx attributes = {};
    EXPECT_EQ(aio().statx(fd, "", AT_EMPTY_PATH, mask, &attributes), 0);
    return attributes;
  }
};
INSTANTIATE_ON_ALL_FILE_SYSTEMS(StatTest);

TEST_P(StatTest, AFileIsTheSameByNameAndByFd) {
  const int file = MakeFile("f", "contents");
  struct stat by_name;
  ASSERT_EQ(Stat("f", &by_name), 0);
  const struct stat by_fd = AttributesOf(file);
  EXPECT_EQ(by_name.st_ino, by_fd.st_ino);
  EXPECT_EQ(by_name.st_dev, by_fd.st_dev);
  EXPECT_EQ(by_name.st_size, 8);
  EXPECT_EQ(by_name.st_mode, S_IFREG | 0600u);
}

TEST_P(StatTest, TwoFilesHaveTwoNumbers) {
  EXPECT_NE(AttributesOf(MakeFile("a")).st_ino, AttributesOf(MakeFile("b")).st_ino);
}

TEST_P(StatTest, TwoFileSystemsHaveTwoDevices) {
  const int other = Open(ElsewhereDir(), O_RDONLY | O_DIRECTORY);
  EXPECT_NE(AttributesOf(dir_).st_dev, AttributesOf(other).st_dev);
}

TEST_P(StatTest, ADirectoryCountsItsSubdirectories) {
  EXPECT_EQ(AttributesOf(dir_).st_nlink, 2u);
  ASSERT_EQ(MakeDir("d"), 0);
  EXPECT_EQ(AttributesOf(dir_).st_nlink, 3u);
}

TEST_P(StatTest, AMissingNameIsEnoent) {
  struct stat attributes;
  EXPECT_THAT(Stat("missing", &attributes), FailsWith(ENOENT));
}

TEST_P(StatTest, ALinkIsFollowedUnlessForbidden) {
  MakeFile("f");
  ASSERT_EQ(Symlink("f", "link"), 0);
  struct stat attributes;
  ASSERT_EQ(Stat("link", &attributes), 0);
  EXPECT_TRUE(S_ISREG(attributes.st_mode));
  ASSERT_EQ(Stat("link", &attributes, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_TRUE(S_ISLNK(attributes.st_mode));
  EXPECT_EQ(attributes.st_size, 1);
}

TEST_P(StatTest, AnUnknownFlagIsEinval) {
  MakeFile("f");
  struct stat attributes;
  EXPECT_THAT(Stat("f", &attributes, AT_REMOVEDIR), FailsWith(EINVAL));
}

TEST_P(StatTest, StatxTellsWhatStatTells) {
  const int file = MakeFile("f", "contents");
  const struct stat expected = AttributesOf(file);
  const struct statx attributes = StatxOf(file, STATX_BASIC_STATS);
  EXPECT_EQ(attributes.stx_mask & STATX_BASIC_STATS, static_cast<unsigned>(STATX_BASIC_STATS));
  EXPECT_EQ(attributes.stx_ino, expected.st_ino);
  EXPECT_EQ(attributes.stx_size, 8u);
  EXPECT_EQ(attributes.stx_mode, expected.st_mode);
  EXPECT_EQ(attributes.stx_mtime.tv_sec, expected.st_mtim.tv_sec);
}

TEST_P(StatTest, StatxKnowsTheTimeOfBirth) {
  const int file = MakeFile("f");
  MakeOld(file);
  const struct statx attributes = StatxOf(file, STATX_BTIME);
  EXPECT_NE(attributes.stx_mask & STATX_BTIME, 0u);
  EXPECT_GT(attributes.stx_btime.tv_sec, 1000);
}

TEST_P(StatTest, StatxWithAReservedBitOrBothKindsOfSyncIsEinval) {
  struct statx attributes;
  EXPECT_THAT(aio().statx(dir_, "", AT_EMPTY_PATH, 0x80000000, &attributes), FailsWith(EINVAL));
  EXPECT_THAT(aio().statx(dir_, "", AT_EMPTY_PATH | AT_STATX_SYNC_TYPE, 0, &attributes), FailsWith(EINVAL));
}

// A file system that names no alignment has no rule, or has no O_DIRECT at all.
TEST_P(StatTest, ADirectRequestOfTheAlignmentInStatxIsTaken) {
  const int file = MakeFile("f", std::string(16384, 'a'));
  ASSERT_EQ(aio().fsync(file), 0);
  const struct statx attributes = StatxOf(file, STATX_DIOALIGN);
  const bool named = (attributes.stx_mask & STATX_DIOALIGN) != 0 && attributes.stx_dio_offset_align != 0;
  const size_t offset_align = named ? attributes.stx_dio_offset_align : 1;
  const size_t mem_align = named ? attributes.stx_dio_mem_align : 1;
  EXPECT_FALSE(OnTmpfs() && named);
  const absl::Span<char> buf = AlignedBuffer(8192);
  iocb read = ReadOf(Open(Path("f"), O_RDONLY | O_DIRECT), absl::MakeSpan(buf.data() + mem_align, offset_align),
                     static_cast<loff_t>(offset_align));
  EXPECT_EQ(ResultOf(ctx_, &read), static_cast<long>(offset_align));
}

TEST_P(StatTest, AWriteRequestMovesTheTimesOfModificationAndChange) {
  const int file = MakeFile("f");
  MakeOld(file);
  iocb write = WriteOf(file, "contents");
  EXPECT_EQ(ResultOf(ctx_, &write), 8);
  const struct stat attributes = AttributesOf(file);
  EXPECT_GT(attributes.st_mtim.tv_sec, 1000);
  EXPECT_GT(attributes.st_ctim.tv_sec, 1000);
}

TEST_P(StatTest, AReadRequestLeavesTheTimeOfModification) {
  const int file = MakeFile("f", "contents");
  MakeOld(file);
  char buf[8];
  iocb read = ReadOf(file, absl::MakeSpan(buf));
  EXPECT_EQ(ResultOf(ctx_, &read), 8);
  EXPECT_EQ(AttributesOf(file).st_mtim.tv_sec, 1000);
}

TEST_P(StatTest, ANewNameMovesTheTimeOfItsDirectory) {
  MakeOld(dir_);
  MakeFile("f");
  EXPECT_GT(AttributesOf(dir_).st_mtim.tv_sec, 1000);
}

TEST_P(StatTest, UtimensatSetsOneTimeAndOmitsTheOther) {
  const int file = MakeFile("f");
  MakeOld(file);
  const timespec times[2] = {{2000, 5}, {0, UTIME_OMIT}};
  ASSERT_EQ(aio().utimensat(AT_FDCWD, Path("f").c_str(), times, 0), 0);
  EXPECT_EQ(AttributesOf(file).st_atim.tv_sec, 2000);
  EXPECT_EQ(AttributesOf(file).st_atim.tv_nsec, 5);
  EXPECT_EQ(AttributesOf(file).st_mtim.tv_sec, 1000);
}

TEST_P(StatTest, UtimensatWithTooManyNanosecondsIsEinval) {
  const timespec times[2] = {{0, 1000000000}, {0, 0}};
  EXPECT_THAT(aio().utimensat(MakeFile("f"), nullptr, times, 0), FailsWith(EINVAL));
}

TEST_P(StatTest, FchmodChangesThePermissionsAlone) {
  const int file = MakeFile("f");
  ASSERT_EQ(aio().fchmod(file, S_IFDIR | 0640), 0);
  EXPECT_EQ(AttributesOf(file).st_mode, S_IFREG | 0640u);
}

TEST_P(StatTest, FchmodOfAPathFdIsEbadf) {
  MakeFile("f");
  EXPECT_THAT(aio().fchmod(Open(Path("f"), O_PATH), 0640), FailsWith(EBADF));
}

TEST_P(StatTest, NobodyCanRunAFileWithoutThatBit) {
  const int file = MakeFile("f");
  EXPECT_EQ(aio().faccessat2(AT_FDCWD, Path("f").c_str(), R_OK | W_OK, 0), 0);
  EXPECT_THAT(aio().faccessat2(AT_FDCWD, Path("f").c_str(), X_OK, 0), FailsWith(EACCES));
  ASSERT_EQ(aio().fchmod(file, 0700), 0);
  EXPECT_EQ(aio().faccessat2(AT_FDCWD, Path("f").c_str(), X_OK, 0), 0);
}

TEST_P(StatTest, FaccessatWithAnUnknownModeOrFlagIsEinval) {
  EXPECT_THAT(aio().faccessat2(AT_FDCWD, Path(".").c_str(), 8, 0), FailsWith(EINVAL));
  EXPECT_THAT(aio().faccessat2(AT_FDCWD, Path(".").c_str(), 0, AT_REMOVEDIR | AT_SYMLINK_FOLLOW), FailsWith(EINVAL));
}

TEST_P(StatTest, StatfsIsTheSameByNameAndByFd) {
  struct statfs by_name = {}, by_fd = {};
  ASSERT_EQ(aio().statfs(Path(".").c_str(), &by_name), 0);
  ASSERT_EQ(aio().fstatfs(dir_, &by_fd), 0);
  EXPECT_EQ(by_name.f_type, by_fd.f_type);
  EXPECT_EQ(by_name.f_bsize, 4096);
  EXPECT_EQ(by_name.f_namelen, 255);
  EXPECT_GT(by_name.f_blocks, 0u);
}

// ---- Advice and writing back.

TEST_P(StatTest, AdviceIsTakenAndUnknownAdviceIsEinval) {
  const int file = MakeFile("f", std::string(8192, 'a'));
  for (int advice : {POSIX_FADV_NORMAL, POSIX_FADV_RANDOM, POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED,
                     POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE}) {
    EXPECT_EQ(aio().fadvise64(file, 0, 0, advice), 0) << advice;
  }
  EXPECT_THAT(aio().fadvise64(file, 0, 0, 99), FailsWith(EINVAL));
  EXPECT_THAT(aio().fadvise64(file, 0, -1, POSIX_FADV_NORMAL), FailsWith(EINVAL));
}

TEST_P(StatTest, WhatIsNotNeededIsStillThere) {
  const int file = MakeFile("f", std::string(8192, 'a'));
  ASSERT_EQ(aio().fsync(file), 0);
  ASSERT_EQ(aio().fadvise64(file, 0, 0, POSIX_FADV_DONTNEED), 0);
  std::string contents(8192, '?');
  iocb read = ReadOf(file, absl::MakeSpan(&contents[0], contents.size()));
  EXPECT_EQ(ResultOf(ctx_, &read), 8192);
  EXPECT_EQ(contents, std::string(8192, 'a'));
}

TEST_P(StatTest, AdviceForAPipeIsEspipe) {
  EXPECT_THAT(aio().fadvise64(NewPipe().read_fd, 0, 0, POSIX_FADV_NORMAL), FailsWith(ESPIPE));
}

TEST_P(StatTest, SyncFileRangeTakesItsThreeFlags) {
  const int file = MakeFile("f", "contents");
  constexpr unsigned kAll = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  EXPECT_EQ(aio().sync_file_range(file, 0, 0, kAll), 0);
  EXPECT_THAT(aio().sync_file_range(file, 0, 0, 8), FailsWith(EINVAL));
  EXPECT_THAT(aio().sync_file_range(file, -1, 0, kAll), FailsWith(EINVAL));
  EXPECT_THAT(aio().sync_file_range(NewPipe().read_fd, 0, 0, kAll), FailsWith(ESPIPE));
}

TEST_P(StatTest, SyncfsNeedsAnFd) {
  EXPECT_EQ(aio().syncfs(dir_), 0);
  EXPECT_THAT(aio().syncfs(ClosedFd()), FailsWith(EBADF));
}

TEST_P(StatTest, AnIoctlThatAFileDoesNotKnowIsEnotty) {
  EXPECT_THAT(aio().ioctl(MakeFile("f"), 0xdeadbeef, 0), FailsWith(ENOTTY));
}

TEST_P(StatTest, FionreadTellsWhatIsLeftBehindThePosition) {
  const int file = MakeFile("f", "contents");
  ASSERT_EQ(aio().lseek(file, 3, SEEK_SET), 3);
  int left = 0;
  EXPECT_EQ(aio().ioctl(file, FIONREAD, reinterpret_cast<unsigned long>(&left)), 0);
  EXPECT_EQ(left, 5);
}

// ---- Fds and locks.

TEST_P(StatTest, Dup3PutsAFileOnAnotherFd) {
  const int file = MakeFile("f", "contents"), other = MakeFile("g");
  EXPECT_EQ(aio().dup3(file, other, O_CLOEXEC), other);
  EXPECT_EQ(ContentsOf(other), "contents");
  EXPECT_EQ(aio().fcntl(other, F_GETFD, 0), FD_CLOEXEC);
  EXPECT_THAT(aio().dup3(file, file, 0), FailsWith(EINVAL));
  EXPECT_THAT(aio().dup3(file, other, O_APPEND), FailsWith(EINVAL));
  EXPECT_THAT(aio().dup3(ClosedFd(), other, 0), FailsWith(EBADF));
}

// The fd goes to another file while the request is in flight: the request stays with its own.
TEST_P(StatTest, ARequestStaysWithTheFileThatItsFdNamedAtSubmit) {
  const int file = MakeFile("f", std::string(4096, 'a')), other = MakeFile("g", std::string(4096, 'b'));
  std::string contents(4096, '?');
  iocb read = ReadOf(file, absl::MakeSpan(&contents[0], contents.size()));
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  ASSERT_EQ(aio().dup3(other, file, 0), file);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&read, 4096));
  EXPECT_EQ(contents, std::string(4096, 'a'));
}

TEST_P(StatTest, AnExclusiveFlockKeepsAnotherOpenFileOut) {
  const int file = MakeFile("f"), other = Open(Path("f"), O_RDWR);
  ASSERT_EQ(aio().flock(file, LOCK_EX), 0);
  EXPECT_THAT(aio().flock(other, LOCK_SH | LOCK_NB), FailsWith(EWOULDBLOCK));
  ASSERT_EQ(aio().flock(file, LOCK_UN), 0);
  EXPECT_EQ(aio().flock(other, LOCK_EX | LOCK_NB), 0);
}

TEST_P(StatTest, AFlockBelongsToEveryDuplicateAndGoesWithTheLast) {
  const int file = MakeFile("f"), other = Open(Path("f"), O_RDWR);
  const int duplicate = Owned(aio().dup(file));
  ASSERT_EQ(aio().flock(file, LOCK_EX), 0);
  EXPECT_EQ(aio().flock(duplicate, LOCK_EX | LOCK_NB), 0);
  Close(file);
  EXPECT_THAT(aio().flock(other, LOCK_EX | LOCK_NB), FailsWith(EWOULDBLOCK));
  Close(duplicate);
  EXPECT_EQ(aio().flock(other, LOCK_EX | LOCK_NB), 0);
}

TEST_P(StatTest, AFlockOfNoKindIsEinval) { EXPECT_THAT(aio().flock(MakeFile("f"), 64), FailsWith(EINVAL)); }

struct flock LockOf(short type, loff_t start, loff_t len) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = len;
  return lock;
}

unsigned long ArgumentOf(struct flock* lock) { return reinterpret_cast<unsigned long>(lock); }

TEST_P(StatTest, AProcessNeverKeepsItselfOut) {
  const int file = MakeFile("f"), other = Open(Path("f"), O_RDWR);
  struct flock lock = LockOf(F_WRLCK, 0, 100);
  EXPECT_EQ(aio().fcntl(file, F_SETLK, ArgumentOf(&lock)), 0);
  EXPECT_EQ(aio().fcntl(other, F_SETLK, ArgumentOf(&lock)), 0);
}

TEST_P(StatTest, LocksOfTwoOpenFilesMeetWhereTheyOverlap) {
  const int file = MakeFile("f"), other = Open(Path("f"), O_RDWR);
  struct flock lock = LockOf(F_WRLCK, 0, 100);
  ASSERT_EQ(aio().fcntl(file, F_OFD_SETLK, ArgumentOf(&lock)), 0);
  struct flock overlapping = LockOf(F_RDLCK, 99, 10), behind = LockOf(F_RDLCK, 100, 10);
  EXPECT_THAT(aio().fcntl(other, F_OFD_SETLK, ArgumentOf(&overlapping)), FailsWith(EAGAIN));
  EXPECT_EQ(aio().fcntl(other, F_OFD_SETLK, ArgumentOf(&behind)), 0);
}

TEST_P(StatTest, UnlockingTheMiddleLeavesTwoLocks) {
  const int file = MakeFile("f"), other = Open(Path("f"), O_RDWR);
  struct flock lock = LockOf(F_WRLCK, 0, 100), middle = LockOf(F_UNLCK, 40, 20);
  ASSERT_EQ(aio().fcntl(file, F_OFD_SETLK, ArgumentOf(&lock)), 0);
  ASSERT_EQ(aio().fcntl(file, F_OFD_SETLK, ArgumentOf(&middle)), 0);
  struct flock question = LockOf(F_WRLCK, 45, 1000);
  ASSERT_EQ(aio().fcntl(other, F_OFD_GETLK, ArgumentOf(&question)), 0);
  EXPECT_EQ(question.l_type, F_WRLCK);
  EXPECT_EQ(question.l_start, 60);
  EXPECT_EQ(question.l_len, 40);
  EXPECT_EQ(question.l_pid, -1);
}

TEST_P(StatTest, ClosingAnyFdOfAFileDropsTheProcessesLocks) {
  const int file = MakeFile("f"), other = Open(Path("f"), O_RDWR);
  struct flock lock = LockOf(F_WRLCK, 0, 0);
  ASSERT_EQ(aio().fcntl(file, F_SETLK, ArgumentOf(&lock)), 0);
  EXPECT_THAT(aio().fcntl(other, F_OFD_SETLK, ArgumentOf(&lock)), FailsWith(EAGAIN));
  Close(Owned(aio().dup(file)));
  EXPECT_EQ(aio().fcntl(other, F_OFD_SETLK, ArgumentOf(&lock)), 0);
}

TEST_P(StatTest, AWriteLockNeedsAFileThatIsOpenForWriting) {
  MakeFile("f");
  struct flock lock = LockOf(F_WRLCK, 0, 0);
  EXPECT_THAT(aio().fcntl(Open(Path("f"), O_RDONLY), F_SETLK, ArgumentOf(&lock)), FailsWith(EBADF));
}

TEST_P(StatTest, ALockOfNoTypeOrBeforeTheBeginningIsEinval) {
  const int file = MakeFile("f");
  struct flock no_type = LockOf(9, 0, 0), before = LockOf(F_RDLCK, -1, 0);
  EXPECT_THAT(aio().fcntl(file, F_SETLK, ArgumentOf(&no_type)), FailsWith(EINVAL));
  EXPECT_THAT(aio().fcntl(file, F_SETLK, ArgumentOf(&before)), FailsWith(EINVAL));
}

TEST_P(StatTest, VectoredCallsAreTheirNewerSelvesWithoutFlags) {
  const int file = MakeFile("f");
  char one[] = "one", two[] = "two";
  const iovec parts[] = {{one, 3}, {two, 3}};
  EXPECT_EQ(aio().writev(file, parts, 2), 6);
  EXPECT_EQ(aio().pwritev(file, parts, 1, 6), 3);
  EXPECT_EQ(ContentsOf(file), "onetwoone");
  EXPECT_EQ(aio().preadv(file, parts, 2, 3), 6);
  EXPECT_EQ(std::string(one, 3), "two");
  EXPECT_THAT(aio().preadv(file, parts, 2, -1), FailsWith(EINVAL));
}

}  // namespace
}  // namespace aiolab
