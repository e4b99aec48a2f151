// io_pgetevents(): io_getevents under another signal mask.
#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class IoPgeteventsTest : public AioConformanceTest {
 protected:
  static sigset_t MaskOf(std::initializer_list<int> signals) {
    sigset_t mask;
    sigemptyset(&mask);
    for (int signo : signals) sigaddset(&mask, signo);
    return mask;
  }

  static bool IsBlocked(int signo) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return sigismember(&mask, signo) == 1;
  }

  io_event events_[8] = {};
  const sigset_t none_ = MaskOf({});
  const sigset_t usr1_ = MaskOf({SIGUSR1});
};
INSTANTIATE_ON_ALL_BACKENDS(IoPgeteventsTest);

TEST_P(IoPgeteventsTest, TakesEventsAsGeteventsDoes) {
  const aio_context_t ctx = NewContext(8);
  iocb fsync = FsyncOf(NewFile());
  ASSERT_EQ(SubmitOne(ctx, &fsync), 1);
  const aio_sigset usig = {&none_, kKernelSigsetSize};
  EXPECT_EQ(aio().io_pgetevents(ctx, 1, 8, events_, nullptr, &usig), 1);
  EXPECT_THAT(events_[0], IsEvent(&fsync, 0));
}

TEST_P(IoPgeteventsTest, NoSigsetAtAllIsAllowed) {
  timespec at_once = {};
  EXPECT_EQ(aio().io_pgetevents(NewContext(8), 1, 8, events_, &at_once, nullptr), 0);
}

TEST_P(IoPgeteventsTest, NoMaskInTheSigsetIsAllowedWhateverItsSize) {
  timespec at_once = {};
  const aio_sigset usig = {nullptr, 12345};
  EXPECT_EQ(aio().io_pgetevents(NewContext(8), 1, 8, events_, &at_once, &usig), 0);
}

TEST_P(IoPgeteventsTest, AnUnknownContextIsEinval) {
  timespec at_once = {};
  EXPECT_THAT(aio().io_pgetevents(0, 1, 8, events_, &at_once, nullptr), FailsWith(EINVAL));
}

// Among them the size of the C library's sigset_t.
TEST_P(IoPgeteventsTest, AnotherSizeThanTheKernelsSigsetIsEinval) {
  const aio_context_t ctx = NewContext(8);
  timespec at_once = {};
  for (size_t size : {size_t{0}, kKernelSigsetSize - 1, kKernelSigsetSize + 1, sizeof(sigset_t)}) {
    const aio_sigset usig = {&none_, size};
    EXPECT_THAT(aio().io_pgetevents(ctx, 1, 8, events_, &at_once, &usig), FailsWith(EINVAL)) << "size " << size;
  }
}

TEST_P(IoPgeteventsTest, AnUnreadableSigsetIsEfault) {
  timespec at_once = {};
  EXPECT_THAT(
      aio().io_pgetevents(NewContext(8), 1, 8, events_, &at_once, reinterpret_cast<aio_sigset*>(InaccessiblePage())),
      FailsWith(EFAULT));
}

TEST_P(IoPgeteventsTest, AnUnreadableMaskIsEfault) {
  timespec at_once = {};
  const aio_sigset usig = {reinterpret_cast<sigset_t*>(InaccessiblePage()), kKernelSigsetSize};
  EXPECT_THAT(aio().io_pgetevents(NewContext(8), 1, 8, events_, &at_once, &usig), FailsWith(EFAULT));
}

// What the call is for: a signal that is blocked outside gets in while it waits, and at no other time.
TEST_P(IoPgeteventsTest, ASignalThatTheMaskLetsInIsEintr) {
  const aio_context_t ctx = NewContext(8);
  SignalCounter handled(SIGUSR1);
  BackgroundCall waiter([&] {
    BlockedSignal blocked(SIGUSR1);
    const aio_sigset usig = {&none_, kKernelSigsetSize};
    return aio().io_pgetevents(ctx, 1, 8, events_, nullptr, &usig);
  });
  waiter.WaitUntilBlocked();
  waiter.Signal(SIGUSR1);
  EXPECT_THAT(waiter.Result(), FailsWith(EINTR));
  EXPECT_EQ(handled.count(), 1);
}

TEST_P(IoPgeteventsTest, ASignalThatWasPendingBeforeIsEintrAtOnce) {
  const aio_context_t ctx = NewContext(8);
  SignalCounter handled(SIGUSR1);
  BlockedSignal blocked(SIGUSR1);
  pthread_kill(pthread_self(), SIGUSR1);
  ASSERT_EQ(handled.count(), 0);
  const aio_sigset usig = {&none_, kKernelSigsetSize};
  EXPECT_THAT(aio().io_pgetevents(ctx, 1, 8, events_, nullptr, &usig), FailsWith(EINTR));
  EXPECT_EQ(handled.count(), 1);
}

TEST_P(IoPgeteventsTest, APendingSignalIsEintrEvenIfTheTimeoutIsZero) {
  const aio_context_t ctx = NewContext(8);
  SignalCounter handled(SIGUSR1);
  BlockedSignal blocked(SIGUSR1);
  pthread_kill(pthread_self(), SIGUSR1);
  const aio_sigset usig = {&none_, kKernelSigsetSize};
  timespec at_once = {};
  EXPECT_THAT(aio().io_pgetevents(ctx, 1, 8, events_, &at_once, &usig), FailsWith(EINTR));
  EXPECT_EQ(handled.count(), 1);
}

// With events in hand the call succeeds. The signal is handled on the way out all the same.
TEST_P(IoPgeteventsTest, APendingSignalDoesNotHideEvents) {
  const aio_context_t ctx = NewContext(8);
  iocb fsync = FsyncOf(NewFile());
  ASSERT_EQ(SubmitOne(ctx, &fsync), 1);
  WaitForEvents(ctx, 1);
  SignalCounter handled(SIGUSR1);
  BlockedSignal blocked(SIGUSR1);
  pthread_kill(pthread_self(), SIGUSR1);
  const aio_sigset usig = {&none_, kKernelSigsetSize};
  EXPECT_EQ(aio().io_pgetevents(ctx, 1, 8, events_, nullptr, &usig), 1);
  EXPECT_EQ(handled.count(), 1);
}

TEST_P(IoPgeteventsTest, ASignalThatTheMaskKeepsOutWaitsForTheEnd) {
  const aio_context_t ctx = NewContext(8);
  SignalCounter handled(SIGUSR1);
  BackgroundCall waiter([&] {
    const aio_sigset usig = {&usr1_, kKernelSigsetSize};
    return aio().io_pgetevents(ctx, 1, 8, events_, nullptr, &usig);
  });
  waiter.WaitUntilBlocked();
  waiter.Signal(SIGUSR1);
  waiter.WaitUntilBlocked();
  EXPECT_EQ(handled.count(), 0);
  ASSERT_EQ(SubmitCopies(ctx, FsyncOf(NewFile()), 1), 1u);
  EXPECT_EQ(waiter.Result(), 1);
  EXPECT_EQ(handled.count(), 1);
}

TEST_P(IoPgeteventsTest, TheMaskIsRestoredAfterSuccess) {
  const aio_sigset usig = {&usr1_, kKernelSigsetSize};
  timespec at_once = {};
  ASSERT_FALSE(IsBlocked(SIGUSR1));
  EXPECT_EQ(aio().io_pgetevents(NewContext(8), 1, 8, events_, &at_once, &usig), 0);
  EXPECT_FALSE(IsBlocked(SIGUSR1));
}

TEST_P(IoPgeteventsTest, TheMaskIsRestoredAfterAnError) {
  const aio_sigset usig = {&usr1_, kKernelSigsetSize};
  EXPECT_THAT(aio().io_pgetevents(NewContext(8), 2, 1, events_, nullptr, &usig), FailsWith(EINVAL));
  EXPECT_FALSE(IsBlocked(SIGUSR1));
}

TEST_P(IoPgeteventsTest, TheMaskIsRestoredAfterASignal) {
  SignalCounter handled(SIGUSR1);
  BlockedSignal blocked(SIGUSR1);
  pthread_kill(pthread_self(), SIGUSR1);
  const aio_sigset usig = {&none_, kKernelSigsetSize};
  EXPECT_THAT(aio().io_pgetevents(NewContext(8), 1, 8, events_, nullptr, &usig), FailsWith(EINTR));
  EXPECT_TRUE(IsBlocked(SIGUSR1));
}

TEST_P(IoPgeteventsTest, ATimeoutThatExpiresIsZero) {
  timespec timeout = Milliseconds(20);
  const aio_sigset usig = {&usr1_, kKernelSigsetSize};
  EXPECT_EQ(aio().io_pgetevents(NewContext(8), 1, 8, events_, &timeout, &usig), 0);
}

}  // namespace
}  // namespace aiolab
