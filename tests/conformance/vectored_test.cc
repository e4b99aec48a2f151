// PREADV and PWRITEV: aio_buf is an array of iovecs, aio_nbytes their number.
#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class VectoredTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(8); }

  static iovec Segment(char* base, size_t size) { return iovec{base, size}; }

  aio_context_t ctx_ = 0;
  char buf_[64] = {};
};
INSTANTIATE_ON_ALL_BACKENDS(VectoredTest);

TEST_P(VectoredTest, AReadFillsItsSegmentsInOrder) {
  char first[3], second[4];
  const iovec iovs[] = {Segment(first, 3), Segment(second, 4)};
  iocb read = ReadvOf(NewFile("0123456789"), iovs, 1);
  EXPECT_EQ(ResultOf(ctx_, &read), 7);
  EXPECT_EQ(std::string(first, 3), "123");
  EXPECT_EQ(std::string(second, 4), "4567");
}

TEST_P(VectoredTest, AWriteTakesItsSegmentsInOrder) {
  char text[] = "abcdef";
  const iovec iovs[] = {Segment(text + 3, 3), Segment(text, 3)};
  const int file = NewFile("0123456789");
  iocb write = WritevOf(file, iovs, 2);
  EXPECT_EQ(ResultOf(ctx_, &write), 6);
  EXPECT_EQ(ContentsOf(file), "01defabc89");
}

TEST_P(VectoredTest, AnEndOfFileInTheMiddleIsShort) {
  const iovec iovs[] = {Segment(buf_, 3), Segment(buf_ + 10, 3), Segment(buf_ + 20, 3)};
  iocb read = ReadvOf(NewFile("0123"), iovs);
  EXPECT_EQ(ResultOf(ctx_, &read), 4);
  EXPECT_EQ(buf_[10], '3');
  EXPECT_EQ(buf_[11], '\0');
}

TEST_P(VectoredTest, NoSegmentsIsZero) {
  iocb read = ReadvOf(NewFile("data"), {});
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
  iocb write = WritevOf(NewFile("data"), {});
  EXPECT_EQ(ResultOf(ctx_, &write), 0);
}

TEST_P(VectoredTest, EmptySegmentsAreSkipped) {
  const iovec iovs[] = {Segment(nullptr, 0), Segment(buf_, 2), Segment(buf_ + 2, 0), Segment(buf_ + 2, 2)};
  iocb read = ReadvOf(NewFile("data"), iovs);
  EXPECT_EQ(ResultOf(ctx_, &read), 4);
  EXPECT_EQ(std::string(buf_, 4), "data");
}

TEST_P(VectoredTest, AThousandAndTwentyFourSegmentsAreAllowed) {
  const std::vector<iovec> iovs(1024, Segment(buf_, 1));
  iocb read = ReadvOf(NewFile(std::string(2000, 'a')), iovs);
  EXPECT_EQ(ResultOf(ctx_, &read), 1024);
}

TEST_P(VectoredTest, MoreSegmentsAreEinval) {
  const std::vector<iovec> iovs(1025, Segment(buf_, 1));
  iocb read = ReadvOf(NewFile("data"), iovs);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
}

// The number of segments is 32 bits wide inside, so 2^32 of them are none.
TEST_P(VectoredTest, TheSegmentCountIsTakenModulo2To32) {
  iocb read = ReadvOf(NewFile("data"), {});
  read.aio_nbytes = uint64_t{1} << 32;
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(VectoredTest, AnUnreadableArrayIsEfault) {
  const int file = NewFile("data");
  for (size_t count : {1, 2}) {
    iocb read = ReadvOf(file, absl::MakeSpan(reinterpret_cast<iovec*>(InaccessiblePage()), count));
    EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EFAULT)) << count;
  }
}

TEST_P(VectoredTest, AnArrayThatEndsInAHoleIsEfault) {
  iovec* last = reinterpret_cast<iovec*>(PageBeforeHole().end()) - 1;
  *last = Segment(buf_, 1);
  iocb read = ReadvOf(NewFile("data"), absl::MakeSpan(last, 2));
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EFAULT));
}

TEST_P(VectoredTest, ANegativeSegmentLengthIsEinval) {
  const iovec iovs[] = {Segment(buf_, 1), Segment(buf_, static_cast<size_t>(-1))};
  iocb read = ReadvOf(NewFile("data"), iovs);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
}

// A single segment goes another way through the kernel, to the same end.
TEST_P(VectoredTest, ANegativeLengthOfTheOnlySegmentIsEinval) {
  const iovec iovs[] = {Segment(buf_, static_cast<size_t>(-1))};
  iocb read = ReadvOf(NewFile("data"), iovs);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
}

TEST_P(VectoredTest, ASegmentOutsideTheAddressSpaceIsEfault) {
  const int file = NewFile("data");
  const iovec iovs[] = {Segment(buf_, 1), Segment(KernelAddress(), 1)};
  iocb read = ReadvOf(file, iovs);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EFAULT));
  iocb read_one = ReadvOf(file, absl::MakeSpan(iovs + 1, 1));
  EXPECT_THAT(SubmitOne(ctx_, &read_one), FailsWith(EFAULT));
}

TEST_P(VectoredTest, AnUnmappedFirstSegmentCompletesWithEfault) {
  const iovec iovs[] = {Segment(InaccessiblePage(), 2), Segment(buf_, 2)};
  iocb read = ReadvOf(NewFile("data"), iovs);
  EXPECT_EQ(ResultOf(ctx_, &read), -EFAULT);
}

TEST_P(VectoredTest, AnUnmappedLaterSegmentMakesAReadShort) {
  const iovec iovs[] = {Segment(buf_, 2), Segment(InaccessiblePage(), 2)};
  iocb read = ReadvOf(NewFile("data"), iovs);
  EXPECT_EQ(ResultOf(ctx_, &read), 2);
}

TEST_P(VectoredTest, AnUnmappedLaterSegmentMakesAWriteShort) {
  char text[] = "ab";
  const iovec iovs[] = {Segment(text, 2), Segment(InaccessiblePage(), 2)};
  const int file = NewFile();
  iocb write = WritevOf(file, iovs);
  EXPECT_EQ(ResultOf(ctx_, &write), 2);
  EXPECT_EQ(ContentsOf(file), "ab");
}

TEST_P(VectoredTest, OverlappingSegmentsOfAReadKeepTheLastBytes) {
  const iovec iovs[] = {Segment(buf_, 4), Segment(buf_ + 2, 4)};
  iocb read = ReadvOf(NewFile("01234567"), iovs);
  EXPECT_EQ(ResultOf(ctx_, &read), 8);
  EXPECT_EQ(std::string(buf_, 6), "014567");
}

TEST_P(VectoredTest, TheIovecArrayIsTheClientsAgainWhenSubmitReturns) {
  std::vector<iovec> iovs = {Segment(buf_, 2), Segment(buf_ + 2, 2)};
  iocb read = ReadvOf(NewFile("data"), iovs);
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  for (iovec& segment : iovs) segment = Segment(nullptr, 1);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&read, 4));
  EXPECT_EQ(std::string(buf_, 4), "data");
}

// A long array does not fit into the request itself and is kept elsewhere.
TEST_P(VectoredTest, ALongIovecArrayIsTheClientsAgainWhenSubmitReturns) {
  std::vector<iovec> iovs;
  for (int i = 0; i < 40; ++i) iovs.push_back(Segment(buf_ + i, 1));
  iocb read = ReadvOf(NewFile(std::string(40, 'q')), iovs);
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  for (iovec& segment : iovs) segment = Segment(nullptr, 1);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&read, 40));
  EXPECT_EQ(std::string(buf_, 40), std::string(40, 'q'));
}

TEST_P(VectoredTest, ANegativeOffsetIsEinval) {
  const iovec iovs[] = {Segment(buf_, 2), Segment(buf_, 2)};
  iocb read = ReadvOf(NewFile("data"), iovs, -1);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
}

}  // namespace
}  // namespace aiolab
