// A batch of iocbs, from io_submit to the disk.
#include <fcntl.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"

namespace aiolab {
namespace {

constexpr int kRequests = 32;
constexpr size_t kBlock = 4096;

// Writes 32 blocks with one io_submit, `stride` blocks apart; returns how many requests the disk got.
uint64_t RequestsOfABatch(int64_t stride) {
  SeededChooser chooser(7);
  Machine machine({.chooser = &chooser});
  EmulatedSyscalls kernel(machine);
  const long fd = kernel.openat(AT_FDCWD, "/tmp/data", O_CREAT | O_RDWR | O_DIRECT, 0600);
  aio_context_t ctx = 0;
  EXPECT_EQ(kernel.io_setup(kRequests, &ctx), 0);
  std::vector<std::string> buffers;
  for (int i = 0; i < kRequests; ++i) buffers.emplace_back(kBlock, static_cast<char>('a' + i));
  iocb iocbs[kRequests] = {};
  iocb* batch[kRequests];
  for (int i = 0; i < kRequests; ++i) {
    iocbs[i].aio_lio_opcode = IOCB_CMD_PWRITE;
    iocbs[i].aio_fildes = static_cast<uint32_t>(fd);
    iocbs[i].aio_buf = reinterpret_cast<uint64_t>(buffers[static_cast<size_t>(i)].data());
    iocbs[i].aio_nbytes = kBlock;
    iocbs[i].aio_offset = i * stride * static_cast<int64_t>(kBlock);
    batch[i] = &iocbs[i];
  }
  EXPECT_EQ(kernel.io_submit(ctx, kRequests, batch), kRequests);
  io_event events[kRequests];
  EXPECT_EQ(kernel.io_getevents(ctx, kRequests, kRequests, events, nullptr), kRequests);
  for (const io_event& event : events) EXPECT_EQ(event.res, static_cast<int64_t>(kBlock));
  EXPECT_EQ(kernel.io_destroy(ctx), 0);
  return machine.kernel().stats.requests;
}

TEST(IoSubmitTest, ThirtyTwoSequentialDirectWritesAreAtMostTwoRequestsAndThirtyTwoCompletions) {
  const uint64_t requests = RequestsOfABatch(/*stride=*/1);
  EXPECT_GE(requests, 1u);
  EXPECT_LE(requests, 2u);
}

TEST(IoSubmitTest, WritesThatAreApartStayApart) { EXPECT_EQ(RequestsOfABatch(/*stride=*/2), 32u); }

}  // namespace
}  // namespace aiolab
