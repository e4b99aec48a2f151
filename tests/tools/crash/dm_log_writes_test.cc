// The exported log, read back as the kernel's drivers/md/dm-log-writes.c writes it and replay-log reads it: numbers are
// little-endian, the superblock and each entry take one sector.
#include "tools/crash/dm_log_writes.h"

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aiolab {
namespace {

using testing::ElementsAre;

using Kind = DiskObserver::Kind;

struct Entry {
  uint64_t sector;
  uint64_t nr_sectors;
  uint64_t flags;
  std::string data;  // the text of a mark, too
  friend bool operator==(const Entry&, const Entry&) = default;
  friend void PrintTo(const Entry& entry, std::ostream* out) {
    *out << entry.sector << "+" << entry.nr_sectors << " flags " << entry.flags << " \"" << entry.data.substr(0, 20)
         << "\"";
  }
};

// Takes the log apart from its first byte to its last.
class Reader {
 public:
  explicit Reader(absl::string_view log) : rest_(log) {}

  std::vector<Entry> Read(uint32_t sector_bytes) {
    EXPECT_EQ(Number(8), 0x6a736677736872u);
    EXPECT_EQ(Number(8), 1u);
    const uint64_t nr_entries = Number(8);
    EXPECT_EQ(Number(4), sector_bytes);
    Zeros(sector_bytes - 28);
    std::vector<Entry> entries;
    for (uint64_t i = 0; i < nr_entries; ++i) {
      Entry entry = {Number(8), Number(8), Number(8), ""};
      const uint64_t data_len = Number(8);
      entry.data = Take(data_len);
      Zeros(sector_bytes - 32 - data_len);
      // Of a discard there are no data.
      if ((entry.flags & kDmLogDiscard) == 0) entry.data += Take(entry.nr_sectors * sector_bytes);
      entries.push_back(entry);
    }
    EXPECT_EQ(rest_, "");
    return entries;
  }

 private:
  std::string Take(size_t bytes) {
    EXPECT_GE(rest_.size(), bytes);
    const std::string taken(rest_.substr(0, bytes));
    rest_.remove_prefix(std::min(bytes, rest_.size()));
    return taken;
  }
  uint64_t Number(size_t bytes) {
    const std::string taken = Take(bytes);
    uint64_t number = 0;
    for (size_t i = 0; i < taken.size(); ++i) number |= uint64_t{static_cast<unsigned char>(taken[i])} << 8 * i;
    return number;
  }
  void Zeros(size_t bytes) { EXPECT_EQ(Take(bytes), std::string(bytes, '\0')); }

  absl::string_view rest_;
};

LoggedRequest Write(uint64_t sector, char letter, uint64_t began, bool fua = false) {
  return {Kind::kWrite, fua, sector, 1, began, std::string(512, letter)};
}
LoggedRequest Flush(uint64_t began) { return {Kind::kFlush, false, 0, 0, began, ""}; }
Entry Written(uint64_t sector, char letter, uint64_t flags = 0) { return {sector, 1, flags, std::string(512, letter)}; }
const Entry kFlushed = {0, 0, kDmLogFlush, ""};
const Entry kBegin = {0, 0, kDmLogMark, "begin"};

std::vector<Entry> Exported(const WriteLog& log) { return Reader(ToDmLogWrites(log, 512)).Read(512); }

TEST(DmLogWritesTest, AnEmptyLogIsASuperblockAndTheFirstMark) {
  EXPECT_THAT(Exported(WriteLog{}), ElementsAre(kBegin));
}

TEST(DmLogWritesTest, WritesFlushesAndMarksComeInTheirOrder) {
  WriteLog log;
  log.requests = {Write(8, 'a', 0), Write(9, 'b', 1), Flush(2), Write(10, 'c', 3)};
  log.first_crash_point = 1;
  log.marks = {{3, 7, "of no use to replay-log"}, {3, 7, ""}};
  EXPECT_THAT(Exported(log), ElementsAre(kBegin, Written(8, 'a'), Written(9, 'b'), kFlushed,
                                         Entry{0, 0, kDmLogMark, "acknowledged 7"}, Written(10, 'c')));
}

TEST(DmLogWritesTest, TheClientsEndIsMarked) {
  WriteLog log;
  log.requests = {Write(8, 'a', 0), Write(9, 'b', 1)};
  log.last_crash_point = 1;
  log.has_end = true;
  EXPECT_THAT(Exported(log), ElementsAre(kBegin, Entry{0, 0, kDmLogMark, "end"}, Written(8, 'a'), Written(9, 'b')));
}

// As the kernel's own example has it: W3 and W2 completed before the flush was sent, W1 while it ran.
TEST(DmLogWritesTest, AWriteThatAFlushDidNotCoverStandsBehindIt) {
  WriteLog log;
  log.requests = {Write(3, '3', 0), Write(2, '2', 0), Write(1, '1', 0), Flush(/*began=*/2)};
  EXPECT_THAT(Exported(log), ElementsAre(kBegin, Written(3, '3'), Written(2, '2'), kFlushed, Written(1, '1')));
}

TEST(DmLogWritesTest, AWriteWithFuaStandsWhereItCompleted) {
  WriteLog log;
  log.requests = {Write(1, 'a', 0), Write(2, 'b', 1, /*fua=*/true), Flush(2)};
  EXPECT_THAT(Exported(log), ElementsAre(kBegin, Written(2, 'b', kDmLogFua), Written(1, 'a'), kFlushed));
}

TEST(DmLogWritesTest, WhatAWriteWithFuaReplacesStandsBeforeIt) {
  WriteLog log;
  log.requests = {Write(1, 'a', 0), Write(3, 'x', 1), Write(1, 'b', 2, /*fua=*/true)};
  EXPECT_THAT(Exported(log), ElementsAre(kBegin, Written(1, 'a'), Written(1, 'b', kDmLogFua), Written(3, 'x')));
}

TEST(DmLogWritesTest, ADiscardHasNoData) {
  WriteLog log;
  log.requests = {{Kind::kDiscard, false, 8, 100, 0, ""}, Write(1, 'a', 1)};
  EXPECT_THAT(Exported(log), ElementsAre(kBegin, Entry{8, 100, kDmLogDiscard, ""}, Written(1, 'a')));
}

TEST(DmLogWritesTest, EachDiskHasALogOfItsOwn) {
  constexpr uint64_t kSecond = DiskObserver::kSectorsPerDisk;
  WriteLog log;
  log.requests = {Write(1, 'a', 0), Write(kSecond + 2, 'b', 1), Flush(2), {Kind::kFlush, false, kSecond, 0, 2, ""}};
  EXPECT_THAT(Exported(log), ElementsAre(kBegin, Written(1, 'a'), kFlushed));
  EXPECT_THAT(Reader(ToDmLogWrites(log, 512, /*disk=*/1)).Read(512), ElementsAre(kBegin, Written(2, 'b'), kFlushed));
}

TEST(DmLogWritesTest, WhatADiskDidNotDoIsNotThere) {
  WriteLog log;
  log.requests = {Write(1, 'a', 0), Write(2, 'b', 1), Flush(2)};
  log.requests[1] = {Kind::kWrite, false, 2, 1, 1, "", /*lost=*/true};
  EXPECT_THAT(Exported(log), ElementsAre(kBegin, Written(1, 'a'), kFlushed));
}

TEST(DmLogWritesTest, SectorsAreLogicalBlocks) {
  WriteLog log;
  log.requests = {{Kind::kWrite, false, 16, 8, 0, std::string(4096, 'a')}};
  EXPECT_THAT(Reader(ToDmLogWrites(log, 4096)).Read(4096), ElementsAre(kBegin, Entry{2, 1, 0, std::string(4096, 'a')}));
}

}  // namespace
}  // namespace aiolab
