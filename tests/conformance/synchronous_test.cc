// What is already done when io_submit returns. Today's kernel has no asynchronous buffered I/O: the request runs inside
// the call, and its event is in the ring at once. A kernel with retries does it otherwise, so no other test relies on
// this.
#include <fcntl.h>
#include <poll.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

using testing::ElementsAre;

class SynchronousTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(16); }

  // How many events stand in the ring, without asking the kernel.
  uint32_t Completed() { return RingOf(ctx_)->tail - RingOf(ctx_)->head; }

  aio_context_t ctx_ = 0;
  char buf_[16] = {};
};
INSTANTIATE_ON_ALL_BACKENDS(SynchronousTest);

TEST_P(SynchronousTest, ABufferedReadIsDoneWhenSubmitReturns) {
  iocb read = ReadOf(NewFile("data"), absl::MakeSpan(buf_));
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  EXPECT_EQ(Completed(), 1u);
  EXPECT_EQ(std::string(buf_, 4), "data");
}

TEST_P(SynchronousTest, ABufferedReadFromDiskIsDoneWhenSubmitReturns) {
  const std::string path = NewDiskPath();
  ASSERT_EQ(aio().write(Open(path, O_CREAT | O_RDWR), "data", 4), 4);
  iocb read = ReadOf(Open(path, O_RDONLY), absl::MakeSpan(buf_));
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  EXPECT_EQ(Completed(), 1u);
}

TEST_P(SynchronousTest, ABufferedWriteIsDoneWhenSubmitReturns) {
  const int file = NewFile();
  iocb write = WriteOf(file, "data");
  ASSERT_EQ(SubmitOne(ctx_, &write), 1);
  EXPECT_EQ(Completed(), 1u);
  EXPECT_EQ(ContentsOf(file), "data");
}

TEST_P(SynchronousTest, APipeReadIsDoneWhenSubmitReturns) {
  const Pipe pipe = NewPipe();
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  iocb read = ReadOf(pipe.read_fd, absl::MakeSpan(buf_));
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  EXPECT_EQ(Completed(), 1u);
}

TEST_P(SynchronousTest, APollThatIsMetIsDoneWhenSubmitReturns) {
  iocb poll = PollOf(NewEventfd(1), POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  EXPECT_EQ(Completed(), 1u);
}

TEST_P(SynchronousTest, APollIsDoneWhenTheWriteThatMeetsItReturns) {
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx_, &poll), 1);
  ASSERT_EQ(Completed(), 0u);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_EQ(Completed(), 1u);
}

TEST_P(SynchronousTest, ABatchOfBufferedReadsCompletesInItsOrder) {
  const int file = NewFile("data");
  iocb reads[5];
  iocb* batch[5];
  for (int i = 0; i < 5; ++i) {
    reads[i] = ReadOf(file, absl::MakeSpan(buf_ + i, 1), i);
    batch[i] = &reads[i];
  }
  ASSERT_EQ(aio().io_submit(ctx_, 5, batch), 5);
  EXPECT_EQ(Completed(), 5u);
  EXPECT_THAT(ReapAll(ctx_, 5), ElementsAre(IsEvent(&reads[0], 1), IsEvent(&reads[1], 1), IsEvent(&reads[2], 1),
                                            IsEvent(&reads[3], 1), IsEvent(&reads[4], 0)));
}

// A write and a read of the same bytes in one batch: the read sees the write.
TEST_P(SynchronousTest, ALaterReadOfABatchSeesAnEarlierWrite) {
  const int file = NewFile("old!");
  iocb write = WriteOf(file, "new!");
  iocb read = ReadOf(file, absl::MakeSpan(buf_, 4));
  iocb* batch[] = {&write, &read};
  ASSERT_EQ(aio().io_submit(ctx_, 2, batch), 2);
  EXPECT_EQ(ReapAll(ctx_, 2).size(), 2u);
  EXPECT_EQ(std::string(buf_, 4), "new!");
}

TEST_P(SynchronousTest, AnErrorOfABufferedReadIsInTheRingWhenSubmitReturns) {
  iocb read = ReadOf(NewFile("data"), absl::MakeSpan(InaccessiblePage(), 4));
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  ASSERT_EQ(Completed(), 1u);
  EXPECT_THAT(RingOf(ctx_)->events()[0], IsEvent(&read, -EFAULT));
}

TEST_P(SynchronousTest, TheEventfdOfABufferedReadIsSignalledWhenSubmitReturns) {
  const int resfd = NewEventfd();
  iocb read = WithResfd(ReadOf(NewFile("data"), absl::MakeSpan(buf_)), resfd);
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  EXPECT_EQ(TakeCount(resfd), 1);
}

}  // namespace
}  // namespace aiolab
