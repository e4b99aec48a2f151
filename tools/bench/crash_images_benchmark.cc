// How many distinct crash images of a workload of 1 MiB are made in a second: drawn, their digests computed, and those
// that were there before left out. Checking is not part of it.
//
// The goal is 100,000 a second. Measured with -c opt on two cores shared with seven other builds, per second of CPU
// time: 1,900,000 with a flush after every 8 writes, 700,000 after every 64, 280,000 without any before the end, when
// an image is a choice for each of 2048 sectors.
#include <cstdint>
#include <string>

#include "benchmark/benchmark.h"
#include "kernel_model/drivers/block/crash_images.h"

namespace aiolab {
namespace {

constexpr uint64_t kWrites = 256;
constexpr uint64_t kSectors = 8;  // of each

// Writes of 4 KiB, each sector different, with a flush after every `flush_every` of them. The disk tears at 512 bytes.
WriteLog OneMegabyte(uint64_t flush_every) {
  WriteLog log;
  for (uint64_t i = 0; i < kWrites; ++i) {
    LoggedRequest write;
    write.sector = i * kSectors;
    write.sectors = kSectors;
    write.began = log.requests.size();
    for (uint64_t sector = 0; sector < kSectors; ++sector) {
      write.bytes += std::string(512, static_cast<char>('a' + (i + sector) % 26));
    }
    log.requests.push_back(write);
    if ((i + 1) % flush_every != 0) continue;
    LoggedRequest flush;
    flush.kind = DiskObserver::Kind::kFlush;
    flush.began = log.requests.size();
    log.requests.push_back(flush);
  }
  return log;
}

// All crash points together.
void BM_DistinctCrashImages(benchmark::State& state) {
  const WriteLog log = OneMegabyte(static_cast<uint64_t>(state.range(0)));
  uint64_t distinct = 0;
  for (auto _ : state) {
    SeededChooser chooser(/*seed=*/1);
    CrashImages images(chooser);
    CrashState crash(log, *FindSimDiskPreset("nvme"));
    const uint64_t per_point = 100'000 / (crash.last_point() + 1);
    for (uint64_t point = 0; point <= crash.last_point(); ++point) {
      crash.MoveTo(point);
      images.Visit(crash, /*acknowledged=*/0, per_point, [](const CrashState::Selection& image) {
        benchmark::DoNotOptimize(image.data());
        return true;
      });
    }
    distinct += images.distinct();
  }
  state.SetItemsProcessed(static_cast<int64_t>(distinct));
  state.counters["distinct"] = static_cast<double>(distinct) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_DistinctCrashImages)
    ->ArgName("writes_per_flush")
    ->Arg(8)
    ->Arg(64)
    ->Arg(256)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace aiolab
