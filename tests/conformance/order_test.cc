// Which error wins when a call has two. Each test gives a call two faults and names the one that is reported.
#include <fcntl.h>
#include <poll.h>

#include <climits>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

// IOPRIO_CLASS_* stand in the top three bits; 5 names no class.
constexpr int16_t kBadPriority = 5 << 13;

class OrderTest : public AioConformanceTest {
 protected:
  iocb GoodRead() { return ReadOf(NewFile("data"), absl::MakeSpan(buf_)); }
  iocb ReadOfClosedFd() { return ReadOf(ClosedFd(), absl::MakeSpan(buf_)); }
  iocb ReadOfWriteOnlyFile() { return ReadOf(Open(NewTmpfsPath(), O_CREAT | O_WRONLY), absl::MakeSpan(buf_)); }
  iocb ReadOfDirectory() { return ReadOf(Open(GetParam().disk_dir, O_RDONLY | O_DIRECTORY), absl::MakeSpan(buf_)); }

  iocb WithOpcode(iocb request, unsigned opcode) {
    request.aio_lio_opcode = opcode;
    return request;
  }
  iocb WithReserved(iocb request) {
    request.aio_reserved2 = 1;
    return request;
  }
  iocb WithNegativeBytes(iocb request) {
    request.aio_nbytes = static_cast<uint64_t>(-1);
    return request;
  }
  iocb WithRwFlags(iocb request, unsigned rw_flags) {
    request.aio_rw_flags = static_cast<__kernel_rwf_t>(rw_flags);
    return request;
  }
  iocb WithPriority(iocb request, int16_t priority) {
    request.aio_flags |= IOCB_FLAG_IOPRIO;
    request.aio_reqprio = priority;
    return request;
  }
  iocb WithBuffer(iocb request, const void* buf) {
    request.aio_buf = reinterpret_cast<uintptr_t>(buf);
    return request;
  }
  iocb WithOffset(iocb request, int64_t offset) {
    request.aio_offset = offset;
    return request;
  }

  // What io_submit says of `request`, in an empty ring.
  long Submit(iocb request) { return SubmitOne(NewContext(8), &request); }

  // The same in a ring without a free slot.
  long SubmitToFullRing(iocb request) { return SubmitOne(FullRing(), &request); }

  aio_context_t FullRing() {
    const aio_context_t ctx = NewContext(1);
    long error = 0;
    SubmitCopies(ctx, PollOf(NewPipe().read_fd, POLLIN), UINT_MAX, &error);
    EXPECT_THAT(error, FailsWith(EAGAIN));
    return ctx;
  }

  char buf_[512];
};
INSTANTIATE_ON_ALL_BACKENDS(OrderTest);

// ---- io_submit, the call.

TEST_P(OrderTest, AnUnknownContextComesBeforeABadArray) {
  EXPECT_THAT(aio().io_submit(0, 1, nullptr), FailsWith(EINVAL));
}

TEST_P(OrderTest, ANegativeCountComesBeforeABadArray) {
  EXPECT_THAT(aio().io_submit(NewContext(8), -1, nullptr), FailsWith(EINVAL));
}

// ---- io_submit, what is checked of an iocb before its slot: memory, reserved fields. Then the slot.

TEST_P(OrderTest, AnUnreadableIocbComesBeforeAFullRing) {
  EXPECT_THAT(SubmitOne(FullRing(), nullptr), FailsWith(EFAULT));
}

TEST_P(OrderTest, AReservedFieldComesBeforeAFullRing) {
  EXPECT_THAT(SubmitToFullRing(WithReserved(GoodRead())), FailsWith(EINVAL));
}

TEST_P(OrderTest, ANegativeByteCountComesBeforeAFullRing) {
  EXPECT_THAT(SubmitToFullRing(WithNegativeBytes(GoodRead())), FailsWith(EINVAL));
}

TEST_P(OrderTest, AReservedFieldComesBeforeABadFd) {
  EXPECT_THAT(Submit(WithReserved(ReadOfClosedFd())), FailsWith(EINVAL));
}

TEST_P(OrderTest, ANegativeByteCountComesBeforeABadFd) {
  EXPECT_THAT(Submit(WithNegativeBytes(ReadOfClosedFd())), FailsWith(EINVAL));
}

TEST_P(OrderTest, AFullRingComesBeforeABadFd) { EXPECT_THAT(SubmitToFullRing(ReadOfClosedFd()), FailsWith(EAGAIN)); }

TEST_P(OrderTest, AFullRingComesBeforeABadOpcode) {
  EXPECT_THAT(SubmitToFullRing(WithOpcode(GoodRead(), 9)), FailsWith(EAGAIN));
}

TEST_P(OrderTest, AFullRingComesBeforeABadEventfd) {
  EXPECT_THAT(SubmitToFullRing(WithResfd(GoodRead(), ClosedFd())), FailsWith(EAGAIN));
}

TEST_P(OrderTest, AFullRingComesBeforeAReadOnlyIocb) {
  EXPECT_THAT(SubmitOne(FullRing(), ReadOnlyCopyOf(GoodRead())), FailsWith(EAGAIN));
}

// ---- Then the file, the eventfd, the key.

TEST_P(OrderTest, ABadFdComesBeforeABadOpcode) {
  EXPECT_THAT(Submit(WithOpcode(ReadOfClosedFd(), 9)), FailsWith(EBADF));
}

TEST_P(OrderTest, ABadFdComesBeforeAnEventfdThatIsNone) {
  EXPECT_THAT(Submit(WithResfd(ReadOfClosedFd(), NewFile())), FailsWith(EBADF));
}

TEST_P(OrderTest, ABadFdComesBeforeAReadOnlyIocb) {
  EXPECT_THAT(SubmitOne(NewContext(8), ReadOnlyCopyOf(ReadOfClosedFd())), FailsWith(EBADF));
}

TEST_P(OrderTest, ABadFdComesBeforeBadRwFlags) {
  EXPECT_THAT(Submit(WithRwFlags(ReadOfClosedFd(), 0x80000000)), FailsWith(EBADF));
}

TEST_P(OrderTest, ABadEventfdComesBeforeABadOpcode) {
  EXPECT_THAT(Submit(WithOpcode(WithResfd(GoodRead(), ClosedFd()), 9)), FailsWith(EBADF));
}

TEST_P(OrderTest, ABadEventfdComesBeforeAReadOnlyIocb) {
  EXPECT_THAT(SubmitOne(NewContext(8), ReadOnlyCopyOf(WithResfd(GoodRead(), NewFile()))), FailsWith(EINVAL));
}

TEST_P(OrderTest, AnEventfdThatIsNoneComesBeforeAWrongAccessMode) {
  EXPECT_THAT(Submit(WithResfd(ReadOfWriteOnlyFile(), NewFile())), FailsWith(EINVAL));
}

TEST_P(OrderTest, AReadOnlyIocbComesBeforeABadOpcode) {
  EXPECT_THAT(SubmitOne(NewContext(8), ReadOnlyCopyOf(WithOpcode(GoodRead(), 9))), FailsWith(EFAULT));
}

TEST_P(OrderTest, AReadOnlyIocbComesBeforeAWrongAccessMode) {
  EXPECT_THAT(SubmitOne(NewContext(8), ReadOnlyCopyOf(ReadOfWriteOnlyFile())), FailsWith(EFAULT));
}

// ---- Then, for reads and writes: priority, flags, access mode, the file's own functions, memory, position.

TEST_P(OrderTest, ABadPriorityComesBeforeBadRwFlags) {
  EXPECT_THAT(Submit(WithPriority(WithRwFlags(GoodRead(), 0x80000000), kBadPriority)), FailsWith(EINVAL));
}

TEST_P(OrderTest, ABadPriorityComesBeforeAWrongAccessMode) {
  EXPECT_THAT(Submit(WithPriority(ReadOfWriteOnlyFile(), kBadPriority)), FailsWith(EINVAL));
}

TEST_P(OrderTest, AnUnknownRwFlagComesBeforeAContradictionOfKnownOnes) {
  EXPECT_THAT(Submit(WithRwFlags(GoodRead(), RWF_APPEND | RWF_NOAPPEND | 0x80000000)), FailsWith(EOPNOTSUPP));
}

TEST_P(OrderTest, AContradictionOfRwFlagsComesBeforeAnUnsupportedOne) {
  EXPECT_THAT(Submit(WithRwFlags(GoodRead(), RWF_APPEND | RWF_NOAPPEND | RWF_ATOMIC)), FailsWith(EINVAL));
}

TEST_P(OrderTest, BadRwFlagsComeBeforeAWrongAccessMode) {
  EXPECT_THAT(Submit(WithRwFlags(ReadOfWriteOnlyFile(), 0x80000000)), FailsWith(EOPNOTSUPP));
}

TEST_P(OrderTest, BadRwFlagsComeBeforeAFileThatCannotBeRead) {
  EXPECT_THAT(Submit(WithRwFlags(ReadOfDirectory(), 0x80000000)), FailsWith(EOPNOTSUPP));
}

TEST_P(OrderTest, AWrongAccessModeComesBeforeAFileThatCannotBeWritten) {
  EXPECT_THAT(Submit(WithOpcode(ReadOfDirectory(), IOCB_CMD_PWRITE)), FailsWith(EBADF));
}

TEST_P(OrderTest, AWrongAccessModeComesBeforeABadBuffer) {
  EXPECT_THAT(Submit(WithBuffer(ReadOfWriteOnlyFile(), KernelAddress())), FailsWith(EBADF));
}

TEST_P(OrderTest, AWrongAccessModeComesBeforeANegativeOffset) {
  EXPECT_THAT(Submit(WithOffset(ReadOfWriteOnlyFile(), -1)), FailsWith(EBADF));
}

TEST_P(OrderTest, AFileThatCannotBeReadComesBeforeABadBuffer) {
  EXPECT_THAT(Submit(WithBuffer(ReadOfDirectory(), KernelAddress())), FailsWith(EINVAL));
}

TEST_P(OrderTest, ABufferOutsideTheAddressSpaceComesBeforeANegativeOffset) {
  EXPECT_THAT(Submit(WithBuffer(WithOffset(GoodRead(), -1), KernelAddress())), FailsWith(EFAULT));
}

// A buffer that is merely not mapped is noticed when bytes are to be copied, which a bad position forbids.
TEST_P(OrderTest, ANegativeOffsetComesBeforeAnUnmappedBuffer) {
  EXPECT_THAT(Submit(WithBuffer(WithOffset(GoodRead(), -1), InaccessiblePage())), FailsWith(EINVAL));
}

TEST_P(OrderTest, AnUnreadableIovecArrayComesBeforeANegativeOffset) {
  const absl::Span<const iovec> bad(reinterpret_cast<iovec*>(InaccessiblePage()), 2);
  EXPECT_THAT(Submit(ReadvOf(NewFile("data"), bad, -1)), FailsWith(EFAULT));
}

TEST_P(OrderTest, TooManyIovecsComesBeforeAnUnreadableArray) {
  const absl::Span<const iovec> bad(reinterpret_cast<iovec*>(InaccessiblePage()), 1025);
  EXPECT_THAT(Submit(ReadvOf(NewFile("data"), bad)), FailsWith(EINVAL));
}

TEST_P(OrderTest, AWrongAccessModeComesBeforeAnUnreadableIovecArray) {
  const absl::Span<const iovec> bad(reinterpret_cast<iovec*>(InaccessiblePage()), 2);
  EXPECT_THAT(Submit(ReadvOf(Open(NewTmpfsPath(), O_CREAT | O_WRONLY), bad)), FailsWith(EBADF));
}

TEST_P(OrderTest, ANegativeSegmentComesBeforeASegmentOutsideTheAddressSpace) {
  const iovec iovs[] = {{KernelAddress(), 1}, {buf_, static_cast<size_t>(-1)}};
  const iovec reversed[] = {{buf_, static_cast<size_t>(-1)}, {KernelAddress(), 1}};
  EXPECT_THAT(Submit(ReadvOf(NewFile("data"), iovs)), FailsWith(EINVAL));
  EXPECT_THAT(Submit(ReadvOf(NewFile("data"), reversed)), FailsWith(EINVAL));
}

// ---- The other calls.

TEST_P(OrderTest, SetupsUnreadablePointerComesBeforeZeroEvents) {
  EXPECT_THAT(aio().io_setup(0, reinterpret_cast<aio_context_t*>(InaccessiblePage())), FailsWith(EFAULT));
}

TEST_P(OrderTest, SetupsNonzeroContextComesBeforeTheSystemsLimit) {
  aio_context_t ctx = 1;
  EXPECT_THAT(aio().io_setup(0x80000000, &ctx), FailsWith(EINVAL));
}

TEST_P(OrderTest, SetupsSystemLimitComesBeforeAReadOnlyContextPointer) {
  EXPECT_THAT(aio().io_setup(0x80000000, reinterpret_cast<aio_context_t*>(ReadOnlyPage())), FailsWith(EAGAIN));
}

TEST_P(OrderTest, GeteventsUnreadableTimeoutComesBeforeAnUnknownContext) {
  io_event event;
  timespec* bad = reinterpret_cast<timespec*>(InaccessiblePage());
  EXPECT_THAT(aio().io_getevents(0, 1, 1, &event, bad), FailsWith(EFAULT));
}

TEST_P(OrderTest, GeteventsUnreadableTimeoutComesBeforeABadCount) {
  io_event event;
  timespec* bad = reinterpret_cast<timespec*>(InaccessiblePage());
  EXPECT_THAT(aio().io_getevents(NewContext(8), 2, 1, &event, bad), FailsWith(EFAULT));
}

TEST_P(OrderTest, GeteventsBadCountComesBeforeUnwritableEvents) {
  const aio_context_t ctx = NewContext(8);
  iocb read = GoodRead();
  ASSERT_EQ(SubmitOne(ctx, &read), 1);
  WaitForEvents(ctx, 1);
  EXPECT_THAT(aio().io_getevents(ctx, 2, 1, reinterpret_cast<io_event*>(InaccessiblePage()), nullptr),
              FailsWith(EINVAL));
}

TEST_P(OrderTest, PgeteventsUnreadableTimeoutComesBeforeABadSigsetsize) {
  io_event event;
  timespec* bad = reinterpret_cast<timespec*>(InaccessiblePage());
  sigset_t none;
  sigemptyset(&none);
  const aio_sigset usig = {&none, kKernelSigsetSize + 1};
  EXPECT_THAT(aio().io_pgetevents(NewContext(8), 0, 1, &event, bad, &usig), FailsWith(EFAULT));
}

TEST_P(OrderTest, PgeteventsBadSigsetsizeComesBeforeAnUnreadableMask) {
  io_event event;
  timespec at_once = {};
  const aio_sigset usig = {reinterpret_cast<sigset_t*>(InaccessiblePage()), kKernelSigsetSize + 1};
  EXPECT_THAT(aio().io_pgetevents(NewContext(8), 0, 1, &event, &at_once, &usig), FailsWith(EINVAL));
}

TEST_P(OrderTest, PgeteventsUnreadableMaskComesBeforeAnUnknownContext) {
  io_event event;
  timespec at_once = {};
  const aio_sigset usig = {reinterpret_cast<sigset_t*>(InaccessiblePage()), kKernelSigsetSize};
  EXPECT_THAT(aio().io_pgetevents(0, 0, 1, &event, &at_once, &usig), FailsWith(EFAULT));
}

TEST_P(OrderTest, CancelsUnreadableIocbComesBeforeAnUnknownContext) {
  io_event event;
  EXPECT_THAT(aio().io_cancel(0, nullptr, &event), FailsWith(EFAULT));
}

}  // namespace
}  // namespace aiolab
