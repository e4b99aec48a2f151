// io_cancel(): only polls can be cancelled, and what is cancelled still completes, in the ring like everything else.
#include <poll.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class IoCancelTest : public AioConformanceTest {
 protected:
  io_event unused_ = {};
};
INSTANTIATE_ON_ALL_BACKENDS(IoCancelTest);

TEST_P(IoCancelTest, AnIocbThatWasNeverSubmittedIsEinval) {
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  EXPECT_THAT(aio().io_cancel(NewContext(8), &poll, &unused_), FailsWith(EINVAL));
}

TEST_P(IoCancelTest, AnUnknownContextIsEinval) {
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  EXPECT_THAT(aio().io_cancel(0, &poll, &unused_), FailsWith(EINVAL));
}

TEST_P(IoCancelTest, AnUnreadableIocbIsEfault) {
  const aio_context_t ctx = NewContext(8);
  EXPECT_THAT(aio().io_cancel(ctx, nullptr, &unused_), FailsWith(EFAULT));
  EXPECT_THAT(aio().io_cancel(ctx, reinterpret_cast<iocb*>(InaccessiblePage()), &unused_), FailsWith(EFAULT));
}

// EINPROGRESS is the success of io_cancel. The event comes through the ring, with 0 for "no condition was met".
TEST_P(IoCancelTest, APendingPollIsEinprogressAndItsEventFollows) {
  const aio_context_t ctx = NewContext(8);
  iocb poll = WithData(PollOf(NewPipe().read_fd, POLLIN), 9);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  EXPECT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINPROGRESS));
  const io_event event = ReapOne(ctx);
  EXPECT_THAT(event, IsEvent(&poll, 0));
  EXPECT_EQ(event.data, 9u);
}

TEST_P(IoCancelTest, TheResultArgumentIsNotUsed) {
  const aio_context_t ctx = NewContext(8);
  const int fd = NewPipe().read_fd;
  iocb first = PollOf(fd, POLLIN);
  iocb second = PollOf(fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &first), 1);
  ASSERT_EQ(SubmitOne(ctx, &second), 1);
  unused_.data = 0x5555;
  EXPECT_THAT(aio().io_cancel(ctx, &first, &unused_), FailsWith(EINPROGRESS));
  EXPECT_EQ(unused_.data, 0x5555u);
  EXPECT_THAT(aio().io_cancel(ctx, &second, nullptr), FailsWith(EINPROGRESS));
}

TEST_P(IoCancelTest, TwiceIsEinval) {
  const aio_context_t ctx = NewContext(8);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  ASSERT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINPROGRESS));
  EXPECT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINVAL));
  EXPECT_THAT(ReapOne(ctx), IsEvent(&poll, 0));
  EXPECT_EQ(Poll(ctx), 0);
}

TEST_P(IoCancelTest, ACompletedPollIsEinval) {
  const aio_context_t ctx = NewContext(8);
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  WaitForEvents(ctx, 1);
  EXPECT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINVAL));
  EXPECT_EQ(Poll(ctx), 1);
}

TEST_P(IoCancelTest, ACompletedReadIsEinval) {
  const aio_context_t ctx = NewContext(8);
  char buf[4];
  iocb read = ReadOf(NewFile("data"), absl::MakeSpan(buf));
  ASSERT_EQ(ResultOf(ctx, &read), 4);
  EXPECT_THAT(aio().io_cancel(ctx, &read, &unused_), FailsWith(EINVAL));
}

TEST_P(IoCancelTest, AnotherKeyThanTheKernelsIsEinval) {
  const aio_context_t ctx = NewContext(8);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  poll.aio_key = 1;
  EXPECT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINVAL));
  poll.aio_key = KIOCB_KEY;
  EXPECT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINPROGRESS));
}

// The address names the request; what else stands in the iocb by now does not matter.
TEST_P(IoCancelTest, OnlyTheAddressAndTheKeyAreLookedAt) {
  const aio_context_t ctx = NewContext(8);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  iocb copy = poll;
  EXPECT_THAT(aio().io_cancel(ctx, &copy, &unused_), FailsWith(EINVAL));
  memset(&poll, 0xff, sizeof(poll));
  poll.aio_key = KIOCB_KEY;
  EXPECT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINPROGRESS));
}

TEST_P(IoCancelTest, AnIocbOfAnotherContextIsEinval) {
  const aio_context_t ctx = NewContext(8);
  const aio_context_t other = NewContext(8);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  EXPECT_THAT(aio().io_cancel(other, &poll, &unused_), FailsWith(EINVAL));
}

TEST_P(IoCancelTest, OneOfManyPollsIsCancelledAlone) {
  const aio_context_t ctx = NewContext(8);
  const Pipe pipe = NewPipe();
  iocb polls[3];
  for (iocb& poll : polls) {
    poll = PollOf(pipe.read_fd, POLLIN);
    ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  }
  EXPECT_THAT(aio().io_cancel(ctx, &polls[1], &unused_), FailsWith(EINPROGRESS));
  EXPECT_THAT(ReapOne(ctx), IsEvent(&polls[1], 0));
  EXPECT_EQ(Poll(ctx), 0);
}

// One iocb submitted twice is two requests at one address: each cancel takes one of them.
TEST_P(IoCancelTest, AnIocbSubmittedTwiceCanBeCancelledTwice) {
  const aio_context_t ctx = NewContext(8);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  EXPECT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINPROGRESS));
  EXPECT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINPROGRESS));
  EXPECT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINVAL));
  EXPECT_EQ(ReapAll(ctx, 2).size(), 2u);
}

TEST_P(IoCancelTest, ACancelledPollSignalsItsEventfd) {
  const aio_context_t ctx = NewContext(8);
  const int resfd = NewEventfd();
  iocb poll = WithResfd(PollOf(NewPipe().read_fd, POLLIN), resfd);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  ASSERT_THAT(aio().io_cancel(ctx, &poll, &unused_), FailsWith(EINPROGRESS));
  EXPECT_THAT(ReapOne(ctx), IsEvent(&poll, 0));
  EXPECT_EQ(TakeCount(resfd), 1);
}

// A read of an empty pipe sleeps inside io_submit, where no cancel function knows it.
TEST_P(IoCancelTest, AReadThatBlocksInSubmitCannotBeCancelled) {
  const aio_context_t ctx = NewContext(8);
  const Pipe pipe = NewPipe();
  char buf[1];
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(buf));
  BackgroundCall submitter([&] { return SubmitOne(ctx, &read); });
  submitter.WaitUntilBlocked();
  EXPECT_THAT(aio().io_cancel(ctx, &read, &unused_), FailsWith(EINVAL));
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_EQ(submitter.Result(), 1);
  EXPECT_THAT(ReapOne(ctx), IsEvent(&read, 1));
}

}  // namespace
}  // namespace aiolab
