// Clients whose fsync fails once, and what they have promised when the power goes. A log of records on simfs, written
// by AIO; a record is acknowledged when its fsync has returned 0. The disk refuses the write-back of one record and is
// well again from then on, as one that had lost its path for a moment.
//
// The client that tries fsync again until it returns 0 loses that record under each error model, although nobody told
// it so after the first failure: PostgreSQL did this until 2018.
#include <fcntl.h>

#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "uapi/syscalls.h"

namespace aiolab {
namespace {

constexpr size_t kRecord = 4096;
constexpr int kRecords = 6;
constexpr int kRefused = 3;
constexpr int kAttemptsMax = 10;

std::string Record(int number) { return std::string(kRecord, static_cast<char>('A' + number)); }

enum class Policy {
  kRetries,     // fsync again, until it returns 0
  kRewrites,    // the record again, then fsync again
  kPanics,      // no further, as PostgreSQL does now
  kFsyncTwice,  // as kRewrites, and only a second success in a row counts
};

class LogWriter {
 public:
  LogWriter(Syscalls& kernel, Policy policy) : kernel_(kernel), policy_(policy) {
    EXPECT_EQ(kernel_.io_setup(1, &ctx_), 0);
    fd_ = static_cast<int>(kernel_.openat(AT_FDCWD, "/data/log", O_RDWR | O_CREAT, 0600));
    EXPECT_GE(fd_, 0);
  }

  // True: the record is durable, the client says. False: it has ended.
  bool Append(int number) {
    Write(number);
    int successes = 0;
    for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
      if (Run(IOCB_CMD_FSYNC, nullptr, 0) == 0) {
        if (++successes == (policy_ == Policy::kFsyncTwice ? 2 : 1)) return true;
        continue;
      }
      successes = 0;
      if (policy_ == Policy::kPanics) return false;
      if (policy_ != Policy::kRetries) Write(number);
    }
    ADD_FAILURE() << "fsync never returned 0";
    return false;
  }

 private:
  void Write(int number) {
    std::string record = Record(number);
    EXPECT_EQ(Run(IOCB_CMD_PWRITE, record.data(), number * static_cast<loff_t>(kRecord)), kRecord);
  }
  long Run(uint16_t opcode, char* buffer, loff_t position) {
    iocb control = {};
    control.aio_fildes = static_cast<uint32_t>(fd_);
    control.aio_lio_opcode = opcode;
    control.aio_buf = reinterpret_cast<uint64_t>(buffer);
    control.aio_nbytes = buffer == nullptr ? 0 : kRecord;
    control.aio_offset = position;
    iocb* batch[] = {&control};
    EXPECT_EQ(kernel_.io_submit(ctx_, 1, batch), 1);
    io_event event = {};
    EXPECT_EQ(kernel_.io_getevents(ctx_, 1, 1, &event, nullptr), 1);
    return static_cast<long>(event.res);
  }

  Syscalls& kernel_;
  const Policy policy_;
  aio_context_t ctx_ = 0;
  int fd_ = -1;
};

// The real calls, and a disk that is well again as soon as a request has ended after it was not.
class MendingKernel : public EmulatedSyscalls {
 public:
  explicit MendingKernel(Machine& machine) : EmulatedSyscalls(machine), machine_(machine) {}
  void RefuseNextWrites() { refuse_ = true; }
  long io_submit(aio_context_t ctx, long nr, iocb** batch) override {
    const bool fsync = batch[0]->aio_lio_opcode == IOCB_CMD_FSYNC;
    if (fsync && std::exchange(refuse_, false)) {
      // Everything behind the journal and the checkpoints.
      machine_.DiskOf("/data")->AddBadSectors({.first = kFirstDataSector, .count = 1 << 20, .writes_fail = true});
    }
    return EmulatedSyscalls::io_submit(ctx, nr, batch);
  }
  long io_getevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) override {
    const long result = EmulatedSyscalls::io_getevents(ctx, min_nr, nr, events, timeout);
    machine_.DiskOf("/data")->ClearBadSectors();
    return result;
  }

 private:
  static constexpr sector_t kFirstDataSector = 97 * 8;  // of a disk of 4 MiB

  Machine& machine_;
  bool refuse_ = false;
};

// How many acknowledged records are not there after the power cut.
int LostRecords(const char* model, const char* profile, Policy policy) {
  SeededChooser chooser(7);
  Machine machine({.chooser = &chooser,
                   .profile = FindProfile(profile),
                   .simfs = {{.path = "/data", .disk = "nvme,size=4M", .error_model = model}}});
  MendingKernel kernel(machine);
  LogWriter client(kernel, policy);
  int acknowledged = 0;
  for (; acknowledged < kRecords; ++acknowledged) {
    if (acknowledged == kRefused) kernel.RefuseNextWrites();
    if (!client.Append(acknowledged)) break;
  }
  machine.PowerCut();
  const absl::Status booted = machine.Reboot();
  EXPECT_TRUE(booted.ok()) << booted;
  const int fd = static_cast<int>(kernel.openat(AT_FDCWD, "/data/log", O_RDONLY, 0));
  int lost = 0;
  for (int i = 0; i < acknowledged; ++i) {
    std::string found(kRecord, '?');
    kernel.pread64(fd, found.data(), kRecord, i * static_cast<loff_t>(kRecord));
    lost += found == Record(i) ? 0 : 1;
  }
  return lost;
}

class FsyncAftermathTest : public testing::TestWithParam<const char*> {};  // by profile

TEST_P(FsyncAftermathTest, WhoRetriesFsyncLosesTheRecordUnderEveryModel) {
  for (const char* model : {"ext4-ordered", "ext4-data", "xfs", "btrfs"}) {
    EXPECT_EQ(LostRecords(model, GetParam(), Policy::kRetries), 1) << model;
  }
}

TEST_P(FsyncAftermathTest, WhoWritesItsDataAgainOrPanicsKeepsItsPromises) {
  for (const char* model : {"ext4-ordered", "xfs", "btrfs"}) {
    EXPECT_EQ(LostRecords(model, GetParam(), Policy::kRewrites), 0) << model;
    EXPECT_EQ(LostRecords(model, GetParam(), Policy::kPanics), 0) << model;
  }
}

// The failure is told one fsync late, when the record has been acknowledged; the next one's data are written again.
TEST_P(FsyncAftermathTest, UnderExt4sDataModeOnlyWhoCallsFsyncTwiceKeepsThem) {
  EXPECT_EQ(LostRecords("ext4-data", GetParam(), Policy::kRewrites), 1);
  EXPECT_EQ(LostRecords("ext4-data", GetParam(), Policy::kPanics), 1);
  EXPECT_EQ(LostRecords("ext4-data", GetParam(), Policy::kFsyncTwice), 0);
}

INSTANTIATE_TEST_SUITE_P(All, FsyncAftermathTest, testing::Values("retry", "mainline"));

}  // namespace
}  // namespace aiolab
