// PREAD and PWRITE of ordinary files: positions, ends, modes, limits.
#include <fcntl.h>
#include <sys/resource.h>

#include <climits>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class ReadWriteTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(8); }

  std::string BufPrefix(size_t size) { return std::string(buf_, size); }

  aio_context_t ctx_ = 0;
  char buf_[512] = {};
};
INSTANTIATE_ON_ALL_BACKENDS(ReadWriteTest);

// Sets RLIMIT_FSIZE of the process, while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t limit) {
    getrlimit(RLIMIT_FSIZE, &saved_);
    const rlimit lowered = {limit, saved_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &lowered), 0);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &saved_); }

 private:
  rlimit saved_;
};

TEST_P(ReadWriteTest, AReadGetsTheBytesAtItsOffset) {
  iocb read = ReadOf(NewFile("0123456789"), absl::MakeSpan(buf_, 4), 3);
  EXPECT_EQ(ResultOf(ctx_, &read), 4);
  EXPECT_EQ(BufPrefix(4), "3456");
}

TEST_P(ReadWriteTest, AWritePutsTheBytesAtItsOffset) {
  const int file = NewFile("0123456789");
  iocb write = WriteOf(file, "abc", 3);
  EXPECT_EQ(ResultOf(ctx_, &write), 3);
  EXPECT_EQ(ContentsOf(file), "012abc6789");
}

TEST_P(ReadWriteTest, TheFilePositionIsNeitherUsedNorMoved) {
  const int file = NewFile("0123456789");
  ASSERT_EQ(aio().lseek(file, 5, SEEK_SET), 5);
  iocb read = ReadOf(file, absl::MakeSpan(buf_, 2), 1);
  EXPECT_EQ(ResultOf(ctx_, &read), 2);
  EXPECT_EQ(BufPrefix(2), "12");
  iocb write = WriteOf(file, "ab", 1);
  EXPECT_EQ(ResultOf(ctx_, &write), 2);
  EXPECT_EQ(aio().lseek(file, 0, SEEK_CUR), 5);
}

TEST_P(ReadWriteTest, AReadAcrossTheEndIsShort) {
  iocb read = ReadOf(NewFile("0123456789"), absl::MakeSpan(buf_), 7);
  EXPECT_EQ(ResultOf(ctx_, &read), 3);
}

TEST_P(ReadWriteTest, AReadAtTheEndIsZero) {
  iocb read = ReadOf(NewFile("0123456789"), absl::MakeSpan(buf_), 10);
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(ReadWriteTest, AReadFarBehindTheEndIsZero) {
  iocb read = ReadOf(NewFile("0123456789"), absl::MakeSpan(buf_), int64_t{1} << 40);
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(ReadWriteTest, AReadLeavesTheRestOfTheBufferAlone) {
  memset(buf_, 'z', sizeof(buf_));
  iocb read = ReadOf(NewFile("0123456789"), absl::MakeSpan(buf_), 8);
  EXPECT_EQ(ResultOf(ctx_, &read), 2);
  EXPECT_EQ(BufPrefix(4), "89zz");
}

TEST_P(ReadWriteTest, AHoleReadsAsZeros) {
  const int file = NewFile();
  ASSERT_EQ(aio().ftruncate(file, 1 << 20), 0);
  memset(buf_, 'z', sizeof(buf_));
  iocb read = ReadOf(file, absl::MakeSpan(buf_), 5000);
  EXPECT_EQ(ResultOf(ctx_, &read), 512);
  EXPECT_EQ(BufPrefix(512), std::string(512, '\0'));
}

TEST_P(ReadWriteTest, AWriteBehindTheEndLeavesAHole) {
  const int file = NewFile("ab");
  iocb write = WriteOf(file, "cd", 10000);
  EXPECT_EQ(ResultOf(ctx_, &write), 2);
  EXPECT_EQ(ContentsOf(file), "ab" + std::string(9998, '\0') + "cd");
}

TEST_P(ReadWriteTest, AMemoryFileReachesToTheLargestOffset) {
  const int file = NewFile();
  constexpr int64_t kOffset = INT64_MAX - 100'000;
  iocb write = WriteOf(file, "abc", kOffset);
  EXPECT_EQ(ResultOf(ctx_, &write), 3);
  iocb read = ReadOf(file, absl::MakeSpan(buf_), kOffset);
  EXPECT_EQ(ResultOf(ctx_, &read), 3);
  EXPECT_EQ(BufPrefix(3), "abc");
}

TEST_P(ReadWriteTest, AReadOfManyPagesIsComplete) {
  std::string contents;
  for (int i = 0; i < 200000; ++i) contents.push_back(static_cast<char>('a' + i % 26));
  const absl::Span<char> buf = AlignedBuffer(contents.size());
  iocb read = ReadOf(NewFile(contents), buf);
  EXPECT_EQ(ResultOf(ctx_, &read), 200000);
  EXPECT_TRUE(absl::string_view(buf.data(), buf.size()) == contents);
}

TEST_P(ReadWriteTest, ZeroBytesIsZero) {
  const int file = NewFile("data");
  iocb read = ReadOf(file, absl::MakeSpan(buf_, 0));
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
  iocb write = WriteOf(file, "", 1000);
  EXPECT_EQ(ResultOf(ctx_, &write), 0);
  EXPECT_EQ(ContentsOf(file), "data");
}

TEST_P(ReadWriteTest, ZeroBytesNeedNoBuffer) {
  iocb read = ReadOf(NewFile("data"), absl::Span<char>());
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(ReadWriteTest, ANegativeOffsetIsEinval) {
  const int file = NewFile("data");
  for (int64_t offset : {int64_t{-1}, int64_t{-4096}, INT64_MIN}) {
    iocb read = ReadOf(file, absl::MakeSpan(buf_), offset);
    EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL)) << offset;
    iocb write = WriteOf(file, "x", offset);
    EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EINVAL)) << offset;
  }
}

TEST_P(ReadWriteTest, AnEndBehindTheLargestOffsetIsEinval) {
  const int file = NewFile("data");
  iocb read = ReadOf(file, absl::MakeSpan(buf_, 2), INT64_MAX - 1);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
  read = ReadOf(file, absl::MakeSpan(buf_, 1), INT64_MAX - 1);
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(ReadWriteTest, AReadOfAWriteOnlyFileIsEbadf) {
  iocb read = ReadOf(Open(NewTmpfsPath(), O_CREAT | O_WRONLY), absl::MakeSpan(buf_));
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EBADF));
}

TEST_P(ReadWriteTest, AWriteToAReadOnlyFileIsEbadf) {
  const std::string path = NewTmpfsPath();
  Open(path, O_CREAT | O_WRONLY);
  iocb write = WriteOf(Open(path, O_RDONLY), "x");
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EBADF));
}

TEST_P(ReadWriteTest, AnAppendingFileIgnoresTheOffsetOfAWrite) {
  const int file = Open(NewTmpfsPath(), O_CREAT | O_RDWR | O_APPEND);
  ASSERT_EQ(aio().write(file, "0123", 4), 4);
  iocb write = WriteOf(file, "ab", 1);
  EXPECT_EQ(ResultOf(ctx_, &write), 2);
  EXPECT_EQ(ContentsOf(file), "0123ab");
}

TEST_P(ReadWriteTest, AnAppendingFileStillChecksTheOffsetOfAWrite) {
  const int file = Open(NewTmpfsPath(), O_CREAT | O_RDWR | O_APPEND);
  iocb write = WriteOf(file, "ab", -1);
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EINVAL));
}

TEST_P(ReadWriteTest, ADirectoryIsEinval) {
  iocb read = ReadOf(Open(GetParam().disk_dir, O_RDONLY | O_DIRECTORY), absl::MakeSpan(buf_));
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
}

TEST_P(ReadWriteTest, APathFdIsEbadf) {
  const std::string path = NewTmpfsPath();
  Open(path, O_CREAT | O_WRONLY);
  iocb read = ReadOf(Open(path, O_PATH), absl::MakeSpan(buf_));
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EBADF));
}

TEST_P(ReadWriteTest, AnUnlinkedFileCanStillBeReadAndWritten) {
  const std::string path = NewTmpfsPath();
  const int file = Open(path, O_CREAT | O_RDWR);
  ASSERT_EQ(aio().unlinkat(AT_FDCWD, path.c_str(), 0), 0);
  iocb write = WriteOf(file, "data");
  EXPECT_EQ(ResultOf(ctx_, &write), 4);
  EXPECT_EQ(ContentsOf(file), "data");
}

TEST_P(ReadWriteTest, TheFdMayBeClosedOnceSubmitReturned) {
  const int file = NewFile("data");
  iocb read = ReadOf(file, absl::MakeSpan(buf_));
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  Close(file);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&read, 4));
  EXPECT_EQ(BufPrefix(4), "data");
}

TEST_P(ReadWriteTest, ADupReadsTheSameFile) {
  const int file = NewFile("data");
  iocb read = ReadOf(Owned(aio().dup(file)), absl::MakeSpan(buf_));
  Close(file);
  EXPECT_EQ(ResultOf(ctx_, &read), 4);
}

// ---- RLIMIT_FSIZE. The error stands in the event, the signal goes to the submitter.

TEST_P(ReadWriteTest, AWriteBehindTheFileSizeLimitIsEfbigAndASignal) {
  const int file = NewFile("0123456789");
  SignalCounter handled(SIGXFSZ);
  FileSizeLimit limit(8);
  iocb write = WriteOf(file, "ab", 8);
  EXPECT_EQ(ResultOf(ctx_, &write), -EFBIG);
  EXPECT_EQ(handled.count(), 1);
  EXPECT_EQ(ContentsOf(file), "0123456789");
}

TEST_P(ReadWriteTest, AWriteAcrossTheFileSizeLimitIsShort) {
  const int file = NewFile();
  SignalCounter handled(SIGXFSZ);
  FileSizeLimit limit(8);
  iocb write = WriteOf(file, "abcdef", 5);
  EXPECT_EQ(ResultOf(ctx_, &write), 3);
  EXPECT_EQ(handled.count(), 0);
  EXPECT_EQ(ContentsOf(file), std::string(5, '\0') + "abc");
}

TEST_P(ReadWriteTest, AZeroByteWriteAtTheFileSizeLimitIsZero) {
  const int file = NewFile();
  SignalCounter handled(SIGXFSZ);
  FileSizeLimit limit(8);
  iocb write = WriteOf(file, "", 100);
  EXPECT_EQ(ResultOf(ctx_, &write), 0);
  EXPECT_EQ(handled.count(), 0);
}

TEST_P(ReadWriteTest, AReadKnowsNoFileSizeLimit) {
  const int file = NewFile("0123456789");
  FileSizeLimit limit(4);
  iocb read = ReadOf(file, absl::MakeSpan(buf_));
  EXPECT_EQ(ResultOf(ctx_, &read), 10);
}

}  // namespace
}  // namespace aiolab
