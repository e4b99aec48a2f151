// io_destroy(): what it refuses, what becomes of requests, waiters and memory.
#include <poll.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

using IoDestroyTest = AioConformanceTest;
INSTANTIATE_ON_ALL_BACKENDS(IoDestroyTest);

TEST_P(IoDestroyTest, AnUnknownContextIsEinval) {
  EXPECT_THAT(aio().io_destroy(0), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_destroy(1), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_destroy(~aio_context_t{0}), FailsWith(EINVAL));
}

// The kernel looks for the context's id in memory of the client's choice, and has to get by if there is none.
TEST_P(IoDestroyTest, AContextInUnreadableMemoryIsEinval) {
  EXPECT_THAT(aio().io_destroy(reinterpret_cast<aio_context_t>(InaccessiblePage())), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_destroy(reinterpret_cast<aio_context_t>(KernelAddress())), FailsWith(EINVAL));
}

// A copy of a ring has the right id at the wrong address.
TEST_P(IoDestroyTest, ACopyOfARingIsNoContext) {
  const aio_context_t ctx = NewContext(8);
  aio_ring copy = *RingOf(ctx);
  EXPECT_THAT(aio().io_destroy(reinterpret_cast<aio_context_t>(&copy)), FailsWith(EINVAL));
  EXPECT_EQ(Poll(ctx), 0);
}

TEST_P(IoDestroyTest, TwiceIsEinval) {
  const aio_context_t ctx = NewContext(8);
  EXPECT_EQ(aio().io_destroy(ctx), 0);
  EXPECT_THAT(aio().io_destroy(ctx), FailsWith(EINVAL));
}

TEST_P(IoDestroyTest, EveryCallOnADestroyedContextIsEinval) {
  const aio_context_t ctx = NewContext(8);
  ASSERT_EQ(aio().io_destroy(ctx), 0);
  char buf[1];
  iocb read = ReadOf(NewFile("x"), absl::MakeSpan(buf));
  io_event event;
  timespec at_once = {};
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_submit(ctx, 0, nullptr), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_cancel(ctx, &read, &event), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_getevents(ctx, 0, 1, &event, &at_once), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_pgetevents(ctx, 0, 1, &event, &at_once, nullptr), FailsWith(EINVAL));
}

// Method: the kernel itself is asked to read the address, since a look would end the test.
TEST_P(IoDestroyTest, TheRingIsUnmapped) {
  const aio_context_t ctx = NewContext(8);
  const int file = NewFile();
  ASSERT_EQ(aio().pwrite64(file, RingOf(ctx), 4, 0), 4);
  ASSERT_EQ(aio().io_destroy(ctx), 0);
  EXPECT_THAT(aio().pwrite64(file, RingOf(ctx), 4, 0), FailsWith(EFAULT));
}

TEST_P(IoDestroyTest, DoesNotWaitForAPendingPoll) {
  const aio_context_t ctx = NewContext(8);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  EXPECT_EQ(aio().io_destroy(ctx), 0);
}

// Destroying cancels the poll, and a cancelled poll completes like any other.
TEST_P(IoDestroyTest, APendingPollStillSignalsItsEventfd) {
  const aio_context_t ctx = NewContext(8);
  const int resfd = NewEventfd();
  iocb poll = WithResfd(PollOf(NewPipe().read_fd, POLLIN), resfd);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  ASSERT_EQ(aio().io_destroy(ctx), 0);
  EXPECT_EQ(TakeCount(resfd), 1);
}

TEST_P(IoDestroyTest, WaitsForAnFsyncInFlight) {
  const aio_context_t ctx = NewContext(8);
  const int resfd = NewEventfd();
  iocb fsync = WithResfd(FsyncOf(NewFile("data")), resfd);
  ASSERT_EQ(SubmitOne(ctx, &fsync), 1);
  ASSERT_EQ(aio().io_destroy(ctx), 0);
  EXPECT_EQ(TakeCount(resfd), 1);
}

TEST_P(IoDestroyTest, EventsThatNobodyReapedAreGone) {
  aio_context_t ctx = NewContext(8);
  iocb fsync = FsyncOf(NewFile());
  ASSERT_EQ(SubmitOne(ctx, &fsync), 1);
  WaitForEvents(ctx, 1);
  ASSERT_EQ(aio().io_destroy(ctx), 0);
  EXPECT_EQ(Poll(NewContext(8)), 0);
}

TEST_P(IoDestroyTest, AWaiterInGeteventsGetsEinval) {
  const aio_context_t ctx = NewContext(8);
  io_event event;
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 1, 1, &event, nullptr); });
  waiter.WaitUntilBlocked();
  EXPECT_EQ(aio().io_destroy(ctx), 0);
  EXPECT_THAT(waiter.Result(), FailsWith(EINVAL));
}

TEST_P(IoDestroyTest, EveryWaiterInGeteventsIsWoken) {
  const aio_context_t ctx = NewContext(8);
  io_event events[3];
  BackgroundCall first([&] { return aio().io_getevents(ctx, 1, 1, &events[0], nullptr); });
  BackgroundCall second([&] { return aio().io_getevents(ctx, 1, 1, &events[1], nullptr); });
  BackgroundCall third([&] { return aio().io_pgetevents(ctx, 1, 1, &events[2], nullptr, nullptr); });
  first.WaitUntilBlocked();
  second.WaitUntilBlocked();
  third.WaitUntilBlocked();
  EXPECT_EQ(aio().io_destroy(ctx), 0);
  EXPECT_THAT(first.Result(), FailsWith(EINVAL));
  EXPECT_THAT(second.Result(), FailsWith(EINVAL));
  EXPECT_THAT(third.Result(), FailsWith(EINVAL));
}

// The waiter wants two events and has taken the one there is: that one is not lost.
TEST_P(IoDestroyTest, AWaiterWithSomeEventsReturnsThem) {
  const aio_context_t ctx = NewContext(8);
  iocb fsync = FsyncOf(NewFile());
  ASSERT_EQ(SubmitOne(ctx, &fsync), 1);
  WaitForEvents(ctx, 1);
  io_event events[2];
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 2, 2, events, nullptr); });
  waiter.WaitUntilBlocked();
  EXPECT_EQ(aio().io_destroy(ctx), 0);
  EXPECT_EQ(waiter.Result(), 1);
  EXPECT_THAT(events[0], IsEvent(&fsync, 0));
}

TEST_P(IoDestroyTest, OtherContextsGoOn) {
  const aio_context_t ctx = NewContext(8);
  const aio_context_t other = NewContext(8);
  ASSERT_EQ(aio().io_destroy(ctx), 0);
  iocb fsync = FsyncOf(NewFile());
  EXPECT_EQ(ResultOf(other, &fsync), 0);
}

// The waiter wants three, and one has come that was too few to wake it. Destroying wakes it, and it takes that one.
TEST_P(IoDestroyTest, AWaiterTakesWhatHasComeSinceItSlept) {
  const aio_context_t ctx = NewContext(8);
  const int resfd = NewEventfd();
  io_event events[3];
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 3, 3, events, nullptr); });
  waiter.WaitUntilBlocked();
  iocb fsync = WithResfd(FsyncOf(NewFile()), resfd);
  ASSERT_EQ(SubmitOne(ctx, &fsync), 1);
  while (TakeCount(resfd) < 1) sched_yield();
  EXPECT_EQ(aio().io_destroy(ctx), 0);
  EXPECT_EQ(waiter.Result(), 1);
  EXPECT_THAT(events[0], IsEvent(&fsync, 0));
}

}  // namespace
}  // namespace aiolab
