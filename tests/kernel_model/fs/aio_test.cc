#include "kernel_model/fs/aio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/fs/aio_ring.h"
#include "kernel_model/machine.h"
#include "tests/kernel_model/fs/new_iocb.h"

namespace aiolab {
namespace {

// Measured on Linux 6.18 with two possible CPUs: what io_setup(nr) puts into aio_ring::nr.
TEST(AioRingGeometryTest, IsTheKernels) {
  constexpr unsigned kPossibleCpus = 2;
  const std::pair<unsigned, unsigned> measured[] = {{1, 127}, {8, 127}, {62, 127}, {63, 255}, {128, 383}, {1024, 2175}};
  for (const auto& [asked, nr] : measured) {
    EXPECT_EQ(AioRingGeometryFor(std::max(asked, kPossibleCpus * 4) * 2).events, nr) << asked;
  }
}

class AioTest : public testing::Test {
 protected:
  ~AioTest() override {
    for (const int fd : fds_) close(fd);
  }

  aio_context_t NewContext(unsigned nr_events = 8) {
    aio_context_t ctx = 0;
    EXPECT_EQ(kernel_.io_setup(nr_events, &ctx), 0);
    return ctx;
  }
  // Files of the host, closed after the test.
  int NewEventfd() { return fds_.emplace_back(eventfd(0, 0)); }
  int NewFile(const std::string& contents, int flags = 0) {
    std::string path = testing::TempDir() + "/aio_test_XXXXXX";
    const int fd = fds_.emplace_back(mkostemp(path.data(), flags));
    unlink(path.c_str());
    EXPECT_EQ(write(fd, contents.data(), contents.size()), static_cast<ssize_t>(contents.size()));
    return fd;
  }
  long Submit(aio_context_t ctx, iocb* request) { return kernel_.io_submit(ctx, 1, &request); }
  io_event Reap(aio_context_t ctx) {
    io_event event = {};
    EXPECT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, nullptr), 1);
    return event;
  }
  int64_t ResultOf(aio_context_t ctx, iocb* request) {
    const long submitted = Submit(ctx, request);
    return submitted == 1 ? Reap(ctx).res : submitted;
  }

  SeededChooser chooser_{1};
  Machine machine_{{.chooser = &chooser_, .host_files = true}};
  EmulatedSyscalls kernel_{machine_};
  std::vector<int> fds_;
};

int Mappings() {
  std::ifstream maps("/proc/self/maps");
  int lines = 0;
  for (std::string line; std::getline(maps, line);) ++lines;
  return lines;
}

// A process may have 65,530 mappings, and some programs make more contexts than that leaves room for.
TEST_F(AioTest, AContextNeedsNoMappingOfItsOwn) {
  std::vector<aio_context_t> contexts(20000);
  ASSERT_EQ(kernel_.io_setup(1, &contexts[0]), 0);
  const int before = Mappings();
  for (size_t i = 1; i < contexts.size(); ++i) ASSERT_EQ(kernel_.io_setup(1, &contexts[i]), 0) << i;
  // Fewer than one in a hundred: allocators, a sanitizer's above all, map memory too.
  EXPECT_LT(Mappings(), before + 200);
  for (const aio_context_t ctx : contexts) ASSERT_EQ(kernel_.io_destroy(ctx), 0);
}

// The same iocb may be in flight twice. io_cancel takes the older, then the newer, then finds none.
TEST_F(AioTest, CancelTakesTheOlderOfTwoRequestsWithTheSameIocb) {
  const aio_context_t ctx = NewContext();
  const int fd = NewEventfd();
  iocb poll = NewPoll(fd, POLLIN);
  for (const uint64_t data : {1, 2}) {
    poll.aio_data = data;
    ASSERT_EQ(Submit(ctx, &poll), 1);
  }
  for (const uint64_t expected : {1, 2}) {
    EXPECT_EQ(kernel_.io_cancel(ctx, &poll, nullptr), -EINPROGRESS);
    const io_event event = Reap(ctx);
    EXPECT_EQ(event.data, expected);
    EXPECT_EQ(event.res, 0);
  }
  EXPECT_EQ(kernel_.io_cancel(ctx, &poll, nullptr), -EINVAL);
}

// A poll of a host's eventfd, which the client itself makes ready later.
TEST_F(AioTest, APollOfAHostFileCompletesWhenTheHostSaysSo) {
  const aio_context_t ctx = NewContext();
  const int fd = NewEventfd();
  iocb poll = NewPoll(fd, POLLIN);
  ASSERT_EQ(Submit(ctx, &poll), 1);
  io_event event;
  timespec no_wait = {0, 0};
  EXPECT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, &no_wait), 0);
  ASSERT_EQ(eventfd_write(fd, 1), 0);
  EXPECT_EQ(Reap(ctx).res & POLLIN, POLLIN);
}

// Requests go on by a duplicate when the client closes their file.
TEST_F(AioTest, AFileMayBeClosedWhileARequestIsInFlight) {
  const int fd = NewFile("hello");
  const aio_context_t ctx = NewContext();
  char buffer[8] = {};
  iocb read = NewIocb(IOCB_CMD_PREAD, fd, buffer, sizeof(buffer));
  ASSERT_EQ(Submit(ctx, &read), 1);
  machine_.WillCloseHostFd(fd);
  ASSERT_EQ(close(fd), 0);
  fds_.clear();
  EXPECT_EQ(Reap(ctx).res, 5);
  EXPECT_STREQ(buffer, "hello");
}

TEST_F(AioTest, CountsWhatBecameOfRequests) {
  const aio_context_t ctx = NewContext();
  const int fd = NewFile("hello");
  char buffer[8];
  iocb read = NewIocb(IOCB_CMD_PREAD, fd, buffer);
  for (const uint64_t bytes : {5, 8}) {
    read.aio_nbytes = bytes;
    EXPECT_EQ(ResultOf(ctx, &read), 5);
  }
  read.aio_buf = 8;
  EXPECT_EQ(ResultOf(ctx, &read), -EFAULT);
  using Results = std::map<std::string, uint64_t>;
  EXPECT_THAT(machine_.Operations(),
              testing::ElementsAre(testing::Pair("PREAD", Results{{"-EFAULT", 1}, {"ok", 1}, {"short", 1}})));
}

// Two polls of one file of the host want different things. That which has come and was told is no news any more: the
// other goes on waiting, and does so asleep.
TEST_F(AioTest, AFileThatIsReadyForNobodyDoesNotKeepTheClockFromMoving) {
  const aio_context_t ctx = NewContext();
  const int fd = NewEventfd();
  iocb polls[2] = {NewPoll(fd, POLLIN), NewPoll(fd, POLLPRI)};
  iocb* batch[] = {&polls[0], &polls[1]};
  ASSERT_EQ(kernel_.io_submit(ctx, 2, batch), 2);
  ASSERT_EQ(eventfd_write(fd, 1), 0);
  io_event event = Reap(ctx);
  timespec soon = {0, 50'000'000};
  alarm(10);  // for the case that it never ends
  EXPECT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, &soon), 0);
  alarm(0);
}

// A file of the host that was opened for appending: RWF_NOAPPEND has to reach the host.
TEST_F(AioTest, NoappendWritesAtItsOffset) {
  const int fd = NewFile("hello", O_APPEND);
  const aio_context_t ctx = NewContext();
  iocb write_iocb = NewIocb(IOCB_CMD_PWRITE, fd, "J", 1);
  write_iocb.aio_rw_flags = RWF_NOAPPEND;
  const int64_t result = ResultOf(ctx, &write_iocb);
  if (result == -EOPNOTSUPP) return;  // before Linux 6.9, the host says so itself
  EXPECT_EQ(result, 1);
  char contents[8] = {};
  EXPECT_EQ(pread(fd, contents, sizeof(contents), 0), 5);
  EXPECT_STREQ(contents, "Jello");
}

// A pipe of the host that is not full has room for a part of a write. The rest waits as a request, not on the host.
TEST_F(AioTest, AWriteThatAHostPipeHasNoRoomForDoesNotKeepTheModel) {
  int pipe[2];
  ASSERT_EQ(pipe2(pipe, O_CLOEXEC), 0);
  fds_.insert(fds_.end(), {pipe[0], pipe[1]});
  ASSERT_EQ(fcntl(pipe[1], F_SETPIPE_SZ, 4096), 4096);
  const aio_context_t ctx = NewContext();
  const std::string bytes = std::string(4096, 'a') + std::string(4096, 'b') + std::string(100, 'c');
  iocb write = NewIocb(IOCB_CMD_PWRITE, pipe[1], bytes.data(), bytes.size());
  alarm(10);  // for the case that it never ends
  ASSERT_EQ(Submit(ctx, &write), 1);
  std::string read_back(bytes.size(), '?');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got = read(pipe[0], &read_back[done], bytes.size() - done);
    ASSERT_GT(got, 0);
    done += static_cast<size_t>(got);
    machine_.AdvanceTo(machine_.NowNs() + 1'000'000);
  }
  EXPECT_EQ(Reap(ctx).res, static_cast<int64_t>(bytes.size()));
  alarm(0);
  EXPECT_EQ(read_back, bytes);
}

// As on Linux 6.18 (AdviceTest in tests/conformance), which a file of the host only shows where its file system takes
// RWF_NOWAIT.
TEST_F(AioTest, AReadOfAHostFileThatMayNotWaitHasItsPageReadAllTheSame) {
  const int fd = NewFile("hello");
  const aio_context_t ctx = NewContext();
  char buffer[8] = {};
  iocb read = NewIocb(IOCB_CMD_PREAD, fd, buffer, sizeof(buffer));
  read.aio_rw_flags = RWF_NOWAIT;
  const int64_t result = ResultOf(ctx, &read);
  if (result == -EOPNOTSUPP) return;
  EXPECT_EQ(result, -EAGAIN);
  machine_.AdvanceTo(machine_.NowNs() + 1'000'000'000);
  EXPECT_EQ(ResultOf(ctx, &read), 5);
}

TEST_F(AioTest, CountsRefusedSubmitsToo) {
  const aio_context_t ctx = NewContext(1);
  iocb read = NewIocb(IOCB_CMD_PREAD, -1);
  ASSERT_EQ(Submit(ctx, &read), -EBADF);
  // As many polls that never end as the ring has room for.
  const int fd = NewEventfd();
  iocb poll = NewPoll(fd, POLLIN);
  long result = 1;
  for (int i = 0; i < 10000 && result == 1; ++i) result = Submit(ctx, &poll);
  ASSERT_EQ(result, -EAGAIN);
  using Results = std::map<std::string, uint64_t>;
  EXPECT_THAT(machine_.Operations(), testing::ElementsAre(testing::Pair("POLL", Results{{"refused -EAGAIN", 1}}),
                                                          testing::Pair("PREAD", Results{{"refused -EBADF", 1}})));
}

// Memory that says what the ring says is not the ring.
TEST_F(AioTest, ACopyOfARingIsNotTheContext) {
  const aio_context_t ctx = NewContext();
  alignas(4096) char copy[4096];
  memcpy(copy, reinterpret_cast<const void*>(ctx), sizeof(copy));
  EXPECT_EQ(kernel_.io_getevents(reinterpret_cast<aio_context_t>(copy), 0, 0, nullptr, nullptr), -EINVAL);
  EXPECT_EQ(kernel_.io_getevents(ctx, 0, 0, nullptr, nullptr), 0);
}

// A moved ring leaves a hole, where the client may put something of its own: no later ring may lie there.
TEST_F(AioTest, TheOldPlaceOfAMovedRingIsTheClients) {
  const aio_context_t ctx = NewContext();
  void* const old_place = reinterpret_cast<void*>(ctx);
  const size_t bytes = 4096 * ((reinterpret_cast<aio_ring*>(ctx)->nr * sizeof(io_event) + 32 + 4095) / 4096);
  void* const moved = mremap(old_place, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
                             mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(moved, MAP_FAILED);
  void* const own = mmap(old_place, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  ASSERT_EQ(own, old_place);
  memset(own, 'o', bytes);
  ASSERT_EQ(kernel_.io_destroy(reinterpret_cast<aio_context_t>(moved)), 0);
  EXPECT_NE(NewContext(), ctx);
  EXPECT_EQ(std::string(static_cast<char*>(own), bytes), std::string(bytes, 'o'));
  munmap(own, bytes);
}

// exit_aio kills all contexts before it waits for one: the poll of the second is cancelled while the first still waits
// for its flush.
TEST(AioExitTest, NoContextOutlivesTheWaitForAnother) {
  SeededChooser chooser(1);
  std::string trace;
  TextTraceSink sink([&trace](absl::string_view text) { trace.append(text.data(), text.size()); });
  Machine machine({.chooser = &chooser, .trace_sink = &sink, .host_files = true});
  EmulatedSyscalls kernel(machine);
  const int file = memfd_create("data", 0);
  const int never_ready = eventfd(0, 0);
  aio_context_t contexts[2] = {};
  iocb requests[2] = {NewIocb(IOCB_CMD_FSYNC, file), NewPoll(never_ready, POLLIN)};
  for (int i : {0, 1}) {
    ASSERT_EQ(kernel.io_setup(8, &contexts[i]), 0);
    iocb* batch[] = {&requests[i]};
    ASSERT_EQ(kernel.io_submit(contexts[i], 1, batch), 1);
  }
  machine.ExitAio();
  const size_t cancelled = trace.find("workqueue_execute_start: work=aio_poll_complete_work");
  const size_t flushed = trace.find("block_rq_complete");
  ASSERT_NE(cancelled, std::string::npos) << trace;
  ASSERT_NE(flushed, std::string::npos) << trace;
  EXPECT_LT(cancelled, flushed) << trace;
  close(file);
  close(never_ready);
}

// Runs `child` in a child of fork, and ends it with its result: 0 if all is well, otherwise the place that was wrong.
int InChild(absl::FunctionRef<int()> child) {
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(10);  // for the case that it waits for ever
    _exit(child());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// The parent's read is under way when it forks. The page will never come to the child by that read.
TEST_F(AioTest, AChildReadsAPageThatTheParentWasReading) {
  const int fd = NewFile("hello");
  const aio_context_t ctx = NewContext();
  char buffer[8] = {};
  iocb read = NewIocb(IOCB_CMD_PREAD, fd, buffer, 5);
  iocb* batch[] = {&read};
  ASSERT_EQ(kernel_.io_submit(ctx, 1, batch), 1);
  io_event event;
  EXPECT_EQ(InChild([&] {
              aio_context_t own = 0;
              if (kernel_.io_setup(8, &own) != 0) return 1;
              if (kernel_.io_submit(own, 1, batch) != 1) return 2;
              if (kernel_.io_getevents(own, 1, 1, &event, nullptr) != 1) return 3;
              return event.res == 5 && strcmp(buffer, "hello") == 0 ? 0 : 4;
            }),
            0);
  // The child shares the parent's ring: it must have left it alone.
  timespec no_wait = {0, 0};
  EXPECT_EQ(reinterpret_cast<aio_ring*>(ctx)->tail, 0u);
  Reap(ctx);
  EXPECT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, &no_wait), 0);
}

// The parent's poll waits when it forks. In the child the same file becomes ready for the child's poll only.
TEST_F(AioTest, AChildsPollCompletesAndTheParentsDoesNotCompleteInTheChild) {
  const aio_context_t ctx = NewContext();
  const int fd = NewEventfd();
  iocb poll = NewPoll(fd, POLLIN);
  iocb* batch[] = {&poll};
  ASSERT_EQ(kernel_.io_submit(ctx, 1, batch), 1);
  io_event event;
  EXPECT_EQ(InChild([&] {
              aio_context_t own = 0;
              if (kernel_.io_setup(8, &own) != 0) return 1;
              if (kernel_.io_submit(own, 1, batch) != 1) return 2;
              if (eventfd_write(fd, 1) != 0) return 3;
              if (kernel_.io_getevents(own, 1, 1, &event, nullptr) != 1) return 4;
              return reinterpret_cast<aio_ring*>(ctx)->tail == 0 ? 0 : 5;
            }),
            0);
  EXPECT_EQ(Reap(ctx).res & POLLIN, POLLIN);
}

// The same with a pipe of the model, on which a retried read of the parent waits.
TEST(AioForkTest, TheParentsRetriedReadDoesNotRunInTheChild) {
  SeededChooser chooser(1);
  Machine machine({.chooser = &chooser});
  EmulatedSyscalls kernel(machine);
  aio_context_t ctx = 0;
  ASSERT_EQ(kernel.io_setup(8, &ctx), 0);
  int fds[2];
  ASSERT_EQ(kernel.pipe2(fds, 0), 0);
  char buffer[8] = {};
  iocb read = NewIocb(IOCB_CMD_PREAD, fds[0], buffer, sizeof(buffer));
  iocb* batch[] = {&read};
  ASSERT_EQ(kernel.io_submit(ctx, 1, batch), 1);
  EXPECT_EQ(InChild([&] {
              if (kernel.write(fds[1], "x", 1) != 1) return 1;
              machine.AdvanceTo(machine.NowNs() + 1'000'000);
              if (reinterpret_cast<aio_ring*>(ctx)->tail != 0) return 2;
              if (kernel.read(fds[0], buffer, 1) != 1) return 3;  // nobody has taken it
              // And nobody holds the reading end: the last close breaks the pipe.
              signal(SIGPIPE, SIG_IGN);
              kernel.close(fds[0]);
              return kernel.write(fds[1], "x", 1) == -EPIPE ? 0 : 4;
            }),
            0);
  ASSERT_EQ(kernel.write(fds[1], "y", 1), 1);
  io_event event;
  ASSERT_EQ(kernel.io_getevents(ctx, 1, 1, &event, nullptr), 1);
  EXPECT_EQ(event.res, 1);
}

}  // namespace
}  // namespace aiolab
