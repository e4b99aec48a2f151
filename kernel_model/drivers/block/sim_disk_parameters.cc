#include "kernel_model/drivers/block/sim_disk_parameters.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "kernel_model/sim/exponential.h"

namespace aiolab {
namespace {

constexpr uint64_t kTiB = uint64_t{1} << 40;
constexpr uint64_t kReadBytes = 4096;

using Presets = std::map<std::string, SimDiskParameters, std::less<>>;

// Orders of magnitude from data sheets and measurements of current devices: a PCIe 4 SSD, a SATA SSD, and a desktop
// disk of 7200 rotations a minute, 8.5 ms mean seek and 180 MB/s.
Presets MakePresets() {
  Presets presets;
  SimDiskParameters& nvme = presets["nvme"];
  nvme.size_bytes = kTiB;

  SimDiskParameters& ssd = presets["ssd"];
  ssd.size_bytes = kTiB / 2;
  ssd.queue_depth = 32;
  ssd.elevator = "mq-deadline";
  ssd.channels = 16;
  ssd.read = {85'000, 20'000};
  ssd.write = {40'000, 10'000};
  ssd.media_write = {700'000, 200'000};
  ssd.flush = {600'000, 400'000};
  ssd.discard = {100'000, 50'000};
  ssd.read_bytes_per_second = 540'000'000;
  ssd.write_bytes_per_second = 510'000'000;
  ssd.cache_bytes = 32 << 20;
  ssd.fua = false;
  ssd.media_bytes_per_second = 450'000'000;

  SimDiskParameters& hdd = presets["hdd"];
  hdd.size_bytes = 4 * kTiB;
  hdd.queue_depth = 32;
  hdd.elevator = "mq-deadline";
  hdd.channels = 1;
  hdd.read = {100'000, 30'000};
  hdd.write = {60'000, 20'000};
  hdd.media_write = {100'000, 30'000};
  hdd.flush = {4'000'000, 4'000'000};
  hdd.discard = {200'000, 100'000};
  hdd.read_bytes_per_second = 550'000'000;
  hdd.write_bytes_per_second = 550'000'000;
  hdd.fua = false;
  hdd.media_bytes_per_second = 180'000'000;
  hdd.write_back_ns = 4'000'000;
  hdd.rotation_ns = 8'333'333;
  hdd.seek_min_ns = 800'000;
  // The mean over two random places is min + (max - min) * 8/15: 8.5 ms.
  hdd.seek_max_ns = 15'240'000;
  hdd.track_bytes = 1'500'000 / 4096 * 4096;

  SimDiskParameters& ram = presets["ram"];
  ram.size_bytes = kTiB / 64;
  ram.queue_depth = 128;
  ram.channels = 8;
  ram.read = ram.write = ram.media_write = ram.flush = ram.discard = {1'000, 0};
  ram.read_bytes_per_second = ram.write_bytes_per_second = 10'000'000'000;
  ram.cache_bytes = 0;
  ram.fua = false;
  return presets;
}

const Presets& AllPresets() {
  static const Presets& presets = *new Presets(MakePresets());
  return presets;
}

}  // namespace

std::vector<std::string> SimDiskPresetNames() {
  std::vector<std::string> names;
  for (const auto& [name, parameters] : AllPresets()) names.push_back(name);
  return names;
}

const SimDiskParameters* FindSimDiskPreset(absl::string_view name) {
  const auto found = AllPresets().find(std::string(name));
  return found == AllPresets().end() ? nullptr : &found->second;
}

int64_t LatencyAtQuantileNs(const SimDiskLatency& latency, uint32_t quantile) {
  return latency.fixed_ns + latency.mean_ns * kExponential[quantile] / 1000;
}

int64_t TransferNs(uint64_t bytes, uint64_t bytes_per_second) {
  if (bytes_per_second == 0) return 0;
  return static_cast<int64_t>(bytes * 1'000'000 / (bytes_per_second / 1000));
}

int64_t SeekNs(const SimDiskParameters& parameters, double distance) {
  if (distance <= 0) return 0;
  return parameters.seek_min_ns +
         static_cast<int64_t>(static_cast<double>(parameters.seek_max_ns - parameters.seek_min_ns) *
                              std::sqrt(distance));
}

int64_t RandomReadPercentileNs(const SimDiskParameters& parameters, double percentile) {
  std::vector<int64_t> latencies;
  const int64_t transfer_ns = TransferNs(kReadBytes, parameters.read_bytes_per_second);
  if (parameters.rotation_ns == 0) {
    for (uint32_t quantile = 0; quantile < kQuantiles; ++quantile) {
      latencies.push_back(LatencyAtQuantileNs(parameters.read, quantile) + transfer_ns);
    }
  } else {
    // A grid over the distance between two random places and the angle that is left to turn. Two places are less than
    // a share d of the disk apart with probability 2d - d*d.
    constexpr int kSteps = 200;
    const int64_t fixed_ns = parameters.read.fixed_ns + parameters.read.mean_ns + transfer_ns +
                             static_cast<int64_t>(parameters.rotation_ns * kReadBytes / parameters.track_bytes);
    for (int i = 0; i < kSteps; ++i) {
      const int64_t seek_ns = SeekNs(parameters, 1 - std::sqrt(1 - (i + 0.5) / kSteps));
      for (int j = 0; j < kSteps; ++j) {
        latencies.push_back(fixed_ns + seek_ns + parameters.rotation_ns * j / kSteps);
      }
    }
    std::sort(latencies.begin(), latencies.end());
  }
  const double rank = std::ceil(percentile / 100 * static_cast<double>(latencies.size()));
  const size_t index = rank < 1 ? 0 : static_cast<size_t>(rank) - 1;
  return latencies[std::min(index, latencies.size() - 1)];
}

}  // namespace aiolab
