// io_submit(): its arguments, partial batches, and what is checked in an iocb before its opcode is looked at.
#include <poll.h>

#include <climits>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

using testing::ElementsAre;

class IoSubmitTest : public AioConformanceTest {
 protected:
  // A read that succeeds.
  iocb GoodRead() { return ReadOf(NewFile("data"), absl::MakeSpan(buf_)); }

  char buf_[512];
};
INSTANTIATE_ON_ALL_BACKENDS(IoSubmitTest);

TEST_P(IoSubmitTest, ANegativeCountIsEinval) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  iocb* batch[] = {&read};
  EXPECT_THAT(aio().io_submit(ctx, -1, batch), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_submit(ctx, LONG_MIN, batch), FailsWith(EINVAL));
}

TEST_P(IoSubmitTest, ZeroIocbsIsZeroWhateverTheArray) {
  const aio_context_t ctx = NewContext(8);
  EXPECT_EQ(aio().io_submit(ctx, 0, nullptr), 0);
  EXPECT_EQ(aio().io_submit(ctx, 0, reinterpret_cast<iocb**>(InaccessiblePage())), 0);
}

TEST_P(IoSubmitTest, ZeroIocbsToAnUnknownContextIsEinval) {
  EXPECT_THAT(aio().io_submit(0, 0, nullptr), FailsWith(EINVAL));
}

TEST_P(IoSubmitTest, AnUnknownContextIsEinval) {
  iocb read = GoodRead();
  EXPECT_THAT(SubmitOne(0, &read), FailsWith(EINVAL));
  EXPECT_THAT(SubmitOne(reinterpret_cast<aio_context_t>(InaccessiblePage()), &read), FailsWith(EINVAL));
}

TEST_P(IoSubmitTest, AnUnreadableArrayIsEfault) {
  const aio_context_t ctx = NewContext(8);
  EXPECT_THAT(aio().io_submit(ctx, 1, nullptr), FailsWith(EFAULT));
  EXPECT_THAT(aio().io_submit(ctx, 1, reinterpret_cast<iocb**>(InaccessiblePage())), FailsWith(EFAULT));
}

TEST_P(IoSubmitTest, AnUnreadableIocbIsEfault) {
  const aio_context_t ctx = NewContext(8);
  EXPECT_THAT(SubmitOne(ctx, nullptr), FailsWith(EFAULT));
  EXPECT_THAT(SubmitOne(ctx, reinterpret_cast<iocb*>(InaccessiblePage())), FailsWith(EFAULT));
}

// The iocb begins in a good page and ends in a hole.
TEST_P(IoSubmitTest, AnIocbThatIsReadableInPartIsEfault) {
  const aio_context_t ctx = NewContext(8);
  const absl::Span<char> page = PageBeforeHole();
  EXPECT_THAT(SubmitOne(ctx, reinterpret_cast<iocb*>(page.end() - sizeof(iocb) / 2)), FailsWith(EFAULT));
}

TEST_P(IoSubmitTest, TheArrayMayBeReadOnly) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  iocb* pointer = &read;
  char* array = ReadOnlyPage(absl::string_view(reinterpret_cast<const char*>(&pointer), sizeof(pointer)));
  EXPECT_EQ(aio().io_submit(ctx, 1, reinterpret_cast<iocb**>(array)), 1);
  EXPECT_THAT(ReapOne(ctx), IsEvent(&read, 4));
}

// The array ends in a hole after two pointers.
TEST_P(IoSubmitTest, AHoleInTheArrayEndsTheBatchThere) {
  const aio_context_t ctx = NewContext(8);
  iocb first = GoodRead();
  iocb second = GoodRead();
  iocb** array = reinterpret_cast<iocb**>(PageBeforeHole().end()) - 2;
  array[0] = &first;
  array[1] = &second;
  EXPECT_EQ(aio().io_submit(ctx, 5, array), 2);
  EXPECT_THAT(aio().io_submit(ctx, 3, array + 2), FailsWith(EFAULT));
  EXPECT_EQ(ReapAll(ctx, 2).size(), 2u);
}

TEST_P(IoSubmitTest, AnUnreadableIocbEndsTheBatchThere) {
  const aio_context_t ctx = NewContext(8);
  iocb first = GoodRead();
  iocb last = GoodRead();
  iocb* batch[] = {&first, nullptr, &last};
  EXPECT_EQ(aio().io_submit(ctx, 3, batch), 1);
  EXPECT_THAT(aio().io_submit(ctx, 2, &batch[1]), FailsWith(EFAULT));
  EXPECT_THAT(ReapOne(ctx), IsEvent(&first, 4));
  EXPECT_EQ(Poll(ctx), 0);
}

// The second iocb names a closed fd: io_submit reports the one that it took, and the caller learns of EBADF only by
// submitting the rest.
TEST_P(IoSubmitTest, ABadIocbEndsTheBatchAndItsErrorComesWithTheNextCall) {
  const aio_context_t ctx = NewContext(8);
  iocb good = GoodRead();
  iocb bad = ReadOf(ClosedFd(), absl::MakeSpan(buf_));
  iocb last = GoodRead();
  iocb* batch[] = {&good, &bad, &last};
  EXPECT_EQ(aio().io_submit(ctx, 3, batch), 1);
  EXPECT_THAT(aio().io_submit(ctx, 2, &batch[1]), FailsWith(EBADF));
  EXPECT_EQ(aio().io_submit(ctx, 1, &batch[2]), 1);
  EXPECT_EQ(ReapAll(ctx, 2).size(), 2u);
}

// The plug is used above two iocbs. It must not swallow what was taken before the error.
TEST_P(IoSubmitTest, ALongBatchWithABadIocbInTheMiddleCompletesWhatItTook) {
  const aio_context_t ctx = NewContext(32);
  iocb good = GoodRead();
  iocb bad = ReadOf(ClosedFd(), absl::MakeSpan(buf_));
  iocb* batch[20];
  for (iocb*& entry : batch) entry = &good;
  batch[13] = &bad;
  EXPECT_EQ(aio().io_submit(ctx, 20, batch), 13);
  EXPECT_EQ(ReapAll(ctx, 13).size(), 13u);
  EXPECT_EQ(Poll(ctx), 0);
}

TEST_P(IoSubmitTest, ACountFarAboveTheRingIsNoErrorByItself) {
  const aio_context_t ctx = NewContext(8);
  iocb first = GoodRead();
  iocb** array = reinterpret_cast<iocb**>(PageBeforeHole().end()) - 1;
  array[0] = &first;
  EXPECT_EQ(aio().io_submit(ctx, LONG_MAX, array), 1);
  EXPECT_THAT(ReapOne(ctx), IsEvent(&first, 4));
}

TEST_P(IoSubmitTest, TheSameIocbTwiceIsTwoRequests) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  iocb* batch[] = {&read, &read};
  EXPECT_EQ(aio().io_submit(ctx, 2, batch), 2);
  EXPECT_THAT(ReapAll(ctx, 2), ElementsAre(IsEvent(&read, 4), IsEvent(&read, 4)));
}

TEST_P(IoSubmitTest, TheEventCarriesTheIocbsAddressAndData) {
  const aio_context_t ctx = NewContext(8);
  iocb read = WithData(GoodRead(), 0xfedcba9876543210);
  ASSERT_EQ(SubmitOne(ctx, &read), 1);
  const io_event event = ReapOne(ctx);
  EXPECT_THAT(event, IsEvent(&read, 4));
  EXPECT_EQ(event.data, 0xfedcba9876543210);
}

// Method: the request is certainly in flight, and the client wipes and reuses the iocb.
TEST_P(IoSubmitTest, TheIocbIsTheClientsAgainWhenSubmitReturns) {
  const aio_context_t ctx = NewContext(8);
  const Pipe pipe = NewPipe();
  iocb poll = WithData(PollOf(pipe.read_fd, POLLIN), 7);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  memset(&poll, 0xff, sizeof(poll));
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  const io_event event = ReapOne(ctx);
  EXPECT_THAT(event, IsEvent(&poll, POLLIN | POLLRDNORM));
  EXPECT_EQ(event.data, 7u);
}

TEST_P(IoSubmitTest, TheBatchArrayIsTheClientsAgainWhenSubmitReturns) {
  const aio_context_t ctx = NewContext(8);
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  iocb* batch[] = {&poll};
  ASSERT_EQ(aio().io_submit(ctx, 1, batch), 1);
  batch[0] = nullptr;
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_THAT(ReapOne(ctx), IsEvent(&poll, POLLIN | POLLRDNORM));
}

TEST_P(IoSubmitTest, AReservedFieldInUseIsEinval) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  read.aio_reserved2 = 1;
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EINVAL));
  read.aio_reserved2 = uint64_t{1} << 63;
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EINVAL));
}

TEST_P(IoSubmitTest, ANegativeByteCountIsEinval) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  read.aio_nbytes = static_cast<uint64_t>(-1);
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EINVAL));
  read.aio_nbytes = uint64_t{1} << 63;
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EINVAL));
}

// The byte count is checked for every opcode, also where the opcode has no use for it.
TEST_P(IoSubmitTest, ANegativeByteCountIsEinvalForAnUnknownOpcodeToo) {
  const aio_context_t ctx = NewContext(8);
  iocb fsync = FsyncOf(ClosedFd());
  fsync.aio_nbytes = static_cast<uint64_t>(-1);
  EXPECT_THAT(SubmitOne(ctx, &fsync), FailsWith(EINVAL));
}

TEST_P(IoSubmitTest, UnknownFlagBitsAreIgnored) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  read.aio_flags = ~(IOCB_FLAG_RESFD | IOCB_FLAG_IOPRIO);
  EXPECT_EQ(ResultOf(ctx, &read), 4);
}

TEST_P(IoSubmitTest, ResfdAndPriorityWithoutTheirFlagsAreIgnored) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  read.aio_resfd = 0x7fffffff;
  read.aio_reqprio = -1;
  EXPECT_EQ(ResultOf(ctx, &read), 4);
}

TEST_P(IoSubmitTest, AClosedFdIsEbadf) {
  const aio_context_t ctx = NewContext(8);
  iocb read = ReadOf(ClosedFd(), absl::MakeSpan(buf_));
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EBADF));
  read.aio_fildes = static_cast<uint32_t>(-1);
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EBADF));
}

// 4 was never in use (PREADX), 6 is NOOP which no kernel takes, 9 is one past the last.
TEST_P(IoSubmitTest, OpcodesThatDoNotExistAreEinval) {
  const aio_context_t ctx = NewContext(8);
  for (unsigned opcode : {4u, 6u, 9u, 0x7fffu, 0x8000u, 0xffffu}) {
    iocb request = GoodRead();
    request.aio_lio_opcode = opcode;
    EXPECT_THAT(SubmitOne(ctx, &request), FailsWith(EINVAL)) << "opcode " << opcode;
  }
  EXPECT_EQ(Poll(ctx), 0);
}

TEST_P(IoSubmitTest, TheKeyOfATakenIocbIsSet) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  read.aio_key = 77;
  EXPECT_EQ(ResultOf(ctx, &read), 4);
  EXPECT_EQ(read.aio_key, KIOCB_KEY);
}

TEST_P(IoSubmitTest, TheKeyIsSetEvenIfTheOpcodeIsRefused) {
  const aio_context_t ctx = NewContext(8);
  iocb request = GoodRead();
  request.aio_key = 77;
  request.aio_lio_opcode = 9;
  EXPECT_THAT(SubmitOne(ctx, &request), FailsWith(EINVAL));
  EXPECT_EQ(request.aio_key, KIOCB_KEY);
}

TEST_P(IoSubmitTest, TheKeyIsNotSetIfTheFileIsBad) {
  const aio_context_t ctx = NewContext(8);
  iocb read = ReadOf(ClosedFd(), absl::MakeSpan(buf_));
  read.aio_key = 77;
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EBADF));
  EXPECT_EQ(read.aio_key, 77u);
}

TEST_P(IoSubmitTest, TheKeyIsNotSetIfTheEventfdIsBad) {
  const aio_context_t ctx = NewContext(8);
  iocb read = WithResfd(GoodRead(), NewFile());
  read.aio_key = 77;
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EINVAL));
  EXPECT_EQ(read.aio_key, 77u);
}

TEST_P(IoSubmitTest, TheKeyIsNotSetIfAReservedFieldIsInUse) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  read.aio_key = 77;
  read.aio_reserved2 = 1;
  EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EINVAL));
  EXPECT_EQ(read.aio_key, 77u);
}

// Setting the key needs write access, which nothing else in io_submit does.
TEST_P(IoSubmitTest, AnIocbInReadOnlyMemoryIsEfault) {
  const aio_context_t ctx = NewContext(8);
  EXPECT_THAT(SubmitOne(ctx, ReadOnlyCopyOf(GoodRead())), FailsWith(EFAULT));
  EXPECT_EQ(Poll(ctx), 0);
}

// The write of an iocb in read-only memory must not have happened.
TEST_P(IoSubmitTest, AWriteWithAReadOnlyIocbWritesNothing) {
  const aio_context_t ctx = NewContext(8);
  const int file = NewFile("old");
  EXPECT_THAT(SubmitOne(ctx, ReadOnlyCopyOf(WriteOf(file, "new"))), FailsWith(EFAULT));
  EXPECT_EQ(ContentsOf(file), "old");
}

TEST_P(IoSubmitTest, TheOnlyFieldWrittenIsTheKey) {
  const aio_context_t ctx = NewContext(8);
  iocb read = WithData(GoodRead(), 5);
  const iocb before = read;
  EXPECT_EQ(ResultOf(ctx, &read), 4);
  EXPECT_EQ(memcmp(&read, &before, sizeof(read)), 0);
}

}  // namespace
}  // namespace aiolab
