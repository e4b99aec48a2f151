// POLL: one shot; aio_buf is the mask; the event's res is the conditions that were met.
#include <fcntl.h>
#include <poll.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class PollTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(16); }

  aio_context_t ctx_ = 0;
  io_event unused_ = {};
};
INSTANTIATE_ON_ALL_BACKENDS(PollTest);

TEST_P(PollTest, AConditionThatIsMetCompletes) {
  const Pipe pipe = NewPipe();
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  EXPECT_EQ(ResultOf(ctx_, &poll), POLLIN);
}

TEST_P(PollTest, AConditionThatIsNotMetWaits) {
  iocb poll = PollOf(NewPipe().read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  timespec timeout = Milliseconds(30);
  EXPECT_EQ(aio().io_getevents(ctx_, 1, 1, &unused_, &timeout), 0);
}

// What a wake-up says is passed on whole: the event names POLLRDNORM, which was not asked for.
TEST_P(PollTest, AConditionMetLaterCompletesWithAllThatTheWakeUpSaid) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&poll, POLLIN | POLLRDNORM));
}

TEST_P(PollTest, OnlyConditionsAskedForAreReportedIfTheyAreMetAtOnce) {
  const Pipe pipe = NewPipe();
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  iocb poll = PollOf(pipe.read_fd, POLLRDNORM);
  EXPECT_EQ(ResultOf(ctx_, &poll), POLLRDNORM);
}

TEST_P(PollTest, AWakeUpForAnotherConditionDoesNotComplete) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLPRI);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_EQ(Poll(ctx_), 0);
  EXPECT_THAT(aio().io_cancel(ctx_, &poll, &unused_), FailsWith(EINPROGRESS));
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&poll, 0));
}

TEST_P(PollTest, AnEmptyPipeIsWritable) {
  iocb poll = PollOf(NewPipe().write_fd, POLLIN | POLLOUT);
  EXPECT_EQ(ResultOf(ctx_, &poll), POLLOUT);
}

TEST_P(PollTest, IsOneShot) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  ReapOne(ctx_);
  ASSERT_EQ(aio().write(pipe.write_fd, "y", 1), 1);
  EXPECT_EQ(Poll(ctx_), 0);
}

TEST_P(PollTest, DoesNotConsumeWhatItReports) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  ReapOne(ctx_);
  char buf[4];
  EXPECT_EQ(aio().read(pipe.read_fd, buf, sizeof(buf)), 1);
}

TEST_P(PollTest, AHangUpIsReportedThoughNobodyAskedForIt) {
  const Pipe pipe = NewPipe();
  Close(pipe.write_fd);
  iocb poll = PollOf(pipe.read_fd, 0);
  EXPECT_EQ(ResultOf(ctx_, &poll), POLLHUP);
}

TEST_P(PollTest, AnErrorIsReportedThoughNobodyAskedForIt) {
  const Pipe pipe = NewPipe();
  Close(pipe.read_fd);
  iocb poll = PollOf(pipe.write_fd, 0);
  EXPECT_EQ(ResultOf(ctx_, &poll), POLLERR);
}

TEST_P(PollTest, AHangUpEndsAPollThatWaits) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, 0);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  Close(pipe.write_fd);
  const io_event event = ReapOne(ctx_);
  EXPECT_EQ(event.obj, reinterpret_cast<uintptr_t>(&poll));
  EXPECT_TRUE(event.res & POLLHUP) << "res " << event.res;
}

TEST_P(PollTest, AnEventfdThatIsWrittenCompletesIt) {
  const int eventfd = NewEventfd();
  iocb poll = PollOf(eventfd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  const uint64_t one = 1;
  ASSERT_EQ(aio().write(eventfd, &one, sizeof(one)), 8);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&poll, POLLIN));
}

TEST_P(PollTest, AnEventfdWithACountCompletesItAtOnce) {
  iocb poll = PollOf(NewEventfd(1), POLLIN);
  EXPECT_EQ(ResultOf(ctx_, &poll), POLLIN);
}

// Regular files have no poll function. They count as ready for reading and writing.
TEST_P(PollTest, ARegularFileIsReady) {
  iocb poll = PollOf(NewFile(), POLLIN | POLLOUT);
  EXPECT_EQ(ResultOf(ctx_, &poll), POLLIN | POLLOUT);
}

// Nothing asked for is met, and there is no wait queue to wait in.
TEST_P(PollTest, ARegularFileAndAnEmptyMaskIsEinval) {
  const int file = NewFile();
  iocb poll = PollOf(file, 0);
  EXPECT_THAT(SubmitOne(ctx_, &poll), FailsWith(EINVAL));
  poll = PollOf(file, POLLPRI);
  EXPECT_THAT(SubmitOne(ctx_, &poll), FailsWith(EINVAL));
}

TEST_P(PollTest, AMaskOfMoreThan16BitsIsEinval) {
  iocb poll = PollOf(NewEventfd(1), POLLIN | 0x10000);
  EXPECT_THAT(SubmitOne(ctx_, &poll), FailsWith(EINVAL));
  poll.aio_buf = uint64_t{POLLIN} | uint64_t{1} << 32;
  EXPECT_THAT(SubmitOne(ctx_, &poll), FailsWith(EINVAL));
}

TEST_P(PollTest, AMaskOf16BitsIsTaken) {
  iocb poll = PollOf(NewEventfd(1), 0xffff);
  EXPECT_NE(ResultOf(ctx_, &poll) & POLLIN, 0);
}

TEST_P(PollTest, AnOffsetIsEinval) {
  iocb poll = PollOf(NewEventfd(1), POLLIN);
  poll.aio_offset = 1;
  EXPECT_THAT(SubmitOne(ctx_, &poll), FailsWith(EINVAL));
}

TEST_P(PollTest, AByteCountIsEinval) {
  iocb poll = PollOf(NewEventfd(1), POLLIN);
  poll.aio_nbytes = 1;
  EXPECT_THAT(SubmitOne(ctx_, &poll), FailsWith(EINVAL));
}

TEST_P(PollTest, RwFlagsAreEinval) {
  iocb poll = PollOf(NewEventfd(1), POLLIN);
  poll.aio_rw_flags = RWF_NOWAIT;
  EXPECT_THAT(SubmitOne(ctx_, &poll), FailsWith(EINVAL));
}

TEST_P(PollTest, AReadOnlyFdMayBePolledForWriting) {
  iocb poll = PollOf(Open("/dev/null", O_RDONLY), POLLOUT);
  EXPECT_EQ(ResultOf(ctx_, &poll), POLLOUT);
}

TEST_P(PollTest, ManyPollsOfOneFileAllComplete) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitCopies(ctx_, poll, 10), 10u);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  for (const io_event& event : ReapAll(ctx_, 10)) EXPECT_TRUE(event.res & POLLIN) << "res " << event.res;
  EXPECT_EQ(Poll(ctx_), 0);
}

TEST_P(PollTest, WakesAWaiterInGetevents) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  io_event event;
  BackgroundCall waiter([&] { return aio().io_getevents(ctx_, 1, 1, &event, nullptr); });
  waiter.WaitUntilBlocked();
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_EQ(waiter.Result(), 1);
}

// The request has the file, so the pipe lives on without its fd.
TEST_P(PollTest, TheFdMayBeClosedOnceSubmitReturned) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  Close(pipe.read_fd);
  SignalCounter broken_pipe(SIGPIPE);
  EXPECT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_EQ(broken_pipe.count(), 0);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&poll, POLLIN | POLLRDNORM));
}

TEST_P(PollTest, ACompletedPollOfAClosedFdReleasesTheFile) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  Close(pipe.read_fd);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  ReapOne(ctx_);
  SignalCounter broken_pipe(SIGPIPE);
  // The file is released behind the event's back, so it may take a moment.
  long result = 1;
  for (int attempt = 0; attempt < 1000 && result == 1; ++attempt) result = aio().write(pipe.write_fd, "x", 1);
  EXPECT_THAT(result, FailsWith(EPIPE));
}

}  // namespace
}  // namespace aiolab
