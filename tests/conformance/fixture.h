// The conformance suite: what the real kernel and the emulated one have to agree on, one behaviour per test.
//
// Every test was seen to pass on the real kernel (6.18) first. It talks to its kernel through Syscalls alone, with the
// kernel's convention (>= 0 or -errno); only what belongs to the process and not to AIO (memory, signals, limits,
// threads, fork) is asked of the host directly. Files are memfds unless a test is about a path, a disk or a device.
//
//   using IoSubmitTest = AioConformanceTest;
//   INSTANTIATE_ON_ALL_BACKENDS(IoSubmitTest);
//
//   TEST_P(IoSubmitTest, AReadOfAClosedFdIsEbadf) {
//     const aio_context_t ctx = NewContext(/*nr_events=*/8);
//     char buf[512];
//     iocb read = ReadOf(ClosedFd(), absl::MakeSpan(buf));
//     EXPECT_THAT(SubmitOne(ctx, &read), FailsWith(EBADF));   // an error of io_submit
//   }
//
//   EXPECT_EQ(ResultOf(ctx, &read), 512);                     // submitted, reaped: the event's res
//
// House rules:
// - A test may not assume that a request is complete when io_submit returns: it waits (ReapOne, ReapAll, ResultOf,
//   WaitForEvents). Tests about synchronous completion stand in synchronous_test.cc.
// - Where two errors meet, a test says which one wins: order_test.cc.
// - Which tests an emulated backend does not pass yet: known_differences.cc.
#ifndef TESTS_CONFORMANCE_FIXTURE_H_
#define TESTS_CONFORMANCE_FIXTURE_H_

#include <sched.h>
#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/backend.h"
#include "tests/conformance/matchers.h"
#include "uapi/aio_abi.h"
#include "uapi/syscalls.h"

// Tests of `suite` get names such as IoSubmitTest.AReadOfAClosedFdIsEbadf/host.
#define INSTANTIATE_ON_ALL_BACKENDS(suite)                                      \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(::aiolab::AllBackends()), \
                           [](const testing::TestParamInfo<::aiolab::Backend>& info) { return info.param.name; })

namespace aiolab {

inline constexpr size_t kPageSize = 4096;

timespec Milliseconds(long ms);
double SecondsNow();  // CLOCK_MONOTONIC of the host

// A request with every field zero but those named. The memory behind spans and iovecs stays the caller's.
iocb ReadOf(int fd, absl::Span<char> buf, int64_t offset = 0);
iocb WriteOf(int fd, absl::string_view contents, int64_t offset = 0);
iocb ReadvOf(int fd, absl::Span<const iovec> iovs, int64_t offset = 0);
iocb WritevOf(int fd, absl::Span<const iovec> iovs, int64_t offset = 0);
iocb FsyncOf(int fd);
iocb FdsyncOf(int fd);
iocb PollOf(int fd, unsigned events);
iocb WithResfd(iocb request, int resfd);
iocb WithData(iocb request, uint64_t data);

aio_ring* RingOf(aio_context_t ctx);

// The first address of a 64-bit kernel's own half on x86-64, where no client has memory.
inline char* KernelAddress() { return reinterpret_cast<char*>(0xffff800000000000); }

// One call in a thread of its own. Joined when it dies; a call that does not return within 20 s ends the process.
class BackgroundCall {
 public:
  explicit BackgroundCall(std::function<long()> call);
  ~BackgroundCall();
  BackgroundCall(const BackgroundCall&) = delete;
  BackgroundCall& operator=(const BackgroundCall&) = delete;

  // Returns when the thread has slept for a while in its call. It is an error of the test if the call returns first.
  void WaitUntilBlocked();

  bool done() const { return done_; }

  // Waits for the call and returns its result.
  long Result();

  // Sends `signo` to that thread.
  void Signal(int signo);

 private:
  std::atomic<pid_t> tid_{0};
  std::atomic<bool> done_{false};
  long result_ = 0;
  std::thread thread_;
};

// Counts how often `signo` is handled, while it lives.
class SignalCounter {
 public:
  explicit SignalCounter(int signo, int sa_flags = 0);
  ~SignalCounter();
  int count() const;

 private:
  const int signo_;
  struct sigaction saved_;
};

// Blocks `signo` in the calling thread, while it lives.
class BlockedSignal {
 public:
  explicit BlockedSignal(int signo);
  ~BlockedSignal();

 private:
  sigset_t saved_;
};

// Keeps the calling thread on one CPU, while it lives: completion slots are handed out per CPU.
class PinnedToOneCpu {
 public:
  PinnedToOneCpu();
  ~PinnedToOneCpu();

 private:
  cpu_set_t saved_;
};

// Runs `body` in a forked child and returns its result, which has to be 0..255; -1 if a signal ended the child.
int ResultInForkedChild(const std::function<int()>& body);

class AioConformanceTest : public testing::TestWithParam<Backend> {
 protected:
  AioConformanceTest();
  ~AioConformanceTest() override;

  Syscalls& aio() { return *kernel_; }

  // A context that is destroyed after the test.
  aio_context_t NewContext(unsigned nr_events);

  // How many requests a thread that stays on one CPU can have in flight in `ctx`.
  //
  // Mirrors: req_batch in ioctx_alloc(): slots are handed to CPUs in whole batches of this size.
  unsigned SlotsPerBatch(aio_context_t ctx);
  unsigned UsableSlots(aio_context_t ctx);

  // Fds that are closed after the test.
  struct Pipe {
    int read_fd;
    int write_fd;
  };
  int NewFile(absl::string_view contents = "");  // a memfd, open for reading and writing
  Pipe NewPipe(int flags = 0);
  int NewEventfd(unsigned initval = 0, int flags = 0);
  int Open(const std::string& path, int flags);  // the file has to open
  int Owned(long fd);                            // takes over `fd`, which has to be one
  void Close(int fd);
  int ClosedFd();  // a number that names no file

  // A name in the backend's folder with the rules of a disk, or of tmpfs. The file is unlinked after the test.
  std::string NewDiskPath();
  std::string NewTmpfsPath();

  std::string ContentsOf(int fd);

  // Memory that is unmapped after the test.
  char* InaccessiblePage();                             // PROT_NONE
  char* ReadOnlyPage(absl::string_view contents = "");  // the rest is zero
  absl::Span<char> PageBeforeHole();                    // writable; the page behind it is PROT_NONE
  absl::Span<char> AlignedBuffer(size_t size);          // page-aligned
  iocb* ReadOnlyCopyOf(const iocb& request);            // which the kernel can read, but not write

  long SubmitOne(aio_context_t ctx, iocb* request);

  // Submits copies of `request` which stay alive as long as the test, one by one, until one fails or `count` are taken.
  // Returns how many; `*error`, if given, is the result of the last call.
  unsigned SubmitCopies(aio_context_t ctx, const iocb& request, unsigned count, long* error = nullptr);

  // Waits for events, for 10 s at most, and takes them out of the ring.
  io_event ReapOne(aio_context_t ctx);
  std::vector<io_event> ReapAll(aio_context_t ctx, size_t count);

  // Submits `request`, waits for its event and returns the event's res.
  long ResultOf(aio_context_t ctx, iocb* request);

  // Waits until the ring holds `count` events, and leaves them there.
  void WaitForEvents(aio_context_t ctx, unsigned count);

  // io_getevents without waiting: how many it could take of at most `nr`.
  long Poll(aio_context_t ctx, long nr = 1);

  // The count of an eventfd, which becomes 0; -EAGAIN if it is 0.
  int64_t TakeCount(int eventfd);

 private:
  char* Map(size_t pages);
  std::string NewPathIn(const std::string& dir);

  std::unique_ptr<Syscalls> kernel_;
  std::vector<aio_context_t> contexts_;
  std::vector<int> fds_;
  std::vector<std::string> paths_;
  std::vector<std::pair<char*, size_t>> mappings_;
  std::vector<std::unique_ptr<iocb>> copies_;
};

}  // namespace aiolab

#endif  // TESTS_CONFORMANCE_FIXTURE_H_
