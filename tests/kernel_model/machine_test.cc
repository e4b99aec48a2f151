#include "kernel_model/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "tests/kernel_model/fs/new_iocb.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr size_t kBlock = 4096;

// A file of the host with 32 blocks, two of each letter, and a machine that serves it. Every second block is read, so
// that no two reads merge.
class MachineTest : public testing::Test {
 protected:
  MachineTest() {
    std::string path = testing::TempDir() + "/machine_test_XXXXXX";
    fd_ = mkstemp(path.data());
    unlink(path.c_str());
    std::string contents;
    for (int i = 0; i < 16; ++i) contents += std::string(2 * kBlock, static_cast<char>('a' + i));
    EXPECT_EQ(write(fd_, contents.data(), contents.size()), static_cast<ssize_t>(contents.size()));
  }
  ~MachineTest() override { close(fd_); }

  // Reads 16 blocks in one io_submit under `options`, and returns the trace. `order` gets the blocks as they came back.
  std::string ReadAllBlocks(MachineOptions options, std::vector<uint64_t>* order = nullptr) {
    std::string text;
    TextTraceSink sink([&text](absl::string_view lines) { text.append(lines.data(), lines.size()); });
    options.trace_sink = &sink;
    options.host_files = true;
    Machine machine(options);
    EmulatedSyscalls kernel(machine);
    aio_context_t ctx = 0;
    EXPECT_EQ(kernel.io_setup(32, &ctx), 0);
    std::vector<std::string> buffers(16, std::string(kBlock, '-'));
    iocb iocbs[16] = {};
    iocb* batch[16];
    for (int i = 0; i < 16; ++i) {
      iocbs[i].aio_lio_opcode = IOCB_CMD_PREAD;
      iocbs[i].aio_fildes = static_cast<uint32_t>(fd_);
      iocbs[i].aio_buf = reinterpret_cast<uint64_t>(buffers[i].data());
      iocbs[i].aio_nbytes = kBlock;
      iocbs[i].aio_offset = 2 * i * static_cast<int64_t>(kBlock);
      iocbs[i].aio_data = static_cast<uint64_t>(i);
      batch[i] = &iocbs[i];
    }
    EXPECT_EQ(kernel.io_submit(ctx, 16, batch), 16);
    io_event events[16];
    const long reaped = kernel.io_getevents(ctx, 16, 16, events, nullptr);
    result_ = reaped;
    for (long i = 0; i < reaped; ++i) {
      EXPECT_EQ(events[i].res, static_cast<int64_t>(kBlock));
      EXPECT_EQ(buffers[events[i].data], std::string(kBlock, static_cast<char>('a' + events[i].data)));
      if (order != nullptr) order->push_back(events[i].data);
    }
    EXPECT_EQ(kernel.io_destroy(ctx), reaped == 16 ? 0 : -EDEADLK);
    machine.trace().Flush();
    return text;
  }

  int fd_;
  long result_ = 0;
};

TEST_F(MachineTest, TheSameSeedGivesTheSameTraceAndAnotherSeedAnotherOrder) {
  SeededChooser seven(7), seven_again(7), eight(8);
  std::vector<uint64_t> order_seven, order_eight;
  const std::string first = ReadAllBlocks({.chooser = &seven}, &order_seven);
  const std::string second = ReadAllBlocks({.chooser = &seven_again});
  const std::string other = ReadAllBlocks({.chooser = &eight}, &order_eight);
  EXPECT_EQ(first, second);
  EXPECT_NE(order_seven, order_eight);
  EXPECT_THAT(first, HasSubstr("aio_setup: ctx=1"));
  EXPECT_THAT(first, HasSubstr("ret=-EIOCBRETRY"));
  EXPECT_THAT(first, HasSubstr("kick_iocb: req=3"));
  EXPECT_THAT(first, HasSubstr("block_unplug: dev=259,0 comm=client/1 nr=16"));
}

TEST_F(MachineTest, AReplayOfARecordingGivesTheSameTrace) {
  SeededChooser seven(7);
  const std::string first = ReadAllBlocks({.chooser = &seven});
  ReplayChooser replay(seven.recording(), [](const std::string& why) { ADD_FAILURE() << why; });
  EXPECT_EQ(ReadAllBlocks({.chooser = &replay}), first);
  EXPECT_TRUE(replay.finished());
}

TEST_F(MachineTest, MainlineReadsInsideSubmitWithoutRetries) {
  SeededChooser chooser(7);
  const std::string trace = ReadAllBlocks({.chooser = &chooser, .profile = FindProfile("mainline")});
  EXPECT_THAT(trace, Not(HasSubstr("EIOCBRETRY")));
  EXPECT_EQ(result_, 16);
}

TEST_F(MachineTest, TheDiskIsAnOption) {
  SeededChooser chooser(7), other(7);
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk("ssd,size=1G,depth=4");
  ASSERT_TRUE(disk.ok()) << disk.status();
  EXPECT_THAT(ReadAllBlocks({.chooser = &chooser}), Not(HasSubstr("block_rq_insert")));
  EXPECT_THAT(ReadAllBlocks({.chooser = &other, .disk = *disk}), HasSubstr("block_rq_insert"));
  EXPECT_EQ(result_, 16);
}

// A direct request belongs to its device once it is submitted: it is never retried, and completes in an interrupt.
TEST(DirectIoTest, ADirectRequestOfAMemoryFileCompletesFromTheDevice) {
  std::string text;
  TextTraceSink sink([&text](absl::string_view lines) { text.append(lines.data(), lines.size()); });
  SeededChooser chooser(7);
  Machine machine({.chooser = &chooser, .trace_sink = &sink});
  EmulatedSyscalls kernel(machine);
  const long fd = kernel.openat(AT_FDCWD, "/tmp/data", O_CREAT | O_RDWR | O_DIRECT, 0600);
  aio_context_t ctx = 0;
  ASSERT_EQ(kernel.io_setup(8, &ctx), 0);
  std::string written(kBlock, 'w'), read(kBlock, '-');
  for (std::string* buffer : {&written, &read}) {
    const uint16_t opcode = buffer == &written ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
    iocb request = NewIocb(opcode, static_cast<int>(fd), buffer->data(), kBlock);
    iocb* batch[] = {&request};
    ASSERT_EQ(kernel.io_submit(ctx, 1, batch), 1);
    io_event event;
    timespec no_wait = {0, 0};
    EXPECT_EQ(kernel.io_getevents(ctx, 1, 1, &event, &no_wait), 0);
    ASSERT_EQ(kernel.io_getevents(ctx, 1, 1, &event, nullptr), 1);
    EXPECT_EQ(event.res, static_cast<int64_t>(kBlock));
  }
  EXPECT_EQ(read, written);
  machine.trace().Flush();
  EXPECT_THAT(text, HasSubstr("aio_run_iocb: req=1 attempt=1 ret=-EIOCBQUEUED"));
  EXPECT_THAT(text, HasSubstr("irq 0 aio_complete: ctx=1 req=2"));
  EXPECT_THAT(text, Not(HasSubstr("EIOCBRETRY")));
}

// Time never goes back, and a client that spins on the clock gets on: a second of it takes no million looks.
TEST(ClockTest, AClientThatSpinsOnTheClockGetsOn) {
  SeededChooser chooser(7);
  Machine machine({.chooser = &chooser});
  int64_t last_ns = 0;
  int looks = 0;
  while (last_ns < 1'000'000'000 && looks < 1'000'000) {
    const int64_t now_ns = machine.LookAtClock();
    ASSERT_GT(now_ns, last_ns);
    last_ns = now_ns;
    ++looks;
  }
  EXPECT_LT(looks, 200'000);
  // After a system call a look is cheap again.
  EmulatedSyscalls kernel(machine);
  kernel.eventfd2(0, 0);
  const int64_t before_ns = machine.LookAtClock();
  EXPECT_LT(machine.LookAtClock() - before_ns, 1000);
}

// What lies in the plug cannot complete before blk_finish_plug; a plug that is never flushed is a hang, and is reported
// as one.
TEST_F(MachineTest, APlugThatIsNeverFlushedIsFoundAsAHang) {
  SeededChooser chooser(7);
  std::string finding;
  ReadAllBlocks({.chooser = &chooser,
                 .bug = SeededBug::kPlugNeverFlushed,
                 .on_stuck = [&finding](const std::string& found, bool certain) {
                   EXPECT_TRUE(certain);
                   if (finding.empty()) finding = found;
                   return true;
                 }});
  EXPECT_EQ(result_, -EDEADLK);
  EXPECT_THAT(finding,
              HasSubstr("request 1 of context 1 (PREAD of file 1 at 0, 4096 bytes to go, attempt 1) waits for a page"));
}

TEST_F(MachineTest, ALostKickIsFoundAsAHang) {
  int found_hangs = 0;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SeededChooser chooser(seed);
    ReadAllBlocks({.chooser = &chooser,
                   .bug = SeededBug::kLostKick,
                   .on_stuck = [&found_hangs](const std::string& finding, bool) {
                     EXPECT_THAT(finding, HasSubstr("waits for a page of its file"));
                     ++found_hangs;
                     return true;
                   }});
  }
  EXPECT_GT(found_hangs, 0);
}

// A signal handler may run while the model does an interrupt's or a worker's work on the client's stack: it is the
// client whose sleep ends.
struct RaiseInWorker : TraceSink {
  void OnEvent(const TraceEvent& event) override {
    if (event.name == "workqueue_execute_start") raise(SIGUSR1);
  }
};
TEST_F(MachineTest, ASignalDuringAWorkersTurnEndsTheClientsSleep) {
  struct sigaction action = {};
  action.sa_handler = [](int) { Machine::InterruptCurrent(); };
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  SeededChooser chooser(7);
  RaiseInWorker sink;
  Machine machine({.chooser = &chooser,
                   .trace_sink = &sink,
                   .host_files = true,
                   .on_stuck = [](const std::string&, bool) { return true; },
                   .patience_alone = {.tell_ns = 100'000'000}});
  EmulatedSyscalls kernel(machine);
  aio_context_t ctx = 0;
  ASSERT_EQ(kernel.io_setup(8, &ctx), 0);
  iocb fsync = NewIocb(IOCB_CMD_FSYNC, fd_);
  iocb* batch[] = {&fsync};
  ASSERT_EQ(kernel.io_submit(ctx, 1, batch), 1);
  io_event events[2];
  // Two events are wanted, and there will be one: the signal brings it back, at once.
  EXPECT_EQ(kernel.io_getevents(ctx, 2, 2, events, nullptr), -EINTR);
  machine.ClearInterrupt();
}

// A thread is a client of every machine that it has called, not only of the last.
TEST(MachineClientTest, AThreadIsAClientOfTwoMachines) {
  SeededChooser choosers[2] = {SeededChooser(1), SeededChooser(2)};
  Machine first({.chooser = &choosers[0]});
  Machine second({.chooser = &choosers[1]});
  EXPECT_FALSE(first.IsClientThread());
  first.LookAtClock();
  second.LookAtClock();
  EXPECT_TRUE(first.IsClientThread());
  EXPECT_TRUE(second.IsClientThread());
  bool other_is_client = true;
  std::thread other([&] { other_is_client = first.IsClientThread(); });
  other.join();
  EXPECT_FALSE(other_is_client);
}

// One thread runs the model, and another asks what time it is: for ThreadSanitizer.
TEST(MachineClientTest, TheClockCanBeReadFromAnyThread) {
  SeededChooser chooser(1);
  Machine machine({.chooser = &chooser});
  std::atomic<bool> over{false};
  bool went_back = false;
  std::thread other([&] {
    int64_t last_ns = 0;
    while (!over) {
      const int64_t now_ns = machine.NowNs();
      went_back = went_back || now_ns < last_ns;
      last_ns = now_ns;
      static_cast<void>(machine.has_events());
      static_cast<void>(machine.entries());
      static_cast<void>(machine.had_several_threads());
    }
  });
  for (int i = 0; i < 1000; ++i) machine.LookAtClock();
  over = true;
  other.join();
  EXPECT_FALSE(went_back);
  EXPECT_EQ(machine.entries(), 1000u);
}

// One thread sleeps in the host's ppoll, where the model has nothing for it yet. Another submits what will wake it, and
// then waits for that thread, outside the model: the sleeper has to run it.
TEST_F(MachineTest, AThreadAsleepOnTheHostRunsWhatAnotherLeavesBehind) {
  SeededChooser chooser(1);
  Machine machine({.chooser = &chooser, .host_files = true});
  EmulatedSyscalls kernel(machine);
  aio_context_t ctx = 0;
  ASSERT_EQ(kernel.io_setup(8, &ctx), 0);
  const int done = eventfd(0, 0);
  alarm(20);  // for the case that nobody wakes it
  std::atomic<long> ready{-1};
  std::thread sleeper([&] {
    pollfd poll = {done, POLLIN, 0};
    ready = kernel.ppoll(&poll, 1, nullptr, nullptr, 0);
  });
  const timespec until_it_sleeps = {0, 20'000'000};
  nanosleep(&until_it_sleeps, nullptr);
  iocb fsync = NewIocb(IOCB_CMD_FSYNC, fd_);
  fsync.aio_flags = IOCB_FLAG_RESFD;
  fsync.aio_resfd = static_cast<uint32_t>(done);
  iocb* batch[] = {&fsync};
  EXPECT_EQ(kernel.io_submit(ctx, 1, batch), 1);
  sleeper.join();
  alarm(0);
  EXPECT_EQ(ready, 1);
  close(done);
}

TEST_F(MachineTest, KnowsWhetherAClientSleptUntilSomethingCameFromOutside) {
  SeededChooser chooser(1);
  Machine machine({.chooser = &chooser, .host_files = true});
  EmulatedSyscalls kernel(machine);
  const int event = eventfd(0, 0);
  pollfd poll = {event, POLLIN, 0};
  timespec timeout = {0, 1'000'000};
  EXPECT_EQ(kernel.ppoll(&poll, 1, &timeout, nullptr, 0), 0);
  EXPECT_FALSE(machine.waited_for_outside());

  std::thread outside([&] {
    const timespec until_it_sleeps = {0, 20'000'000};
    nanosleep(&until_it_sleeps, nullptr);
    eventfd_write(event, 1);
  });
  alarm(20);  // for the case that nothing wakes it
  EXPECT_EQ(kernel.ppoll(&poll, 1, nullptr, nullptr, 0), 1);
  alarm(0);
  outside.join();
  EXPECT_TRUE(machine.waited_for_outside());
  close(event);
}

}  // namespace
}  // namespace aiolab
