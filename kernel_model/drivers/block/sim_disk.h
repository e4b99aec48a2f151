// A disk that exists only as the time that it takes: each bio completes after a latency that the Chooser picks from the
// device's distribution. It holds no bytes; the files behind the bios do.
#ifndef KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_H_
#define KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernel_model/block/blkdev.h"

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
};

class SimDisk : public block_device {
 public:
  explicit SimDisk(kernel_state& kernel, const SimDiskParameters& parameters = {})
      : kernel_(kernel), parameters_(parameters) {}

  void submit(bio* bio) override;

 private:
  struct Completion : Executor::Event {
    SimDisk* disk;
    bio* done;
  };
  static void Complete(Executor::Event& event);

  kernel_state& kernel_;
  const SimDiskParameters parameters_;
  std::vector<std::unique_ptr<Completion>> idle_completions_;  // kept, so that a bio costs no allocation
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_H_
