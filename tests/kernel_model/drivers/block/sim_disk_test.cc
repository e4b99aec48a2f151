#include "kernel_model/drivers/block/sim_disk.h"

#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kernel_model/drivers/block/sim_disk_fixture.h"
#include "tools/testing/scoped_fault.h"

namespace aiolab {
namespace {

using SimDiskTest = SimDiskFixture;

TEST_F(SimDiskTest, WhatWasWrittenIsReadAndTheRestIsZeros) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 1 << 20});
  EXPECT_EQ(Write(disk, 7, std::string(1024, 'w')), 0);
  EXPECT_EQ(Read(disk, 6, 2048), std::string(512, '\0') + std::string(1024, 'w') + std::string(512, '\0'));
}

TEST_F(SimDiskTest, ABioMayHaveSeveralPiecesOfMemory) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 1 << 20});
  std::string a(512, 'a'), b(4096, 'b');
  EXPECT_EQ(Transfer(disk, REQ_OP_WRITE, 100, {{a.data(), 512}, {b.data(), 4096}}, 4608), 0);
  EXPECT_EQ(Read(disk, 100, 4608), a + b);
}

TEST_F(SimDiskTest, ASectorBeyondTheEndIsAnIoError) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 8192});
  EXPECT_EQ(Write(disk, 15, std::string(512, 'w')), 0);
  EXPECT_EQ(Write(disk, 15, std::string(1024, 'w')), -EIO);
  EXPECT_EQ(Write(disk, 16, std::string(512, 'w')), -EIO);
  EXPECT_EQ(Write(disk, ~sector_t{0}, std::string(512, 'w')), -EIO);
}

TEST_F(SimDiskTest, ABioWithoutMemoryTakesTimeAndMovesNothing) {
  SimDisk disk(machine_.kernel());
  const int64_t before_ns = machine_.NowNs();
  EXPECT_EQ(Transfer(disk, REQ_OP_WRITE, 0, {}, 4096), 0);
  EXPECT_EQ(Transfer(disk, REQ_OP_READ, 0, {{nullptr, 4096}}, 4096), 0);
  EXPECT_GT(machine_.NowNs(), before_ns + 20'000);
  EXPECT_EQ(disk.bytes().chunks(), 0u);
}

TEST_F(SimDiskTest, UserMemoryThatHasGoneAwayIsAFault) {
  SimDisk disk(machine_.kernel());
  void* const gone = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bio_vec vec = {static_cast<char*>(gone), 4096, /*bv_user=*/true};
  EXPECT_EQ(Transfer(disk, REQ_OP_WRITE, 0, {vec}, 4096), -EFAULT);
  EXPECT_EQ(Transfer(disk, REQ_OP_READ, 0, {vec}, 4096), -EFAULT);
  munmap(gone, 4096);
}

TEST_F(SimDiskTest, DiscardedAndZeroedSectorsReadZero) {
  SimDisk disk(machine_.kernel(), {.size_bytes = uint64_t{16} << 40});
  for (const blk_opf_t op : {REQ_OP_DISCARD, REQ_OP_WRITE_ZEROES}) {
    EXPECT_EQ(Write(disk, 0, std::string(3 * 4096, 'w')), 0);
    EXPECT_EQ(Transfer(disk, op, 1, {}, 2 * 4096), 0);
    EXPECT_EQ(Read(disk, 0, 3 * 4096),
              std::string(512, 'w') + std::string(2 * 4096, '\0') + std::string(4096 - 512, 'w'));
    EXPECT_EQ(disk.bytes().chunks(), 2u);
  }
}

// The bytes, and what the volatile cache remembers of them.
TEST_F(SimDiskTest, ADiskOf1TiBCostsMemoryForTheThousandChunksThatWereWritten) {
  SimDisk disk(machine_.kernel(), *FindSimDiskPreset("nvme"));
  constexpr uint64_t kStride = (uint64_t{1} << 40) / SECTOR_SIZE / 1000 / 8 * 8;
  const size_t before = mallinfo2().uordblks;
  for (uint64_t i = 0; i < 1000; ++i) EXPECT_EQ(Write(disk, i * kStride, std::string(4096, 'w')), 0);
  const size_t unflushed = mallinfo2().uordblks - before;
  EXPECT_EQ(Flush(disk), 0);
  const size_t flushed = mallinfo2().uordblks - before;
  EXPECT_EQ(disk.bytes().chunks(), 1000u);
  EXPECT_LT(unflushed, size_t{10} << 20);
  EXPECT_LT(flushed, size_t{5} << 20);
}

TEST_F(SimDiskTest, TheLastSectorsOfADiskOf16TiBAreThere) {
  const absl::StatusOr<SimDiskParameters> parameters = ParseSimDisk("hdd,size=16T");
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  SimDisk disk(machine_.kernel(), *parameters);
  const sector_t last = disk.bd_nr_sectors - 8;
  EXPECT_EQ(Write(disk, last, std::string(4096, 'w')), 0);
  EXPECT_EQ(Read(disk, last, 4096), std::string(4096, 'w'));
}

// --- The overlay of bad sectors.

TEST_F(SimDiskTest, ABadSectorCannotBeReadAndItsBytesAreThereWhenItIsGoodAgain) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 1 << 20});
  EXPECT_EQ(Write(disk, 0, std::string(4096, 'w')), 0);
  disk.AddBadSectors({3, 2});
  std::string bytes(4096, '?');
  EXPECT_EQ(Transfer(disk, REQ_OP_READ, 0, {{bytes.data(), 4096}}, 4096), -EIO);
  EXPECT_EQ(Read(disk, 5, 512), std::string(512, 'w'));
  EXPECT_THAT(disk.bad_sectors(), testing::ElementsAre(SimDisk::BadSectors{3, 2}));
  disk.ClearBadSectors();
  EXPECT_EQ(Read(disk, 0, 4096), std::string(4096, 'w'));
}

TEST_F(SimDiskTest, AWriteMakesABadSectorGoodUnlessWritesFailToo) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 1 << 20});
  disk.AddBadSectors({10, 3});
  EXPECT_EQ(Write(disk, 11, std::string(512, 'w')), 0);
  EXPECT_THAT(disk.bad_sectors(), testing::ElementsAre(SimDisk::BadSectors{10, 1}, SimDisk::BadSectors{12, 1}));
  EXPECT_EQ(Read(disk, 11, 512), std::string(512, 'w'));

  disk.AddBadSectors({100, 1, /*writes_fail=*/true});
  EXPECT_EQ(Write(disk, 100, std::string(512, 'w')), -EIO);
  disk.ClearBadSectors();
  EXPECT_EQ(Read(disk, 100, 512), std::string(512, '\0'));
}

// --- The log.

class Log : public DiskObserver {
 public:
  void OnRequest(const Entry& entry) override {
    static constexpr const char* kNames[] = {"write", "flush", "discard", "zeroes"};
    lines.push_back(absl::StrCat(kNames[static_cast<int>(entry.kind)], " ", entry.sector, "+", entry.sectors, " ",
                                 entry.bytes.substr(0, 1), entry.fua ? " fua" : "", entry.lost ? " lost" : ""));
    began.push_back(entry.began);
    EXPECT_GE(entry.time_ns, time_ns);
    time_ns = entry.time_ns;
  }
  std::vector<std::string> lines;
  std::vector<uint64_t> began;
  int64_t time_ns = 0;
};

TEST_F(SimDiskTest, AnObserverSeesWhatReachesTheDisk) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 1 << 20});
  Log log;
  disk.set_observer(&log);
  Write(disk, 8, std::string(1024, 'a'));
  Write(disk, 16, std::string(512, 'b'), REQ_FUA);
  Transfer(disk, REQ_OP_FLUSH, 0, {}, 0);
  Transfer(disk, REQ_OP_DISCARD, 8, {}, 4096);
  Transfer(disk, REQ_OP_WRITE_ZEROES, 16, {}, 512);
  Read(disk, 0, 512);
  EXPECT_THAT(log.lines,
              testing::ElementsAre("write 8+2 a", "write 16+1 b fua", "flush 0+0 ", "discard 8+8 ", "zeroes 16+1 "));
}

TEST_F(SimDiskTest, AnObserverOfTwoDisksHasOneOrderForBoth) {
  SimDisk one(machine_.kernel(), {.size_bytes = 1 << 20});
  SimDisk other(machine_.kernel(), {.size_bytes = 1 << 20});
  Log log;
  one.set_observer(&log);
  other.set_observer(&log, /*number=*/1);
  Write(one, 8, std::string(512, 'a'));
  Write(other, 8, std::string(512, 'b'));
  Transfer(one, REQ_OP_FLUSH, 0, {}, 0);
  EXPECT_THAT(log.lines,
              testing::ElementsAre("write 8+1 a", absl::StrCat("write ", DiskObserver::kSectorsPerDisk + 8, "+1 b"),
                                   "flush 0+0 "));
  EXPECT_THAT(log.began, testing::ElementsAre(0, 1, 2));
}

// Of each request first what was not done.
TEST_F(SimDiskTest, AnObserverIsToldWhatTheDiskOnlySaidItDid) {
  SimDisk disk(machine_.kernel(), {.size_bytes = 1 << 20});
  Log log;
  disk.set_observer(&log);
  const auto written_with = [&](const char* fault) {
    log.lines.clear();
    const ScopedFault rule(machine_, fault);
    Write(disk, 8, std::string(2048, 'a'));
    return log.lines;
  };
  EXPECT_THAT(written_with("device=nth(1):lost"), testing::ElementsAre("write 8+4  lost"));
  EXPECT_THAT(written_with("device=nth(1):torn"),
              testing::AnyOf(testing::ElementsAre("write 9+3  lost", "write 8+1 a"),
                             testing::ElementsAre("write 10+2  lost", "write 8+2 a"),
                             testing::ElementsAre("write 11+1  lost", "write 8+3 a")));
  EXPECT_THAT(written_with("device=nth(1):misdirected(8192)"), testing::ElementsAre("write 8+4  lost", "write 24+4 a"));
}

}  // namespace
}  // namespace aiolab
