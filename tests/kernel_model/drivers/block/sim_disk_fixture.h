// A machine, and a client inside it that sends bios to disks of its own and waits for them.
#ifndef TESTS_KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_FIXTURE_H_
#define TESTS_KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_FIXTURE_H_

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/machine.h"

namespace aiolab {

class SimDiskClient {
 public:
  explicit SimDiskClient(uint64_t seed = 7, SeededBug bug = SeededBug::kNone)
      : chooser_(seed), machine_({.chooser = &chooser_, .bug = bug}) {}

  // Sends `vecs` and returns the bio's status when it has ended.
  int Transfer(SimDisk& disk, blk_opf_t opf, sector_t sector, const std::vector<bio_vec>& vecs, uint32_t size) {
    Machine::Entry entry(machine_, nullptr);
    struct Waiter {
      wait_queue_head wait;
      bool done = false;
      int status = 0;
    } waiter;
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
    return Transfer(disk, REQ_OP_WRITE | flags, sector, {{bytes.data(), size}}, size);
  }
  int Flush(SimDisk& disk) { return Transfer(disk, REQ_OP_WRITE | REQ_PREFLUSH, 0, {}, 0); }

  std::string Read(SimDisk& disk, sector_t sector, uint32_t size) {
    std::string bytes(size, '?');
    EXPECT_EQ(Transfer(disk, REQ_OP_READ, sector, {{bytes.data(), size}}, size), 0);
    return bytes;
  }

  // Sends a write and does not wait for it. `bytes` must stay.
  void StartWrite(SimDisk& disk, sector_t sector, std::string& bytes) {
    Machine::Entry entry(machine_, nullptr);
    bio* const bio = bio_alloc(disk, REQ_OP_WRITE, sector, static_cast<uint32_t>(bytes.size()));
    bio->bi_io_vec.push_back({bytes.data(), static_cast<uint32_t>(bytes.size())});
    bio->bi_end_io = bio_put;
    submit_bio(bio);
  }

  void PowerCut(SimDisk& disk, uint32_t tear_bytes = 0) {
    Machine::Entry entry(machine_, nullptr);
    disk.PowerCut(bio_put, tear_bytes);
  }

  SeededChooser chooser_;
  Machine machine_;
};

class SimDiskFixture : public testing::Test, protected SimDiskClient {};

}  // namespace aiolab

#endif  // TESTS_KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_FIXTURE_H_
