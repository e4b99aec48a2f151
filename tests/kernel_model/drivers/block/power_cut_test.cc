// What is left on a disk whose power went.
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kernel_model/drivers/block/sim_disk_fixture.h"

namespace aiolab {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr uint64_t kSeeds = 64;

SimDiskParameters SmallDisk() {
  SimDiskParameters parameters = *FindSimDiskPreset("nvme");
  parameters.size_bytes = 1 << 20;
  return parameters;
}

// Runs `scenario(client, disk)`, cuts the power and reads a range, under many seeds: all that was found.
template <typename Scenario>
std::set<std::string> Survivors(const SimDiskParameters& parameters, const Scenario& scenario, sector_t sector = 0,
                                uint32_t size = 512, SeededBug bug = SeededBug::kNone, uint32_t tear_bytes = 0) {
  std::set<std::string> found;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimDiskClient client(seed, bug);
    SimDisk disk(client.machine_.kernel(), parameters);
    scenario(client, disk);
    client.PowerCut(disk, tear_bytes);
    // One letter a sector.
    const std::string bytes = client.Read(disk, sector, size);
    std::string letters;
    for (size_t i = 0; i < bytes.size(); i += 512) {
      EXPECT_EQ(bytes.substr(i, 512), std::string(512, bytes[i])) << "a sector was torn";
      letters += bytes[i] == '\0' ? '-' : bytes[i];
    }
    found.insert(letters);
  }
  return found;
}

std::string Sectors(char letter, size_t count = 1) { return std::string(512 * count, letter); }

void WritesAndFlushes(SimDiskClient& client, SimDisk& disk) {
  EXPECT_EQ(client.Write(disk, 0, Sectors('a')), 0);
  EXPECT_EQ(client.Flush(disk), 0);
}

TEST(PowerCutTest, WhatWasFlushedIsAlwaysThere) {
  EXPECT_THAT(Survivors(SmallDisk(), WritesAndFlushes), ElementsAre("a"));
}

TEST(PowerCutTest, TheSeededBugLosesWhatWasFlushed) {
  EXPECT_THAT(Survivors(SmallDisk(), WritesAndFlushes, 0, 512, SeededBug::kFlushKeepsCache), Contains("-"));
}

void WritesWithFua(SimDiskClient& client, SimDisk& disk) {
  EXPECT_EQ(client.Write(disk, 0, Sectors('a')), 0);
  EXPECT_EQ(client.Write(disk, 0, Sectors('b'), REQ_FUA), 0);
}

TEST(PowerCutTest, WhatWasWrittenWithFuaIsAlwaysThereOverWhatWasCachedBefore) {
  for (const bool fua : {true, false}) {
    SimDiskParameters parameters = SmallDisk();
    parameters.fua = fua;
    EXPECT_THAT(Survivors(parameters, WritesWithFua), ElementsAre("b"));
  }
}

TEST(PowerCutTest, TheSeededBugLosesWhatWasWrittenWithFua) {
  EXPECT_THAT(Survivors(SmallDisk(), WritesWithFua, 0, 512, SeededBug::kFuaInCache), Contains("-"));
}

TEST(PowerCutTest, AWriteWithFuaSaysNothingOfOtherSectors) {
  EXPECT_THAT(Survivors(
                  SmallDisk(),
                  [](SimDiskClient& client, SimDisk& disk) {
                    client.Write(disk, 1, Sectors('a'));
                    client.Write(disk, 0, Sectors('b'), REQ_FUA);
                  },
                  0, 1024),
              UnorderedElementsAre("b-", "ba"));
}

TEST(PowerCutTest, AWriteAfterFuaMayBeLostButNotTheFuaWrite) {
  EXPECT_THAT(Survivors(SmallDisk(),
                        [](SimDiskClient& client, SimDisk& disk) {
                          client.Write(disk, 0, Sectors('a'));
                          client.Write(disk, 0, Sectors('b'), REQ_FUA);
                          client.Write(disk, 0, Sectors('c'));
                        }),
              UnorderedElementsAre("b", "c"));
}

TEST(PowerCutTest, WhatWasOnlyCachedSurvivesSometimes) {
  EXPECT_THAT(Survivors(SmallDisk(), [](SimDiskClient& client, SimDisk& disk) { client.Write(disk, 0, Sectors('a')); }),
              UnorderedElementsAre("-", "a"));
}

TEST(PowerCutTest, ASectorIsOneOfTheVersionsThatItHadSinceItWasDurable) {
  EXPECT_THAT(Survivors(SmallDisk(),
                        [](SimDiskClient& client, SimDisk& disk) {
                          client.Write(disk, 0, Sectors('x'));
                          client.Write(disk, 0, Sectors('a'));
                          client.Flush(disk);
                          client.Write(disk, 0, Sectors('b'));
                          client.Write(disk, 0, Sectors('c'));
                        }),
              UnorderedElementsAre("a", "b", "c"));
}

TEST(PowerCutTest, AWriteOfTwoSectorsIsTornSometimes) {
  const auto write = [](SimDiskClient& client, SimDisk& disk) { client.Write(disk, 0, Sectors('a', 2)); };
  EXPECT_THAT(Survivors(SmallDisk(), write, 0, 1024), UnorderedElementsAre("--", "-a", "a-", "aa"));
}

TEST(PowerCutTest, AnAtomicUnitIsNeverTorn) {
  SimDiskParameters parameters = SmallDisk();
  parameters.atomic_write_unit = 1024;
  const auto write = [](SimDiskClient& client, SimDisk& disk) { client.Write(disk, 0, Sectors('a', 4)); };
  EXPECT_THAT(Survivors(parameters, write, 0, 2048), UnorderedElementsAre("----", "--aa", "aa--", "aaaa"));
}

TEST(PowerCutTest, ACutMayTearFinerOrCoarserThanTheDiskSays) {
  SimDiskParameters parameters = SmallDisk();
  parameters.atomic_write_unit = 1024;
  const auto write = [](SimDiskClient& client, SimDisk& disk) { client.Write(disk, 0, Sectors('a', 2)); };
  EXPECT_THAT(Survivors(parameters, write, 0, 1024, SeededBug::kNone, /*tear_bytes=*/512),
              UnorderedElementsAre("--", "-a", "a-", "aa"));
  EXPECT_THAT(Survivors(SmallDisk(), write, 0, 1024, SeededBug::kNone, /*tear_bytes=*/1024),
              UnorderedElementsAre("--", "aa"));
}

// What FUA has made durable of a coarse piece, the cut leaves.
TEST(PowerCutTest, ACoarseCutTakesNothingDurableBack) {
  const auto scenario = [](SimDiskClient& client, SimDisk& disk) {
    client.Write(disk, 0, Sectors('a', 2));
    client.Write(disk, 1, Sectors('b'), REQ_FUA);
  };
  EXPECT_THAT(Survivors(SmallDisk(), scenario, 0, 1024, SeededBug::kNone, /*tear_bytes=*/1024), ElementsAre("ab"));
}

// A flush covers what had ended when it began: a write that ends while it runs may still be lost.
TEST(PowerCutTest, AFlushDoesNotCoverAWriteThatIsUnderWay) {
  const auto scenario = [](SimDiskClient& client, SimDisk& disk) {
    static std::string late;
    late = Sectors('b');
    client.Write(disk, 0, Sectors('a'));
    client.StartWrite(disk, 1, late);
    client.Flush(disk);
  };
  const std::set<std::string> found = Survivors(SmallDisk(), scenario, 0, 1024);
  EXPECT_THAT(found, UnorderedElementsAre("a-", "ab"));
}

TEST(PowerCutTest, AWriteInFlightArrivesInWholeInPartOrNotAtAll) {
  for (const uint64_t cache_bytes : {uint64_t{64} << 20, uint64_t{0}}) {
    SimDiskParameters parameters = SmallDisk();
    parameters.cache_bytes = cache_bytes;
    const auto scenario = [](SimDiskClient& client, SimDisk& disk) {
      static std::string bytes;
      bytes = Sectors('b', 2);
      client.Write(disk, 0, Sectors('a', 2));
      client.Flush(disk);
      client.StartWrite(disk, 0, bytes);
    };
    EXPECT_THAT(Survivors(parameters, scenario, 0, 1024), UnorderedElementsAre("aa", "ab", "ba", "bb"));
  }
}

TEST(PowerCutTest, WithoutACacheWhatHasEndedIsThere) {
  SimDiskParameters parameters = SmallDisk();
  parameters.cache_bytes = 0;
  EXPECT_THAT(Survivors(parameters, [](SimDiskClient& client, SimDisk& disk) { client.Write(disk, 0, Sectors('a')); }),
              ElementsAre("a"));
}

TEST(PowerCutTest, ACachedDiscardMayBeUndone) {
  const auto scenario = [](SimDiskClient& client, SimDisk& disk) {
    client.Write(disk, 0, Sectors('a'));
    client.Flush(disk);
    client.Transfer(disk, REQ_OP_DISCARD, 0, {}, 1 << 19);
  };
  EXPECT_THAT(Survivors(SmallDisk(), scenario), UnorderedElementsAre("-", "a"));
}

// What does not fit into the cache is durable: the oldest writes first.
TEST(PowerCutTest, TheCacheIsBounded) {
  SimDiskParameters parameters = SmallDisk();
  parameters.cache_bytes = 8192;
  const auto scenario = [](SimDiskClient& client, SimDisk& disk) {
    for (sector_t sector = 0; sector < 64; ++sector) client.Write(disk, sector, Sectors('a'));
    EXPECT_EQ(disk.bytes_at_risk(), 8192u);
  };
  EXPECT_THAT(Survivors(parameters, scenario, 0, 48 * 512), ElementsAre(std::string(48, 'a')));
  EXPECT_THAT(Survivors(parameters, scenario, 48, 512), Contains("-"));
}

// Forty rewrites of one sector through a cache of sixteen sectors: the first ones can no longer come back.
TEST(PowerCutTest, AVersionThatLeftTheCacheDoesNotComeBack) {
  SimDiskParameters parameters = SmallDisk();
  parameters.cache_bytes = 8192;
  const auto scenario = [](SimDiskClient& client, SimDisk& disk) {
    for (int i = 0; i < 26; ++i) client.Write(disk, 0, Sectors(static_cast<char>('a' + i)));
  };
  const std::set<std::string> found = Survivors(parameters, scenario);
  for (char letter = 'a'; letter < 'j'; ++letter) EXPECT_THAT(found, Not(Contains(std::string(1, letter))));
  EXPECT_GT(found.size(), 5u);
}

TEST(PowerCutTest, TheDiskWorksAfterwards) {
  SimDiskClient client;
  SimDisk disk(client.machine_.kernel(), SmallDisk());
  std::string bytes = Sectors('a');
  client.StartWrite(disk, 0, bytes);
  client.PowerCut(disk);
  EXPECT_EQ(disk.bytes_at_risk(), 0u);
  EXPECT_EQ(client.Write(disk, 0, Sectors('b')), 0);
  EXPECT_EQ(client.Flush(disk), 0);
  EXPECT_EQ(client.Read(disk, 0, 512), Sectors('b'));
}

TEST(PowerCutTest, TheSameSeedLeavesTheSameBytes) {
  std::string first;
  for (int run = 0; run < 2; ++run) {
    SimDiskClient client(/*seed=*/3);
    SimDisk disk(client.machine_.kernel(), SmallDisk());
    client.Write(disk, 0, Sectors('a', 64));
    client.PowerCut(disk);
    const std::string bytes = client.Read(disk, 0, 64 * 512);
    if (run == 0) first = bytes;
    EXPECT_EQ(bytes, first);
  }
}

}  // namespace
}  // namespace aiolab
