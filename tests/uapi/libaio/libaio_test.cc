// What the functions of //uapi/libaio hand to the kernel, and what they make of its answer.
#include "uapi/libaio/libaio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/uapi/libaio/recording_kernel.h"

namespace aiolab {
namespace {

using ::testing::ElementsAre;

uint64_t Number(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

// A context id that no real kernel gave out.
io_context_t FakeContext() { return reinterpret_cast<io_context_t>(uintptr_t{0x5000}); }

class LibaioTest : public testing::Test {
 protected:
  // The only call so far.
  const RecordedCall& call() {
    EXPECT_EQ(kernel_.calls.size(), 1u);
    return kernel_.calls.at(0);
  }

  RecordingKernel kernel_;
  ScopedSyscalls scoped_{kernel_.syscalls()};
};

TEST_F(LibaioTest, SetupPassesTheNumberOfEventsAndTheContextPointer) {
  io_context_t ctx = nullptr;
  EXPECT_EQ(io_setup(128, &ctx), 0);
  EXPECT_EQ(call().name, "io_setup");
  EXPECT_THAT(call().arguments, ElementsAre(128, Number(&ctx)));
}

// The kernel's argument is unsigned: -1 arrives there as 4294967295, and it is the kernel that refuses it.
TEST_F(LibaioTest, SetupPassesANegativeNumberOn) {
  kernel_.result = -EINVAL;
  io_context_t ctx = nullptr;
  EXPECT_EQ(io_setup(-1, &ctx), -EINVAL);
  EXPECT_THAT(call().arguments, ElementsAre(0xffffffff, Number(&ctx)));
}

TEST_F(LibaioTest, DestroyAndQueueReleaseAreTheSameCall) {
  EXPECT_EQ(io_destroy(FakeContext()), 0);
  EXPECT_EQ(io_queue_release(FakeContext()), 0);
  ASSERT_EQ(kernel_.calls.size(), 2u);
  for (const RecordedCall& call : kernel_.calls) {
    EXPECT_EQ(call.name, "io_destroy");
    EXPECT_THAT(call.arguments, ElementsAre(0x5000));
  }
}

TEST_F(LibaioTest, SubmitPassesEverythingAndReturnsTheCount) {
  iocb request = {};
  iocb* batch[] = {&request, &request};
  kernel_.result = 1;
  EXPECT_EQ(io_submit(FakeContext(), 2, batch), 1);
  EXPECT_EQ(call().name, "io_submit");
  EXPECT_THAT(call().arguments, ElementsAre(0x5000, 2, Number(batch)));
}

TEST_F(LibaioTest, CancelPassesEverything) {
  iocb request = {};
  io_event event = {};
  kernel_.result = -EINPROGRESS;
  EXPECT_EQ(io_cancel(FakeContext(), &request, &event), -EINPROGRESS);
  EXPECT_EQ(call().name, "io_cancel");
  EXPECT_THAT(call().arguments, ElementsAre(0x5000, Number(&request), Number(&event)));
}

TEST_F(LibaioTest, GeteventsPassesEverything) {
  io_event events[4];
  timespec timeout = {3, 17};
  kernel_.result = 4;
  EXPECT_EQ(io_getevents(FakeContext(), 2, 4, events, &timeout), 4);
  EXPECT_EQ(call().name, "io_getevents");
  EXPECT_THAT(call().arguments, ElementsAre(0x5000, 2, 4, Number(events)));
  EXPECT_EQ(call().timeout, "3.17");
}

TEST_F(LibaioTest, PgeteventsNamesTheSizeOfTheKernelsSignalSet) {
  io_event events[4];
  sigset_t mask;
  sigemptyset(&mask);
  EXPECT_EQ(io_pgetevents(FakeContext(), 1, 4, events, nullptr, &mask), 0);
  EXPECT_EQ(call().name, "io_pgetevents");
  EXPECT_THAT(call().arguments, ElementsAre(0x5000, 1, 4, Number(events)));
  EXPECT_EQ(call().timeout, "none");
  EXPECT_EQ(call().sigmask, Number(&mask));
  EXPECT_EQ(call().sigsetsize, 8u);
}

TEST_F(LibaioTest, PgeteventsWithoutAMaskStillPassesTheStruct) {
  io_event event;
  EXPECT_EQ(io_pgetevents(FakeContext(), 1, 1, &event, nullptr, nullptr), 0);
  EXPECT_EQ(call().sigmask, 0u);
  EXPECT_EQ(call().sigsetsize, 8u);
}

TEST_F(LibaioTest, QueueInitClearsTheContextAndRefusesANumberThatIsNotPositive) {
  io_context_t ctx = FakeContext();
  EXPECT_EQ(io_queue_init(0, &ctx), -EINVAL);
  EXPECT_EQ(io_queue_init(-5, &ctx), -EINVAL);
  EXPECT_EQ(kernel_.calls.size(), 0u);
  EXPECT_EQ(ctx, FakeContext());

  EXPECT_EQ(io_queue_init(1, &ctx), 0);
  EXPECT_EQ(ctx, nullptr);
  EXPECT_THAT(call().arguments, ElementsAre(1, Number(&ctx)));
}

TEST_F(LibaioTest, QueueWaitAsksForNoEvent) {
  timespec timeout = {1, 0};
  EXPECT_EQ(io_queue_wait(FakeContext(), &timeout), 0);
  EXPECT_EQ(call().name, "io_getevents");
  EXPECT_THAT(call().arguments, ElementsAre(0x5000, 0, 0, 0));
  EXPECT_EQ(call().timeout, "1.0");
}

std::vector<std::string>& CallbackLog() {
  static auto& log = *new std::vector<std::string>;
  return log;
}

void LogCallback(io_context_t ctx, iocb* request, long res, long res2) {
  CallbackLog().push_back(std::to_string(reinterpret_cast<uintptr_t>(ctx)) + " " + std::to_string(request->aio_fildes) +
                          " " + std::to_string(res) + " " + std::to_string(res2));
}

TEST_F(LibaioTest, QueueRunCallsBackForEachEventAndReturnsWhatEndedIt) {
  iocb first = {};
  iocb second = {};
  io_prep_pread(&first, /*fd=*/10, nullptr, 0, 0);
  io_prep_pread(&second, /*fd=*/11, nullptr, 0, 0);
  io_set_callback(&first, LogCallback);
  io_set_callback(&second, LogCallback);
  kernel_.events = {{Number(first.data), Number(&first), 512, 0}, {Number(second.data), Number(&second), -EIO, 1}};
  kernel_.result = -EINTR;
  CallbackLog().clear();

  EXPECT_EQ(io_queue_run(FakeContext()), -EINTR);
  EXPECT_THAT(CallbackLog(), ElementsAre("20480 10 512 0", "20480 11 -5 1"));
  ASSERT_EQ(kernel_.calls.size(), 3u);
  for (const RecordedCall& call : kernel_.calls) {
    EXPECT_EQ(call.name, "io_getevents");
    EXPECT_EQ(call.arguments.at(1), 0u);
    EXPECT_EQ(call.arguments.at(2), 1u);
    EXPECT_EQ(call.timeout, "0.0");
  }
}

TEST_F(LibaioTest, OldCancelGivesTheKernelAnEventOfItsOwn) {
  iocb request = {};
  EXPECT_EQ(io_cancel_0_1(FakeContext(), &request), 0);
  EXPECT_EQ(call().name, "io_cancel");
  EXPECT_THAT(call().arguments, ElementsAre(0x5000, Number(&request), testing::Ne(0u)));
}

TEST_F(LibaioTest, OldGeteventsWaitsForOneAndKeepsTheTimeout) {
  io_event events[8];
  const timespec timeout = {2, 5};
  kernel_.writes_timeout = true;
  EXPECT_EQ(io_getevents_0_1(FakeContext(), 8, events, &timeout), 0);
  EXPECT_THAT(call().arguments, ElementsAre(0x5000, 1, 8, Number(events)));
  EXPECT_EQ(call().timeout, "2.5");
  EXPECT_EQ(timeout.tv_sec, 2);
}

TEST_F(LibaioTest, OldQueueWaitKeepsTheTimeout) {
  const timespec timeout = {2, 5};
  kernel_.writes_timeout = true;
  EXPECT_EQ(io_queue_wait_0_1(FakeContext(), &timeout), 0);
  EXPECT_THAT(call().arguments, ElementsAre(0x5000, 0, 0, 0));
  EXPECT_EQ(call().timeout, "2.5");
  EXPECT_EQ(timeout.tv_sec, 2);
}

// Callers of libaio look at the result; the ones that also look at errno expect it as they left it.
TEST_F(LibaioTest, ErrnoIsLeftAlone) {
  kernel_.result = -EAGAIN;
  errno = ENOTTY;
  EXPECT_EQ(io_submit(FakeContext(), 0, nullptr), -EAGAIN);
  EXPECT_EQ(errno, ENOTTY);
}

// A ring that looks empty, as libaio sees one. The method: a struct of the ring's layout at the context id.
struct EmptyRing {
  uint32_t id = 0, nr = 128, head = 5, tail = 5, magic = 0xa10a10a1, compat = 1, incompat = 0, header_length = 32;
};

TEST_F(LibaioTest, AnInstalledKernelIsAskedEvenIfTheRingIsEmptyAndTheTimeoutZero) {
  EmptyRing ring;
  timespec zero = {};
  io_event event;
  const auto ctx = reinterpret_cast<io_context_t>(&ring);
  EXPECT_EQ(io_getevents(ctx, 0, 1, &event, &zero), 0);
  EXPECT_EQ(io_pgetevents(ctx, 0, 1, &event, &zero, nullptr), 0);
  EXPECT_EQ(kernel_.calls.size(), 2u);
}

// The same on the real kernel: libaio answers by itself. The ring is ours, so the kernel would say EINVAL.
TEST(LibaioOnTheHostTest, AnEmptyRingAndAZeroTimeoutNeedNoSystemCall) {
  EmptyRing ring;
  timespec zero = {};
  io_event event;
  const auto ctx = reinterpret_cast<io_context_t>(&ring);
  ASSERT_EQ(InstalledSyscalls(), nullptr);
  EXPECT_EQ(io_getevents(ctx, 2, 1, &event, &zero), 0);
  EXPECT_EQ(io_pgetevents(ctx, 2, 1, &event, &zero, nullptr), 0);

  timespec soon = {0, 1};
  EXPECT_EQ(io_getevents(ctx, 0, 1, &event, &soon), -EINVAL);
  EXPECT_EQ(io_getevents(ctx, 0, 1, &event, nullptr), -EINVAL);
  ring.tail = 6;
  EXPECT_EQ(io_getevents(ctx, 0, 1, &event, &zero), -EINVAL);
  ring.tail = 5;
  ring.magic = 0;
  EXPECT_EQ(io_getevents(ctx, 0, 1, &event, &zero), -EINVAL);
  EXPECT_EQ(io_pgetevents(ctx, 0, 1, &event, &zero, nullptr), -EINVAL);
}

TEST(LibaioOnTheHostTest, WritesAndReadsAFile) {
  std::string path = testing::TempDir() + "/libaio_test.XXXXXX";
  const int fd = mkstemp(path.data());
  ASSERT_GE(fd, 0);
  io_context_t ctx = nullptr;
  ASSERT_EQ(io_queue_init(4, &ctx), 0);

  char text[] = "through the real kernel";
  char back[sizeof(text)] = {};
  iocb request = {};
  iocb* batch[] = {&request};
  io_event event = {};
  io_prep_pwrite(&request, fd, text, sizeof(text), 0);
  ASSERT_EQ(io_submit(ctx, 1, batch), 1);
  EXPECT_EQ(io_queue_wait(ctx, nullptr), 0);
  ASSERT_EQ(io_getevents(ctx, 1, 1, &event, nullptr), 1);
  EXPECT_EQ(event.res, sizeof(text));
  EXPECT_EQ(event.obj, &request);

  io_prep_pread(&request, fd, back, sizeof(back), 0);
  ASSERT_EQ(io_submit(ctx, 1, batch), 1);
  ASSERT_EQ(io_getevents_0_1(ctx, 1, &event, nullptr), 1);
  EXPECT_EQ(event.res, sizeof(text));
  EXPECT_STREQ(back, text);

  EXPECT_EQ(io_queue_release(ctx), 0);
  EXPECT_EQ(io_queue_release(ctx), -EINVAL);
  close(fd);
  unlink(path.c_str());
}

TEST(InstallTest, ScopedSyscallsPutsBackWhatWasThere) {
  RecordingKernel outer;
  RecordingKernel inner;
  {
    ScopedSyscalls first(outer.syscalls());
    {
      ScopedSyscalls second(inner.syscalls());
      io_destroy(FakeContext());
    }
    EXPECT_EQ(InstalledSyscalls(), outer.syscalls());
    EXPECT_EQ(outer.calls.size(), 0u);
    EXPECT_EQ(inner.calls.size(), 1u);
  }
  EXPECT_EQ(InstalledSyscalls(), nullptr);
}

}  // namespace
}  // namespace aiolab
