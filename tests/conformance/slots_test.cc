// How many requests fit into a context, and when a slot comes free again.
//
// The ring keeps one event empty. The others are slots, and CPUs take them in batches of (nr - 1) / (4 possible CPUs):
// what does not make a whole batch is never used, and what lies in another CPU's batch is out of reach. Method: polls
// that never become ready hold slots without events; a thread that stays on one CPU makes the count exact.
#include <poll.h>

#include <climits>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class SlotsTest : public AioConformanceTest {
 protected:
  // Takes slots with requests that never complete, until there is none; returns how many.
  unsigned FillWithPolls(aio_context_t ctx) {
    long error = 0;
    const unsigned taken = SubmitCopies(ctx, PollOf(NewPipe().read_fd, POLLIN), UINT_MAX, &error);
    EXPECT_THAT(error, FailsWith(EAGAIN));
    return taken;
  }

  // Takes slots with requests that complete, until there is none; returns how many, when their events are in the ring.
  unsigned FillWithEvents(aio_context_t ctx) {
    long error = 0;
    const unsigned taken = SubmitCopies(ctx, FsyncOf(NewFile()), UINT_MAX, &error);
    EXPECT_THAT(error, FailsWith(EAGAIN));
    WaitForEvents(ctx, taken);
    return taken;
  }
};
INSTANTIATE_ON_ALL_BACKENDS(SlotsTest);

TEST_P(SlotsTest, OneCpuCanUseEveryWholeBatch) {
  PinnedToOneCpu pinned;
  for (unsigned nr_events : {1u, 63u, 64u, 100u, 1000u}) {
    const aio_context_t ctx = NewContext(nr_events);
    EXPECT_EQ(FillWithPolls(ctx), UsableSlots(ctx)) << "nr_events " << nr_events;
  }
}

TEST_P(SlotsTest, AThreadThatMovesLosesAtMostTheRestOfABatchPerCpu) {
  const aio_context_t ctx = NewContext(100);
  const unsigned lost_max = (GetParam().possible_cpus - 1) * (SlotsPerBatch(ctx) - 1);
  const unsigned taken = FillWithPolls(ctx);
  EXPECT_GE(taken, UsableSlots(ctx) - lost_max);
  EXPECT_LE(taken, UsableSlots(ctx));
}

TEST_P(SlotsTest, ThereAreAtLeastAsManySlotsAsWereAskedFor) {
  for (unsigned nr_events : {1u, 8u, 100u, 1000u}) {
    EXPECT_GE(FillWithPolls(NewContext(nr_events)), nr_events);
  }
}

TEST_P(SlotsTest, ABatchThatDoesNotFitIsTakenInPart) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  std::vector<iocb*> batch(RingOf(ctx)->nr * 2, &poll);
  EXPECT_EQ(aio().io_submit(ctx, static_cast<long>(batch.size()), batch.data()), UsableSlots(ctx));
  EXPECT_THAT(aio().io_submit(ctx, 1, batch.data()), FailsWith(EAGAIN));
}

TEST_P(SlotsTest, AFailedSubmitGivesItsSlotBack) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  iocb bad = FsyncOf(ClosedFd());
  for (unsigned i = 0; i < 2 * RingOf(ctx)->nr; ++i) ASSERT_THAT(SubmitOne(ctx, &bad), FailsWith(EBADF));
  iocb no_such = PollOf(NewPipe().read_fd, POLLIN);
  no_such.aio_lio_opcode = 9;
  for (unsigned i = 0; i < 2 * RingOf(ctx)->nr; ++i) ASSERT_THAT(SubmitOne(ctx, &no_such), FailsWith(EINVAL));
  EXPECT_EQ(FillWithPolls(ctx), UsableSlots(ctx));
}

TEST_P(SlotsTest, EventsThatWaitInTheRingHoldTheirSlots) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  EXPECT_EQ(FillWithEvents(ctx), UsableSlots(ctx));
  iocb fsync = FsyncOf(NewFile());
  EXPECT_THAT(SubmitOne(ctx, &fsync), FailsWith(EAGAIN));
}

TEST_P(SlotsTest, ReapingOneEventFreesOneSlot) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  FillWithEvents(ctx);
  ReapOne(ctx);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  EXPECT_EQ(SubmitOne(ctx, &poll), 1);
  EXPECT_THAT(SubmitOne(ctx, &poll), FailsWith(EAGAIN));
}

TEST_P(SlotsTest, ReapingAllEventsFreesAllSlots) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  const unsigned taken = FillWithEvents(ctx);
  ReapAll(ctx, taken);
  EXPECT_EQ(FillWithPolls(ctx), UsableSlots(ctx));
}

// A client that reaps in user space tells nobody; io_submit looks at the head when it runs out of slots.
TEST_P(SlotsTest, MovingTheHeadFreesAsManySlots) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  FillWithEvents(ctx);
  RingOf(ctx)->head += 3;
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(SubmitOne(ctx, &poll), 1);
  EXPECT_THAT(SubmitOne(ctx, &poll), FailsWith(EAGAIN));
}

TEST_P(SlotsTest, MovingTheHeadToTheTailFreesAllSlots) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  FillWithEvents(ctx);
  RingOf(ctx)->head = RingOf(ctx)->tail;
  EXPECT_EQ(FillWithPolls(ctx), UsableSlots(ctx));
}

// The head is taken modulo the ring's size, so this one is the tail, and the ring counts as empty.
TEST_P(SlotsTest, AHeadBeyondTheRingCountsModuloItsSize) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  FillWithEvents(ctx);
  RingOf(ctx)->head = RingOf(ctx)->tail + 5 * RingOf(ctx)->nr;
  EXPECT_EQ(FillWithPolls(ctx), UsableSlots(ctx));
}

// A head past the tail says that the ring is nearly full, more so than it is: nothing comes free.
TEST_P(SlotsTest, AHeadPastTheTailFreesNothing) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  FillWithEvents(ctx);
  RingOf(ctx)->head = RingOf(ctx)->tail + 1;
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  EXPECT_THAT(SubmitOne(ctx, &poll), FailsWith(EAGAIN));
}

// However often the client moves the head, it does not get more slots than it has events to give back.
TEST_P(SlotsTest, AHeadThatRunsInCirclesMakesNoExtraSlots) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  const unsigned taken = FillWithEvents(ctx);
  RingOf(ctx)->head = RingOf(ctx)->tail;
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  RingOf(ctx)->head = 0;
  SubmitOne(ctx, &poll);
  RingOf(ctx)->head = RingOf(ctx)->tail;
  EXPECT_EQ(2 + FillWithPolls(ctx), taken);
}

// A poll that is cancelled completes, and its event holds the slot until it is reaped.
TEST_P(SlotsTest, ACancelledPollKeepsItsSlotUntilItsEventIsReaped) {
  PinnedToOneCpu pinned;
  const aio_context_t ctx = NewContext(8);
  FillWithPolls(ctx);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(aio().io_destroy(ctx), 0);

  const aio_context_t again = NewContext(8);
  ASSERT_EQ(SubmitOne(again, &poll), 1);
  EXPECT_EQ(FillWithPolls(again), UsableSlots(again) - 1);
  io_event unused;
  ASSERT_THAT(aio().io_cancel(again, &poll, &unused), FailsWith(EINPROGRESS));
  WaitForEvents(again, 1);
  iocb other = PollOf(NewPipe().read_fd, POLLIN);
  EXPECT_THAT(SubmitOne(again, &other), FailsWith(EAGAIN));
  EXPECT_THAT(ReapOne(again), IsEvent(&poll, 0));
  EXPECT_EQ(SubmitOne(again, &other), 1);
}

// The slots are one context's own.
TEST_P(SlotsTest, AFullRingDoesNotFillAnother) {
  const aio_context_t ctx = NewContext(8);
  const aio_context_t other = NewContext(8);
  FillWithPolls(ctx);
  iocb fsync = FsyncOf(NewFile());
  EXPECT_EQ(ResultOf(other, &fsync), 0);
}

}  // namespace
}  // namespace aiolab
