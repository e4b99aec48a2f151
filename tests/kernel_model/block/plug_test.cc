// Which bios become one request under a plug, and when the plug lets go.
#include <vector>

#include "tests/kernel_model/block/block_fixture.h"

namespace aiolab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using PlugTest = BlockTest;

TEST_F(PlugTest, SequentialBiosBecomeOneRequestAndEndEachForItself) {
  HeldDevice disk(kernel(), {}, 8);
  std::vector<Bio> bios;
  blk_plug plug;
  blk_start_plug(&plug);
  for (uint32_t i = 0; i < 32; ++i) bios.push_back(Send(disk, REQ_OP_WRITE, 8 * i, 8));
  EXPECT_THAT(disk.Held(), IsEmpty());
  blk_finish_plug(&plug);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+256"));
  disk.End(0);
  for (const Bio& bio : bios) EXPECT_EQ(bio->times, 1);
  EXPECT_THAT(Trace(), AllOf(HasSubstr("block_bio_backmerge: dev=259,0 rwbs=W sector=8 sectors=8"),
                             HasSubstr("block_unplug: dev=259,0 comm=client/1 nr=1"),
                             HasSubstr("block_rq_issue: dev=259,0 rwbs=W sector=0 sectors=256")));
}

TEST_F(PlugTest, ABioThatEndsWhereTheLastRequestBeginsIsMergedAtItsFront) {
  HeldDevice disk(kernel(), {}, 8);
  blk_plug plug;
  blk_start_plug(&plug);
  for (const sector_t sector : {16, 8, 0}) Send(disk, REQ_OP_READ, sector, 8);
  blk_finish_plug(&plug);
  EXPECT_THAT(disk.Held(), ElementsAre("R 0+24"));
  EXPECT_THAT(Trace(), HasSubstr("block_bio_frontmerge: dev=259,0 rwbs=R sector=0 sectors=8"));
  disk.EndAll();
}

// As in the kernel: metadata and waited-for bios merge with any other, and the request keeps the first one's flags.
TEST_F(PlugTest, OtherOperationsAndThoseToBeLeftAloneAreNotMerged) {
  struct Case {
    blk_opf_t first, second;
    size_t requests;
  };
  for (const Case& c :
       {Case{REQ_OP_WRITE, REQ_OP_READ, 2}, Case{REQ_OP_WRITE, REQ_OP_WRITE | REQ_NOMERGE, 2},
        Case{REQ_OP_WRITE | REQ_NOMERGE, REQ_OP_WRITE, 2}, Case{REQ_OP_WRITE, REQ_OP_DISCARD, 2},
        Case{REQ_OP_WRITE_ZEROES, REQ_OP_WRITE_ZEROES, 2}, Case{REQ_OP_DISCARD, REQ_OP_DISCARD, 1},
        Case{REQ_OP_WRITE, REQ_OP_WRITE | REQ_FUA, 2}, Case{REQ_OP_WRITE | REQ_FUA, REQ_OP_WRITE, 2},
        Case{REQ_OP_WRITE, REQ_OP_WRITE | REQ_ATOMIC, 2}, Case{REQ_OP_WRITE, REQ_OP_WRITE | REQ_META | REQ_SYNC, 1}}) {
    HeldDevice disk(kernel(), {.atomic_write_unit_max = 4096, .write_cache = true, .fua = true}, 8);
    blk_plug plug;
    blk_start_plug(&plug);
    Send(disk, c.first, 0, 8);
    Send(disk, c.second, 8, 8);
    blk_finish_plug(&plug);
    EXPECT_THAT(disk.Held(), SizeIs(c.requests)) << Rwbs(c.first) << " then " << Rwbs(c.second);
    disk.EndAll();
  }
}

// The kernel closes a request that was once too full, even for a bio that would fit.
TEST_F(PlugTest, ARequestThatIsFullStaysClosed) {
  HeldDevice disk(kernel(), {.max_sectors = 16}, 8);
  blk_plug plug;
  blk_start_plug(&plug);
  Send(disk, REQ_OP_WRITE, 0, 12);
  Send(disk, REQ_OP_WRITE, 12, 8);
  Send(disk, REQ_OP_WRITE, 20, 8);
  blk_finish_plug(&plug);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+12", "W 12+16"));
  disk.EndAll();
}

TEST_F(PlugTest, MergingStopsAtMaxSegments) {
  HeldDevice disk(kernel(), {.max_segments = 2}, 8);
  blk_plug plug;
  blk_start_plug(&plug);
  for (uint32_t i = 0; i < 5; ++i) Send(disk, REQ_OP_WRITE, 8 * i, 8);
  blk_finish_plug(&plug);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+16", "W 16+16", "W 32+8"));
  disk.EndAll();
}

TEST_F(PlugTest, OnlyTheLastRequestOfThePlugIsLookedAt) {
  HeldDevice disk(kernel(), {}, 8);
  blk_plug plug;
  blk_start_plug(&plug);
  Send(disk, REQ_OP_WRITE, 0, 8);
  Send(disk, REQ_OP_WRITE, 1000, 8);
  Send(disk, REQ_OP_WRITE, 8, 8);
  blk_finish_plug(&plug);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+8", "W 1000+8", "W 8+8"));
  disk.EndAll();
}

TEST_F(PlugTest, WithoutAPlugABioGoesStraightToAnIdleDevice) {
  HeldDevice disk(kernel(), {}, 8);
  Send(disk, REQ_OP_WRITE, 0, 8);
  Send(disk, REQ_OP_WRITE, 8, 8);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+8", "W 8+8"));
  EXPECT_THAT(Trace(), Not(HasSubstr("block_plug")));
  disk.EndAll();
}

TEST_F(PlugTest, TheThirtyThirdRequestSendsTheFirstThirtyTwo) {
  HeldDevice disk(kernel(), {}, 64);
  blk_plug plug;
  blk_start_plug(&plug);
  for (uint32_t i = 0; i < BLK_MAX_REQUEST_COUNT; ++i) Send(disk, REQ_OP_WRITE, 100 * i, 8);
  EXPECT_THAT(disk.Held(), IsEmpty());
  Send(disk, REQ_OP_WRITE, 100'000, 8);
  EXPECT_THAT(disk.Held(), SizeIs(BLK_MAX_REQUEST_COUNT));
  blk_finish_plug(&plug);
  EXPECT_THAT(disk.Held(), SizeIs(BLK_MAX_REQUEST_COUNT + 1));
  disk.EndAll();
}

TEST_F(PlugTest, APlugOfTwoQueuesHoldsTwiceAsManyAndSendsThemQueueByQueue) {
  HeldDevice a(kernel(), {}, 64), b(kernel(), {}, 64);
  blk_plug plug;
  blk_start_plug(&plug);
  for (uint32_t i = 0; i < BLK_MAX_REQUEST_COUNT; ++i) {
    Send(a, REQ_OP_WRITE, 100 * i, 8);
    Send(b, REQ_OP_WRITE, 100 * i, 8);
  }
  EXPECT_THAT(a.Held(), IsEmpty());
  Send(a, REQ_OP_WRITE, 100'000, 8);
  EXPECT_THAT(a.Held(), SizeIs(BLK_MAX_REQUEST_COUNT));
  EXPECT_THAT(b.Held(), SizeIs(BLK_MAX_REQUEST_COUNT));
  blk_finish_plug(&plug);
  a.EndAll();
  b.EndAll();
}

TEST_F(PlugTest, ARequestOf128KiBSendsThePlugWhenAnotherIsAdded) {
  HeldDevice disk(kernel(), {}, 8);
  blk_plug plug;
  blk_start_plug(&plug);
  Send(disk, REQ_OP_WRITE, 0, BLK_PLUG_FLUSH_SIZE / 512 - 8);
  Send(disk, REQ_OP_WRITE, 10'000, 8);
  EXPECT_THAT(disk.Held(), IsEmpty());
  blk_finish_plug(&plug);
  disk.EndAll();

  blk_start_plug(&plug);
  Send(disk, REQ_OP_WRITE, 0, BLK_PLUG_FLUSH_SIZE / 512);
  EXPECT_THAT(disk.Held(), IsEmpty());
  Send(disk, REQ_OP_WRITE, 10'000, 8);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+256"));
  blk_finish_plug(&plug);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+256", "W 10000+8"));
  disk.EndAll();
}

TEST_F(PlugTest, RequestsGoInTheOrderOfSubmissionNotBySector) {
  HeldDevice disk(kernel(), {}, 8);
  blk_plug plug;
  blk_start_plug(&plug);
  for (const sector_t sector : {300, 100, 200}) Send(disk, REQ_OP_READ, sector, 8);
  blk_finish_plug(&plug);
  EXPECT_THAT(disk.Held(), ElementsAre("R 300+8", "R 100+8", "R 200+8"));
  disk.EndAll();
}

TEST_F(PlugTest, APlugInsideAPlugDoesNothing) {
  HeldDevice disk(kernel(), {}, 8);
  blk_plug outer, inner;
  blk_start_plug(&outer);
  blk_start_plug(&inner);
  Send(disk, REQ_OP_WRITE, 0, 8);
  blk_finish_plug(&inner);
  EXPECT_THAT(disk.Held(), IsEmpty());
  blk_finish_plug(&outer);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+8"));
  disk.EndAll();
}

// A task that sleeps leaves what it holds back to kblockd: it does not wait for the device's driver itself.
TEST_F(PlugTest, ATaskThatSleepsHandsItsRequestsToKblockd) {
  HeldDevice disk(kernel(), {}, 8);
  blk_plug plug;
  blk_start_plug(&plug);
  Send(disk, REQ_OP_WRITE, 0, 8);
  RunFor(1);
  EXPECT_THAT(disk.Held(), IsEmpty());
  RunFor(10'000);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+8"));
  blk_finish_plug(&plug);
  EXPECT_THAT(Trace(), AllOf(HasSubstr("client/1 0 block_rq_insert: dev=259,0 rwbs=W sector=0 sectors=8"),
                             HasSubstr("workqueue_queue_work: work=blk_mq_run_work_fn workqueue=kworker/kblockd"),
                             HasSubstr("kworker/kblockd 0 block_rq_issue: dev=259,0 rwbs=W sector=0 sectors=8")));
  disk.EndAll();
}

// What lies in the software queue until kblockd runs can still grow.
TEST_F(PlugTest, ABioIsMergedIntoARequestThatWaitsForKblockd) {
  HeldDevice disk(kernel(), {}, 8);
  blk_plug plug;
  blk_start_plug(&plug);
  Send(disk, REQ_OP_WRITE, 0, 8);
  RunFor(1);
  blk_finish_plug(&plug);
  Send(disk, REQ_OP_WRITE, 8, 8);
  RunFor(10'000);
  EXPECT_THAT(disk.Held(), ElementsAre("W 0+16"));
  disk.EndAll();
}

}  // namespace
}  // namespace aiolab
