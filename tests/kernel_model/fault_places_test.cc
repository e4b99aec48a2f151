// Fault rules on files of a disk: the places that a file of tmpfs never comes to, and what a power cut does to what a
// rule holds back. The cells of the table are fault_cells_test's.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/emulated_syscalls.h"
#include "tests/kernel_model/fs/new_iocb.h"
#include "tests/kernel_model/fs/simfs/simfs_rig.h"
#include "tools/testing/scoped_fault.h"

namespace aiolab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kBlock = 4096;

std::string Text(char letter, size_t bytes = kBlock) { return std::string(bytes, letter); }

// A rig with a file /data/a of two durable blocks, a and b, and an open fd of it.
class FaultPlacesTest : public testing::TestWithParam<const char*> {
 protected:
  FaultPlacesTest() {
    EXPECT_EQ(rig_.Put("/data/a", Text('a') + Text('b')), 2 * kBlock);
    EXPECT_EQ(rig_.Sync(), 0);
    fd_ = rig_.Open("/data/a");
    rig_.machine().DropCaches();
  }

  EmulatedSyscalls& kernel() { return rig_.kernel(); }
  // One AIO request from begin to end.
  int64_t Run(iocb request) {
    aio_context_t ctx = 0;
    EXPECT_EQ(kernel().io_setup(1, &ctx), 0);
    iocb* batch[] = {&request};
    EXPECT_EQ(kernel().io_submit(ctx, 1, batch), 1);
    io_event event = {};
    EXPECT_EQ(kernel().io_getevents(ctx, 1, 1, &event, nullptr), 1);
    EXPECT_EQ(kernel().io_destroy(ctx), 0);
    return event.res;
  }
  iocb Request(uint16_t opcode, long fd, loff_t at, size_t bytes) {
    return NewIocb(opcode, static_cast<int>(fd), buffer_, bytes, at);
  }
  iocb Read(loff_t at, size_t bytes) { return Request(IOCB_CMD_PREAD, fd_, at, bytes); }
  iocb Write(char letter, loff_t at = 0, size_t bytes = kBlock) {
    memset(buffer_, letter, bytes);
    return Request(IOCB_CMD_PWRITE, fd_, at, bytes);
  }

  SimfsRig rig_{7, "nvme,size=4M", "retry"};
  long fd_ = -1;
  alignas(kBlock) char buffer_[2 * kBlock];
};

TEST_F(FaultPlacesTest, APageOfADiskThatCannotBeReadIsAnErrorOrAShortRead) {
  {
    ScopedFault f(rig_.machine(), "page=nth(1):eio");
    EXPECT_EQ(Run(Read(0, 2 * kBlock)), -EIO);
  }
  ScopedFault f(rig_.machine(), "page[off=4096]=nth(1):eio");
  EXPECT_EQ(Run(Read(0, 2 * kBlock)), kBlock);
  EXPECT_EQ(Run(Read(0, 2 * kBlock)), 2 * kBlock);
}

TEST_F(FaultPlacesTest, APageOfADiskThatCannotBeWrittenIsAnErrorOrAShortWrite) {
  {
    ScopedFault f(rig_.machine(), "page[op=write]=nth(1):enospc");
    EXPECT_EQ(Run(Write('X')), -ENOSPC);
  }
  ScopedFault f(rig_.machine(), "page[op=write,off=4096]=nth(1):enomem");
  EXPECT_EQ(Run(Write('X', 0, 2 * kBlock)), kBlock);
  EXPECT_EQ(rig_.Contents("/data/a"), Text('X') + Text('b'));
}

// A page that somebody has used since it was read has its bytes. One that was read ahead and that nobody has come to
// has not: its read would be the one that failed.
TEST_F(FaultPlacesTest, AReadOfAPageInTheCacheIsNoOccasion) {
  ScopedFault f(rig_.machine(), "page[op=read]=always:eio");
  f.AllowUnfired();
  EXPECT_EQ(Run(Write('X')), kBlock);
  EXPECT_EQ(Run(Read(0, kBlock)), kBlock);
  EXPECT_EQ(f.occasions(), 0);
  EXPECT_EQ(Run(Read(0, 2 * kBlock)), kBlock);
  EXPECT_EQ(f.occasions(), 1);
}

// A write that replaces a page reads nothing; one that changes a part of it does.
TEST_F(FaultPlacesTest, AWriteFailsToReadOnlyWhatItLeavesOfAPage) {
  ScopedFault f(rig_.machine(), "page[op=write]=always:eio");
  EXPECT_EQ(Run(Write('X')), kBlock);
  EXPECT_EQ(Run(Write('Y', 2 * kBlock, 100)), 100) << "behind the end";
  EXPECT_EQ(Run(Write('Z', kBlock, 100)), -EIO);
  EXPECT_EQ(f.occasions(), 1);
}

// It has its memory and its space.
TEST_F(FaultPlacesTest, AWriteOfADirtyPageIsNoOccasion) {
  ScopedFault f(rig_.machine(), "page[op=write]=nth(2):enospc");
  EXPECT_EQ(Run(Write('X')), kBlock);
  EXPECT_EQ(Run(Write('Y')), kBlock);
  EXPECT_EQ(f.occasions(), 1);
  EXPECT_EQ(rig_.Sync(), 0);
  EXPECT_EQ(Run(Write('Z')), -ENOSPC);
}

// A request that waits for its page comes back to it, and is not asked again.
TEST_F(FaultPlacesTest, APageIsOneOccasionOfARequest) {
  ScopedFault f(rig_.machine(), "page=nth(9):eio");
  f.AllowUnfired();
  const uint64_t retries = rig_.machine().kernel().stats.retries;
  EXPECT_EQ(Run(Read(0, 2 * kBlock)), 2 * kBlock);
  EXPECT_GT(rig_.machine().kernel().stats.retries, retries);
  EXPECT_EQ(f.occasions(), 2);
}

TEST_F(FaultPlacesTest, AnFsyncRuleSeesTheSyncOfAWriteWithOSyncOrRwfDsync) {
  for (const int flags : {O_SYNC, O_SYNC | O_DIRECT}) {
    const long fd = rig_.Open("/data/a", O_RDWR | flags);
    ScopedFault f(rig_.machine(), "fsync=nth(1):eio");
    iocb write = Write('X');
    write.aio_fildes = static_cast<uint32_t>(fd);
    EXPECT_EQ(Run(write), -EIO) << flags;
    EXPECT_EQ(Run(write), kBlock) << flags;
    EXPECT_EQ(f.occasions(), 2) << flags;
  }
  ScopedFault f(rig_.machine(), "fsync=nth(1):eio");
  iocb write = Write('X');
  write.aio_rw_flags = RWF_DSYNC;
  EXPECT_EQ(Run(write), -EIO);
}

// An fsync by AIO comes back several times, and is asked once.
TEST_F(FaultPlacesTest, AnFsyncIsOneOccasion) {
  ScopedFault f(rig_.machine(), "fsync=nth(2):eio");
  f.AllowUnfired();
  EXPECT_EQ(Run(Write('X')), kBlock);
  iocb fsync = {};
  fsync.aio_lio_opcode = IOCB_CMD_FSYNC;
  fsync.aio_fildes = static_cast<uint32_t>(fd_);
  EXPECT_EQ(Run(fsync), 0);
  EXPECT_EQ(f.occasions(), 1);
}

// Every filter means what the model knows of a request. Method: for each, a request that fits in all but that, then one
// that fits.
TEST_F(FaultPlacesTest, EveryFilterIsAboutTheRequest) {
  const long other = rig_.Open("/data/a");
  aio_context_t first = 0;
  aio_context_t second = 0;
  EXPECT_EQ(kernel().io_setup(8, &first), 0);
  EXPECT_EQ(kernel().io_setup(8, &second), 0);
  const auto run = [&](aio_context_t ctx, iocb request) {
    iocb* batch[] = {&request};
    EXPECT_EQ(kernel().io_submit(ctx, 1, batch), 1);
    io_event event = {};
    EXPECT_EQ(kernel().io_getevents(ctx, 1, 1, &event, nullptr), 1);
    return event.res;
  };
  const iocb plain = Read(0, kBlock);
  iocb of_other = plain;
  of_other.aio_fildes = static_cast<uint32_t>(other);
  iocb dsync = Write('a');
  iocb write = dsync;
  dsync.aio_rw_flags = RWF_DSYNC;
  const std::string fd = std::to_string(other);
  // Files are counted as they are opened: two by Put() and the constructor, and this.
  const struct {
    std::string filter;
    iocb misses;
    iocb fits;
    aio_context_t fits_in;
  } cases[] = {
      {"ctx=2", plain, plain, second},
      {"fd=" + fd, plain, of_other, first},
      {"open=3", plain, of_other, first},
      {"path=/data/a,op=read", write, plain, first},
      {"rwf=dsync", write, dsync, first},
      {"off=4096..8191", plain, Read(kBlock, 1), first},
      {"size=1..512", plain, Read(0, 512), first},
  };
  for (const auto& c : cases) {
    ScopedFault f(rig_.machine(), "complete[" + c.filter + "]=nth(1):eio");
    EXPECT_GT(run(first, c.misses), 0) << c.filter;
    EXPECT_EQ(run(c.fits_in, c.fits), -EIO) << c.filter;
  }
}

TEST_F(FaultPlacesTest, ATaskIsAClientsThread) {
  ScopedFault f(rig_.machine(), "complete[task=2]=always:eio");
  EXPECT_EQ(Run(Read(0, kBlock)), kBlock);
  int64_t result = 0;
  std::thread([&] { result = Run(Read(0, kBlock)); }).join();
  EXPECT_EQ(result, -EIO);
  EXPECT_EQ(Run(Read(0, kBlock)), kBlock);
}

// ---- fsync's aftermath, for one fsync on a file system that is mounted as ext4-ordered.

// A rule that comes in the middle of a run counts from the machine's start, too.
TEST_F(FaultPlacesTest, ATimeIsTheMachinesAndNotTheRules) {
  rig_.Sleep(1'000'000'000);
  ScopedFault over(rig_.machine(), "fsync=at(900ms):eio");
  ScopedFault later(rig_.machine(), "fsync=at(1500ms):enospc");
  EXPECT_EQ(rig_.Fsync(fd_), -EIO);
  EXPECT_EQ(rig_.Fsync(fd_), 0);
  rig_.Sleep(1'000'000'000);
  EXPECT_EQ(rig_.Fsync(fd_), -ENOSPC);
}

class ErrorModelTest : public FaultPlacesTest {
 protected:
  // Changes the first block and appends a third one; one of the two fsyncs that follow fails.
  void AppendAndFailToSync(const std::string& model, long first, long second) {
    EXPECT_EQ(rig_.Write(fd_, Text('A'), 0), kBlock);
    EXPECT_EQ(rig_.Write(fd_, Text('c'), 2 * kBlock), kBlock);
    ScopedFault f(rig_.machine(), "fsync=nth(1):eio(model=" + model + ")");
    EXPECT_EQ(rig_.Fsync(fd_), first);
    EXPECT_EQ(rig_.Fsync(fd_), second);
    EXPECT_EQ(rig_.Fsync(fd_), 0);
  }
  // What is read at once, and what is read after a reboot.
  void ExpectContents(const std::string& now, const std::string& later) {
    EXPECT_EQ(rig_.Contents("/data/a") == now, true);
    EXPECT_EQ(rig_.Sync(), 0);
    rig_.PowerCutAndReboot();
    EXPECT_EQ(rig_.Contents("/data/a") == later, true);
  }
};

TEST_F(ErrorModelTest, Ext4OrderedKeepsTheNewBytesUntilTheyLeaveTheCache) {
  AppendAndFailToSync("ext4-ordered", -EIO, 0);
  ExpectContents(Text('A') + Text('b') + Text('c'), Text('a') + Text('b') + Text('\0'));
}

TEST_F(ErrorModelTest, Ext4DataTellsOfItOneFsyncLater) {
  AppendAndFailToSync("ext4-data", 0, -EIO);
  EXPECT_EQ(rig_.Contents("/data/a") == Text('A') + Text('b') + Text('c'), true);
}

TEST_F(ErrorModelTest, XfsForgetsTheAppendOverAReboot) {
  AppendAndFailToSync("xfs", -EIO, 0);
  ExpectContents(Text('A') + Text('b') + Text('c'), Text('a') + Text('b'));
}

TEST_F(ErrorModelTest, BtrfsShowsTheOldBytesAtOnce) {
  AppendAndFailToSync("btrfs", -EIO, 0);
  EXPECT_EQ(rig_.Contents("/data/a").substr(0, kBlock) == Text('a'), true);
}

// With nothing to lose, the fsync fails and that is all.
TEST_F(ErrorModelTest, AnFsyncOfACleanFileFailsWithoutLoss) {
  ScopedFault f(rig_.machine(), "fsync=nth(1):eio(model=ext4-data)");
  EXPECT_EQ(rig_.Fsync(fd_), -EIO);
  EXPECT_EQ(rig_.Fsync(fd_), 0);
}

// The page cache of tmpfs has no such aftermath: its fsync is no occasion.
TEST_F(ErrorModelTest, AFileSystemWithoutErrorModelsIsNoOccasion) {
  const long fd = rig_.Open("/tmp/x", O_RDWR | O_CREAT);
  ASSERT_GE(fd, 0);
  ScopedFault f(rig_.machine(), "fsync=nth(1):eio(model=xfs)");
  EXPECT_EQ(rig_.Fsync(fd), 0);
  EXPECT_FALSE(f.fired());
  EXPECT_EQ(rig_.Fsync(fd_), -EIO);
}

// ---- A power cut

class HeldAtPowerCutTest : public FaultPlacesTest {};

// Method: a direct write that a rule keeps from its disk, in three ways, when the power goes. It must not come to the
// disk afterwards, nor keep the machine from booting.
TEST_P(HeldAtPowerCutTest, GoesWithThePower) {
  const long fd = rig_.Open("/data/a", O_RDWR | O_DIRECT);
  ScopedFault f(rig_.machine(), GetParam());
  aio_context_t ctx = 0;
  EXPECT_EQ(kernel().io_setup(1, &ctx), 0);
  iocb write = Write('X');
  write.aio_fildes = static_cast<uint32_t>(fd);
  iocb* batch[] = {&write};
  EXPECT_EQ(kernel().io_submit(ctx, 1, batch), 1);
  EXPECT_EQ(f.hits(), 1);
  rig_.PowerCutAndReboot();
  rig_.Sleep(1'000'000'000);
  EXPECT_EQ(rig_.Contents("/data/a") == Text('a') + Text('b'), true);
}

INSTANTIATE_TEST_SUITE_P(All, HeldAtPowerCutTest,
                         testing::Values("bio[op=write]=nth(1):delay(50ms)", "device[op=write]=nth(1):queue-full",
                                         "device[op=write]=nth(1):lost"));

// What is in the disk is another matter: it may arrive.
TEST_F(FaultPlacesTest, AWriteThatTheDiskHoldsMayArriveInAPowerCut) {
  const long fd = rig_.Open("/data/a", O_RDWR | O_DIRECT);
  ScopedFault f(rig_.machine(), "device[op=write]=nth(1):hold(x)");
  aio_context_t ctx = 0;
  EXPECT_EQ(kernel().io_setup(1, &ctx), 0);
  iocb write = Write('X');
  write.aio_fildes = static_cast<uint32_t>(fd);
  iocb* batch[] = {&write};
  EXPECT_EQ(kernel().io_submit(ctx, 1, batch), 1);
  ASSERT_TRUE(f.AwaitHeld("x"));
  rig_.PowerCutAndReboot();
  const std::string contents = rig_.Contents("/data/a");
  for (size_t sector = 0; sector < kBlock; sector += 512) {
    EXPECT_TRUE(contents.substr(sector, 512) == Text('X', 512) || contents.substr(sector, 512) == Text('a', 512));
  }
  EXPECT_NE(contents.find('X'), std::string::npos);  // by this seed
}

// A completion that a rule holds is nobody's after a power cut: the machine boots, and another context works.
TEST_F(FaultPlacesTest, AHeldCompletionGoesWithThePower) {
  ScopedFault f(rig_.machine(), "complete=nth(1):hold(x)");
  aio_context_t ctx = 0;
  EXPECT_EQ(kernel().io_setup(1, &ctx), 0);
  iocb read = Read(0, kBlock);
  iocb* batch[] = {&read};
  EXPECT_EQ(kernel().io_submit(ctx, 1, batch), 1);
  ASSERT_TRUE(f.AwaitHeld("x"));
  rig_.PowerCutAndReboot();
  EXPECT_EQ(rig_.machine().CountHeld("x"), 0);
  fd_ = rig_.Open("/data/a");
  EXPECT_EQ(Run(Read(0, kBlock)), kBlock);
}

// ---- Files of the host

class HostFaultsTest : public testing::Test {
 protected:
  HostFaultsTest() {
    EXPECT_EQ(write(fd_, Text('h').data(), kBlock), kBlock);
    EXPECT_EQ(kernel_.io_setup(1, &ctx_), 0);
  }
  ~HostFaultsTest() override {
    close(fd_);
    unlink(name_.c_str());
  }
  int64_t Run(uint16_t opcode, size_t bytes = kBlock, int64_t pos = 0) {
    char buffer[kBlock] = {};
    iocb request = NewIocb(opcode, fd_, buffer, bytes, pos);
    iocb* batch[] = {&request};
    EXPECT_EQ(kernel_.io_submit(ctx_, 1, batch), 1);
    io_event event = {};
    EXPECT_EQ(kernel_.io_getevents(ctx_, 1, 1, &event, nullptr), 1);
    return event.res;
  }

  std::string name_ = testing::TempDir() + "/host.XXXXXX";
  const int fd_ = mkstemp(name_.data());
  SeededChooser chooser_{3};
  Machine machine_{{.chooser = &chooser_, .host_files = true}};
  EmulatedSyscalls kernel_{machine_};
  aio_context_t ctx_ = 0;
};

// The next one is tried again.
TEST_F(HostFaultsTest, AReadThatTheDiskCannotDoIsItsReadersError) {
  for (const char* rule : {"bio[op=read]=nth(1):eio", "device[op=read]=nth(1):eio"}) {
    machine_.DropCaches();
    ScopedFault f(machine_, rule);
    EXPECT_EQ(Run(IOCB_CMD_PREAD), -EIO) << rule;
    EXPECT_EQ(Run(IOCB_CMD_PREAD), kBlock) << rule;
  }
}

TEST_F(HostFaultsTest, ASystemCallThatSyncsIsAnFsync) {
  ScopedFault sync(machine_, "fsync[path=*/host.*]=nth(1):eio->enospc");
  EXPECT_EQ(kernel_.fsync(fd_), -EIO);
  EXPECT_EQ(kernel_.fdatasync(fd_), -ENOSPC);
  EXPECT_EQ(kernel_.fsync(fd_), 0);
}

TEST_F(HostFaultsTest, AReadOfAPageInTheCacheIsNoOccasion) {
  ScopedFault f(machine_, "page=nth(2):eio");
  EXPECT_EQ(Run(IOCB_CMD_PREAD), kBlock);
  EXPECT_EQ(Run(IOCB_CMD_PREAD), kBlock);
  EXPECT_EQ(f.occasions(), 1);
  machine_.DropCaches();
  EXPECT_EQ(Run(IOCB_CMD_PREAD), -EIO);
}

TEST_F(HostFaultsTest, AWriteFailsToReadOnlyWhatItLeavesOfAPage) {
  ScopedFault f(machine_, "page[op=write]=always:eio");
  EXPECT_EQ(Run(IOCB_CMD_PWRITE), kBlock);
  EXPECT_EQ(Run(IOCB_CMD_PWRITE, 100, kBlock), 100) << "behind the end";
  machine_.DropCaches();
  EXPECT_EQ(Run(IOCB_CMD_PWRITE, 100, kBlock), 100) << "all that there is of it";
  EXPECT_EQ(f.occasions(), 0);
  EXPECT_EQ(Run(IOCB_CMD_PWRITE, 100, 100), -EIO);
  EXPECT_EQ(f.occasions(), 1);
}

// Whether it is dirty is the host's business.
TEST_F(HostFaultsTest, AWriteMayLackMemoryOrSpaceForAnyPage) {
  ScopedFault f(machine_, "page[op=write]=nth(2):enospc");
  EXPECT_EQ(Run(IOCB_CMD_PWRITE), kBlock);
  EXPECT_EQ(Run(IOCB_CMD_PWRITE), -ENOSPC);
}

// The model does not have the bytes of a host's file on its disk.
TEST_F(HostFaultsTest, WhatIsWrongWithBytesOnTheDiskIsNoOccasion) {
  ScopedFault f(machine_, "device=nth(1):bitrot,device=nth(1):misdirected");
  f.AllowUnfired();
  EXPECT_EQ(Run(IOCB_CMD_PREAD), kBlock);
  EXPECT_EQ(f.hits(), 0);
  EXPECT_EQ(f.occasions(), 0);
}

}  // namespace
}  // namespace aiolab
