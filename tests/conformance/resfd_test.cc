// IOCB_FLAG_RESFD: an eventfd that counts completions.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class ResfdTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(16); }

  aio_context_t ctx_ = 0;
  char buf_[16];
};
INSTANTIATE_ON_ALL_BACKENDS(ResfdTest);

TEST_P(ResfdTest, ACompletionAddsOne) {
  const int resfd = NewEventfd();
  iocb read = WithResfd(ReadOf(NewFile("data"), absl::MakeSpan(buf_)), resfd);
  EXPECT_EQ(ResultOf(ctx_, &read), 4);
  EXPECT_EQ(TakeCount(resfd), 1);
}

TEST_P(ResfdTest, EveryOpcodeSignals) {
  const int resfd = NewEventfd();
  const int file = NewFile("data");
  const iovec iov = {buf_, 4};
  const absl::Span<const iovec> iovs(&iov, 1);
  for (iocb request : {ReadOf(file, absl::MakeSpan(buf_)), WriteOf(file, "data"), ReadvOf(file, iovs),
                       WritevOf(file, iovs), FsyncOf(file), FdsyncOf(file), PollOf(file, POLLIN)}) {
    request = WithResfd(request, resfd);
    EXPECT_GE(ResultOf(ctx_, &request), 0);
    EXPECT_EQ(TakeCount(resfd), 1) << "opcode " << request.aio_lio_opcode;
  }
}

TEST_P(ResfdTest, CompletionsAddUpWithWhatIsThere) {
  const int resfd = NewEventfd(100);
  ASSERT_EQ(SubmitCopies(ctx_, WithResfd(FsyncOf(NewFile()), resfd), 5), 5u);
  ReapAll(ctx_, 5);
  EXPECT_EQ(TakeCount(resfd), 105);
}

TEST_P(ResfdTest, ACompletionWithAnErrorAddsOneToo) {
  const int resfd = NewEventfd();
  iocb read = WithResfd(ReadOf(NewFile("data"), absl::MakeSpan(InaccessiblePage(), 4)), resfd);
  EXPECT_EQ(ResultOf(ctx_, &read), -EFAULT);
  EXPECT_EQ(TakeCount(resfd), 1);
}

TEST_P(ResfdTest, AFailedSubmitAddsNothing) {
  const int resfd = NewEventfd();
  iocb request = WithResfd(FsyncOf(NewFile()), resfd);
  request.aio_lio_opcode = 9;
  EXPECT_THAT(SubmitOne(ctx_, &request), FailsWith(EINVAL));
  EXPECT_EQ(TakeCount(resfd), -EAGAIN);
}

TEST_P(ResfdTest, ReapingDoesNotTakeFromTheCount) {
  const int resfd = NewEventfd();
  ASSERT_EQ(SubmitCopies(ctx_, WithResfd(FsyncOf(NewFile()), resfd), 3), 3u);
  ReapAll(ctx_, 3);
  EXPECT_EQ(TakeCount(resfd), 3);
}

// The event is in the ring before the count goes up: whoever is woken finds it.
TEST_P(ResfdTest, TheEventIsThereWhenTheCountIs) {
  const int resfd = NewEventfd();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(SubmitCopies(ctx_, WithResfd(FsyncOf(NewFile()), resfd), 1), 1u);
    uint64_t count = 0;
    ASSERT_EQ(aio().read(resfd, &count, sizeof(count)), 8);
    EXPECT_EQ(Poll(ctx_), 1);
  }
}

TEST_P(ResfdTest, AWaiterInPpollIsWoken) {
  const int resfd = NewEventfd();
  const Pipe pipe = NewPipe();
  iocb poll = WithResfd(PollOf(pipe.read_fd, POLLIN), resfd);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  pollfd readable = {resfd, POLLIN, 0};
  BackgroundCall waiter([&] { return aio().ppoll(&readable, 1, nullptr, nullptr, 0); });
  waiter.WaitUntilBlocked();
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_EQ(waiter.Result(), 1);
  EXPECT_EQ(readable.revents, POLLIN);
}

TEST_P(ResfdTest, AWaiterInEpollIsWoken) {
  const int resfd = NewEventfd();
  const int epoll = Owned(aio().epoll_create1(0));
  epoll_event interest = {};
  interest.events = EPOLLIN;
  interest.data.u64 = 42;
  ASSERT_EQ(aio().epoll_ctl(epoll, EPOLL_CTL_ADD, resfd, &interest), 0);
  const Pipe pipe = NewPipe();
  iocb poll = WithResfd(PollOf(pipe.read_fd, POLLIN), resfd);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  epoll_event happened = {};
  BackgroundCall waiter([&] { return aio().epoll_pwait(epoll, &happened, 1, -1, nullptr, 0); });
  waiter.WaitUntilBlocked();
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_EQ(waiter.Result(), 1);
  EXPECT_EQ(happened.data.u64, 42u);
}

TEST_P(ResfdTest, AReaderThatSleepsInTheEventfdIsWoken) {
  const int resfd = NewEventfd();
  const Pipe pipe = NewPipe();
  iocb poll = WithResfd(PollOf(pipe.read_fd, POLLIN), resfd);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  uint64_t count = 0;
  BackgroundCall waiter([&] { return aio().read(resfd, &count, sizeof(count)); });
  waiter.WaitUntilBlocked();
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_EQ(waiter.Result(), 8);
  EXPECT_EQ(count, 1u);
}

TEST_P(ResfdTest, AFileThatIsNoEventfdIsEinval) {
  const int file = NewFile("data");
  for (int resfd : {file, NewPipe().write_fd}) {
    iocb read = WithResfd(ReadOf(file, absl::MakeSpan(buf_)), resfd);
    EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
  }
}

TEST_P(ResfdTest, AClosedFdIsEbadf) {
  iocb read = WithResfd(ReadOf(NewFile("data"), absl::MakeSpan(buf_)), ClosedFd());
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EBADF));
}

TEST_P(ResfdTest, ASemaphoreCountsCompletionsToo) {
  const int resfd = NewEventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
  ASSERT_EQ(SubmitCopies(ctx_, WithResfd(FsyncOf(NewFile()), resfd), 2), 2u);
  ReapAll(ctx_, 2);
  EXPECT_EQ(TakeCount(resfd), 1);
  EXPECT_EQ(TakeCount(resfd), 1);
  uint64_t count = 0;
  EXPECT_THAT(aio().read(resfd, &count, sizeof(count)), FailsWith(EAGAIN));
}

TEST_P(ResfdTest, ANonBlockingEventfdIsSignalledLikeAnother) {
  const int resfd = NewEventfd(0, EFD_NONBLOCK);
  iocb fsync = WithResfd(FsyncOf(NewFile()), resfd);
  EXPECT_EQ(ResultOf(ctx_, &fsync), 0);
  EXPECT_EQ(TakeCount(resfd), 1);
}

// A counter at its maximum would make a writer wait. A completion does not: it is counted up to the value which no
// writer can reach, and the poll says POLLERR.
TEST_P(ResfdTest, ACompletionNeverWaitsForAFullCounter) {
  const int resfd = NewEventfd();
  const uint64_t most = 0xfffffffffffffffe;
  ASSERT_EQ(aio().write(resfd, &most, sizeof(most)), 8);
  ASSERT_EQ(SubmitCopies(ctx_, WithResfd(FsyncOf(NewFile()), resfd), 3), 3u);
  ReapAll(ctx_, 3);
  pollfd ready = {resfd, POLLIN, 0};
  timespec at_once = {};
  EXPECT_EQ(aio().ppoll(&ready, 1, &at_once, nullptr, 0), 1);
  EXPECT_EQ(ready.revents, POLLIN | POLLERR);
}

TEST_P(ResfdTest, TheEventfdMayBeClosedOnceSubmitReturned) {
  const Pipe pipe = NewPipe();
  const int resfd = NewEventfd();
  const int same = Owned(aio().dup(resfd));
  iocb poll = WithResfd(PollOf(pipe.read_fd, POLLIN), resfd);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  Close(resfd);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  ReapOne(ctx_);
  EXPECT_EQ(TakeCount(same), 1);
}

// An eventfd as the file of the request and as its resfd: the poll is for the first count, and its completion is
// another.
TEST_P(ResfdTest, ThePolledEventfdMayBeTheResfdToo) {
  const int eventfd = NewEventfd();
  iocb poll = WithResfd(PollOf(eventfd, POLLIN), eventfd);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  const uint64_t one = 1;
  ASSERT_EQ(aio().write(eventfd, &one, sizeof(one)), 8);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&poll, POLLIN));
  EXPECT_EQ(TakeCount(eventfd), 2);
}

}  // namespace
}  // namespace aiolab
