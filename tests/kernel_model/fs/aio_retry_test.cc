// What the retry engine promises: no lost kick, one attempt at a time, progress kept, and nobody left behind.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/fs/file_table.h"
#include "kernel_model/machine.h"
#include "tests/kernel_model/fs/new_iocb.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

class RetryTest : public testing::Test {
 protected:
  RetryTest() { EXPECT_EQ(kernel_.io_setup(8, &ctx_), 0); }

  // Puts `filp` into the machine's table of fds.
  int Install(file* filp) {
    Machine::Entry entry(machine_, nullptr);
    return static_cast<ModelFiles&>(machine_.files()).Install(filp, /*close_on_exec=*/false);
  }
  long Submit(iocb& iocb) {
    struct iocb* batch[] = {&iocb};
    return kernel_.io_submit(ctx_, 1, batch);
  }
  int64_t Reap() {
    io_event event;
    EXPECT_EQ(kernel_.io_getevents(ctx_, 1, 1, &event, nullptr), 1);
    return event.res;
  }
  // A file of `pages` pages; none of them is in the page cache but those that the caller reads.
  int NewFile(int pages) {
    const int fd = static_cast<int>(kernel_.openat(AT_FDCWD, "data", O_RDWR | O_CREAT, 0600));
    EXPECT_EQ(kernel_.ftruncate(fd, pages * 4096), 0);
    return fd;
  }

  SeededChooser chooser_{1};
  Machine machine_{{.chooser = &chooser_}};
  EmulatedSyscalls kernel_{machine_};
  aio_context_t ctx_ = 0;
};

// A file whose first two attempts wait, and are kicked before they have returned.
struct ImpatientFile : file {
  wait_queue_head wait;
  int attempts = 0;
  int running = 0;
  int running_max = 0;
};

TEST_F(RetryTest, AKickDuringAnAttemptIsNotLostAndAttemptsDoNotOverlap) {
  static constexpr file_operations kOps = {.read_iter = [](kiocb* iocb, iov_iter* to) -> ssize_t {
    auto& self = *static_cast<ImpatientFile*>(iocb->ki_filp);
    self.running_max = std::max(self.running_max, ++self.running);
    ssize_t result = -EIOCBRETRY;
    if (++self.attempts <= 2) {
      add_wait_queue(self.wait, iocb->ki_wait);
      wake_up_all(self.wait);
    } else {
      result = static_cast<ssize_t>(copy_to_iter("x", 1, to));
    }
    --self.running;
    return result;
  }};
  auto* const impatient = new ImpatientFile;
  impatient->f_op = &kOps;
  impatient->f_mode = FMODE_READ;
  const int fd = Install(get_file(impatient));
  char buffer = 0;
  iocb read = NewIocb(IOCB_CMD_PREAD, fd, &buffer, 1);
  ASSERT_EQ(Submit(read), 1);
  EXPECT_EQ(Reap(), 1);
  EXPECT_EQ(buffer, 'x');
  EXPECT_EQ(impatient->attempts, 3);
  EXPECT_EQ(impatient->running_max, 1);
  Machine::Entry entry(machine_, nullptr);
  fput(impatient);
}

TEST_F(RetryTest, AReadOverPresentAndAbsentPagesMovesEachByteOnce) {
  const int fd = NewFile(6);
  std::string contents;
  for (char page = 'a'; page < 'g'; ++page) contents += std::string(4096, page);
  ASSERT_EQ(kernel_.pwrite64(fd, contents.data(), contents.size(), 0), static_cast<long>(contents.size()));
  for (int round = 0; round < 2; ++round) {
    std::string read_back(contents.size(), '-');
    iocb read = NewIocb(IOCB_CMD_PREAD, fd, read_back.data(), read_back.size() - 10, 5);
    ASSERT_EQ(Submit(read), 1);
    EXPECT_EQ(Reap(), static_cast<int64_t>(contents.size()) - 10);
    EXPECT_EQ(read_back.substr(0, contents.size() - 10), contents.substr(5, contents.size() - 10));
    EXPECT_EQ(read_back.substr(contents.size() - 10), "----------");
  }
}

TEST_F(RetryTest, AFaultAfterProgressGivesTheShortCount) {
  const int fd = NewFile(4);
  auto* const map = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_EQ(munmap(map + 4096, 4096), 0);
  char first_page[4096];
  ASSERT_EQ(kernel_.pread64(fd, first_page, 4096, 0), 4096);  // present; the second is not
  iocb read = NewIocb(IOCB_CMD_PREAD, fd, map, 8192);
  ASSERT_EQ(Submit(read), 1);
  EXPECT_EQ(Reap(), 4096);
  munmap(map, 4096);
}

TEST_F(RetryTest, DestroyWaitsForRetriedRequests) {
  const int fd = NewFile(64);
  const int resfd = static_cast<int>(kernel_.eventfd2(0, 0));
  std::vector<std::string> buffers(64, std::string(4096, '-'));
  aio_context_t ctx = 0;
  ASSERT_EQ(kernel_.io_setup(64, &ctx), 0);
  for (int i = 0; i < 64; ++i) {
    iocb read = NewIocb(IOCB_CMD_PREAD, fd, buffers[static_cast<size_t>(i)].data(), 4096, i * 4096);
    read.aio_flags = IOCB_FLAG_RESFD;
    read.aio_resfd = static_cast<uint32_t>(resfd);
    struct iocb* batch[] = {&read};
    ASSERT_EQ(kernel_.io_submit(ctx, 1, batch), 1);
  }
  ASSERT_EQ(kernel_.close(fd), 0);  // with all of them in flight
  EXPECT_EQ(kernel_.io_destroy(ctx), 0);
  uint64_t completed = 0;
  ASSERT_EQ(kernel_.read(resfd, &completed, sizeof(completed)), 8);
  EXPECT_EQ(completed, 64u);
  for (const std::string& buffer : buffers) EXPECT_EQ(buffer, std::string(4096, '\0'));
}

TEST_F(RetryTest, AMachineMayGoWithRequestsThatWaitForPipes) {
  int fds[2];
  ASSERT_EQ(kernel_.pipe2(fds, 0), 0);
  static char buffer[16][8];
  for (auto& one : buffer) {
    iocb read = NewIocb(IOCB_CMD_PREAD, fds[0], one, sizeof(one));
    if (Submit(read) != 1) break;
  }
  iocb poll = NewPoll(fds[0], POLLIN);
  static_cast<void>(Submit(poll));
}

TEST(MachinesTest, TwoInOneProcessDoNotKnowEachOther) {
  SeededChooser choosers[2] = {SeededChooser(1), SeededChooser(1)};
  Machine machines[2] = {Machine({.chooser = &choosers[0]}), Machine({.chooser = &choosers[1]})};
  EmulatedSyscalls kernels[2] = {EmulatedSyscalls(machines[0]), EmulatedSyscalls(machines[1])};
  aio_context_t ctx[2] = {};
  int fds[2];
  for (int i : {0, 1}) {
    ASSERT_EQ(kernels[i].io_setup(8, &ctx[i]), 0);
    fds[i] = static_cast<int>(kernels[i].openat(AT_FDCWD, "data", O_RDWR | O_CREAT, 0600));
  }
  EXPECT_NE(ctx[0], ctx[1]);
  for (int i : {0, 1}) EXPECT_EQ(kernels[i].io_destroy(ctx[1 - i]), -EINVAL);
  for (int round = 0; round < 50; ++round) {
    for (int i : {0, 1}) {
      iocb fsync = NewIocb(IOCB_CMD_FSYNC, fds[i]);
      iocb* batch[] = {&fsync};
      ASSERT_EQ(kernels[i].io_submit(ctx[i], 1, batch), 1);
    }
    for (int i : {0, 1}) {
      io_event event;
      ASSERT_EQ(kernels[i].io_getevents(ctx[i], 1, 1, &event, nullptr), 1);
    }
  }
  EXPECT_EQ(machines[0].NowNs(), machines[1].NowNs());
}

// One thread only reaps, one only submits.
TEST_F(RetryTest, AThousandTimesOneThreadWaitsForWhatAnotherSubmits) {
  constexpr int kRounds = 1000;
  const int fd = NewFile(kRounds);
  struct Shared {
    RetryTest& test;
    EmulatedSyscalls& kernel;
    aio_context_t ctx;
    int reaped = 0;
    bool failed = false;
  } shared{*this, kernel_, ctx_};
  pthread_t reaper;
  ASSERT_EQ(pthread_create(
                &reaper, nullptr,
                [](void* argument) -> void* {
                  auto& shared = *static_cast<Shared*>(argument);
                  while (shared.reaped < kRounds && !shared.failed) {
                    io_event event;
                    shared.failed =
                        shared.kernel.io_getevents(shared.ctx, 1, 1, &event, nullptr) != 1 || event.res != 4096;
                    ++shared.reaped;
                  }
                  return nullptr;
                },
                &shared),
            0);
  static char buffer[4096];
  alarm(60);  // for the case that it never ends
  for (int i = 0; i < kRounds; ++i) {
    iocb read = NewIocb(IOCB_CMD_PREAD, fd, buffer, sizeof(buffer), i * 4096);
    long result;
    while ((result = Submit(read)) == -EAGAIN) sched_yield();
    ASSERT_EQ(result, 1);
  }
  pthread_join(reaper, nullptr);
  alarm(0);
  EXPECT_FALSE(shared.failed);
  EXPECT_EQ(shared.reaped, kRounds);
}

// In 3.4 a caller of io_getevents runs kicked requests itself, but only if the ring does not hold enough. Method: one
// event is in the ring, and a read is kicked whose worker has not had its turn.
TEST_F(RetryTest, OnlyWhoFindsTooFewEventsRunsKickedRequests) {
  int fds[2];
  ASSERT_EQ(kernel_.pipe2(fds, 0), 0);
  char byte = 0;
  iocb waiting = NewIocb(IOCB_CMD_PREAD, fds[0], &byte, 1);
  ASSERT_EQ(Submit(waiting), 1);
  iocb poll = NewPoll(fds[1], POLLOUT);
  ASSERT_EQ(Submit(poll), 1);
  ASSERT_EQ(kernel_.write(fds[1], "x", 1), 1);
  timespec no_wait = {0, 0};
  io_event event;
  ASSERT_EQ(kernel_.io_getevents(ctx_, 1, 1, &event, &no_wait), 1);
  EXPECT_EQ(event.obj, reinterpret_cast<uint64_t>(&poll));
  EXPECT_EQ(byte, 0);
  ASSERT_EQ(kernel_.io_getevents(ctx_, 1, 1, &event, &no_wait), 1);
  EXPECT_EQ(event.obj, reinterpret_cast<uint64_t>(&waiting));
  EXPECT_EQ(byte, 'x');
}

}  // namespace
}  // namespace aiolab
