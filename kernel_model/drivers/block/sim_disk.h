// A disk: bytes, and the time that it takes to move them. Each bio completes after a latency that the Chooser picks
// from the device's distribution.
//
// The bytes of a bio move when it completes, written ones too: until then its memory must stay. A bio whose bv_base is
// null, or that has no bio_vec, takes the time and moves nothing.
#ifndef KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_H_
#define KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernel_model/block/blkdev.h"
#include "kernel_model/drivers/block/sector_store.h"

namespace aiolab {

// How long one kind of bio takes: a fixed part, and an exponentially distributed one of this mean. Nanoseconds, at
// least 0.
struct SimDiskLatency {
  int64_t fixed_ns;
  int64_t mean_ns;
};

struct SimDiskParameters {
  SimDiskLatency read = {60'000, 20'000};
  SimDiskLatency write = {15'000, 10'000};
  SimDiskLatency flush = {150'000, 100'000};
  // Beyond it a bio fails with -EIO. The default has room for any file of the host that bios only time.
  uint64_t size_bytes = uint64_t{1} << 62;
};

class SimDisk : public block_device {
 public:
  explicit SimDisk(kernel_state& kernel, const SimDiskParameters& parameters = {})
      : kernel_(kernel), parameters_(parameters) {}

  void submit(bio* bio) override;

  // The bytes as the next read would find them.
  const SectorStore& bytes() const { return bytes_; }

 private:
  struct Completion : Executor::Event {
    SimDisk* disk;
    bio* done;
  };
  static void Complete(Executor::Event& event);
  int Transfer(const bio& bio);

  kernel_state& kernel_;
  const SimDiskParameters parameters_;
  SectorStore bytes_;
  std::string staging_;                                        // bytes on their way between a bio's memory and bytes_
  std::vector<std::unique_ptr<Completion>> idle_completions_;  // kept, so that a bio costs no allocation
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_H_
