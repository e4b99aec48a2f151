// PREFLUSH and FUA on devices with and without a volatile cache, with and without FUA of their own.
#include <errno.h>

#include <string>
#include <vector>

#include "tests/kernel_model/block/block_fixture.h"

namespace aiolab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// By elevator.
class BlkFlushTest : public BlockTest, public testing::WithParamInterface<const char*> {
 protected:
  static constexpr queue_limits kCache = {.write_cache = true};
  static constexpr queue_limits kCacheAndFua = {.write_cache = true, .fua = true};

  // Ends everything that comes to the device, one after the other.
  void Finish(HeldDevice& disk) {
    RunFor(100'000);
    while (!disk.Held().empty()) {
      disk.End(0);
      RunFor(100'000);
    }
  }
};

TEST_P(BlkFlushTest, ADeviceWithoutACacheGetsNoFlushes) {
  HeldDevice disk(kernel(), {}, 4, GetParam());
  EXPECT_EQ(Send(disk, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0)->times, 1);
  EXPECT_EQ(Send(disk, REQ_OP_FLUSH, 0, 0)->times, 1);
  const Bio data = Send(disk, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 0, 8);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("W 0+8"));
  EXPECT_EQ(data->times, 1);
}

TEST_P(BlkFlushTest, AnEmptyFlushIsOneFlushOfTheDevice) {
  HeldDevice disk(kernel(), kCache, 4, GetParam());
  const Bio first = Send(disk, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0);
  Finish(disk);
  const Bio second = Send(disk, REQ_OP_FLUSH, 0, 0);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("FF 0+0", "FF 0+0"));
  EXPECT_EQ(first->times, 1);
  EXPECT_EQ(second->times, 1);
}

TEST_P(BlkFlushTest, FuaIsTheDevicesOwnIfItHasIt) {
  HeldDevice disk(kernel(), kCacheAndFua, 4, GetParam());
  const Bio data = Send(disk, REQ_OP_WRITE | REQ_FUA, 0, 8);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("WFS 0+8"));
  EXPECT_EQ(data->times, 1);
}

TEST_P(BlkFlushTest, FuaIsAFlushAfterTheDataOtherwise) {
  HeldDevice disk(kernel(), kCache, 4, GetParam());
  const Bio data = Send(disk, REQ_OP_WRITE | REQ_FUA, 0, 8);
  RunFor(100'000);
  EXPECT_THAT(disk.Held(), ElementsAre("WS 0+8"));
  disk.End(0);
  EXPECT_EQ(data->times, 0);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("WS 0+8", "FF 0+0"));
  EXPECT_EQ(data->times, 1);
}

TEST_P(BlkFlushTest, PreflushAndFuaAreAFlushTheDataAndAnotherFlush) {
  HeldDevice disk(kernel(), kCache, 4, GetParam());
  const Bio data = Send(disk, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 0, 8);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("FF 0+0", "WS 0+8", "FF 0+0"));
  EXPECT_EQ(data->times, 1);
  EXPECT_EQ(data->status, 0);
}

TEST_P(BlkFlushTest, PreflushGoesBeforeFuaData) {
  HeldDevice disk(kernel(), kCacheAndFua, 4, GetParam());
  Send(disk, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 0, 8);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("FF 0+0", "WFS 0+8"));
}

TEST_P(BlkFlushTest, FlushesThatComeDuringAFlushShareTheNextOne) {
  HeldDevice disk(kernel(), kCache, 8, GetParam());
  std::vector<Bio> flushes;
  flushes.push_back(Send(disk, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0));
  RunFor(100'000);
  for (int i = 0; i < 4; ++i) flushes.push_back(Send(disk, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0));
  RunFor(100'000);
  disk.End(0);
  EXPECT_EQ(flushes[0]->times, 1);
  EXPECT_EQ(flushes[1]->times, 0);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("FF 0+0", "FF 0+0"));
  for (const Bio& flush : flushes) EXPECT_EQ(flush->times, 1);
}

TEST_P(BlkFlushTest, WritesThatWantAFlushAfterThemShareIt) {
  HeldDevice disk(kernel(), kCache, 8, GetParam());
  for (uint32_t i = 0; i < 3; ++i) Send(disk, REQ_OP_WRITE | REQ_FUA, 100 * i, 8);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("WS 0+8", "WS 100+8", "WS 200+8", "FF 0+0"));
}

TEST_P(BlkFlushTest, AFlushThatFailsEndsTheWriteWithoutItsData) {
  HeldDevice disk(kernel(), kCache, 4, GetParam());
  const Bio data = Send(disk, REQ_OP_WRITE | REQ_PREFLUSH, 0, 8);
  RunFor(100'000);
  disk.End(0, -EIO);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("FF 0+0"));
  EXPECT_EQ(data->times, 1);
  EXPECT_EQ(data->status, -EIO);
}

TEST_P(BlkFlushTest, DataThatFailsGetsNoFlush) {
  HeldDevice disk(kernel(), kCache, 4, GetParam());
  const Bio data = Send(disk, REQ_OP_WRITE | REQ_FUA, 0, 8);
  RunFor(100'000);
  disk.End(0, -EIO);
  Finish(disk);
  EXPECT_THAT(disk.seen(), ElementsAre("WS 0+8"));
  EXPECT_EQ(data->status, -EIO);
}

TEST_P(BlkFlushTest, AQueueOfOneTagStillFlushes) {
  HeldDevice disk(kernel(), kCache, 1, GetParam(), 1);
  std::vector<Bio> bios;
  InInterrupt([&] {
    for (uint32_t i = 0; i < 3; ++i) bios.push_back(Send(disk, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 100 * i, 8));
  });
  Finish(disk);
  for (const Bio& bio : bios) EXPECT_EQ(bio->times, 1);
}

TEST_P(BlkFlushTest, TheTraceOfAFlushNamesTheRequestsThatWaitForIt) {
  HeldDevice disk(kernel(), kCache, 4, GetParam());
  for (int64_t id : {41, 42}) {
    bio* const bio = bio_alloc(disk, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0);
    bio->bi_request = id;
    bio->bi_end_io = bio_put;
    submit_bio(bio);
  }
  // The first flush is on its way when the second comes.
  Finish(disk);
  EXPECT_THAT(Trace(), HasSubstr("block_rq_issue: dev=259,0 rwbs=FF sector=0 sectors=0 rq=2 req=41"));
  EXPECT_THAT(Trace(), HasSubstr("req=42"));
}

INSTANTIATE_TEST_SUITE_P(Elevators, BlkFlushTest, testing::Values("none", "mq-deadline"),
                         [](const auto& info) { return std::string(info.param) == "none" ? "None" : "MqDeadline"; });

}  // namespace
}  // namespace aiolab
