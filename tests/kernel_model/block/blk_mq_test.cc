// Tags, limits, splitting and forgetting.
#include "kernel_model/block/blk_mq.h"

#include <errno.h>

#include <vector>

#include "kernel_model/drivers/block/sim_disk.h"
#include "tests/kernel_model/block/block_fixture.h"
#include "tests/kernel_model/count_allocations.h"

namespace aiolab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using BlkMqTest = BlockTest;

TEST_F(BlkMqTest, ATaskSleepsUntilATagIsFree) {
  HeldDevice disk(kernel(), {}, 2);
  Send(disk, REQ_OP_READ, 0, 8);
  Send(disk, REQ_OP_READ, 100, 8);
  // An interrupt ends a request while the third submitter sleeps.
  struct Interrupt : Executor::Event {
    HeldDevice* disk;
  } interrupt;
  interrupt.disk = &disk;
  interrupt.run = [](Executor::Event& event) { static_cast<Interrupt&>(event).disk->End(0); };
  const int64_t end_ns = kernel().executor.NowNs() + 50'000;
  kernel().executor.At(interrupt, end_ns);
  Send(disk, REQ_OP_READ, 200, 8);
  EXPECT_EQ(kernel().executor.NowNs(), end_ns);
  EXPECT_THAT(disk.Held(), ElementsAre("R 100+8", "R 200+8"));
  disk.EndAll();
}

TEST_F(BlkMqTest, ATaskWhosePlugHoldsEveryTagSendsItBeforeItSleeps) {
  SimDisk disk(kernel(), {.queue_depth = 2});
  std::vector<Bio> bios;
  blk_plug plug;
  blk_start_plug(&plug);
  for (uint32_t i = 0; i < 9; ++i) bios.push_back(Send(disk, REQ_OP_READ, 100 * i, 8));
  blk_finish_plug(&plug);
  RunFor(10'000'000);
  for (const Bio& bio : bios) EXPECT_EQ(bio->times, 1);
}

TEST_F(BlkMqTest, NowaitFailsInsteadOfWaitingForATag) {
  for (const char* elevator : {"none", "mq-deadline"}) {
    HeldDevice disk(kernel(), {}, 1, elevator, 1);
    Send(disk, REQ_OP_READ, 0, 8);
    const Bio refused = Send(disk, REQ_OP_READ | REQ_NOWAIT, 100, 8);
    EXPECT_EQ(refused->times, 1);
    EXPECT_EQ(refused->status, -EAGAIN);
    RunFor(10'000);
    disk.EndAll();
    const Bio taken = Send(disk, REQ_OP_READ | REQ_NOWAIT, 100, 8);
    RunFor(10'000);
    disk.EndAll();
    EXPECT_EQ(taken->status, 0);
    EXPECT_EQ(taken->times, 1);
  }
}

TEST_F(BlkMqTest, ABioOfAnInterruptWaitsInTheQueueAndGoesOnInOrder) {
  for (const char* elevator : {"none", "mq-deadline"}) {
    HeldDevice disk(kernel(), {}, 1, elevator, 1);
    Send(disk, REQ_OP_READ, 0, 8);
    std::vector<Bio> waiting;
    InInterrupt([&] {
      for (uint32_t i = 3; i > 0; --i) waiting.push_back(Send(disk, REQ_OP_READ, 100 * i, 8));
    });
    for (int i = 0; i < 4; ++i) {
      RunFor(10'000);
      EXPECT_THAT(disk.Held(), SizeIs(1));
      disk.End(0);
    }
    EXPECT_THAT(disk.seen(), ElementsAre("R 0+8", "R 300+8", "R 200+8", "R 100+8"));
    for (const Bio& bio : waiting) EXPECT_EQ(bio->times, 1);
  }
}

TEST_F(BlkMqTest, NobodyOvertakesABioThatWaitsForATag) {
  HeldDevice disk(kernel(), {}, 1);
  Send(disk, REQ_OP_READ, 0, 8);
  InInterrupt([&] { Send(disk, REQ_OP_READ, 100, 8); });
  EXPECT_EQ(Send(disk, REQ_OP_READ | REQ_NOWAIT, 200, 8)->status, -EAGAIN);
  disk.EndAll();
}

class LostTagWaiterTest : public BlockTest {
 protected:
  LostTagWaiterTest() : BlockTest(SeededBug::kLostTagWaiter) {}
};

TEST_F(LostTagWaiterTest, TheSeededBugLeavesTheBioBehind) {
  HeldDevice disk(kernel(), {}, 1);
  Send(disk, REQ_OP_READ, 0, 8);
  Bio waiting;
  InInterrupt([&] { waiting = Send(disk, REQ_OP_READ, 100, 8); });
  disk.EndAll();
  disk.EndAll();
  EXPECT_EQ(waiting->times, 0);
  blk_mq_forget_requests(disk.queue(), Drop);
}

TEST_F(BlkMqTest, WithAnElevatorOnlyDispatchedRequestsHaveAHardwareTag) {
  HeldDevice disk(kernel(), {}, 2, "mq-deadline", 8);
  for (uint32_t i = 0; i < 8; ++i) Send(disk, REQ_OP_READ, 100 * i, 8);
  RunFor(10'000);
  EXPECT_THAT(disk.Held(), SizeIs(2));
  EXPECT_EQ(Send(disk, REQ_OP_READ | REQ_NOWAIT, 10'000, 8)->status, -EAGAIN);
  for (int i = 0; i < 4; ++i) {
    disk.EndAll();
    RunFor(10'000);
  }
  EXPECT_THAT(disk.seen(), SizeIs(8));
  disk.EndAll();
}

TEST_F(BlkMqTest, TheSchedulersTagsAreTwiceTheHardwaresButNoMoreThan256) {
  EXPECT_EQ(HeldDevice(kernel(), {}, 32, "mq-deadline").queue().nr_requests, 64u);
  EXPECT_EQ(HeldDevice(kernel(), {}, 1023, "mq-deadline").queue().nr_requests, 256u);
  EXPECT_EQ(HeldDevice(kernel(), {}, 1023).queue().nr_requests, 1023u);
}

TEST_F(BlkMqTest, ABioThatIsTooLargeIsSplitAndEndsOnce) {
  HeldDevice disk(kernel(), {.max_sectors = 64}, 8);
  const Bio bio = Send(disk, REQ_OP_WRITE, 8, 160);
  EXPECT_THAT(disk.Held(), ElementsAre("W 8+64", "W 72+64", "W 136+32"));
  disk.End(1, -EIO);
  disk.End(0);
  EXPECT_EQ(bio->times, 0);
  disk.End(0);
  EXPECT_EQ(bio->times, 1);
  EXPECT_EQ(bio->status, -EIO);
  EXPECT_EQ(bio->sector, 8u);
  EXPECT_EQ(bio->size, 160u * 512);
  EXPECT_THAT(Trace(), AllOf(HasSubstr("block_split: dev=259,0 rwbs=W sector=8 new_sector=72"),
                             HasSubstr("block_split: dev=259,0 rwbs=W sector=72 new_sector=136")));
}

TEST_F(BlkMqTest, ASplitEndsAtAPhysicalBlock) {
  HeldDevice disk(kernel(), {.max_sectors = 20, .physical_block_size = 4096}, 8);
  Send(disk, REQ_OP_WRITE, 3, 40);
  EXPECT_THAT(disk.Held(), ElementsAre("W 3+13", "W 16+16", "W 32+11"));
  disk.EndAll();
}

TEST_F(BlkMqTest, ABioIsSplitAtMaxSegments) {
  HeldDevice disk(kernel(), {.max_segments = 2}, 8);
  static char memory[4096];
  bio* const bio = bio_alloc(disk, REQ_OP_WRITE, 0, 5 * 4096);
  for (int i = 0; i < 5; ++i) bio->bi_io_vec.push_back({memory, 4096});
  bio->bi_end_io = bio_put;
  submit_bio(bio);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+16", "W 16+16", "W 32+8"));
  disk.EndAll();
}

TEST_F(BlkMqTest, DiscardsHaveALimitOfTheirOwn) {
  HeldDevice disk(kernel(), {.max_sectors = 64, .max_discard_sectors = 1000}, 8);
  Send(disk, REQ_OP_DISCARD, 0, 1000);
  EXPECT_THAT(disk.Held(), ElementsAre("D 0+1000"));
  disk.EndAll();
}

TEST_F(BlkMqTest, ANowaitBioThatWouldBeSplitFails) {
  HeldDevice disk(kernel(), {.max_sectors = 64}, 8);
  EXPECT_EQ(Send(disk, REQ_OP_WRITE | REQ_NOWAIT, 0, 65)->status, -EAGAIN);
  EXPECT_THAT(disk.Held(), IsEmpty());
}

TEST_F(BlkMqTest, AnAtomicBioIsNeverSplit) {
  HeldDevice disk(kernel(), {.atomic_write_unit_max = 16384}, 8);
  EXPECT_EQ(Send(disk, REQ_OP_WRITE | REQ_ATOMIC, 0, 40)->status, -EINVAL);
  Send(disk, REQ_OP_WRITE | REQ_ATOMIC, 0, 32);
  EXPECT_THAT(disk.Held(), ElementsAre("WU 0+32"));
  disk.EndAll();
}

TEST_F(BlkMqTest, WhatIsBeyondTheEndOrUnalignedIsAnIoError) {
  HeldDevice disk(kernel(), {.logical_block_size = 4096}, 8);
  EXPECT_EQ(Send(disk, REQ_OP_READ, disk.bd_nr_sectors - 7, 8)->status, -EIO);
  EXPECT_EQ(Send(disk, REQ_OP_READ | REQ_FUA, 0, 8)->status, -EIO);
  static char memory[4096];
  int status = 0;
  for (const auto& [sector, size] : {std::pair<sector_t, uint32_t>{1, 4096}, {8, 512}}) {
    bio* const bio = bio_alloc(disk, REQ_OP_WRITE, sector, size);
    bio->bi_io_vec.push_back({memory, size});
    bio->bi_private = &status;
    bio->bi_end_io = [](struct bio* ended) {
      *static_cast<int*>(ended->bi_private) = ended->bi_status;
      bio_put(ended);
    };
    status = 0;
    submit_bio(bio);
    EXPECT_EQ(status, -EIO);
  }
  EXPECT_THAT(disk.Held(), IsEmpty());
}

// Everything that a bio can wait in: the device, the queue, a plug's end, a split, a tag, the flush machine.
TEST_F(BlkMqTest, ForgettingDropsEveryBioOnceAndFreesEveryTag) {
  for (const char* elevator : {"none", "mq-deadline"}) {
    HeldDevice disk(kernel(), {.max_sectors = 64, .write_cache = true}, 4, elevator, 4);
    dropped_ = 0;
    Send(disk, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 0, 8);
    Send(disk, REQ_OP_WRITE, 1000, 128);
    InInterrupt([&] {
      Send(disk, REQ_OP_WRITE, 2000, 128);
      Send(disk, REQ_OP_WRITE, 3000, 8);
    });
    blk_mq_forget_requests(disk.queue(), Drop);
    EXPECT_EQ(dropped_, 4);
    RunFor(100'000);
    HeldDevice& again = disk;
    for (uint32_t i = 0; i < 4; ++i) Send(again, REQ_OP_READ | REQ_NOWAIT, 1000 * i, 8);
    EXPECT_EQ(Send(again, REQ_OP_READ | REQ_NOWAIT, 9000, 8)->status, -EAGAIN);
    blk_mq_forget_requests(disk.queue(), Drop);
  }
}

TEST_F(BlkMqTest, ABioAndItsRequestCostNoAllocationOnceWarm) {
  for (const char* elevator : {"none", "mq-deadline"}) {
    SimDisk disk(kernel(), {.queue_depth = 8, .elevator = elevator});
    const auto round = [&] {
      blk_plug plug;
      blk_start_plug(&plug);
      for (uint32_t i = 0; i < 12; ++i) {
        bio* const bio = bio_alloc(disk, REQ_OP_WRITE, i < 6 ? 8 * i : 1000 * i, 4096);
        bio->bi_end_io = bio_put;
        submit_bio(bio);
      }
      blk_finish_plug(&plug);
      RunFor(10'000'000);
    };
    kernel().trace.set_sink(nullptr);
    for (int i = 0; i < 20; ++i) round();
    const size_t before = Allocations();
    const uint64_t merges_before = kernel().stats.merges;
    for (int i = 0; i < 20; ++i) round();
    // What is recorded of the Chooser's answers grows, by doubling.
    EXPECT_LE(Allocations() - before, 2u);
    EXPECT_GE(kernel().stats.merges - merges_before, 20u);
  }
}

}  // namespace
}  // namespace aiolab
