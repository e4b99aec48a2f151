// Contexts belong to one address space: fork does not pass them on, and does not disturb the parent's.
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "tests/conformance/fixture.h"

// The C library's other name for clone(). ThreadSanitizer replaces clone(), takes every child for one of fork, with
// memory of its own, and marks that child's memory as no longer to be followed: here, the test's own.
extern "C" int __clone(int (*run)(void*), void* stack, int flags, void* arg, ...) noexcept;

namespace aiolab {
namespace {

using ForkTest = AioConformanceTest;
INSTANTIATE_ON_ALL_BACKENDS(ForkTest);

TEST_P(ForkTest, TheParentsContextIsEinvalInTheChild) {
  const aio_context_t ctx = NewContext(8);
  iocb fsync = FsyncOf(NewFile());
  ASSERT_EQ(ResultOf(ctx, &fsync), 0);
  EXPECT_EQ(ResultInForkedChild([&] {
              io_event event;
              timespec at_once = {};
              if (SubmitOne(ctx, &fsync) != -EINVAL) return 1;
              if (aio().io_getevents(ctx, 0, 1, &event, &at_once) != -EINVAL) return 2;
              if (aio().io_pgetevents(ctx, 0, 1, &event, &at_once, nullptr) != -EINVAL) return 3;
              if (aio().io_cancel(ctx, &fsync, &event) != -EINVAL) return 4;
              if (aio().io_destroy(ctx) != -EINVAL) return 5;
              return 0;
            }),
            0);
}

TEST_P(ForkTest, TheParentsContextGoesOn) {
  const aio_context_t ctx = NewContext(8);
  ASSERT_EQ(ResultInForkedChild([&] { return aio().io_destroy(ctx) == -EINVAL ? 0 : 1; }), 0);
  iocb fsync = FsyncOf(NewFile());
  EXPECT_EQ(ResultOf(ctx, &fsync), 0);
}

TEST_P(ForkTest, TheChildCanMakeContextsOfItsOwn) {
  const aio_context_t ctx = NewContext(8);
  const int file = NewFile("data");
  EXPECT_EQ(ResultInForkedChild([&] {
              aio_context_t own = 0;
              if (aio().io_setup(8, &own) != 0) return 1;
              if (own == ctx) return 2;
              char buf[8];
              iocb read = ReadOf(file, absl::MakeSpan(buf));
              if (SubmitOne(own, &read) != 1) return 3;
              io_event event;
              if (aio().io_getevents(own, 1, 1, &event, nullptr) != 1) return 4;
              if (event.res != 4) return 5;
              return aio().io_destroy(own) == 0 ? 0 : 6;
            }),
            0);
}

TEST_P(ForkTest, TheChildsFirstContextHasTheLowestId) {
  NewContext(8);
  EXPECT_EQ(ResultInForkedChild([&] {
              aio_context_t own = 0;
              if (aio().io_setup(8, &own) != 0) return 1;
              return RingOf(own)->id == 0 ? 0 : 2;
            }),
            0);
}

// The ring is shared memory, which a child inherits with its address: it can read the parent's events, and even reap
// them.
TEST_P(ForkTest, TheChildSeesTheParentsRing) {
  const aio_context_t ctx = NewContext(8);
  iocb fsync = WithData(FsyncOf(NewFile()), 77);
  ASSERT_EQ(SubmitOne(ctx, &fsync), 1);
  WaitForEvents(ctx, 1);
  EXPECT_EQ(ResultInForkedChild([&] {
              if (RingOf(ctx)->tail != 1 || RingOf(ctx)->events()[0].data != 77) return 1;
              RingOf(ctx)->head = 1;
              return 0;
            }),
            0);
  EXPECT_EQ(Poll(ctx), 0);
}

// The parent's requests are the parent's: a child that ends does not end them.
TEST_P(ForkTest, APendingRequestOfTheParentSurvivesTheChild) {
  const aio_context_t ctx = NewContext(8);
  const Pipe pipe = NewPipe();
  iocb poll = PollOf(pipe.read_fd, POLLIN);
  ASSERT_EQ(SubmitOne(ctx, &poll), 1);
  ASSERT_EQ(ResultInForkedChild([] { return 0; }), 0);
  EXPECT_EQ(Poll(ctx), 0);
  ASSERT_EQ(aio().write(pipe.write_fd, "x", 1), 1);
  EXPECT_THAT(ReapOne(ctx), IsEvent(&poll, POLLIN | POLLRDNORM));
}

TEST_P(ForkTest, AChildThatExitsWithRequestsInFlightEnds) {
  const Pipe pipe = NewPipe();
  EXPECT_EQ(ResultInForkedChild([&] {
              aio_context_t own = 0;
              if (aio().io_setup(8, &own) != 0) return 1;
              iocb poll = PollOf(pipe.read_fd, POLLIN);
              return SubmitOne(own, &poll) == 1 ? 0 : 2;
            }),
            0);
}

// Another process, with another pid, and the same memory: the contexts are its own as well. A kernel that lives in the
// client cannot tell a fork by the pid. Method: as vfork() does it, so that two processes never run on one thread's
// state.
TEST_P(ForkTest, AChildThatSharesMemorySharesTheContexts) {
  struct Shared {
    std::function<int()> body;
    pid_t pid;
  } shared;
  const aio_context_t ctx = NewContext(8);
  iocb fsync = FsyncOf(NewFile());
  shared.body = [&] { return SubmitOne(ctx, &fsync) == 1 ? 0 : 1; };
  const absl::Span<char> stack = AlignedBuffer(64 * kPageSize);
  const auto run = [](void* arg) {
    Shared& shared = *static_cast<Shared*>(arg);
    shared.pid = getpid();
    return shared.body();
  };
  const pid_t child = __clone(run, stack.end(), CLONE_VM | CLONE_VFORK | SIGCHLD, &shared);
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(shared.pid, child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  EXPECT_THAT(ReapOne(ctx), IsEvent(&fsync, 0));
}

}  // namespace
}  // namespace aiolab
