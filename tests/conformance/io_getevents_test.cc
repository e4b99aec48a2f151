// io_getevents(): counts, timeouts, signals, and what becomes of events when it fails.
#include <climits>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

using testing::ElementsAre;

class IoGeteventsTest : public AioConformanceTest {
 protected:
  // Puts `count` events into the ring. Their data are 1, 2, ...
  void PutEvents(aio_context_t ctx, unsigned count) {
    const int file = NewFile();
    for (unsigned i = 1; i <= count; ++i) {
      // One at a time, so that the order of the events is known.
      ASSERT_EQ(SubmitCopies(ctx, WithData(FsyncOf(file), i), 1), 1u);
      WaitForEvents(ctx, i);
    }
  }

  io_event events_[8] = {};
};
INSTANTIATE_ON_ALL_BACKENDS(IoGeteventsTest);

TEST_P(IoGeteventsTest, AnUnknownContextIsEinval) {
  timespec at_once = {};
  EXPECT_THAT(aio().io_getevents(0, 0, 1, events_, &at_once), FailsWith(EINVAL));
}

TEST_P(IoGeteventsTest, MoreThanThereIsRoomForIsEinval) {
  EXPECT_THAT(aio().io_getevents(NewContext(8), 2, 1, events_, nullptr), FailsWith(EINVAL));
}

TEST_P(IoGeteventsTest, ANegativeMinimumIsEinval) {
  EXPECT_THAT(aio().io_getevents(NewContext(8), -1, 1, events_, nullptr), FailsWith(EINVAL));
}

TEST_P(IoGeteventsTest, ANegativeCountIsEinval) {
  const aio_context_t ctx = NewContext(8);
  EXPECT_THAT(aio().io_getevents(ctx, 0, -1, events_, nullptr), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_getevents(ctx, -2, -1, events_, nullptr), FailsWith(EINVAL));
}

TEST_P(IoGeteventsTest, RoomForNoneIsZeroAtOnceAndTakesNothing) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 1);
  EXPECT_EQ(aio().io_getevents(ctx, 0, 0, nullptr, nullptr), 0);
  EXPECT_EQ(Poll(ctx), 1);
}

TEST_P(IoGeteventsTest, AMinimumOfZeroDoesNotWaitEvenWithoutATimeout) {
  EXPECT_EQ(aio().io_getevents(NewContext(8), 0, 8, events_, nullptr), 0);
}

TEST_P(IoGeteventsTest, AMinimumOfZeroDoesNotWaitForALongTimeout) {
  timespec timeout = Milliseconds(10000);
  const double start = SecondsNow();
  EXPECT_EQ(aio().io_getevents(NewContext(8), 0, 8, events_, &timeout), 0);
  EXPECT_LT(SecondsNow() - start, 5);
}

TEST_P(IoGeteventsTest, AMinimumOfZeroTakesWhatThereIs) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 3);
  EXPECT_EQ(aio().io_getevents(ctx, 0, 8, events_, nullptr), 3);
}

TEST_P(IoGeteventsTest, TakesMoreThanTheMinimumIfThereIsMore) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 4);
  EXPECT_EQ(aio().io_getevents(ctx, 1, 8, events_, nullptr), 4);
}

TEST_P(IoGeteventsTest, TakesNoMoreThanThereIsRoomForAndTheRestLater) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 4);
  EXPECT_EQ(aio().io_getevents(ctx, 1, 3, events_, nullptr), 3);
  EXPECT_EQ(aio().io_getevents(ctx, 1, 3, events_ + 3, nullptr), 1);
  EXPECT_THAT(absl::MakeSpan(events_, 4),
              ElementsAre(testing::Field(&io_event::data, 1), testing::Field(&io_event::data, 2),
                          testing::Field(&io_event::data, 3), testing::Field(&io_event::data, 4)));
}

TEST_P(IoGeteventsTest, AHugeCountIsNoError) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 2);
  EXPECT_EQ(aio().io_getevents(ctx, 1, LONG_MAX, events_, nullptr), 2);
}

TEST_P(IoGeteventsTest, EventsBehindTheReturnedCountAreLeftAlone) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 1);
  events_[1].data = 0x5555;
  EXPECT_EQ(aio().io_getevents(ctx, 1, 8, events_, nullptr), 1);
  EXPECT_EQ(events_[1].data, 0x5555u);
}

TEST_P(IoGeteventsTest, WaitsUntilTheMinimumIsThere) {
  const aio_context_t ctx = NewContext(8);
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 2, 8, events_, nullptr); });
  waiter.WaitUntilBlocked();
  const int file = NewFile();
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(file), 1), 1u);
  waiter.WaitUntilBlocked();
  EXPECT_FALSE(waiter.done());
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(file), 1), 1u);
  EXPECT_EQ(waiter.Result(), 2);
}

// ---- Timeouts.

TEST_P(IoGeteventsTest, AZeroTimeoutDoesNotWait) {
  timespec at_once = {};
  EXPECT_EQ(aio().io_getevents(NewContext(8), 1, 8, events_, &at_once), 0);
}

TEST_P(IoGeteventsTest, AZeroTimeoutReturnsFewerThanTheMinimum) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 1);
  timespec at_once = {};
  EXPECT_EQ(aio().io_getevents(ctx, 3, 8, events_, &at_once), 1);
}

TEST_P(IoGeteventsTest, ATimeoutThatExpiresIsZeroAndNoError) {
  const aio_context_t ctx = NewContext(8);
  timespec timeout = Milliseconds(20);
  EXPECT_EQ(aio().io_getevents(ctx, 1, 8, events_, &timeout), 0);
}

TEST_P(IoGeteventsTest, ATimeoutThatExpiresReturnsFewerThanTheMinimum) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 2);
  timespec timeout = Milliseconds(20);
  EXPECT_EQ(aio().io_getevents(ctx, 3, 8, events_, &timeout), 2);
}

TEST_P(IoGeteventsTest, TheTimeoutIsNotUpdated) {
  const aio_context_t ctx = NewContext(8);
  timespec timeout = Milliseconds(20);
  EXPECT_EQ(aio().io_getevents(ctx, 1, 8, events_, &timeout), 0);
  EXPECT_EQ(timeout.tv_sec, 0);
  EXPECT_EQ(timeout.tv_nsec, 20000000);
}

TEST_P(IoGeteventsTest, AnUnreadableTimeoutIsEfaultAndTakesNothing) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 1);
  EXPECT_THAT(aio().io_getevents(ctx, 1, 1, events_, reinterpret_cast<timespec*>(InaccessiblePage())),
              FailsWith(EFAULT));
  EXPECT_EQ(Poll(ctx), 1);
}

TEST_P(IoGeteventsTest, TheTimeoutMayBeReadOnly) {
  timespec* timeout = reinterpret_cast<timespec*>(ReadOnlyPage());
  EXPECT_EQ(aio().io_getevents(NewContext(8), 1, 1, events_, timeout), 0);
}

// Every other call with a timespec says EINVAL here. This one adds the time to the clock, takes the sum, which is less
// than the clock, for an overflow, and waits for ever.
TEST_P(IoGeteventsTest, NegativeTimeoutsWait) {
  const aio_context_t ctx = NewContext(8);
  for (timespec timeout : {timespec{-1, 0}, timespec{0, -1}, timespec{1, -2000000000}, timespec{-1, 999999999}}) {
    BackgroundCall waiter([&] { return aio().io_getevents(ctx, 1, 8, events_, &timeout); });
    waiter.WaitUntilBlocked();
    EXPECT_FALSE(waiter.done()) << timeout.tv_sec << " s " << timeout.tv_nsec << " ns";
    ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 1), 1u);
    EXPECT_EQ(waiter.Result(), 1);
  }
}

// Seconds and nanoseconds that make zero together are a zero timeout.
TEST_P(IoGeteventsTest, SecondsAndNanosecondsAreAddedUp) {
  timespec timeout = {10, -10000000000};
  const double start = SecondsNow();
  EXPECT_EQ(aio().io_getevents(NewContext(8), 1, 8, events_, &timeout), 0);
  EXPECT_LT(SecondsNow() - start, 5);
}

TEST_P(IoGeteventsTest, NanosecondsAboveASecondAreNoError) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 1);
  timespec timeout = {0, 5000000000};
  EXPECT_EQ(aio().io_getevents(ctx, 1, 8, events_, &timeout), 1);
}

// A timeout longer than the kernel's clock can count is for ever.
TEST_P(IoGeteventsTest, AHugeTimeoutWaits) {
  const aio_context_t ctx = NewContext(8);
  timespec timeout = {LONG_MAX, 999999999};
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 1, 8, events_, &timeout); });
  waiter.WaitUntilBlocked();
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 1), 1u);
  EXPECT_EQ(waiter.Result(), 1);
}

// ---- Events that cannot be delivered.

TEST_P(IoGeteventsTest, AnUnwritableArrayIsEfaultAndTheEventStays) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 1);
  EXPECT_THAT(aio().io_getevents(ctx, 1, 1, reinterpret_cast<io_event*>(ReadOnlyPage()), nullptr), FailsWith(EFAULT));
  EXPECT_THAT(aio().io_getevents(ctx, 1, 1, nullptr, nullptr), FailsWith(EFAULT));
  EXPECT_EQ(Poll(ctx), 1);
}

TEST_P(IoGeteventsTest, AnUnwritableArrayIsNotNoticedWhileThereAreNoEvents) {
  timespec at_once = {};
  EXPECT_EQ(aio().io_getevents(NewContext(8), 1, 1, nullptr, &at_once), 0);
}

// Room for one event, then a hole. The first event is copied, but none is taken.
TEST_P(IoGeteventsTest, AnArrayThatEndsInAHoleIsEfaultAndAllEventsStay) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 2);
  io_event* array = reinterpret_cast<io_event*>(PageBeforeHole().end()) - 1;
  EXPECT_THAT(aio().io_getevents(ctx, 2, 2, array, nullptr), FailsWith(EFAULT));
  EXPECT_EQ(Poll(ctx, 8), 2);
}

// The waiter has delivered one event when the second one meets the hole: the count wins over the error, and the second
// event stays.
TEST_P(IoGeteventsTest, AHoleMetAfterAWaitReturnsTheEventsBefore) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 1);
  io_event* array = reinterpret_cast<io_event*>(PageBeforeHole().end()) - 1;
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 2, 2, array, nullptr); });
  waiter.WaitUntilBlocked();
  ASSERT_EQ(SubmitCopies(ctx, WithData(FsyncOf(NewFile()), 2), 1), 1u);
  EXPECT_EQ(waiter.Result(), 1);
  EXPECT_EQ(array->data, 1u);
  EXPECT_EQ(ReapOne(ctx).data, 2u);
}

TEST_P(IoGeteventsTest, AWaiterWithAnUnwritableArrayGetsEfaultWhenAnEventComes) {
  const aio_context_t ctx = NewContext(8);
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 1, 1, nullptr, nullptr); });
  waiter.WaitUntilBlocked();
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 1), 1u);
  EXPECT_THAT(waiter.Result(), FailsWith(EFAULT));
  EXPECT_EQ(ReapAll(ctx, 1).size(), 1u);
}

// ---- Signals.

TEST_P(IoGeteventsTest, AHandledSignalIsEintr) {
  const aio_context_t ctx = NewContext(8);
  SignalCounter handled(SIGUSR1);
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 1, 1, events_, nullptr); });
  waiter.WaitUntilBlocked();
  waiter.Signal(SIGUSR1);
  EXPECT_THAT(waiter.Result(), FailsWith(EINTR));
  EXPECT_EQ(handled.count(), 1);
}

TEST_P(IoGeteventsTest, AHandledSignalIsEintrEvenIfItsHandlerRestartsCalls) {
  const aio_context_t ctx = NewContext(8);
  SignalCounter handled(SIGUSR1, SA_RESTART);
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 1, 1, events_, nullptr); });
  waiter.WaitUntilBlocked();
  waiter.Signal(SIGUSR1);
  EXPECT_THAT(waiter.Result(), FailsWith(EINTR));
  EXPECT_EQ(handled.count(), 1);
}

TEST_P(IoGeteventsTest, AHandledSignalIsEintrWithATimeoutToo) {
  const aio_context_t ctx = NewContext(8);
  SignalCounter handled(SIGUSR1);
  timespec timeout = Milliseconds(15000);
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 1, 1, events_, &timeout); });
  waiter.WaitUntilBlocked();
  waiter.Signal(SIGUSR1);
  EXPECT_THAT(waiter.Result(), FailsWith(EINTR));
}

TEST_P(IoGeteventsTest, AHandledSignalReturnsTheEventsTakenSoFar) {
  const aio_context_t ctx = NewContext(8);
  PutEvents(ctx, 2);
  SignalCounter handled(SIGUSR1);
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 3, 3, events_, nullptr); });
  waiter.WaitUntilBlocked();
  waiter.Signal(SIGUSR1);
  EXPECT_EQ(waiter.Result(), 2);
  EXPECT_EQ(handled.count(), 1);
  EXPECT_EQ(Poll(ctx), 0);
}

TEST_P(IoGeteventsTest, AnIgnoredSignalDoesNotInterrupt) {
  const aio_context_t ctx = NewContext(8);
  struct sigaction ignore = {}, saved;
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGUSR1, &ignore, &saved);
  BackgroundCall waiter([&] { return aio().io_getevents(ctx, 1, 1, events_, nullptr); });
  waiter.WaitUntilBlocked();
  waiter.Signal(SIGUSR1);
  waiter.WaitUntilBlocked();
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 1), 1u);
  EXPECT_EQ(waiter.Result(), 1);
  sigaction(SIGUSR1, &saved, nullptr);
}

TEST_P(IoGeteventsTest, ABlockedSignalDoesNotInterrupt) {
  const aio_context_t ctx = NewContext(8);
  SignalCounter handled(SIGUSR1);
  BackgroundCall waiter([&] {
    BlockedSignal blocked(SIGUSR1);
    return aio().io_getevents(ctx, 1, 1, events_, nullptr);
  });
  waiter.WaitUntilBlocked();
  waiter.Signal(SIGUSR1);
  waiter.WaitUntilBlocked();
  EXPECT_EQ(handled.count(), 0);
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 1), 1u);
  EXPECT_EQ(waiter.Result(), 1);
  EXPECT_EQ(handled.count(), 1);
}

}  // namespace
}  // namespace aiolab
