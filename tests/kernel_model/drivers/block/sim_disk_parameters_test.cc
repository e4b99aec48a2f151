#include "kernel_model/drivers/block/sim_disk_parameters.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kernel_model/drivers/block/sim_disk_fixture.h"

namespace aiolab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SimDiskSpecTest, APresetAloneIsThatPreset) {
  for (const std::string& name : SimDiskPresetNames()) {
    const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(name);
    ASSERT_TRUE(disk.ok()) << disk.status();
    EXPECT_EQ(disk->size_bytes, FindSimDiskPreset(name)->size_bytes);
  }
  EXPECT_THAT(SimDiskPresetNames(), ElementsAre("hdd", "nvme", "ram", "ssd"));
}

TEST(SimDiskSpecTest, SettingsReplaceThoseOfThePreset) {
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(
      "nvme,size=1G,depth=64,cache=off,fua=off,lbs=4096,atomic=16K,elevator=mq-deadline,requests=100,channels=8,"
      "read=150us,flush=1.5ms");
  ASSERT_TRUE(disk.ok()) << disk.status();
  EXPECT_EQ(disk->size_bytes, uint64_t{1} << 30);
  EXPECT_EQ(disk->queue_depth, 64u);
  EXPECT_EQ(disk->cache_bytes, 0u);
  EXPECT_FALSE(disk->fua);
  EXPECT_EQ(disk->logical_block_size, 4096u);
  EXPECT_EQ(disk->atomic_write_unit, 16384u);
  EXPECT_EQ(disk->elevator, "mq-deadline");
  EXPECT_EQ(disk->nr_requests, 100u);
  EXPECT_EQ(disk->channels, 8u);
  EXPECT_EQ(disk->read.fixed_ns, 120'000);
  EXPECT_EQ(disk->read.mean_ns, 30'000);
  EXPECT_EQ(disk->flush.fixed_ns + disk->flush.mean_ns, 1'500'000);
}

struct Mistake {
  const char* spec;
  const char* message;
};

class SimDiskMistakeTest : public testing::TestWithParam<Mistake> {};

TEST_P(SimDiskMistakeTest, IsNamedWithItsColumnAndWhatWouldBeRight) {
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(GetParam().spec);
  ASSERT_FALSE(disk.ok());
  EXPECT_EQ(disk.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(disk.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Specs, SimDiskMistakeTest,
    testing::Values(
        Mistake{"", "column 1: there is no disk \"\"; there are hdd, nvme, ram, ssd"},
        Mistake{"nvm", "column 1: there is no disk \"nvm\"; did you mean nvme?"},
        Mistake{"floppy", "column 1: there is no disk \"floppy\"; there are hdd, nvme, ram, ssd"},
        Mistake{"size=1G",
                "column 1: the disk's kind comes first, one of hdd, nvme, ram, ssd, then what differs: "
                "\"nvme,size=1G\""},
        Mistake{"nvme,", "column 6: there is no setting \"\""},
        Mistake{"nvme,dept=3", "column 6: there is no setting \"dept\"; did you mean depth?"},
        Mistake{"nvme,size=1G,cahce=off", "column 14: there is no setting \"cahce\"; did you mean cache?"},
        Mistake{"nvme,size", "column 10: size=: it has to be a size from 4K to 16T"},
        Mistake{"nvme,size=4000", "column 11: size=4000: it has to be a size from 4K to 16T"},
        Mistake{"nvme,size=17T", "column 11: size=17T: it has to be a size from 4K to 16T"},
        Mistake{"nvme,size=99999999999T", "column 11: size=99999999999T: it has to be a size from 4K to 16T"},
        Mistake{"nvme,size=-1G", "column 11: size=-1G: it has to be a size from 4K to 16T"},
        Mistake{"nvme,size=4097", "column 11: the size has to be a multiple of the logical block, 512"},
        Mistake{"nvme,depth=0", "column 12: depth=0: it has to be a number from 1 to 1023"},
        Mistake{"nvme,cache=on", "column 12: cache=on: it has to be off, or a size from 4K, such as 64M"},
        Mistake{"nvme,fua=yes", "column 10: fua=yes: it has to be on or off"},
        Mistake{"nvme,lbs=1024", "column 10: lbs=1024: it has to be 512 or 4096"},
        Mistake{"nvme,atomic=3K", "column 13: atomic=3K: it has to be a power of two from 512 to 1M, such as 16K"},
        Mistake{"nvme,atomic=512,lbs=4096", "column 13: atomic has to be at least the logical block, 4096"},
        Mistake{"nvme,elevator=mq-dedline",
                "column 15: elevator=mq-dedline: it has to be none or mq-deadline; did you mean mq-deadline?"},
        Mistake{"nvme,read=80", "column 11: read=80: it has to be a time such as 80us or 2ms, at most 60s"},
        Mistake{"nvme,read=-1us", "column 11: read=-1us: it has to be a time such as 80us or 2ms, at most 60s"}));

class PresetTest : public testing::TestWithParam<const char*> {};

// 4 KiB reads at random places, one at a time, through the whole block layer: 5000 of them.
TEST_P(PresetTest, MeasuredPercentilesAreWhatTheParametersSay) {
  SimDiskParameters parameters = *FindSimDiskPreset(GetParam());
  SimDiskClient client(/*seed=*/11);
  SimDisk disk(client.machine_.kernel(), parameters);
  Machine::Entry entry(client.machine_, nullptr);
  const uint64_t blocks = parameters.size_bytes / 4096;
  std::vector<int64_t> latencies;
  uint64_t place = 1;
  for (int i = 0; i < 5000; ++i) {
    place = place * 6364136223846793005u + 1442695040888963407u;
    const sector_t sector = (place >> 11) % blocks * 8;
    struct Read {
      wait_queue_head wait;
      bool done = false;
    } read;
    bio* const bio = bio_alloc(disk, REQ_OP_READ, sector, 4096);
    bio->bi_private = &read;
    bio->bi_end_io = [](struct bio* ended) {
      auto& state = *static_cast<Read*>(ended->bi_private);
      state.done = true;
      bio_put(ended);
      wake_up_all(state.wait);
    };
    const int64_t begin_ns = client.machine_.NowNs();
    submit_bio(bio);
    wait_event(read.wait, [&read] { return read.done; });
    latencies.push_back(client.machine_.NowNs() - begin_ns);
  }
  std::sort(latencies.begin(), latencies.end());
  // With mq-deadline kblockd dispatches: 2 us more.
  const int64_t dispatch_ns = parameters.elevator == "none" ? 0 : 2000;
  for (const double percentile : {10.0, 50.0, 90.0, 99.0}) {
    const auto expected = static_cast<double>(RandomReadPercentileNs(parameters, percentile) + dispatch_ns);
    const auto measured = static_cast<double>(latencies[static_cast<size_t>(percentile / 100 * 5000) - 1]);
    EXPECT_NEAR(measured, expected, 0.05 * expected) << "percentile " << percentile;
  }
}

INSTANTIATE_TEST_SUITE_P(Presets, PresetTest, testing::Values("hdd", "nvme", "ram", "ssd"),
                         [](const auto& info) { return std::string(info.param); });

TEST(PresetNumbersTest, AreThoseOfRealDevices) {
  const auto microseconds = [](const char* preset, double percentile) {
    return RandomReadPercentileNs(*FindSimDiskPreset(preset), percentile) / 1000;
  };
  EXPECT_NEAR(microseconds("nvme", 50), 72, 5);
  EXPECT_NEAR(microseconds("nvme", 99), 134, 10);
  EXPECT_NEAR(microseconds("ssd", 50), 107, 10);
  // Half a rotation, 4.17 ms, and the mean seek, 8.5 ms.
  EXPECT_NEAR(microseconds("hdd", 50), 12'900, 500);
  EXPECT_LE(microseconds("ram", 99), 2);
}

// How long `count` 4 KiB requests take that are all sent at once.
int64_t Together(const char* spec, blk_opf_t opf, int count, uint32_t size = 4096) {
  SimDiskClient client;
  SimDisk disk(client.machine_.kernel(), *ParseSimDisk(spec));
  Machine::Entry entry(client.machine_, nullptr);
  struct Batch {
    wait_queue_head wait;
    int left;
  } batch;
  batch.left = count;
  const int64_t begin_ns = client.machine_.NowNs();
  uint64_t place = 1;
  for (int i = 0; i < count; ++i) {
    place = place * 6364136223846793005u + 1442695040888963407u;
    bio* const bio = bio_alloc(disk, opf, (place >> 11) % (disk.bd_nr_sectors / 2048) * 2048, size);
    bio->bi_private = &batch;
    bio->bi_end_io = [](struct bio* ended) {
      auto& state = *static_cast<Batch*>(ended->bi_private);
      bio_put(ended);
      if (--state.left == 0) wake_up_all(state.wait);
    };
    submit_bio(bio);
  }
  wait_event(batch.wait, [&batch] { return batch.left == 0; });
  return client.machine_.NowNs() - begin_ns;
}

TEST(SimDiskServiceTest, ChannelsServeRequestsSideBySide) {
  const int64_t one_ns = Together("nvme,channels=1", REQ_OP_READ, 64);
  const int64_t many_ns = Together("nvme,channels=64", REQ_OP_READ, 64);
  EXPECT_GT(one_ns, 64 * 60'000);
  EXPECT_LT(many_ns, 300'000);
}

TEST(SimDiskServiceTest, TheLinkBoundsTheBandwidth) {
  // 512 MiB at 3.2 GB/s.
  const int64_t took_ns = Together("nvme", REQ_OP_READ, 1024, 512 * 1024);
  EXPECT_NEAR(static_cast<double>(took_ns), 168e6, 5e6);
}

TEST(SimDiskServiceTest, WritesThatOutrunTheCacheGoAtTheMediumsPace) {
  // 512 MiB into a cache of 64 MiB, at 1.4 GB/s behind it.
  const int64_t took_ns = Together("nvme", REQ_OP_WRITE, 1024, 512 * 1024);
  EXPECT_NEAR(static_cast<double>(took_ns), (512 - 64) * 1048576 / 1.4, 10e6);
}

TEST(SimDiskServiceTest, AHeadServesTheNearestFirst) {
  const int64_t queued_ns = Together("hdd", REQ_OP_READ, 32);
  const int64_t one_by_one_ns = Together("hdd,depth=1,elevator=none", REQ_OP_READ, 32);
  EXPECT_LT(queued_ns, one_by_one_ns * 2 / 3);
}

}  // namespace
}  // namespace aiolab
