// Buffers that cannot be read or written: when it is noticed, and how much was done by then.
//
// A buffer outside the client's half of the address space is refused by io_submit. One that is only not mapped is met
// while bytes are copied, so its error, or its short count, stands in the event.
#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class FaultsTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(8); }

  aio_context_t ctx_ = 0;
};
INSTANTIATE_ON_ALL_BACKENDS(FaultsTest);

TEST_P(FaultsTest, ABufferOutsideTheAddressSpaceIsEfaultAtSubmit) {
  const int file = NewFile("data");
  iocb read = ReadOf(file, absl::MakeSpan(KernelAddress(), 4));
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EFAULT));
  iocb write = WriteOf(file, absl::string_view(KernelAddress(), 4));
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EFAULT));
  EXPECT_EQ(Poll(ctx_), 0);
}

TEST_P(FaultsTest, AReadIntoAnUnmappedBufferCompletesWithEfault) {
  iocb read = ReadOf(NewFile("data"), absl::MakeSpan(InaccessiblePage(), 4));
  EXPECT_EQ(ResultOf(ctx_, &read), -EFAULT);
}

TEST_P(FaultsTest, AReadIntoAReadOnlyBufferCompletesWithEfault) {
  iocb read = ReadOf(NewFile("data"), absl::MakeSpan(ReadOnlyPage(), 4));
  EXPECT_EQ(ResultOf(ctx_, &read), -EFAULT);
}

TEST_P(FaultsTest, AReadOfNothingIntoAnUnmappedBufferIsZero) {
  iocb read = ReadOf(NewFile(), absl::MakeSpan(InaccessiblePage(), 4));
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(FaultsTest, AWriteFromAnUnmappedBufferCompletesWithEfault) {
  const int file = NewFile("data");
  iocb write = WriteOf(file, absl::string_view(InaccessiblePage(), 4));
  EXPECT_EQ(ResultOf(ctx_, &write), -EFAULT);
  EXPECT_EQ(ContentsOf(file), "data");
}

TEST_P(FaultsTest, AWriteFromAReadOnlyBufferIsFine) {
  const int file = NewFile();
  iocb write = WriteOf(file, absl::string_view(ReadOnlyPage("data"), 4));
  EXPECT_EQ(ResultOf(ctx_, &write), 4);
  EXPECT_EQ(ContentsOf(file), "data");
}

// Eight bytes of room, then a hole.
TEST_P(FaultsTest, AReadIntoABufferThatEndsInAHoleIsShort) {
  char* room = PageBeforeHole().end() - 8;
  iocb read = ReadOf(NewFile(std::string(100, 'a')), absl::MakeSpan(room, 100));
  EXPECT_EQ(ResultOf(ctx_, &read), 8);
  EXPECT_EQ(std::string(room, 8), std::string(8, 'a'));
}

TEST_P(FaultsTest, AWriteFromABufferThatEndsInAHoleIsShort) {
  const absl::Span<char> page = PageBeforeHole();
  memset(page.data(), 'b', page.size());
  const int file = NewFile();
  iocb write = WriteOf(file, absl::string_view(page.end() - 8, 100));
  EXPECT_EQ(ResultOf(ctx_, &write), 8);
  EXPECT_EQ(ContentsOf(file), std::string(8, 'b'));
}

// The length alone would be refused, but it is cut to what one call may move first.
TEST_P(FaultsTest, ALengthOfManyGigabytesReadsWhatThereIs) {
  const absl::Span<char> buf = AlignedBuffer(kPageSize);
  iocb read = ReadOf(NewFile("data"), buf);
  read.aio_nbytes = uint64_t{1} << 46;
  EXPECT_EQ(ResultOf(ctx_, &read), 4);
}

TEST_P(FaultsTest, AnEmptyReadAtABadAddressIsZero) {
  iocb read = ReadOf(NewFile("data"), absl::MakeSpan(InaccessiblePage(), 0));
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

}  // namespace
}  // namespace aiolab
