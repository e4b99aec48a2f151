#include "tests/conformance/fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace aiolab {
namespace {

constexpr double kCallSecondsMax = 20;
constexpr double kReapSecondsMax = 10;

// How long a thread has to sleep without a break to count as blocked: longer than a wake-up between two locks takes.
constexpr double kBlockedSeconds = 0.03;

std::atomic<int> g_signal_counts[NSIG];
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler counts with it");

void CountSignal(int signo) { ++g_signal_counts[signo]; }

// The one-letter state of a thread (R, S, D, ...), which follows the parenthesised name.
char ThreadState(pid_t tid) {
  std::ifstream file(absl::StrCat("/proc/self/task/", tid, "/stat"));
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= line.size() ? '?' : line[name_end + 2];
}

iocb RequestOf(int fd, unsigned opcode, const void* buf, uint64_t nbytes, int64_t offset) {
  iocb request = {};
  request.aio_fildes = fd;
  request.aio_lio_opcode = opcode;
  request.aio_buf = reinterpret_cast<uintptr_t>(buf);
  request.aio_nbytes = nbytes;
  request.aio_offset = offset;
  return request;
}

}  // namespace

timespec Milliseconds(long ms) {
  timespec duration = {};
  duration.tv_sec = ms / 1000;
  duration.tv_nsec = ms % 1000 * 1000000;
  return duration;
}

double SecondsNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

iocb ReadOf(int fd, absl::Span<char> buf, int64_t offset) {
  return RequestOf(fd, IOCB_CMD_PREAD, buf.data(), buf.size(), offset);
}

iocb WriteOf(int fd, absl::string_view contents, int64_t offset) {
  return RequestOf(fd, IOCB_CMD_PWRITE, contents.data(), contents.size(), offset);
}

iocb ReadvOf(int fd, absl::Span<const iovec> iovs, int64_t offset) {
  return RequestOf(fd, IOCB_CMD_PREADV, iovs.data(), iovs.size(), offset);
}

iocb WritevOf(int fd, absl::Span<const iovec> iovs, int64_t offset) {
  return RequestOf(fd, IOCB_CMD_PWRITEV, iovs.data(), iovs.size(), offset);
}

iocb FsyncOf(int fd) { return RequestOf(fd, IOCB_CMD_FSYNC, nullptr, 0, 0); }

iocb FdsyncOf(int fd) { return RequestOf(fd, IOCB_CMD_FDSYNC, nullptr, 0, 0); }

iocb PollOf(int fd, unsigned events) {
  iocb request = RequestOf(fd, IOCB_CMD_POLL, nullptr, 0, 0);
  request.aio_buf = events;
  return request;
}

iocb WithResfd(iocb request, int resfd) {
  request.aio_flags |= IOCB_FLAG_RESFD;
  request.aio_resfd = resfd;
  return request;
}

iocb WithData(iocb request, uint64_t data) {
  request.aio_data = data;
  return request;
}

aio_ring* RingOf(aio_context_t ctx) { return reinterpret_cast<aio_ring*>(ctx); }

BackgroundCall::BackgroundCall(std::function<long()> call)
    : thread_([this, call = std::move(call)] {
        tid_ = static_cast<pid_t>(syscall(SYS_gettid));
        result_ = call();
        done_ = true;
      }) {}

BackgroundCall::~BackgroundCall() {
  if (thread_.joinable()) Result();
}

void BackgroundCall::WaitUntilBlocked() {
  const double deadline = SecondsNow() + kCallSecondsMax;
  double asleep_since = 0;
  while (SecondsNow() < deadline) {
    if (done_) {
      ADD_FAILURE() << "the call returned " << ResultName(result_) << " instead of blocking";
      return;
    }
    if (tid_ == 0 || ThreadState(tid_) != 'S') {
      asleep_since = 0;
    } else if (asleep_since == 0) {
      asleep_since = SecondsNow();
    } else if (SecondsNow() - asleep_since > kBlockedSeconds) {
      return;
    }
    usleep(1000);
  }
  ADD_FAILURE() << "the call neither blocked nor returned within " << kCallSecondsMax << " s";
}

long BackgroundCall::Result() {
  const double deadline = SecondsNow() + kCallSecondsMax;
  while (!done_ && SecondsNow() < deadline) usleep(200);
  if (!done_) {
    // The thread cannot be stopped, and the test cannot go on beside it: its stack holds what the call points to.
    fprintf(stderr, "%s: a call in a background thread did not return within %.0f s\n",
            testing::UnitTest::GetInstance()->current_test_info()->name(), kCallSecondsMax);
    abort();
  }
  if (thread_.joinable()) thread_.join();
  return result_;
}

void BackgroundCall::Signal(int signo) { pthread_kill(thread_.native_handle(), signo); }

SignalCounter::SignalCounter(int signo, int sa_flags) : signo_(signo) {
  g_signal_counts[signo] = 0;
  struct sigaction action = {};
  action.sa_handler = CountSignal;
  action.sa_flags = sa_flags;
  sigaction(signo, &action, &saved_);
}

SignalCounter::~SignalCounter() { sigaction(signo_, &saved_, nullptr); }

int SignalCounter::count() const {
  // ThreadSanitizer puts handlers off until the thread makes a call that it knows.
  sigset_t unused;
  pthread_sigmask(SIG_BLOCK, nullptr, &unused);
  return g_signal_counts[signo_];
}

BlockedSignal::BlockedSignal(int signo) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  pthread_sigmask(SIG_BLOCK, &set, &saved_);
}

BlockedSignal::~BlockedSignal() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }

PinnedToOneCpu::PinnedToOneCpu() {
  sched_getaffinity(0, sizeof(saved_), &saved_);
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(sched_getcpu(), &here);
  EXPECT_EQ(sched_setaffinity(0, sizeof(here), &here), 0);
}

PinnedToOneCpu::~PinnedToOneCpu() { sched_setaffinity(0, sizeof(saved_), &saved_); }

int ResultInForkedChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(static_cast<unsigned>(kCallSecondsMax));  // a child that hangs fails instead
    _exit(body());
  }
  EXPECT_GT(child, 0);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

AioConformanceTest::AioConformanceTest() : kernel_(GetParam().make_kernel()) {}

AioConformanceTest::~AioConformanceTest() {
  for (aio_context_t ctx : contexts_) aio().io_destroy(ctx);  // -EINVAL if the test did so itself
  for (int fd : fds_) aio().close(fd);
  for (const std::string& path : paths_) aio().unlinkat(AT_FDCWD, path.c_str(), 0);
  for (auto [address, size] : mappings_) munmap(address, size);
}

aio_context_t AioConformanceTest::NewContext(unsigned nr_events) {
  aio_context_t ctx = 0;
  // The limit is system-wide, and another process may be at it for a moment.
  long result = -EAGAIN;
  for (int attempt = 0; attempt < 100 && result == -EAGAIN; ++attempt) {
    if (attempt > 0) usleep(20000);
    result = aio().io_setup(nr_events, &ctx);
  }
  EXPECT_EQ(result, 0) << "io_setup(" << nr_events << "): " << ResultName(result);
  contexts_.push_back(ctx);
  return ctx;
}

unsigned AioConformanceTest::SlotsPerBatch(aio_context_t ctx) {
  return std::max(1u, (RingOf(ctx)->nr - 1) / (GetParam().possible_cpus * 4));
}

unsigned AioConformanceTest::UsableSlots(aio_context_t ctx) {
  const unsigned batch = SlotsPerBatch(ctx);
  return (RingOf(ctx)->nr - 1) / batch * batch;
}

int AioConformanceTest::NewFile(absl::string_view contents) {
  const int fd = Owned(aio().memfd_create("conformance", MFD_CLOEXEC));
  if (!contents.empty()) {
    EXPECT_EQ(aio().pwrite64(fd, contents.data(), contents.size(), 0), static_cast<long>(contents.size()));
  }
  return fd;
}

AioConformanceTest::Pipe AioConformanceTest::NewPipe(int flags) {
  int fds[2] = {-1, -1};
  EXPECT_EQ(aio().pipe2(fds, flags), 0);
  return Pipe{Owned(fds[0]), Owned(fds[1])};
}

int AioConformanceTest::NewEventfd(unsigned initval, int flags) { return Owned(aio().eventfd2(initval, flags)); }

int AioConformanceTest::Open(const std::string& path, int flags) {
  const long fd = aio().openat(AT_FDCWD, path.c_str(), flags, 0600);
  EXPECT_GE(fd, 0) << path << ": " << ResultName(fd);
  return Owned(fd);
}

int AioConformanceTest::Owned(long fd) {
  EXPECT_GE(fd, 0) << ResultName(fd);
  if (fd >= 0) fds_.push_back(static_cast<int>(fd));
  return static_cast<int>(fd);
}

void AioConformanceTest::Close(int fd) {
  EXPECT_EQ(aio().close(fd), 0);
  fds_.erase(std::remove(fds_.begin(), fds_.end(), fd), fds_.end());
}

int AioConformanceTest::ClosedFd() {
  // High up, so that the next file which the test opens does not get the number.
  const long fd = aio().fcntl(NewEventfd(), F_DUPFD_CLOEXEC, 500);
  EXPECT_GE(fd, 500) << ResultName(fd);
  EXPECT_EQ(aio().close(static_cast<int>(fd)), 0);
  return static_cast<int>(fd);
}

std::string AioConformanceTest::NewPathIn(const std::string& dir) {
  static int counter = 0;
  const char* separator = absl::string_view(dir).empty() || dir.back() == '/' ? "" : "/";
  paths_.push_back(absl::StrCat(dir, separator, "aio_conformance_", getpid(), "_", counter++));
  return paths_.back();
}

std::string AioConformanceTest::NewDiskPath() { return NewPathIn(GetParam().disk_dir); }

std::string AioConformanceTest::NewTmpfsPath() { return NewPathIn(GetParam().tmpfs_dir); }

std::string AioConformanceTest::ContentsOf(int fd) {
  std::string contents;
  char buf[8192];
  for (;;) {
    const long got = aio().pread64(fd, buf, sizeof(buf), static_cast<loff_t>(contents.size()));
    EXPECT_GE(got, 0) << ResultName(got);
    if (got <= 0) return contents;
    contents.append(buf, static_cast<size_t>(got));
  }
}

char* AioConformanceTest::Map(size_t pages) {
  const size_t size = pages * kPageSize;
  void* address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(address, MAP_FAILED);
  mappings_.emplace_back(static_cast<char*>(address), size);
  return static_cast<char*>(address);
}

char* AioConformanceTest::InaccessiblePage() {
  char* page = Map(1);
  EXPECT_EQ(mprotect(page, kPageSize, PROT_NONE), 0);
  return page;
}

char* AioConformanceTest::ReadOnlyPage(absl::string_view contents) {
  char* page = Map(1);
  contents.copy(page, kPageSize);
  EXPECT_EQ(mprotect(page, kPageSize, PROT_READ), 0);
  return page;
}

absl::Span<char> AioConformanceTest::PageBeforeHole() {
  char* pages = Map(2);
  EXPECT_EQ(mprotect(pages + kPageSize, kPageSize, PROT_NONE), 0);
  return absl::MakeSpan(pages, kPageSize);
}

absl::Span<char> AioConformanceTest::AlignedBuffer(size_t size) {
  return absl::MakeSpan(Map((size + kPageSize - 1) / kPageSize), size);
}

iocb* AioConformanceTest::ReadOnlyCopyOf(const iocb& request) {
  return reinterpret_cast<iocb*>(
      ReadOnlyPage(absl::string_view(reinterpret_cast<const char*>(&request), sizeof(request))));
}

long AioConformanceTest::SubmitOne(aio_context_t ctx, iocb* request) { return aio().io_submit(ctx, 1, &request); }

unsigned AioConformanceTest::SubmitCopies(aio_context_t ctx, const iocb& request, unsigned count, long* error) {
  for (unsigned taken = 0; taken < count; ++taken) {
    copies_.push_back(std::make_unique<iocb>(request));
    const long result = SubmitOne(ctx, copies_.back().get());
    if (error != nullptr) *error = result;
    if (result != 1) return taken;
  }
  return count;
}

io_event AioConformanceTest::ReapOne(aio_context_t ctx) {
  const std::vector<io_event> events = ReapAll(ctx, 1);
  return events.empty() ? io_event{} : events.front();
}

std::vector<io_event> AioConformanceTest::ReapAll(aio_context_t ctx, size_t count) {
  std::vector<io_event> events(count);
  size_t reaped = 0;
  while (reaped < count) {
    timespec timeout = Milliseconds(static_cast<long>(kReapSecondsMax * 1000));
    const long wanted = static_cast<long>(count - reaped);
    const long got = aio().io_getevents(ctx, wanted, wanted, events.data() + reaped, &timeout);
    EXPECT_GT(got, 0) << "after " << reaped << " of " << count << " events, io_getevents: " << ResultName(got);
    if (got <= 0) break;
    reaped += static_cast<size_t>(got);
  }
  events.resize(reaped);
  return events;
}

long AioConformanceTest::ResultOf(aio_context_t ctx, iocb* request) {
  const long submitted = SubmitOne(ctx, request);
  EXPECT_EQ(submitted, 1) << "io_submit: " << ResultName(submitted);
  if (submitted != 1) return -EREMOTEIO;  // which no test expects
  const io_event event = ReapOne(ctx);
  EXPECT_THAT(event, IsEvent(request, static_cast<long>(event.res)));
  return static_cast<long>(event.res);
}

void AioConformanceTest::WaitForEvents(aio_context_t ctx, unsigned count) {
  const aio_ring* ring = RingOf(ctx);
  const double deadline = SecondsNow() + kReapSecondsMax;
  while (SecondsNow() < deadline) {
    const uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    if ((tail + ring->nr - ring->head) % ring->nr >= count) return;
    // A call which takes nothing, since a kernel that lives in this process gets on only while it is called.
    EXPECT_EQ(aio().io_getevents(ctx, 0, 0, nullptr, nullptr), 0);
    usleep(100);
  }
  ADD_FAILURE() << "the ring did not fill up to " << count << " events within " << kReapSecondsMax << " s";
}

long AioConformanceTest::Poll(aio_context_t ctx, long nr) {
  std::vector<io_event> events(static_cast<size_t>(nr));
  timespec at_once = {};
  return aio().io_getevents(ctx, 0, nr, events.data(), &at_once);
}

int64_t AioConformanceTest::TakeCount(int eventfd) {
  pollfd readable = {eventfd, POLLIN, 0};
  timespec at_once = {};
  if (aio().ppoll(&readable, 1, &at_once, nullptr, 0) == 0) return -EAGAIN;
  uint64_t count = 0;
  EXPECT_EQ(aio().read(eventfd, &count, sizeof(count)), 8);
  return static_cast<int64_t>(count);
}

}  // namespace aiolab
