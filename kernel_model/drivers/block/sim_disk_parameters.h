// What kind of disk it is: numbers, presets with names, and a short notation for both.
//
//   absl::StatusOr<SimDiskParameters> disk = ParseSimDisk("nvme,size=1G,depth=64,cache=off");
//   SimDiskParameters hdd = *FindSimDiskPreset("hdd");
#ifndef KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_PARAMETERS_H_
#define KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_PARAMETERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aiolab {

// How long one step takes: a fixed part, and an exponentially distributed one of this mean. Nanoseconds, at least 0.
struct SimDiskLatency {
  int64_t fixed_ns;
  int64_t mean_ns;
};

// The defaults are those of the preset nvme, but for the size.
struct SimDiskParameters {
  // Beyond it a bio fails with -EIO. The default has room for any offset of a file that bios only time.
  uint64_t size_bytes = ~uint64_t{4095};
  uint32_t logical_block_size = 512;
  uint32_t physical_block_size = 4096;
  // What a power cut leaves whole, in bytes: a power of two; 0 is the logical block.
  uint32_t atomic_write_unit = 0;

  // The queue.
  unsigned queue_depth = 1023;
  std::string elevator = "none";
  unsigned nr_requests = 0;  // with an elevator; 0: the kernel's default
  uint32_t max_sectors = 1024;
  uint32_t max_segments = 128;

  // Service. A read occupies one of the channels for `read`, a write that does not end in the cache for `media_write`;
  // what finds all channels busy waits. Bytes pass one link besides.
  unsigned channels = 64;
  SimDiskLatency read = {60'000, 15'000};
  SimDiskLatency write = {12'000, 3'000};  // into the cache
  SimDiskLatency media_write = {180'000, 60'000};
  SimDiskLatency flush = {150'000, 100'000};  // beside what is still to be written back
  SimDiskLatency discard = {30'000, 10'000};
  uint64_t read_bytes_per_second = 3'200'000'000;
  uint64_t write_bytes_per_second = 2'800'000'000;

  // The volatile write cache; 0 bytes: none. A write waits while more is to be written back than fits.
  uint64_t cache_bytes = 64 << 20;
  bool fua = true;  // REQ_FUA bypasses it; otherwise the block layer flushes after the write
  uint64_t media_bytes_per_second = 1'400'000'000;  // write-back
  int64_t write_back_ns = 0;                        // per write, beside its bytes

  // Moving parts, if a rotation takes any time: one head, that serves the nearest of the queued requests.
  int64_t rotation_ns = 0;
  int64_t seek_min_ns = 0;  // to the next track
  int64_t seek_max_ns = 0;  // across the disk; in between it grows with the root of the distance
  uint32_t track_bytes = 0;
};

// "hdd", "nvme", "ram", "ssd".
std::vector<std::string> SimDiskPresetNames();
// Null for an unknown name.
const SimDiskParameters* FindSimDiskPreset(absl::string_view name);

// A preset's name and what differs from it, separated by commas:
//
//   size=1G          bytes, with K, M, G or T; at least 4K, at most 16T, whole logical blocks
//   depth=64         hardware tags, 1..1023
//   cache=off|64M    the volatile write cache
//   fua=on|off       the device does FUA itself
//   lbs=512|4096     the logical block
//   atomic=16K       what a power cut leaves whole: a power of two from the logical block to 1M
//   elevator=none|mq-deadline
//   requests=64      the scheduler's tags, 1..4096
//   channels=8       1..4096
//   read=80us  write=15us  media_write=250us  flush=2ms  discard=10us
//                    the mean; its fixed and its random part keep the preset's proportion
//
// INVALID_ARGUMENT names the column (from 1), what is wrong there and the nearest right word.
absl::StatusOr<SimDiskParameters> ParseSimDisk(absl::string_view spec);

struct SimDiskMistake {
  size_t at;  // the position in the text, from 0
  std::string what;
};
// The same for a text of which its user wrote parts only, and would not know the column. Without a mistake `disk` is
// filled in.
std::optional<SimDiskMistake> FindSimDiskMistake(absl::string_view spec, SimDiskParameters* disk);

// "size", "depth" and so on.
std::vector<std::string> SimDiskSettingNames();

// What the parameters say of 4 KiB reads at random places, one at a time: the latency in nanoseconds, from issue to
// completion, that `percentile` (0..100) percent of them do not exceed.
int64_t RandomReadPercentileNs(const SimDiskParameters& parameters, double percentile);

// The parts of the latency model that the disk and the percentiles share.

// `quantile` is one of kQuantiles (sim/exponential.h).
int64_t LatencyAtQuantileNs(const SimDiskLatency& latency, uint32_t quantile);
// How long `bytes` take at a rate; 0 for rate 0, which means no limit.
int64_t TransferNs(uint64_t bytes, uint64_t bytes_per_second);
// From track to track; `distance` is a share of the disk, 0..1.
int64_t SeekNs(const SimDiskParameters& parameters, double distance);

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_PARAMETERS_H_
