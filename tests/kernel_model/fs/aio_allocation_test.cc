// A request needs no memory of its own once the model has seen as many in flight before: no call of operator new, for
// any kind of request, from io_submit to io_getevents.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "tests/kernel_model/count_allocations.h"
#include "tests/kernel_model/fs/new_iocb.h"

namespace aiolab {
namespace {

constexpr int kBatch = 4;  // enough for a plug
constexpr int kPages = 64;
constexpr int kWarmUpRounds = 500;
constexpr int kRounds = 1000 / kBatch;

enum class Files { kModel, kHost };

class AioAllocationTest : public testing::TestWithParam<Files> {
 protected:
  void SetUp() override {
    chooser_.ReserveRecording(1 << 20);
    ASSERT_EQ(kernel_.io_setup(kBatch, &ctx_), 0);
    file_ = NewFile(O_RDWR);
    direct_ = NewFile(O_RDWR | O_DIRECT);
    eventfd_ = static_cast<int>(kernel_.eventfd2(0, 0));
    ASSERT_GE(eventfd_, 0);
    ASSERT_EQ(kernel_.pipe2(pipe_, 0), 0);
  }

  int NewFile(int flags) {
    const std::string directory = GetParam() == Files::kHost ? testing::TempDir() + "/" : "";
    const std::string path = directory + "aio_allocation_test" + std::to_string(flags);
    const int fd = static_cast<int>(kernel_.openat(AT_FDCWD, path.c_str(), flags | O_CREAT | O_TRUNC, 0600));
    EXPECT_GE(fd, 0) << path;
    EXPECT_EQ(kernel_.unlinkat(AT_FDCWD, path.c_str(), 0), 0);
    EXPECT_EQ(kernel_.ftruncate(fd, kPages * 4096), 0);
    return fd;
  }

  // Page `page` of the file, modulo its size.
  iocb PageRequest(uint16_t opcode, int fd, int page) {
    return NewIocb(opcode, fd, buffer_, sizeof(buffer_), int64_t{page % kPages} * 4096);
  }

  // How often memory is asked for while so many rounds run. `new_iocb(i)` makes the i-th request; `meanwhile` runs
  // between the submission of a batch and its reaping, `afterwards` behind it.
  template <typename NewRequest, typename Meanwhile, typename Afterwards>
  uint64_t Count(int rounds, NewRequest new_iocb, int64_t expected, Meanwhile meanwhile, Afterwards afterwards) {
    const uint64_t before = Allocations();
    for (int round = 0; round < rounds; ++round) {
      std::array<iocb, kBatch> requests;
      std::array<iocb*, kBatch> batch;
      for (int i = 0; i < kBatch; ++i) {
        requests[i] = new_iocb(round * kBatch + i);
        batch[i] = &requests[i];
      }
      std::array<io_event, kBatch> events;
      if (kernel_.io_submit(ctx_, kBatch, batch.data()) != kBatch) ADD_FAILURE() << "io_submit";
      meanwhile();
      if (kernel_.io_getevents(ctx_, kBatch, kBatch, events.data(), nullptr) != kBatch) ADD_FAILURE() << "io_getevents";
      for (const io_event& event : events) {
        if (event.res != expected) ADD_FAILURE() << "the result is " << event.res << ", not " << expected;
      }
      afterwards();
    }
    return Allocations() - before;
  }

  template <typename NewRequest, typename Meanwhile, typename Afterwards>
  void ExpectNoAllocation(NewRequest new_iocb, int64_t expected, Meanwhile meanwhile, Afterwards afterwards) {
    Count(kWarmUpRounds, new_iocb, expected, meanwhile, afterwards);
    EXPECT_EQ(Count(kRounds, new_iocb, expected, meanwhile, afterwards), 0u);
  }
  template <typename NewRequest>
  void ExpectNoAllocation(NewRequest new_iocb, int64_t expected) {
    ExpectNoAllocation(
        new_iocb, expected, [] {}, [] {});
  }

  SeededChooser chooser_{1};
  Machine machine_{{.chooser = &chooser_, .host_files = GetParam() == Files::kHost}};
  EmulatedSyscalls kernel_{machine_};
  aio_context_t ctx_ = 0;
  int file_ = -1;
  int direct_ = -1;
  int eventfd_ = -1;
  int pipe_[2] = {-1, -1};
  alignas(4096) char buffer_[4096] = {};
};

INSTANTIATE_TEST_SUITE_P(All, AioAllocationTest, testing::Values(Files::kModel, Files::kHost), [](const auto& info) {
  return info.param == Files::kModel ? "files_of_the_model" : "files_of_the_host";
});

// The counter counts: a test that could not fail would prove nothing.
TEST_P(AioAllocationTest, AnAllocationIsCounted) {
  const uint64_t before = Allocations();
  const auto number = std::make_unique<int>(GetParam() == Files::kModel ? 1 : 2);
  EXPECT_GT(Allocations(), before) << *number;
}

TEST_P(AioAllocationTest, AReadOfACachedPageAllocatesNothing) {
  ExpectNoAllocation([&](int i) { return PageRequest(IOCB_CMD_PREAD, file_, i); }, 4096);
}

// The files of the model have no cache that can be dropped yet.
class AioHostAllocationTest : public AioAllocationTest {};
INSTANTIATE_TEST_SUITE_P(All, AioHostAllocationTest, testing::Values(Files::kHost));

TEST_P(AioHostAllocationTest, AReadThatIsRetriedBecauseItsPageIsAbsentAllocatesNothing) {
  ExpectNoAllocation([&](int i) { return PageRequest(IOCB_CMD_PREAD, file_, i); }, 4096, [] {},
                     [&] { machine_.DropCaches(); });
  EXPECT_GT(machine_.kernel().stats.retries, 1000u);
}

// Of the four, one at a time gets the byte, and the others go on waiting.
TEST_P(AioAllocationTest, AReadThatIsRetriedBecauseItsPipeIsEmptyAllocatesNothing) {
  const auto write_one_each = [&] {
    for (int i = 0; i < kBatch; ++i) EXPECT_EQ(kernel_.write(pipe_[1], "x", 1), 1);
  };
  ExpectNoAllocation([&](int) { return NewIocb(IOCB_CMD_PREAD, pipe_[0], buffer_, 1); }, 1, write_one_each, [] {});
  EXPECT_GT(machine_.kernel().stats.retries, 1000u);
}

TEST_P(AioAllocationTest, ADirectReadAllocatesNothing) {
  ExpectNoAllocation([&](int i) { return PageRequest(IOCB_CMD_PREAD, direct_, i); }, 4096);
}

TEST_P(AioAllocationTest, ADirectWriteAllocatesNothing) {
  ExpectNoAllocation([&](int i) { return PageRequest(IOCB_CMD_PWRITE, direct_, i); }, 4096);
}

TEST_P(AioAllocationTest, AWriteAllocatesNothing) {
  ExpectNoAllocation([&](int i) { return PageRequest(IOCB_CMD_PWRITE, file_, i); }, 4096);
}

TEST_P(AioAllocationTest, AVectoredReadAllocatesNothing) {
  iovec segments[2] = {{buffer_, 1024}, {buffer_ + 1024, 1024}};
  ExpectNoAllocation([&](int) { return NewIocb(IOCB_CMD_PREADV, file_, segments, 2); }, 2048);
}

TEST_P(AioAllocationTest, AnFsyncAllocatesNothing) {
  ExpectNoAllocation([&](int) { return NewIocb(IOCB_CMD_FSYNC, file_); }, 0);
}

TEST_P(AioAllocationTest, APollThatWaitsAllocatesNothing) {
  // A file of the model says all that its wake-up means.
  const int64_t expected = GetParam() == Files::kModel ? POLLIN | POLLRDNORM : POLLIN;
  char byte;
  ExpectNoAllocation([&](int) { return NewPoll(pipe_[0], POLLIN); }, expected,
                     [&] { EXPECT_EQ(kernel_.write(pipe_[1], "x", 1), 1); },
                     [&] { EXPECT_EQ(kernel_.read(pipe_[0], &byte, 1), 1); });
}

TEST_P(AioAllocationTest, TheSignalOfAnEventfdAllocatesNothing) {
  const auto with_resfd = [&](int i) {
    iocb request = PageRequest(IOCB_CMD_PREAD, file_, i);
    request.aio_flags = IOCB_FLAG_RESFD;
    request.aio_resfd = static_cast<uint32_t>(eventfd_);
    return request;
  };
  const auto read_eventfd = [&] {
    uint64_t count = 0;
    EXPECT_EQ(kernel_.read(eventfd_, &count, sizeof(count)), 8);
    EXPECT_EQ(count, uint64_t{kBatch});
  };
  ExpectNoAllocation(
      with_resfd, 4096, [] {}, read_eventfd);
}

}  // namespace
}  // namespace aiolab
