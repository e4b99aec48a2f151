// Reads and writes of what is not a regular file: pipes, eventfds, /dev/null, /dev/zero, /dev/full.
//
// None of these has an asynchronous side: a request that has to wait does so inside io_submit.
#include <fcntl.h>
#include <sys/ioctl.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class FilesTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(8); }

  aio_context_t ctx_ = 0;
  char buf_[64] = {};
};
INSTANTIATE_ON_ALL_BACKENDS(FilesTest);

// ---- Pipes.

TEST_P(FilesTest, APipeReadTakesWhatThereIs) {
  const Pipe pipe = NewPipe();
  ASSERT_EQ(aio().write(pipe.write_fd, "abc", 3), 3);
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(buf_));
  EXPECT_EQ(ResultOf(ctx_, &read), 3);
  EXPECT_EQ(std::string(buf_, 3), "abc");
}

TEST_P(FilesTest, APipeWriteArrives) {
  const Pipe pipe = NewPipe();
  iocb write = WriteOf(pipe.write_fd, "abc");
  EXPECT_EQ(ResultOf(ctx_, &write), 3);
  EXPECT_EQ(aio().read(pipe.read_fd, buf_, sizeof(buf_)), 3);
}

// pread() of a pipe is ESPIPE; here the offset is only checked for its sign, and then ignored.
TEST_P(FilesTest, FionreadCountsTheBytesOfAPipe) {
  const Pipe pipe = NewPipe();
  ASSERT_EQ(aio().write(pipe.write_fd, "abc", 3), 3);
  ASSERT_EQ(aio().write(pipe.write_fd, "de", 2), 2);
  for (const int end : {pipe.read_fd, pipe.write_fd}) {
    int bytes = -1;
    EXPECT_EQ(aio().ioctl(end, FIONREAD, reinterpret_cast<unsigned long>(&bytes)), 0);
    EXPECT_EQ(bytes, 5);
  }
}

TEST_P(FilesTest, APipeIgnoresTheOffset) {
  const Pipe pipe = NewPipe();
  ASSERT_EQ(aio().write(pipe.write_fd, "abc", 3), 3);
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(buf_), 1 << 20);
  EXPECT_EQ(ResultOf(ctx_, &read), 3);
}

TEST_P(FilesTest, ANegativeOffsetIsEinvalForAPipeToo) {
  const Pipe pipe = NewPipe();
  ASSERT_EQ(aio().write(pipe.write_fd, "abc", 3), 3);
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(buf_), -1);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
}

TEST_P(FilesTest, TheWrongEndOfAPipeIsEbadf) {
  const Pipe pipe = NewPipe();
  iocb read = ReadOf(pipe.write_fd, absl::MakeSpan(buf_));
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EBADF));
  iocb write = WriteOf(pipe.read_fd, "x");
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EBADF));
}

TEST_P(FilesTest, AnEmptyNonBlockingPipeCompletesWithEagain) {
  iocb read = ReadOf(NewPipe(O_NONBLOCK).read_fd, absl::MakeSpan(buf_));
  EXPECT_EQ(ResultOf(ctx_, &read), -EAGAIN);
}

TEST_P(FilesTest, AFullNonBlockingPipeCompletesWithEagain) {
  const Pipe pipe = NewPipe(O_NONBLOCK);
  const std::string much(65536, 'x');
  while (aio().write(pipe.write_fd, much.data(), much.size()) > 0) {
  }
  iocb write = WriteOf(pipe.write_fd, "y");
  EXPECT_EQ(ResultOf(ctx_, &write), -EAGAIN);
}

TEST_P(FilesTest, AReadOfAPipeWithoutWritersIsZero) {
  const Pipe pipe = NewPipe();
  Close(pipe.write_fd);
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(buf_));
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(FilesTest, AWriteToAPipeWithoutReadersIsEpipeAndASignal) {
  const Pipe pipe = NewPipe();
  Close(pipe.read_fd);
  SignalCounter handled(SIGPIPE);
  iocb write = WriteOf(pipe.write_fd, "x");
  EXPECT_EQ(ResultOf(ctx_, &write), -EPIPE);
  EXPECT_EQ(handled.count(), 1);
}

TEST_P(FilesTest, AReadOfAnEmptyPipeBlocksInSubmit) {
  const Pipe pipe = NewPipe();
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(buf_));
  BackgroundCall submitter([&] { return SubmitOne(ctx_, &read); });
  submitter.WaitUntilBlocked();
  EXPECT_EQ(Poll(ctx_), 0);
  ASSERT_EQ(aio().write(pipe.write_fd, "abc", 3), 3);
  EXPECT_EQ(submitter.Result(), 1);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&read, 3));
}

TEST_P(FilesTest, AWriteToAFullPipeBlocksInSubmit) {
  const Pipe pipe = NewPipe(O_NONBLOCK);
  const std::string much(65536, 'x');
  while (aio().write(pipe.write_fd, much.data(), much.size()) > 0) {
  }
  ASSERT_EQ(aio().fcntl(pipe.write_fd, F_SETFL, 0), 0);
  iocb write = WriteOf(pipe.write_fd, "y");
  BackgroundCall submitter([&] { return SubmitOne(ctx_, &write); });
  submitter.WaitUntilBlocked();
  std::string drained(much.size(), '\0');
  while (aio().read(pipe.read_fd, drained.data(), drained.size()) > 0) {
  }
  EXPECT_EQ(submitter.Result(), 1);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&write, 1));
}

// A signal ends the wait inside io_submit. The call succeeds; the event says EINTR, where read() would be restarted.
TEST_P(FilesTest, ASignalMakesABlockedPipeReadCompleteWithEintr) {
  const Pipe pipe = NewPipe();
  SignalCounter handled(SIGUSR1, SA_RESTART);
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(buf_));
  BackgroundCall submitter([&] { return SubmitOne(ctx_, &read); });
  submitter.WaitUntilBlocked();
  submitter.Signal(SIGUSR1);
  EXPECT_EQ(submitter.Result(), 1);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&read, -EINTR));
  EXPECT_EQ(handled.count(), 1);
}

// The first of two reads blocks; the second is not even looked at before the first is done.
TEST_P(FilesTest, ABlockedReadHoldsUpTheRestOfItsBatch) {
  const Pipe pipe = NewPipe();
  const int resfd = NewEventfd();
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(buf_));
  iocb fsync = WithResfd(FsyncOf(NewFile()), resfd);
  iocb* batch[] = {&read, &fsync};
  BackgroundCall submitter([&] { return aio().io_submit(ctx_, 2, batch); });
  submitter.WaitUntilBlocked();
  EXPECT_EQ(TakeCount(resfd), -EAGAIN);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_EQ(submitter.Result(), 2);
  EXPECT_EQ(ReapAll(ctx_, 2).size(), 2u);
}

TEST_P(FilesTest, AZeroByteReadOfAnEmptyPipeIsZeroAtOnce) {
  iocb read = ReadOf(NewPipe().read_fd, absl::MakeSpan(buf_, 0));
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(FilesTest, AnUnmappedBufferOfAPipeReadCompletesWithEfault) {
  const Pipe pipe = NewPipe();
  ASSERT_EQ(aio().write(pipe.write_fd, "abc", 3), 3);
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(InaccessiblePage(), 4));
  EXPECT_EQ(ResultOf(ctx_, &read), -EFAULT);
}

// ---- Eventfds.

TEST_P(FilesTest, AnEventfdReadTakesTheCount) {
  uint64_t count = 0;
  iocb read = ReadOf(NewEventfd(5), absl::MakeSpan(reinterpret_cast<char*>(&count), sizeof(count)));
  EXPECT_EQ(ResultOf(ctx_, &read), 8);
  EXPECT_EQ(count, 5u);
}

TEST_P(FilesTest, AnEventfdReadOfFewerThanEightBytesCompletesWithEinval) {
  iocb read = ReadOf(NewEventfd(5), absl::MakeSpan(buf_, 7));
  EXPECT_EQ(ResultOf(ctx_, &read), -EINVAL);
}

TEST_P(FilesTest, AnEventfdWithoutACountCompletesWithEagainIfNonBlocking) {
  iocb read = ReadOf(NewEventfd(0, O_NONBLOCK), absl::MakeSpan(buf_, 8));
  EXPECT_EQ(ResultOf(ctx_, &read), -EAGAIN);
}

// An eventfd has a read function for iterators, but only an old-style write function, which AIO does not use.
TEST_P(FilesTest, AnEventfdWriteIsEinvalAtSubmit) {
  const uint64_t one = 1;
  iocb write = WriteOf(NewEventfd(), absl::string_view(reinterpret_cast<const char*>(&one), 8));
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EINVAL));
}

// ---- Devices.

TEST_P(FilesTest, DevNullReadsNothingAndTakesEverything) {
  const int null = Open("/dev/null", O_RDWR);
  iocb read = ReadOf(null, absl::MakeSpan(buf_));
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
  iocb write = WriteOf(null, "data");
  EXPECT_EQ(ResultOf(ctx_, &write), 4);
}

// Nobody looks at the bytes.
TEST_P(FilesTest, DevNullTakesAnUnmappedBuffer) {
  iocb write = WriteOf(Open("/dev/null", O_RDWR), absl::string_view(InaccessiblePage(), 100));
  EXPECT_EQ(ResultOf(ctx_, &write), 100);
}

TEST_P(FilesTest, DevZeroReadsZerosAndTakesEverything) {
  const int zero = Open("/dev/zero", O_RDWR);
  memset(buf_, 'x', sizeof(buf_));
  iocb read = ReadOf(zero, absl::MakeSpan(buf_), 12345);
  EXPECT_EQ(ResultOf(ctx_, &read), 64);
  EXPECT_EQ(std::string(buf_, 64), std::string(64, '\0'));
  iocb write = WriteOf(zero, "data");
  EXPECT_EQ(ResultOf(ctx_, &write), 4);
}

TEST_P(FilesTest, DevZeroIntoAHoleIsShort) {
  char* room = PageBeforeHole().end() - 8;
  iocb read = ReadOf(Open("/dev/zero", O_RDONLY), absl::MakeSpan(room, 100));
  EXPECT_EQ(ResultOf(ctx_, &read), 8);
}

TEST_P(FilesTest, DevFullReadsZeros) {
  memset(buf_, 'x', sizeof(buf_));
  iocb read = ReadOf(Open("/dev/full", O_RDONLY), absl::MakeSpan(buf_));
  EXPECT_EQ(ResultOf(ctx_, &read), 64);
  EXPECT_EQ(std::string(buf_, 64), std::string(64, '\0'));
}

// write() to it is ENOSPC, but through an old-style write function, which AIO does not use: its ENOSPC is out of reach.
TEST_P(FilesTest, ADevFullWriteIsEinvalAtSubmit) {
  const int full = Open("/dev/full", O_RDWR);
  ASSERT_THAT(aio().write(full, "data", 4), FailsWith(ENOSPC));
  iocb write = WriteOf(full, "data");
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EINVAL));
}

TEST_P(FilesTest, ANegativeOffsetIsEinvalForDevicesToo) {
  iocb read = ReadOf(Open("/dev/zero", O_RDONLY), absl::MakeSpan(buf_), -4096);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
  iocb write = WriteOf(Open("/dev/null", O_WRONLY), "x", -1);
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EINVAL));
}

}  // namespace
}  // namespace aiolab
