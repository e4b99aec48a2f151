// The order in which mq-deadline sends requests on.
#include <string>
#include <vector>

#include "tests/kernel_model/block/block_fixture.h"

namespace aiolab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kMs = 1'000'000;

class MqDeadlineTest : public BlockTest {
 protected:
  // The device has one tag, and a read at sector 0 holds it while the test queues.
  MqDeadlineTest() : disk_(kernel(), {}, 1, "mq-deadline", 256) {
    Send(disk_, REQ_OP_READ, 0, 8);
    RunFor(10'000);
  }

  // Ends one request after the other; the sectors in the order in which they came.
  std::vector<std::string> Rest() {
    while (!disk_.Held().empty()) {
      disk_.End(0);
      RunFor(10'000);
    }
    return std::vector<std::string>(disk_.seen().begin() + 1, disk_.seen().end());
  }

  HeldDevice disk_;
};

TEST_F(MqDeadlineTest, RequestsGoBySector) {
  for (const sector_t sector : {300, 100, 400, 200}) Send(disk_, REQ_OP_READ, sector, 8);
  EXPECT_THAT(Rest(), ElementsAre("R 100+8", "R 200+8", "R 300+8", "R 400+8"));
}

TEST_F(MqDeadlineTest, AfterTheLastSectorItStartsAgainWithTheOldest) {
  Send(disk_, REQ_OP_READ, 500, 8);
  disk_.End(0);
  RunFor(10'000);
  for (const sector_t sector : {200, 100, 600}) Send(disk_, REQ_OP_READ, sector, 8);
  EXPECT_THAT(Rest(), ElementsAre("R 500+8", "R 600+8", "R 200+8", "R 100+8"));
}

// A batch is 16 requests; after it reads go first twice, then the writes have waited long enough.
TEST_F(MqDeadlineTest, WritesWaitForThreeBatchesOfReads) {
  Send(disk_, REQ_OP_WRITE, 50, 8);
  for (uint32_t i = 1; i <= 60; ++i) Send(disk_, REQ_OP_READ, 100 * i, 8);
  const std::vector<std::string> rest = Rest();
  // The read that holds the tag was the first of its batch.
  size_t reads_before = 0;
  while (rest[reads_before] != "W 50+8") ++reads_before;
  EXPECT_EQ(reads_before, 15u + 2 * 16);
}

TEST_F(MqDeadlineTest, AnExpiredReadGoesBeforeTheNextBatch) {
  Send(disk_, REQ_OP_READ, 10'000, 8);
  RunFor(600 * kMs);
  for (uint32_t i = 1; i <= 40; ++i) Send(disk_, REQ_OP_READ, 100 * i, 8);
  const std::vector<std::string> rest = Rest();
  EXPECT_EQ(rest[14], "R 1500+8");
  EXPECT_EQ(rest[15], "R 10000+8");
}

TEST_F(MqDeadlineTest, AReadThatIsNotExpiredWaitsForItsSector) {
  Send(disk_, REQ_OP_READ, 10'000, 8);
  RunFor(300 * kMs);
  for (uint32_t i = 1; i <= 40; ++i) Send(disk_, REQ_OP_READ, 100 * i, 8);
  EXPECT_EQ(Rest().back(), "R 10000+8");
}

TEST_F(MqDeadlineTest, BiosMergeIntoQueuedRequestsAtBothEnds) {
  Send(disk_, REQ_OP_WRITE, 108, 8);
  Send(disk_, REQ_OP_WRITE, 500, 8);
  Send(disk_, REQ_OP_WRITE, 116, 8);
  Send(disk_, REQ_OP_WRITE, 100, 8);
  EXPECT_THAT(Rest(), ElementsAre("W 100+24", "W 500+8"));
}

TEST_F(MqDeadlineTest, ABioThatFillsAGapJoinsItsNeighbours) {
  Send(disk_, REQ_OP_WRITE, 100, 8);
  Send(disk_, REQ_OP_WRITE, 116, 8);
  const Bio gap = Send(disk_, REQ_OP_WRITE, 108, 8);
  EXPECT_THAT(Rest(), ElementsAre("W 100+24"));
  EXPECT_EQ(gap->times, 1);
  EXPECT_THAT(Trace(), HasSubstr("block_rq_merge: dev=259,0 rwbs=W sector=116 sectors=8"));
}

TEST_F(MqDeadlineTest, ARequestOfAPlugJoinsTheQueuedOneBeforeIt) {
  blk_plug plug;
  blk_start_plug(&plug);
  Send(disk_, REQ_OP_WRITE, 100, 8);
  Send(disk_, REQ_OP_WRITE, 500, 8);
  Send(disk_, REQ_OP_WRITE, 108, 8);
  blk_finish_plug(&plug);
  EXPECT_THAT(Rest(), ElementsAre("W 100+16", "W 500+8"));
}

}  // namespace
}  // namespace aiolab
