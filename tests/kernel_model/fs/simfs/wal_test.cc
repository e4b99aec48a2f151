// A write-ahead log on AIO, and thousands of power cuts. It acknowledges a record when an fdatasync behind its write
// has returned; after each cut it reads its log, and every acknowledged record has to be there.
#include <errno.h>
#include <string.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernel_model/fs/simfs/format.h"
#include "tests/kernel_model/fs/simfs/numbers.h"
#include "tests/kernel_model/fs/simfs/simfs_rig.h"

namespace aiolab {
namespace {

constexpr size_t kRecordBytes = 1536;  // three sectors, so that one can be torn
constexpr int kBatchMax = 4;

struct Record {
  uint64_t number;
  char payload[kRecordBytes - 16];
  uint32_t padding;
  uint32_t crc;
};
static_assert(sizeof(Record) == kRecordBytes);

Record MakeRecord(uint64_t number) {
  Record record = {};
  record.number = number;
  for (size_t i = 0; i < sizeof(record.payload); ++i) record.payload[i] = static_cast<char>(number * 31 + i);
  record.crc = simfs::Crc32c({reinterpret_cast<const char*>(&record), offsetof(Record, crc)});
  return record;
}

// The records are the same in every run.
const Record& RecordNumber(uint64_t number) {
  static std::deque<Record>& records = *new std::deque<Record>;
  while (records.size() <= number) records.push_back(MakeRecord(records.size()));
  return records[number];
}

class Wal {
 public:
  enum class Sync { kFdatasync, kAioFdsync, kNone };

  Wal(SimfsRig& rig, bool direct, Sync sync) : rig_(rig), direct_(direct), sync_(sync) {}

  // Opens the log as a boot finds it. False: an acknowledged record is missing.
  bool Recover() {
    fd_ = rig_.Open("/data/wal", O_RDWR | O_CREAT | (direct_ ? O_DIRECT : 0));
    const std::string log = rig_.Contents("/data/wal");
    found_ = 0;
    for (; (found_ + 1) * kRecordBytes <= log.size(); ++found_) {
      if (memcmp(log.data() + found_ * kRecordBytes, &RecordNumber(found_), kRecordBytes) != 0) break;
    }
    if (found_ < acknowledged_) return false;
    acknowledged_ = found_;
    ctx_ = 0;
    EXPECT_EQ(rig_.Truncate(fd_, static_cast<loff_t>(found_ * kRecordBytes)), 0);
    EXPECT_EQ(rig_.Fsync(fd_), 0);
    EXPECT_EQ(rig_.kernel().io_setup(2 * kBatchMax, &ctx_), 0);
    return true;
  }

  // Appends `count` records and acknowledges them. False when the power has gone.
  bool Append(int count) {
    alignas(4096) static Record records[kBatchMax];
    iocb requests[kBatchMax] = {};
    iocb* batch[kBatchMax];
    for (int i = 0; i < count; ++i) {
      records[i] = RecordNumber(found_ + static_cast<uint64_t>(i));
      requests[i].aio_lio_opcode = IOCB_CMD_PWRITE;
      requests[i].aio_fildes = static_cast<uint32_t>(fd_);
      requests[i].aio_buf = reinterpret_cast<uint64_t>(&records[i]);
      requests[i].aio_nbytes = kRecordBytes;
      requests[i].aio_offset = static_cast<int64_t>((found_ + static_cast<uint64_t>(i)) * kRecordBytes);
      batch[i] = &requests[i];
    }
    if (!Run(count, batch, static_cast<int64_t>(kRecordBytes)) || !MakeDurable()) return false;
    found_ += static_cast<uint64_t>(count);
    acknowledged_ = found_;
    return true;
  }

  uint64_t acknowledged() const { return acknowledged_; }

 private:
  // False when the power has gone.
  bool Run(int count, iocb** batch, int64_t expected) {
    const long submitted = rig_.kernel().io_submit(ctx_, count, batch);
    if (submitted == -EIO) return false;
    EXPECT_EQ(submitted, count);
    io_event events[kBatchMax];
    const long reaped = rig_.kernel().io_getevents(ctx_, count, count, events, nullptr);
    if (reaped == -EIO) return false;
    EXPECT_EQ(reaped, count);
    for (long i = 0; i < reaped; ++i) EXPECT_EQ(events[i].res, expected);
    return true;
  }

  bool MakeDurable() {
    if (sync_ == Sync::kNone) return true;
    if (sync_ == Sync::kFdatasync) return rig_.Fdatasync(fd_) == 0;
    iocb sync = {};
    sync.aio_lio_opcode = IOCB_CMD_FDSYNC;
    sync.aio_fildes = static_cast<uint32_t>(fd_);
    iocb* batch[] = {&sync};
    return Run(1, batch, 0);
  }

  SimfsRig& rig_;
  const bool direct_;
  const Sync sync_;
  long fd_ = -1;
  aio_context_t ctx_ = 0;
  uint64_t found_ = 0;         // records in the log
  uint64_t acknowledged_ = 0;  // of them, those that somebody relies on
};

// `cuts` power cuts at random events of a log that goes on from boot to boot. How many it took to lose a record; 0: no
// record was lost.
int CutsUntilLoss(uint64_t seed, int cuts, Wal::Sync sync, SeededBug bug = SeededBug::kNone) {
  Numbers numbers(seed);
  SimfsRig rig(seed, "nvme,size=4M", seed % 2 == 0 ? "mainline" : "retry", bug);
  Wal wal(rig, /*direct=*/seed % 4 < 2, sync);
  EXPECT_TRUE(wal.Recover());
  for (int cut = 1; cut <= cuts; ++cut) {
    rig.machine().CutPowerAtEvent(rig.events_run() + 1 + numbers.Below(120));
    while (wal.Append(1 + static_cast<int>(numbers.Below(kBatchMax)))) {
      // Without an event the power would never go.
      rig.Sleep(static_cast<int64_t>(numbers.Below(3)) * 1'000'000'000);
    }
    EXPECT_TRUE(rig.machine().power_is_off());
    // A disk that lies may have left nothing to mount.
    const bool booted = rig.machine().Reboot().ok();
    if (!booted && bug != SeededBug::kNone) return cut;
    EXPECT_TRUE(booted);
    if (!wal.Recover()) return cut;
  }
  return 0;
}

TEST(WalTest, KeepsItsPromiseOverTenThousandPowerCuts) {
  constexpr int kMachines = 500;
  constexpr int kCutsOfEach = 20;
  for (uint64_t seed = 1; seed <= kMachines; ++seed) {
    const Wal::Sync sync = seed % 3 == 0 ? Wal::Sync::kAioFdsync : Wal::Sync::kFdatasync;
    ASSERT_EQ(CutsUntilLoss(seed, kCutsOfEach, sync), 0) << "seed " << seed;
    if (HasFailure()) return;
  }
}

TEST(WalTest, WithoutItsFdatasyncIsCaughtWithinAHundredPowerCuts) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    EXPECT_GT(CutsUntilLoss(seed, 100, Wal::Sync::kNone), 0) << "seed " << seed;
  }
}

// The promise is the disk's in the end: a seeded bug in it is found in the log.
TEST(WalTest, ADiskWhoseFlushDoesNothingIsCaught) {
  EXPECT_GT(CutsUntilLoss(/*seed=*/2, 100, Wal::Sync::kFdatasync, SeededBug::kFlushKeepsCache), 0);
}

TEST(WalTest, ADiskWhoseFuaDoesNothingIsCaught) {
  EXPECT_GT(CutsUntilLoss(/*seed=*/2, 100, Wal::Sync::kFdatasync, SeededBug::kFuaInCache), 0);
}

}  // namespace
}  // namespace aiolab
