// The fault `reboot`: the power goes, and the next call boots the machine. Clients here have a restart loop, as whoever
// is started by an init system: they open, recover and go on, and nobody calls Machine::Reboot().
#include <errno.h>
#include <fcntl.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "tests/kernel_model/fs/new_iocb.h"
#include "tools/testing/scoped_fault.h"

namespace aiolab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kLog[] = "/data/log";
constexpr size_t kRecordBytes = 1536;

std::string Record(uint64_t number) {
  return absl::StrCat(number, std::string(kRecordBytes, '.')).substr(0, kRecordBytes);
}

class RebootTest : public testing::Test {
 protected:
  void Boot(uint64_t seed) {
    machine_.reset();
    trace_.clear();
    chooser_ = std::make_unique<SeededChooser>(seed);
    MachineOptions options;
    options.chooser = chooser_.get();
    options.trace_sink = &sink_;
    options.on_boot_failure = [this](const absl::Status& why) { boot_failure_ = why.ToString(); };
    options.simfs = {{.disk = "nvme,size=4M"}};
    machine_ = std::make_unique<Machine>(options);
    kernel_ = std::make_unique<EmulatedSyscalls>(*machine_);
  }
  int Open(const char* path, int flags = O_RDWR | O_CREAT) {
    return static_cast<int>(kernel_->openat(AT_FDCWD, path, flags, 0600));
  }
  std::string Trace() {
    machine_->trace().Flush();
    return trace_;
  }

  std::string trace_;
  TextTraceSink sink_{[this](absl::string_view lines) { trace_.append(lines.data(), lines.size()); }};
  std::unique_ptr<SeededChooser> chooser_;
  std::string boot_failure_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<EmulatedSyscalls> kernel_;
};

// A write-ahead log: a record is acknowledged when the fdatasync behind its write has returned.
class LogClient {
 public:
  LogClient(Syscalls& kernel, bool syncs) : kernel_(kernel), syncs_(syncs) {}

  // Appends until `records` are acknowledged, over as many boots as it takes. False: one that was acknowledged is gone.
  bool Run(uint64_t records) {
    while (acknowledged_ < records) {
      ++starts_;
      if (!Recover()) continue;
      if (found_ < acknowledged_) return false;
      acknowledged_ = found_;
      while (acknowledged_ < records && Append()) acknowledged_ = ++found_;
    }
    return Recover() && found_ >= records;
  }
  int starts() const { return starts_; }

 private:
  // False: the power has gone.
  bool Recover() {
    fd_ = static_cast<int>(kernel_.openat(AT_FDCWD, kLog, O_RDWR | O_CREAT, 0600));
    ctx_ = 0;
    if (fd_ < 0 || kernel_.io_setup(4, &ctx_) != 0) return false;
    found_ = 0;
    std::string record(kRecordBytes, 0);
    for (;; ++found_) {
      const auto offset = static_cast<loff_t>(found_ * kRecordBytes);
      const long count = kernel_.pread64(fd_, record.data(), kRecordBytes, offset);
      if (count < 0) return false;
      if (count != static_cast<long>(kRecordBytes) || record != Record(found_)) break;
    }
    return kernel_.ftruncate(fd_, static_cast<loff_t>(found_ * kRecordBytes)) == 0 && kernel_.fsync(fd_) == 0;
  }

  bool Append() {
    std::string record = Record(found_);
    iocb write = NewIocb(IOCB_CMD_PWRITE, fd_, record.data(), kRecordBytes);
    write.aio_offset = static_cast<int64_t>(found_ * kRecordBytes);
    iocb* batch[] = {&write};
    io_event event;
    if (kernel_.io_submit(ctx_, 1, batch) != 1 || kernel_.io_getevents(ctx_, 1, 1, &event, nullptr) != 1) return false;
    return event.res == static_cast<int64_t>(kRecordBytes) && (!syncs_ || kernel_.fdatasync(fd_) == 0);
  }

  Syscalls& kernel_;
  const bool syncs_;
  int fd_ = -1;
  aio_context_t ctx_ = 0;
  uint64_t found_ = 0;
  uint64_t acknowledged_ = 0;
  int starts_ = 0;
};

TEST_F(RebootTest, AWriteAheadLogGoesOnOverManyBoots) {
  for (const char* rule : {"device=every(90):reboot(tear=512)", "complete=every(7):reboot", "fsync=every(5):reboot"}) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      Boot(seed);
      ScopedFault f(*machine_, rule);
      LogClient client(*kernel_, /*syncs=*/true);
      EXPECT_TRUE(client.Run(40)) << rule << " seed " << seed;
      EXPECT_GE(f.hits(), 2) << rule;
      EXPECT_GE(client.starts(), 3) << rule;
    }
  }
}

TEST_F(RebootTest, ALogWithoutFdatasyncIsCaught) {
  bool lost = false;
  for (uint64_t seed = 1; seed <= 20 && !lost; ++seed) {
    Boot(seed);
    ScopedFault f(*machine_, "complete=every(7):reboot");
    lost = !LogClient(*kernel_, /*syncs=*/false).Run(40);
  }
  EXPECT_TRUE(lost);
}

TEST_F(RebootTest, TheSameSeedGivesTheSameTrace) {
  std::vector<std::string> traces;
  for (int run = 0; run < 2; ++run) {
    Boot(/*seed=*/4);
    {
      ScopedFault f(*machine_, "device=every(90):reboot(tear=512)");
      EXPECT_TRUE(LogClient(*kernel_, /*syncs=*/true).Run(40));
    }
    traces.push_back(Trace());
  }
  EXPECT_THAT(traces[0], HasSubstr(" boot:"));
  EXPECT_EQ(traces[0] == traces[1], true);
}

// A rule goes on counting over the boots that it makes.
TEST_F(RebootTest, ARuleForTheThirdFsyncStrikesOnce) {
  Boot(/*seed=*/1);
  ScopedFault f(*machine_, "fsync=nth(3):reboot");
  int boots = 0;
  for (int i = 0; i < 12; ++i) {
    const int fd = Open(kLog);
    ASSERT_GE(fd, 0);
    const long synced = kernel_->fsync(fd);
    EXPECT_EQ(synced, i == 2 ? -EIO : 0) << i;
    boots += synced == -EIO;
  }
  EXPECT_EQ(boots, 1);
  EXPECT_EQ(f.occasions(), 12);
}

// One thread sleeps in io_getevents for what never comes, another makes the power go. Both start again at once; whoever
// comes first boots, and nobody meets a machine that is only half there.
TEST_F(RebootTest, AThreadThatSleepsInACallGoesOnInTheNextBoot) {
  Boot(/*seed=*/1);
  ScopedFault f(*machine_, "fsync=every(2)x20:reboot");
  std::atomic<bool> done = false, gone = false;
  std::vector<long> wrong;  // of the sleeper
  std::thread sleeper([&] {
    while (!done) {
      aio_context_t ctx = 0;
      io_event event;
      const long set_up = kernel_->io_setup(1, &ctx);
      if (set_up != 0 && set_up != -EIO) wrong.push_back(set_up);
      if (set_up != 0) continue;
      const long reaped = kernel_->io_getevents(ctx, 1, 1, &event, nullptr);
      if (reaped != -EIO && reaped != -EINVAL) wrong.push_back(reaped);  // the power may have gone between the two
    }
    gone = true;
  });
  for (int failed = 0; failed < 20;) {
    const int fd = Open(kLog);
    EXPECT_GE(fd, 0);
    const long synced = kernel_->fsync(fd);
    EXPECT_TRUE(synced == 0 || synced == -EIO) << synced;
    failed += synced == -EIO;
  }
  done = true;
  // It may have been about to call once more.
  while (!gone) {
    machine_->PowerCut();
    std::this_thread::yield();
  }
  sleeper.join();
  EXPECT_THAT(wrong, IsEmpty());
  EXPECT_EQ(f.hits(), 20);
}

// The journal's blocks cannot be read after the boot.
TEST_F(RebootTest, AMachineThatDoesNotBootSaysWhyAndStaysOff) {
  Boot(/*seed=*/1);
  ScopedFault f(*machine_, "fsync=nth(1):reboot");
  EXPECT_EQ(kernel_->fsync(Open(kLog)), -EIO);
  machine_->DiskOf("/data")->AddBadSectors({.first = 0, .count = 8192});
  EXPECT_EQ(Open(kLog), -EIO);
  EXPECT_THAT(boot_failure_, HasSubstr("cannot mount simfs on /data"));
  EXPECT_TRUE(machine_->power_is_off());
  EXPECT_EQ(Open(kLog), -EIO);
  machine_->DiskOf("/data")->ClearBadSectors();
  EXPECT_TRUE(machine_->Reboot().ok());
  EXPECT_GE(Open(kLog), 0);
}

TEST_F(RebootTest, APowerThatGoesInEveryBootIsNamed) {
  Boot(/*seed=*/1);
  ScopedFault f(*machine_, "device=always:reboot");
  const int fd = Open(kLog);
  EXPECT_EQ(kernel_->fsync(fd), -EIO);
  EXPECT_EQ(Open(kLog), -EIO);
  EXPECT_THAT(boot_failure_, HasSubstr("the power went in each of 100 boots"));
  EXPECT_TRUE(machine_->power_is_off());
}

TEST_F(RebootTest, APowerThatGoesDuringARecoveryComesBack) {
  Boot(/*seed=*/1);
  ScopedFault f(*machine_, "fsync=nth(1):reboot->device=nth(1)x3:reboot");
  EXPECT_EQ(kernel_->fsync(Open(kLog)), -EIO);
  EXPECT_GE(Open(kLog), 0);
  EXPECT_EQ(f.hits(), 4);
  EXPECT_EQ(boot_failure_, "");
}

// The disks of a machine without power, on another machine: files are there, and a sector that went bad is bad still.
TEST_F(RebootTest, ItsDisksGoOnInAnotherMachine) {
  Boot(/*seed=*/1);
  const int fd = Open(kLog);
  const int device = Open("/data/dev0", O_RDWR);
  std::string block(4096, 'b');
  EXPECT_EQ(kernel_->pwrite64(fd, "kept", 4, 0), 4);
  EXPECT_EQ(kernel_->pwrite64(device, block.data(), block.size(), 8192), 4096);
  EXPECT_EQ(kernel_->fsync(fd), 0);
  EXPECT_EQ(kernel_->fsync(device), 0);
  machine_->DiskOf("/data")->AddBadSectors({.first = 8000, .count = 1});
  machine_->PowerCut();
  const std::string saved = machine_->SavedDisks("/data");

  SeededChooser chooser(2);
  Machine other({.chooser = &chooser, .simfs = {{.disk = "nvme,size=4M", .saved_disks = &saved}}});
  EmulatedSyscalls kernel(other);
  char kept[5] = {};
  EXPECT_EQ(kernel.pread64(static_cast<int>(kernel.openat(AT_FDCWD, kLog, O_RDONLY, 0)), kept, 5, 0), 4);
  EXPECT_STREQ(kept, "kept");
  std::string found(4096, 0);
  const auto other_device = static_cast<int>(kernel.openat(AT_FDCWD, "/data/dev0", O_RDONLY, 0));
  EXPECT_EQ(kernel.pread64(other_device, found.data(), found.size(), 8192), 4096);
  EXPECT_EQ(found, block);
  EXPECT_THAT(other.DiskOf("/data")->bad_sectors(), ElementsAre(SimDisk::BadSectors{.first = 8000, .count = 1}));

  Machine third({.chooser = &chooser});
  const std::string half = saved.substr(0, saved.size() / 2);
  EXPECT_EQ(third.MountSimfs({.disk = "nvme,size=4M", .saved_disks = &half}).message(),
            "the saved disks of /data are not whole");
}

// What Machine::Reboot() does is not undone by the next call.
TEST_F(RebootTest, ATestMayBootTheMachineItself) {
  Boot(/*seed=*/1);
  ScopedFault f(*machine_, "fsync=nth(1):reboot");
  EXPECT_EQ(kernel_->fsync(Open(kLog)), -EIO);
  EXPECT_TRUE(machine_->Reboot().ok());
  const int fd = Open(kLog);
  EXPECT_GE(fd, 0);
  EXPECT_EQ(kernel_->fsync(fd), 0);
}

}  // namespace
}  // namespace aiolab
