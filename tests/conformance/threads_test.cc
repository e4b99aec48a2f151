// Contexts are the process's: any thread submits, reaps, and dies.
#include <poll.h>

#include <set>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

using ThreadsTest = AioConformanceTest;
INSTANTIATE_ON_ALL_BACKENDS(ThreadsTest);

TEST_P(ThreadsTest, AnotherThreadReapsWhatOneSubmitted) {
  const aio_context_t ctx = NewContext(8);
  iocb fsync = FsyncOf(NewFile());
  ASSERT_EQ(SubmitOne(ctx, &fsync), 1);
  io_event event;
  BackgroundCall reaper([&] { return aio().io_getevents(ctx, 1, 1, &event, nullptr); });
  EXPECT_EQ(reaper.Result(), 1);
  EXPECT_THAT(event, IsEvent(&fsync, 0));
}

TEST_P(ThreadsTest, AContextMadeInAThreadOutlivesIt) {
  aio_context_t ctx = 0;
  BackgroundCall maker([&] { return aio().io_setup(8, &ctx); });
  ASSERT_EQ(maker.Result(), 0);
  iocb fsync = FsyncOf(NewFile());
  EXPECT_EQ(ResultOf(ctx, &fsync), 0);
  EXPECT_EQ(aio().io_destroy(ctx), 0);
}

TEST_P(ThreadsTest, ARequestOutlivesTheThreadThatSubmittedIt) {
  const aio_context_t ctx = NewContext(8);
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  BackgroundCall submitter([&] { return SubmitOne(ctx, &poll); });
  ASSERT_EQ(submitter.Result(), 1);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_THAT(ReapOne(ctx), IsEvent(&poll, POLLIN | POLLRDNORM));
}

TEST_P(ThreadsTest, AnotherThreadCancels) {
  const aio_context_t ctx = NewContext(8);
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  BackgroundCall canceller([&] { return aio().io_cancel(ctx, &poll, nullptr); });
  EXPECT_THAT(canceller.Result(), FailsWith(EINPROGRESS));
  EXPECT_THAT(ReapOne(ctx), IsEvent(&poll, 0));
}

TEST_P(ThreadsTest, OneEventWakesOneOfTwoWaiters) {
  const aio_context_t ctx = NewContext(8);
  io_event events[2];
  BackgroundCall first([&] { return aio().io_getevents(ctx, 1, 1, &events[0], nullptr); });
  BackgroundCall second([&] { return aio().io_getevents(ctx, 1, 1, &events[1], nullptr); });
  first.WaitUntilBlocked();
  second.WaitUntilBlocked();
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 1), 1u);
  const double deadline = SecondsNow() + 10;
  while (!first.done() && !second.done() && SecondsNow() < deadline) sched_yield();
  BackgroundCall& other = first.done() ? second : first;
  other.WaitUntilBlocked();
  EXPECT_FALSE(other.done());
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 1), 1u);
  EXPECT_EQ(first.Result(), 1);
  EXPECT_EQ(second.Result(), 1);
}

// A waiter that wants two does not take the one event from a waiter that wants one.
TEST_P(ThreadsTest, AWaiterForManyDoesNotStarveAWaiterForOne) {
  const aio_context_t ctx = NewContext(8);
  io_event many[2], one;
  BackgroundCall greedy([&] { return aio().io_getevents(ctx, 2, 2, many, nullptr); });
  greedy.WaitUntilBlocked();
  BackgroundCall modest([&] { return aio().io_getevents(ctx, 1, 1, &one, nullptr); });
  modest.WaitUntilBlocked();
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 1), 1u);
  EXPECT_EQ(modest.Result(), 1);
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 2), 2u);
  EXPECT_EQ(greedy.Result(), 2);
}

TEST_P(ThreadsTest, FourThreadsSubmitAndTwoReapEachEventOnce) {
  constexpr int kSubmitters = 4, kPerSubmitter = 50, kEvents = kSubmitters * kPerSubmitter;
  const aio_context_t ctx = NewContext(kEvents);
  const int file = NewFile("data");
  std::vector<iocb> requests(kEvents, FsyncOf(file));
  for (int i = 0; i < kEvents; ++i) requests[i].aio_data = i;
  std::vector<io_event> first(kEvents / 2), second(kEvents / 2);
  auto reap = [&](std::vector<io_event>& events) {
    size_t got = 0;
    while (got < events.size()) {
      const long result = aio().io_getevents(ctx, 1, static_cast<long>(events.size() - got), &events[got], nullptr);
      if (result <= 0) return result;
      got += static_cast<size_t>(result);
    }
    return static_cast<long>(got);
  };
  BackgroundCall first_reaper([&] { return reap(first); });
  BackgroundCall second_reaper([&] { return reap(second); });
  {
    std::vector<std::unique_ptr<BackgroundCall>> submitters;
    for (int submitter = 0; submitter < kSubmitters; ++submitter) {
      submitters.push_back(std::make_unique<BackgroundCall>([&, submitter]() -> long {
        for (int i = 0; i < kPerSubmitter; ++i) {
          const long result = SubmitOne(ctx, &requests[submitter * kPerSubmitter + i]);
          if (result != 1) return result;
        }
        return 0;
      }));
    }
    for (const auto& submitter : submitters) EXPECT_EQ(submitter->Result(), 0);
  }
  EXPECT_EQ(first_reaper.Result(), kEvents / 2);
  EXPECT_EQ(second_reaper.Result(), kEvents / 2);
  std::set<uint64_t> seen;
  for (const auto* events : {&first, &second}) {
    for (const io_event& event : *events) {
      EXPECT_TRUE(seen.insert(event.data).second) << "request " << event.data << " completed twice";
    }
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(kEvents));
}

// Two at once: one succeeds, the other finds nothing left.
TEST_P(ThreadsTest, OfTwoThreadsThatDestroyOneSucceeds) {
  for (int round = 0; round < 5; ++round) {
    const aio_context_t ctx = NewContext(8);
    BackgroundCall first([&] { return aio().io_destroy(ctx); });
    BackgroundCall second([&] { return aio().io_destroy(ctx); });
    EXPECT_EQ(first.Result() + second.Result(), -EINVAL);
  }
}

}  // namespace
}  // namespace aiolab
