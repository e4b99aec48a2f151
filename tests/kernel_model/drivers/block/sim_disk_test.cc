#include "kernel_model/drivers/block/sim_disk.h"

#include <errno.h>
#include <sys/mman.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/machine.h"

namespace aiolab {
namespace {

// A machine, and a client inside it that sends bios to a disk of its own and waits for them.
class SimDiskTest : public testing::Test {
 protected:
  struct Waiter {
    wait_queue_head wait;
    bool done = false;
    int status = 0;
  };

  // Sends `vecs` and returns the bio's status when it has ended.
  int Run(SimDisk& disk, blk_opf_t opf, sector_t sector, const std::vector<bio_vec>& vecs, uint32_t size) {
    Machine::Entry entry(machine_, nullptr);
    Waiter waiter;
    bio* const bio = bio_alloc(disk, opf, sector, size);
    bio->bi_io_vec.assign(vecs.begin(), vecs.end());
    bio->bi_private = &waiter;
    bio->bi_end_io = [](struct bio* ended) {
      auto& state = *static_cast<Waiter*>(ended->bi_private);
      state.done = true;
      state.status = ended->bi_status;
      bio_put(ended);
      wake_up_all(state.wait);
    };
    submit_bio(bio);
    wait_event(waiter.wait, [&waiter] { return waiter.done; });
    return waiter.status;
  }

  int Write(SimDisk& disk, sector_t sector, std::string bytes, blk_opf_t flags = 0) {
    const auto size = static_cast<uint32_t>(bytes.size());
    return Run(disk, REQ_OP_WRITE | flags, sector, {{bytes.data(), size}}, size);
  }

  std::string Read(SimDisk& disk, sector_t sector, uint32_t size) {
    std::string bytes(size, '?');
    EXPECT_EQ(Run(disk, REQ_OP_READ, sector, {{bytes.data(), size}}, size), 0);
    return bytes;
  }

  SeededChooser chooser_{7};
  Machine machine_{{.chooser = &chooser_}};
};

TEST_F(SimDiskTest, WhatWasWrittenIsReadAndTheRestIsZeros) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 1 << 20});
  EXPECT_EQ(Write(disk, 7, std::string(1024, 'w')), 0);
  EXPECT_EQ(Read(disk, 6, 2048), std::string(512, '\0') + std::string(1024, 'w') + std::string(512, '\0'));
}

TEST_F(SimDiskTest, ABioMayHaveSeveralPiecesOfMemory) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 1 << 20});
  std::string a(512, 'a'), b(4096, 'b');
  EXPECT_EQ(Run(disk, REQ_OP_WRITE, 100, {{a.data(), 512}, {b.data(), 4096}}, 4608), 0);
  EXPECT_EQ(Read(disk, 100, 4608), a + b);
}

TEST_F(SimDiskTest, ASectorBeyondTheEndIsAnIoError) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 8192});
  EXPECT_EQ(Write(disk, 15, std::string(512, 'w')), 0);
  EXPECT_EQ(Write(disk, 15, std::string(1024, 'w')), -EIO);
  EXPECT_EQ(Write(disk, 16, std::string(512, 'w')), -EIO);
  EXPECT_EQ(Write(disk, ~sector_t{0}, std::string(512, 'w')), -EIO);
}

TEST_F(SimDiskTest, ABioWithoutMemoryTakesTimeAndMovesNothing) {
  SimDisk disk(machine_.kernel());
  const int64_t before_ns = machine_.NowNs();
  EXPECT_EQ(Run(disk, REQ_OP_WRITE, 0, {}, 4096), 0);
  EXPECT_EQ(Run(disk, REQ_OP_READ, 0, {{nullptr, 4096}}, 4096), 0);
  EXPECT_GT(machine_.NowNs(), before_ns + 20'000);
  EXPECT_EQ(disk.bytes().chunks(), 0u);
}

TEST_F(SimDiskTest, UserMemoryThatHasGoneAwayIsAFault) {
  SimDisk disk(machine_.kernel());
  void* const gone = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bio_vec vec = {static_cast<char*>(gone), 4096, /*bv_user=*/true};
  EXPECT_EQ(Run(disk, REQ_OP_WRITE, 0, {vec}, 4096), -EFAULT);
  EXPECT_EQ(Run(disk, REQ_OP_READ, 0, {vec}, 4096), -EFAULT);
  munmap(gone, 4096);
}

TEST_F(SimDiskTest, DiscardedAndZeroedSectorsReadZero) {
  SimDisk disk(machine_.kernel(), {.size_bytes = uint64_t{16} << 40});
  for (const blk_opf_t op : {REQ_OP_DISCARD, REQ_OP_WRITE_ZEROES}) {
    EXPECT_EQ(Write(disk, 0, std::string(3 * 4096, 'w')), 0);
    EXPECT_EQ(Run(disk, op, 1, {}, 2 * 4096), 0);
    EXPECT_EQ(Read(disk, 0, 3 * 4096),
              std::string(512, 'w') + std::string(2 * 4096, '\0') + std::string(4096 - 512, 'w'));
    EXPECT_EQ(disk.bytes().chunks(), 2u);
  }
}

TEST_F(SimDiskTest, ADiskOf16TiBCostsMemoryForWhatWasWritten) {
  SimDisk disk(machine_.kernel(), {.size_bytes = uint64_t{16} << 40});
  constexpr uint64_t kStride = (uint64_t{16} << 40) / SECTOR_SIZE / 1000 / 8 * 8;
  for (uint64_t i = 0; i < 1000; ++i) EXPECT_EQ(Write(disk, i * kStride, std::string(512, 'w')), 0);
  EXPECT_EQ(disk.bytes().chunks(), 1000u);
}

}  // namespace
}  // namespace aiolab
