// What a power cut can leave, enumerated from a log of what was written.
#include "kernel_model/drivers/block/crash_images.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kernel_model/drivers/block/sim_disk_fixture.h"
#include "tools/testing/scoped_fault.h"

namespace aiolab {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::SizeIs;
using testing::UnorderedElementsAre;

using Kind = DiskObserver::Kind;

SimDiskParameters SmallDisk() {
  SimDiskParameters parameters = *FindSimDiskPreset("nvme");
  parameters.size_bytes = 1 << 20;
  return parameters;
}

// One letter a sector. A request begins when the one before it has completed, unless `overlaps` says how many of those
// before it were still under way.
LoggedRequest Request(const WriteLog& log, Kind kind, uint64_t sector, const std::string& letters, uint64_t overlaps) {
  LoggedRequest request;
  request.kind = kind;
  request.sector = sector;
  request.sectors = letters.size();
  request.began = log.requests.size() - overlaps;
  if (kind == Kind::kWrite) {
    for (const char letter : letters) request.bytes += std::string(512, letter);
  }
  return request;
}

struct Log : WriteLog {
  Log& Write(uint64_t sector, const std::string& letters, uint64_t overlaps = 0) {
    requests.push_back(Request(*this, Kind::kWrite, sector, letters, overlaps));
    return *this;
  }
  Log& Fua(uint64_t sector, const std::string& letters) {
    Write(sector, letters);
    requests.back().fua = true;
    return *this;
  }
  Log& Flush(uint64_t overlaps = 0) {
    requests.push_back(Request(*this, Kind::kFlush, 0, "", overlaps));
    return *this;
  }
  Log& Discard(uint64_t sector, uint64_t sectors) {
    requests.push_back(Request(*this, Kind::kDiscard, sector, std::string(sectors, '-'), 0));
    return *this;
  }
};

std::string Letters(const SectorStore& store, uint64_t sectors, uint64_t first = 0) {
  std::string bytes(sectors * 512, '\0');
  store.Read(first, absl::MakeSpan(bytes));
  std::string letters;
  for (size_t i = 0; i < bytes.size(); i += 512) {
    EXPECT_EQ(bytes.substr(i, 512), std::string(512, bytes[i])) << "a sector was torn";
    letters += bytes[i] == '\0' ? '-' : bytes[i];
  }
  return letters;
}

// What `describe` says of every image at one point.
template <typename Describe>
std::set<std::string> DescribedAt(const WriteLog& log, uint64_t point, const SimDiskParameters& disk,
                                  const Describe& describe) {
  SeededChooser chooser(/*seed=*/1);
  CrashImages images(chooser);
  CrashState state(log, disk);
  state.MoveTo(point);
  std::set<std::string> found;
  EXPECT_TRUE(images.Visit(state, 0, /*images_max=*/10'000, [&](const CrashState::Selection& image) {
    SectorStore store;
    state.CopyTo(image, &store);
    EXPECT_TRUE(found.insert(describe(store)).second) << "one image came twice";
    return true;
  }));
  EXPECT_EQ(images.points_complete(), 1u);
  return found;
}

// The first sectors.
std::set<std::string> ImagesAt(const WriteLog& log, uint64_t point, uint64_t sectors,
                               const SimDiskParameters& disk = SmallDisk()) {
  return DescribedAt(log, point, disk, [sectors](const SectorStore& store) { return Letters(store, sectors); });
}
std::set<std::string> ImagesAtTheEnd(const WriteLog& log, uint64_t sectors,
                                     const SimDiskParameters& disk = SmallDisk()) {
  return ImagesAt(log, log.requests.size(), sectors, disk);
}

TEST(CrashImagesTest, WhatWasFlushedIsThereAndWhatCameLaterMayBe) {
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "a").Flush().Write(1, "b"), 2), UnorderedElementsAre("a-", "ab"));
}

TEST(CrashImagesTest, EachSectorOfAWriteIsDecidedByItself) {
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "ab"), 2), UnorderedElementsAre("--", "a-", "-b", "ab"));
}

TEST(CrashImagesTest, AnAtomicUnitIsNeverTorn) {
  SimDiskParameters disk = SmallDisk();
  disk.atomic_write_unit = 1024;
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "abcd"), 4, disk), UnorderedElementsAre("----", "ab--", "--cd", "abcd"));
}

TEST(CrashImagesTest, ASectorIsOneOfTheVersionsThatItHadSinceItWasDurable) {
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "x").Write(0, "a").Flush().Write(0, "b").Write(0, "c"), 1),
              UnorderedElementsAre("a", "b", "c"));
}

TEST(CrashImagesTest, AWriteWithFuaIsThereAndWhatItsUnitGotBeforeDoesNotComeBack) {
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "aa").Fua(0, "b"), 2), UnorderedElementsAre("b-", "ba"));
}

TEST(CrashImagesTest, AFlushDoesNotBringBackWhatFuaHasReplaced) {
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "aa").Fua(0, "b").Flush(), 2), ElementsAre("ba"));
}

TEST(CrashImagesTest, AFlushDoesNotCoverAWriteThatCompletedWhileItRan) {
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "a").Write(1, "b").Flush(/*overlaps=*/1), 2),
              UnorderedElementsAre("a-", "ab"));
}

TEST(CrashImagesTest, AWriteUnderWayIsThereOrNot) {
  EXPECT_THAT(ImagesAt(Log().Write(0, "a").Flush().Write(0, "bb"), 2, 2), UnorderedElementsAre("a-", "b-", "ab", "bb"));
}

// Not begun at the point, so not there.
TEST(CrashImagesTest, AWriteThatHasNotBegunIsNotThere) {
  EXPECT_THAT(ImagesAt(Log().Write(0, "a").Write(1, "b"), 0, 2), UnorderedElementsAre("--", "a-"));
  EXPECT_THAT(ImagesAt(Log().Write(0, "a").Write(1, "b", /*overlaps=*/1), 0, 2),
              UnorderedElementsAre("--", "a-", "-b", "ab"));
}

TEST(CrashImagesTest, WithoutACacheWhatHasCompletedIsThere) {
  SimDiskParameters disk = SmallDisk();
  disk.cache_bytes = 0;
  EXPECT_THAT(ImagesAt(Log().Write(0, "a").Write(1, "b"), 1, 2, disk), UnorderedElementsAre("a-", "ab"));
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "a").Write(1, "b"), 2, disk), ElementsAre("ab"));
}

TEST(CrashImagesTest, WhatTheCacheHasNoRoomForIsThere) {
  SimDiskParameters disk = SmallDisk();
  disk.cache_bytes = 1024;
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "a").Write(1, "b").Write(2, "c"), 3, disk),
              UnorderedElementsAre("a--", "ab-", "a-c", "abc"));
}

TEST(CrashImagesTest, ADiscardMayBeUndone) {
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "a").Flush().Discard(0, 2048), 1), UnorderedElementsAre("a", "-"));
}

// A rewrite with the same bytes leaves nothing to choose.
TEST(CrashImagesTest, VersionsWithTheSameBytesAreOne) {
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "a").Flush().Write(0, "a"), 1), ElementsAre("a"));
  EXPECT_THAT(ImagesAtTheEnd(Log().Write(0, "a").Flush().Write(0, "b").Write(0, "a"), 1),
              UnorderedElementsAre("a", "b"));
}

TEST(CrashImagesTest, AnImageComesOnceOverAllPointsUnlessMoreIsPromised) {
  const WriteLog log = Log().Write(0, "a").Write(1, "b").Flush();
  SeededChooser chooser(/*seed=*/1);
  CrashImages images(chooser);
  CrashState state(log, SmallDisk());
  const auto count = [&](uint64_t acknowledged) {
    int visited = 0;
    EXPECT_TRUE(images.Visit(state, acknowledged, 100, [&](const CrashState::Selection&) { return ++visited > 0; }));
    return visited;
  };
  EXPECT_EQ(count(0), 2);  // -- a-
  state.MoveTo(1);
  EXPECT_EQ(count(0), 2);  // -b ab
  state.MoveTo(3);
  EXPECT_EQ(count(0), 0);
  EXPECT_EQ(count(1), 1);
  EXPECT_EQ(images.distinct(), 5u);
}

TEST(CrashImagesTest, ASampleSaysThatItIsOneAndHasTheOutermostImages) {
  const WriteLog log = Log().Write(0, std::string(100, 'a'));
  SeededChooser chooser(/*seed=*/1);
  CrashImages images(chooser);
  CrashState state(log, SmallDisk());
  state.MoveTo(1);
  std::set<std::string> found;
  EXPECT_TRUE(images.Visit(state, 0, /*images_max=*/50, [&](const CrashState::Selection& image) {
    SectorStore store;
    state.CopyTo(image, &store);
    found.insert(Letters(store, 100));
    return true;
  }));
  EXPECT_THAT(found, SizeIs(50));
  EXPECT_THAT(found, Contains(std::string(100, '-')));
  EXPECT_THAT(found, Contains(std::string(100, 'a')));
  EXPECT_EQ(images.points_sampled(), 1u);
  EXPECT_NEAR(images.images_of_a_point_log10(), 30.1, 0.01);
}

TEST(CrashImagesTest, TheSameSeedDrawsTheSameImages) {
  const WriteLog log = Log().Write(0, std::string(64, 'a')).Write(32, std::string(64, 'b'));
  std::vector<CrashState::Selection> runs[2];
  for (auto& run : runs) {
    SeededChooser chooser(/*seed=*/5);
    CrashImages images(chooser);
    CrashState state(log, SmallDisk());
    state.MoveTo(2);
    images.Visit(state, 0, 100, [&](const CrashState::Selection& image) {
      run.push_back(image);
      return true;
    });
  }
  EXPECT_EQ(runs[0], runs[1]);
}

// The digest is kept up to date by what changes; it has to be that of the contents, whatever led to them.
TEST(CrashImagesTest, TheDigestIsOneOfTheContents) {
  const WriteLog one = Log().Write(0, "ab").Flush().Write(1, "cc");
  const WriteLog other = Log().Write(1, "x").Write(2, "c").Write(0, "ac").Flush();
  CrashState first(one, SmallDisk());
  CrashState second(other, SmallDisk());
  first.MoveTo(3);
  second.MoveTo(4);
  EXPECT_EQ(first.DigestOf(first.Newest()), second.DigestOf(second.Newest()));
  EXPECT_NE(first.DigestOf(first.Durable()), second.DigestOf(second.Durable()));
}

// ---- Several disks, and disks that lie.

constexpr uint64_t kSecond = DiskObserver::kSectorsPerDisk;  // the first sector of the second disk

// "a-|b-": the first two sectors of two disks.
std::set<std::string> PairsAtTheEnd(const WriteLog& log, const SimDiskParameters& disk = SmallDisk()) {
  return DescribedAt(log, log.requests.size(), disk,
                     [](const SectorStore& store) { return Letters(store, 2) + "|" + Letters(store, 2, kSecond); });
}

TEST(CrashImagesTest, AFlushCoversItsOwnDisk) {
  EXPECT_THAT(PairsAtTheEnd(Log().Write(0, "a").Write(kSecond, "b").Flush()), UnorderedElementsAre("a-|--", "a-|b-"));
  Log log = Log().Write(0, "a").Write(kSecond, "b").Flush();
  log.requests.back().sector = kSecond;
  EXPECT_THAT(PairsAtTheEnd(log), UnorderedElementsAre("--|b-", "a-|b-"));
}

TEST(CrashImagesTest, EachDiskHasACacheOfItsOwn) {
  SimDiskParameters disk = SmallDisk();
  disk.cache_bytes = 512;
  EXPECT_THAT(PairsAtTheEnd(Log().Write(0, "a").Write(kSecond, "b"), disk),
              UnorderedElementsAre("--|--", "a-|--", "--|b-", "a-|b-"));
  EXPECT_THAT(PairsAtTheEnd(Log().Write(0, "a").Write(kSecond, "b").Write(kSecond + 1, "c"), disk),
              UnorderedElementsAre("--|b-", "a-|b-", "--|bc", "a-|bc"));
}

TEST(CrashImagesTest, WhatADiskDidNotDoChangesNothing) {
  Log log = Log().Write(0, "a").Flush();
  log.requests.back().lost = true;
  EXPECT_THAT(ImagesAtTheEnd(log, 1), UnorderedElementsAre("-", "a"));
  log.Flush().Write(0, "b");
  log.requests.back().lost = true;
  EXPECT_THAT(ImagesAtTheEnd(log, 1), ElementsAre("a"));
}

// ---- Against the disk itself.

class Recorder : public DiskObserver {
 public:
  void OnRequest(const Entry& entry) override { text_ += EncodeRequest(entry); }
  WriteLog log() const { return *ParseWriteLog(text_); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Method: one scenario under many seeds, which leave all that the disk's own power cut can leave; and the images
// enumerated from the logs of the runs that were cut.
template <typename Scenario>
void ExpectTheDisksOwnPowerCut(const SimDiskParameters& parameters, uint64_t sectors, const Scenario& scenario,
                               SeededBug bug = SeededBug::kNone, absl::string_view fault = "") {
  std::set<std::string> survivors;
  std::set<std::string> enumerated;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimDiskClient client(seed, bug);
    std::optional<ScopedFault> lies;
    if (!fault.empty()) lies.emplace(client.machine_, fault);
    SimDisk disk(client.machine_.kernel(), parameters);
    Recorder recorder;
    disk.set_observer(&recorder);
    scenario(client, disk);
    const std::set<std::string> possible = ImagesAtTheEnd(recorder.log(), sectors, parameters);
    client.PowerCut(disk);
    const std::string left = Letters(disk.bytes(), sectors);
    EXPECT_THAT(possible, Contains(left));
    enumerated.insert(possible.begin(), possible.end());
    survivors.insert(left);
    disk.set_observer(nullptr);
  }
  EXPECT_EQ(survivors, enumerated);
}

std::string Sectors(char letter, size_t count = 1) { return std::string(512 * count, letter); }

TEST(CrashImagesTest, AreWhatTheDisksPowerCutDrawsFrom) {
  for (const uint64_t cache_bytes : {64 << 20, 1024, 0}) {
    for (const bool fua : {true, false}) {
      SimDiskParameters parameters = SmallDisk();
      parameters.cache_bytes = cache_bytes;
      parameters.fua = fua;
      ExpectTheDisksOwnPowerCut(parameters, 4, [](SimDiskClient& client, SimDisk& disk) {
        client.Write(disk, 0, Sectors('a', 2));
        client.Flush(disk);
        client.Write(disk, 0, Sectors('b', 2));
        client.Write(disk, 1, Sectors('c', 2));
        client.Write(disk, 0, Sectors('d'), REQ_FUA);
        client.Write(disk, 3, Sectors('e'));
      });
    }
  }
}

// A disk that does not do as it says, by a rule or by a bug of its own: its log has what the medium got.
TEST(CrashImagesTest, ADiskThatLiesIsBelievedNoMoreThanItsMedium) {
  const auto scenario = [](SimDiskClient& client, SimDisk& disk) {
    client.Write(disk, 0, Sectors('a', 2));
    client.Write(disk, 1, Sectors('b', 2));
    client.Flush(disk);
    client.Write(disk, 0, Sectors('c'), REQ_FUA);
  };
  for (const char* fault : {"device[op=flush]=always:lost", "device[op=write]=nth(2):lost",
                            "device[op=write]=nth(2):torn", "device[op=write]=nth(2):misdirected(512)"}) {
    SCOPED_TRACE(fault);
    ExpectTheDisksOwnPowerCut(SmallDisk(), 4, scenario, SeededBug::kNone, fault);
  }
  for (const SeededBug bug : {SeededBug::kFlushKeepsCache, SeededBug::kFuaInCache}) {
    SCOPED_TRACE(static_cast<int>(bug));
    ExpectTheDisksOwnPowerCut(SmallDisk(), 4, scenario, bug);
  }
}

TEST(CrashImagesTest, ALogKnowsWhatAFlushDidNotCover) {
  ExpectTheDisksOwnPowerCut(SmallDisk(), 2, [](SimDiskClient& client, SimDisk& disk) {
    static std::string late;
    late = Sectors('b');
    client.Write(disk, 0, Sectors('a'));
    client.StartWrite(disk, 1, late);
    client.Flush(disk);
  });
}

// ---- The log as text.

TEST(WriteLogTest, IsReadBackAsItWasWritten) {
  const std::string bytes = Sectors('a', 2);
  const std::string text = EncodeRequest({Kind::kWrite, 5, 8, 2, bytes, /*fua=*/true, /*began=*/0}) + EncodeBegin() +
                           EncodeMark(3, "note") +
                           EncodeRequest({Kind::kFlush, 6, kSecond, 0, "", false, 1, /*lost=*/true});
  const absl::StatusOr<WriteLog> log = ParseWriteLog(text);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_THAT(log->requests, ElementsAre(LoggedRequest{Kind::kWrite, true, 8, 2, 0, bytes},
                                         LoggedRequest{Kind::kFlush, false, kSecond, 0, 1, "", /*lost=*/true}));
  EXPECT_THAT(log->marks, ElementsAre(LogMark{1, 3, "note"}));
  EXPECT_EQ(log->first_crash_point, 1u);
  EXPECT_FALSE(log->Uses(0)) << "that was before its client began";
  EXPECT_TRUE(log->Uses(1));
  EXPECT_EQ(log->MarkAt(0), nullptr);
  EXPECT_EQ(log->MarkAt(1), &log->marks[0]);
  EXPECT_EQ(log->MarkAt(2), &log->marks[0]);
}

TEST(WriteLogTest, AKilledWritersLogEndsWithItsLastWholeRecord) {
  const std::string bytes = Sectors('a');
  const std::string one = EncodeRequest({Kind::kWrite, 5, 8, 1, bytes, false, 0});
  for (size_t cut = 0; cut < one.size(); cut += 7) {
    const absl::StatusOr<WriteLog> log = ParseWriteLog(one + one.substr(0, cut));
    ASSERT_TRUE(log.ok()) << log.status();
    EXPECT_THAT(log->requests, SizeIs(1));
  }
}

std::string Flush() { return EncodeRequest({Kind::kFlush, 0, 0, 0, "", false, 0}); }
std::string LogBeforeFork() { return Flush() + EncodeBegin() + Flush() + EncodeMark(3, "x could be lost"); }

TEST(WriteLogTest, WhatItsParentDidIsNoWorkOfAChild) {
  const WriteLog log = *ParseWriteLog(LogBeforeFork() + EncodeFork() + EncodeEnd() + Flush());
  EXPECT_EQ(log.first_crash_point, 1u);
  EXPECT_EQ(log.own_requests_begin, 2u);
  EXPECT_FALSE(log.HasOwnWork());
  EXPECT_TRUE(ParseWriteLog(LogBeforeFork() + EncodeEnd())->HasOwnWork()) << "the parent itself";
}

TEST(WriteLogTest, APromiseAloneIsNoWork) {
  const std::string promise = EncodeMark(4, "x could be lost");
  EXPECT_FALSE(ParseWriteLog(LogBeforeFork() + EncodeFork() + promise + EncodeEnd())->HasOwnWork());
}

TEST(WriteLogTest, WhatAChildWritesOrCouldLoseIsItsWork) {
  for (const std::string& work : {Flush(), EncodeMark(3, "x and y could be lost"), EncodeMark(3, "")}) {
    EXPECT_TRUE(ParseWriteLog(LogBeforeFork() + EncodeFork() + work + EncodeEnd())->HasOwnWork());
  }
  EXPECT_TRUE(ParseWriteLog(LogBeforeFork() + EncodeFork())->HasOwnWork()) << "it was killed";
}

TEST(WriteLogTest, AnotherFileIsRefusedByPosition) {
  const absl::StatusOr<WriteLog> log = ParseWriteLog(EncodeBegin() + std::string(100, 'x'));
  EXPECT_EQ(std::string(log.status().message()), "byte 40 begins no record of a write log");
}

}  // namespace
}  // namespace aiolab
