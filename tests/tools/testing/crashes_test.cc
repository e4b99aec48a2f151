// Clients with and without their fsyncs, and what SurvivesEveryCrash says of them.
#include "tools/testing/crashes.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tools/testing/scoped_fault.h"

namespace aiolab {
namespace {

using testing::AllOf;
using testing::AssertionFailure;
using testing::AssertionResult;
using testing::AssertionSuccess;
using testing::HasSubstr;
using testing::Not;

constexpr char kLog[] = "/data/log";
constexpr char kDevice[] = "/data/dev0";
constexpr char kNewLog[] = "/data/log.new";

int Open(Syscalls& kernel, const char* path, int flags) {
  const long fd = kernel.openat(AT_FDCWD, path, flags | O_CREAT, 0600);
  EXPECT_GE(fd, 0) << path;
  return static_cast<int>(fd);
}

void Write(Syscalls& kernel, int fd, const std::string& bytes, loff_t pos = 0) {
  EXPECT_EQ(kernel.pwrite64(fd, bytes.data(), bytes.size(), pos), static_cast<long>(bytes.size()));
}

std::string Contents(Syscalls& kernel, const char* path) {
  const long fd = kernel.openat(AT_FDCWD, path, O_RDONLY, 0);
  if (fd < 0) return "";
  std::string bytes(1 << 16, '\0');
  const long size = kernel.read(static_cast<int>(fd), bytes.data(), bytes.size());
  kernel.close(static_cast<int>(fd));
  return size < 0 ? "unreadable" : bytes.substr(0, static_cast<size_t>(size));
}

void SyncDirectory(Syscalls& kernel) {
  const int fd = static_cast<int>(kernel.openat(AT_FDCWD, "/data", O_RDONLY | O_DIRECTORY, 0));
  EXPECT_EQ(kernel.fsync(fd), 0);
  kernel.close(fd);
}

std::string RecordNumber(uint64_t number) { return std::string(1000, static_cast<char>('a' + number)); }

// Appends records and acknowledges each behind `sync`.
template <typename Sync>
auto Appends(Sync sync) {
  return [sync](ScenarioRun& run) {
    const int fd = Open(run.kernel(), kLog, O_WRONLY);
    for (uint64_t number = 0; number < 4; ++number) {
      Write(run.kernel(), fd, RecordNumber(number), static_cast<loff_t>(number * 1000));
      EXPECT_EQ(sync(run.kernel(), fd), 0);
      run.Acknowledge();
    }
  };
}

AssertionResult HasTheRecords(Syscalls& kernel, uint64_t acknowledged) {
  const std::string log = Contents(kernel, kLog);
  for (uint64_t number = 0; number < acknowledged; ++number) {
    if (log.compare(std::min<size_t>(log.size(), number * 1000), 1000, RecordNumber(number)) != 0) {
      return AssertionFailure() << "record " << number << " is missing";
    }
  }
  return AssertionSuccess();
}

// What the matcher says of a scenario.
std::string Explanation(const Crashes& crashes, const CrashCheck& check) {
  testing::StringMatchResultListener listener;
  SurvivesEveryCrash(check).MatchAndExplain(crashes, &listener);
  return listener.str();
}

TEST(CrashesTest, ALogThatSyncsBeforeItAcknowledgesSurvives) {
  const auto fdatasync = [](Syscalls& kernel, int fd) { return kernel.fdatasync(fd); };
  const auto fsync = [](Syscalls& kernel, int fd) { return kernel.fsync(fd); };
  for (const char* disk : {"nvme,size=4M", "nvme,size=4M,fua=off", "nvme,size=4M,cache=off", "nvme,size=4M,atomic=4K",
                           "hdd,size=4M,lbs=4096"}) {
    EXPECT_THAT(Crashes(Appends(fdatasync), {.simfs = {.disk = disk}}), SurvivesEveryCrash(HasTheRecords)) << disk;
    EXPECT_THAT(Crashes(Appends(fsync), {.simfs = {.disk = disk}}), SurvivesEveryCrash(HasTheRecords)) << disk;
  }
}

TEST(CrashesTest, ALogWithoutItsSyncIsFoundAndTheSyncIsNamed) {
  const Crashes crashes(Appends([](Syscalls&, int) { return 0; }));
  EXPECT_THAT(crashes, Not(SurvivesEveryCrash(HasTheRecords)));
  EXPECT_THAT(Explanation(crashes, HasTheRecords),
              AllOf(HasSubstr("leaves what the check refuses: record 0 is missing"),
                    HasSubstr("the data of /data/log (4000 of 4000 bytes"),
                    HasSubstr("no fsync or fdatasync of /data/log after they were written")));
}

// The other order than the one that everybody knows: the new log takes the place of the old one before its data are on
// the disk.
void ReplacesItsLog(ScenarioRun& run, bool sync_first) {
  Syscalls& kernel = run.kernel();
  int fd = Open(kernel, kLog, O_WRONLY);
  Write(kernel, fd, RecordNumber(0));
  EXPECT_EQ(kernel.fsync(fd), 0);
  SyncDirectory(kernel);
  run.Acknowledge();
  fd = Open(kernel, kNewLog, O_WRONLY);
  Write(kernel, fd, RecordNumber(0) + RecordNumber(1));
  const auto sync_data = [&] { EXPECT_EQ(kernel.fsync(fd), 0); };
  if (sync_first) sync_data();
  EXPECT_EQ(kernel.renameat2(AT_FDCWD, kNewLog, AT_FDCWD, kLog, 0), 0);
  SyncDirectory(kernel);
  if (!sync_first) sync_data();
  run.Acknowledge();
}

TEST(CrashesTest, ARenameBehindTheFsyncSurvives) {
  EXPECT_THAT(Crashes([](ScenarioRun& run) { ReplacesItsLog(run, /*sync_first=*/true); }),
              SurvivesEveryCrash(HasTheRecords));
}

TEST(CrashesTest, ARenameBeforeTheFsyncIsFoundAndTheFsyncIsNamed) {
  const Crashes crashes([](ScenarioRun& run) { ReplacesItsLog(run, /*sync_first=*/false); });
  EXPECT_THAT(crashes, Not(SurvivesEveryCrash(HasTheRecords)));
  EXPECT_THAT(Explanation(crashes, HasTheRecords),
              AllOf(HasSubstr("with 1 acknowledgement given leaves what the check refuses: record 0 is missing"),
                    HasSubstr("the data of /data/log (2000 of 2000 bytes; the image has the file with 0 bytes): no "
                              "fsync or fdatasync of /data/log after they were written")));
}

TEST(CrashesTest, ANameWithoutAnFsyncOfItsDirectoryIsFoundAndTheDirectoryIsNamed) {
  const Crashes crashes([](ScenarioRun& run) {
    const int fd = Open(run.kernel(), kNewLog, O_WRONLY);
    Write(run.kernel(), fd, RecordNumber(0));
    EXPECT_EQ(run.kernel().fsync(fd), 0);
    EXPECT_EQ(run.kernel().renameat2(AT_FDCWD, kNewLog, AT_FDCWD, kLog, 0), 0);
    EXPECT_EQ(run.kernel().fdatasync(fd), 0);
    run.Acknowledge();
  });
  EXPECT_THAT(Explanation(crashes, HasTheRecords),
              AllOf(HasSubstr("record 0 is missing"),
                    HasSubstr("the name /data/log; the image has no such file: no fsync of its directory /data")));
}

TEST(CrashesTest, ARemovalWithoutAnFsyncOfItsDirectoryIsFoundAndTheDirectoryIsNamed) {
  const Crashes crashes([](ScenarioRun& run) {
    const int fd = Open(run.kernel(), kLog, O_WRONLY);
    EXPECT_EQ(run.kernel().fsync(fd), 0);
    EXPECT_EQ(run.kernel().unlinkat(AT_FDCWD, kLog, 0), 0);
    run.Acknowledge();
  });
  const CrashCheck is_gone = [](Syscalls& kernel, uint64_t acknowledged) {
    const long fd = kernel.openat(AT_FDCWD, kLog, O_RDONLY, 0);
    return acknowledged == 0 || fd == -ENOENT ? AssertionSuccess() : AssertionFailure() << "it is still there";
  };
  EXPECT_THAT(Explanation(crashes, is_gone),
              AllOf(HasSubstr("it is still there"),
                    HasSubstr("the removal of /data/log: no fsync of its directory /data after it")));
}

// Two sectors are written over, and one of them arrives. No fsync is missing: it is the disk that tears.
void WritesOverItsLog(ScenarioRun& run) {
  const int fd = Open(run.kernel(), kLog, O_WRONLY);
  Write(run.kernel(), fd, std::string(4096, 'a'));
  EXPECT_EQ(run.kernel().fsync(fd), 0);
  Write(run.kernel(), fd, std::string(4096, 'b'));
  EXPECT_EQ(run.kernel().fsync(fd), 0);
}

AssertionResult IsNotTorn(Syscalls& kernel, uint64_t) {
  const std::string log = Contents(kernel, kLog);
  if (log.find_first_not_of(log[0]) == std::string::npos) return AssertionSuccess();
  return AssertionFailure() << "a mixture";
}

TEST(CrashesTest, ATornWriteIsFoundUnlessTheDiskWritesItAsOne) {
  const Crashes crashes(WritesOverItsLog);
  EXPECT_THAT(Explanation(crashes, IsNotTorn),
              AllOf(HasSubstr("a mixture"), HasSubstr("a write of 4096 bytes to /data/log at offset 0: "),
                    HasSubstr("of 8 atomic units of 512 bytes did not arrive"), HasSubstr("not durable by then: ")));
  EXPECT_THAT(Crashes(WritesOverItsLog, {.simfs = {.disk = "nvme,size=4M,atomic=4K"}}), SurvivesEveryCrash(IsNotTorn));
}

// The record goes to the device node, and the file says that it is there.
auto RecordsOnTheDevice(bool sync_device) {
  return [sync_device](ScenarioRun& run) {
    const int device = Open(run.kernel(), kDevice, O_WRONLY);
    Write(run.kernel(), device, RecordNumber(0));
    if (sync_device) {
      EXPECT_EQ(run.kernel().fdatasync(device), 0);
    }
    const int fd = Open(run.kernel(), kLog, O_WRONLY);
    Write(run.kernel(), fd, "there");
    EXPECT_EQ(run.kernel().fsync(fd), 0);
  };
}

AssertionResult DeviceHasWhatTheFileSays(Syscalls& kernel, uint64_t) {
  if (Contents(kernel, kLog) != "there") return AssertionSuccess();
  if (Contents(kernel, kDevice).substr(0, 1000) == RecordNumber(0)) return AssertionSuccess();
  return AssertionFailure() << "the device has no record";
}

TEST(CrashesTest, AnFsyncOfAFileDoesNotCoverTheDeviceBesideIt) {
  EXPECT_THAT(Crashes(RecordsOnTheDevice(/*sync_device=*/true)), SurvivesEveryCrash(DeviceHasWhatTheFileSays));
  EXPECT_THAT(
      Explanation(Crashes(RecordsOnTheDevice(/*sync_device=*/false)), DeviceHasWhatTheFileSays),
      AllOf(HasSubstr("the device has no record"),
            HasSubstr("the data of /data/dev0 (4096 of 4194304 bytes): no fsync or fdatasync of /data/dev0 after")));
}

// Method: a direct write, and a buffered one that sync() has given to the device; as the kernel's, it flushes no
// device's cache. The file system's own bookkeeping of what is not durable knows nothing of either.
TEST(CrashesTest, WhatOnlyTheDisksCacheHasIsNamedByItsDisk) {
  const auto writes_with = [](int flags) {
    return [flags](ScenarioRun& run) {
      alignas(4096) static char block[4096] = {'a'};  // on its fake stack AddressSanitizer aligns less
      const int device = Open(run.kernel(), kDevice, O_WRONLY | flags);
      EXPECT_EQ(run.kernel().pwrite64(device, block, sizeof(block), 8192), 4096);
      EXPECT_EQ(run.kernel().sync(), 0);
      run.Acknowledge();
    };
  };
  const CrashCheck is_there = [](Syscalls& kernel, uint64_t acknowledged) {
    return acknowledged == 0 || Contents(kernel, kDevice)[8192] == 'a' ? AssertionSuccess()
                                                                       : AssertionFailure() << "it is gone";
  };
  for (const int flags : {0, O_DIRECT}) {
    EXPECT_THAT(
        Explanation(Crashes(writes_with(flags)), is_there),
        AllOf(HasSubstr("a write of 4096 bytes to /data/dev0 at offset 8192: "),
              HasSubstr("not durable by then: what the disk had in its cache: no fsync or fdatasync came after")));
  }
}

TEST(CrashesTest, AFlushThatTheDiskOnlySaysItDidIsFoundAndNamed) {
  const auto syncs = Appends([](Syscalls& kernel, int fd) { return kernel.fdatasync(fd); });
  const Crashes crashes([&](ScenarioRun& run) {
    const ScopedFault lies(run.machine(), "device[op=flush]=always:lost");
    syncs(run);
  });
  EXPECT_THAT(Explanation(crashes, HasTheRecords),
              AllOf(HasSubstr("record 0 is missing"), HasSubstr("the disk lied: request "),
                    HasSubstr(", a flush, which it said was done")));
}

// After "Can Applications Recover from fsync Failures?": the second fsync writes nothing, and says that all is well.
TEST(CrashesTest, AnFsyncThatIsTriedAgainIsFoundAndTheFailureIsNamed) {
  const auto retries = Appends([](Syscalls& kernel, int fd) { return kernel.fsync(fd) == 0 ? 0 : kernel.fsync(fd); });
  const Crashes crashes([&](ScenarioRun& run) {
    const ScopedFault fails_once(run.machine(), "fsync=nth(1):eio(model=ext4-ordered)");
    retries(run);
  });
  EXPECT_THAT(Explanation(crashes, HasTheRecords),
              AllOf(HasSubstr("record 0 is missing"), HasSubstr("data of /data/log: writing them back failed, and no "
                                                                "later fsync tries it again, only a new write does")));
}

TEST(CrashesTest, AJournalThatFailsIsNamed) {
  const Crashes crashes([](ScenarioRun& run) {
    const ScopedFault fails(run.machine(), "device[op=write]=nth(2):eio");  // the first is the file's data
    const int fd = Open(run.kernel(), kLog, O_WRONLY);
    Write(run.kernel(), fd, RecordNumber(0));
    EXPECT_EQ(run.kernel().fsync(fd), -EIO);
    run.Acknowledge();
  });
  EXPECT_THAT(Explanation(crashes, HasTheRecords),
              HasSubstr("not durable by then: what was changed since a write to the journal failed: the file system "
                        "commits nothing any more"));
}

// What the disk kept of that is in no log, so no promise that was made after it can be held against an image.
TEST(CrashesTest, AScenarioThatCutsThePowerIsLookedAtUpToThere) {
  const auto syncs = Appends([](Syscalls& kernel, int fd) { return kernel.fdatasync(fd); });
  const Crashes crashes([&](ScenarioRun& run) {
    syncs(run);
    run.machine().PowerCut();
    ASSERT_TRUE(run.machine().Reboot().ok());
    const int fd = Open(run.kernel(), kLog, O_WRONLY);
    Write(run.kernel(), fd, RecordNumber(4), 4000);
    run.Acknowledge();
  });
  uint64_t promised = 0;
  EXPECT_THAT(crashes, SurvivesEveryCrash([&](Syscalls& kernel, uint64_t acknowledged) {
                promised = std::max(promised, acknowledged);
                return HasTheRecords(kernel, acknowledged);
              }));
  EXPECT_EQ(promised, 4u);
}

TEST(CrashesTest, ACheckThatIsWrongFailsWithoutALoss) {
  const Crashes crashes(WritesOverItsLog);
  EXPECT_THAT(Explanation(crashes, [](Syscalls&, uint64_t) { return AssertionFailure(); }),
              AllOf(HasSubstr("the check says no, and not why"), HasSubstr("lost: nothing that had completed")));
}

TEST(CrashesTest, SaysHowMuchItLookedAt) {
  const auto anything = [](Syscalls&, uint64_t) { return AssertionSuccess(); };
  EXPECT_THAT(Explanation(Crashes(WritesOverItsLog, {.simfs = {.disk = "nvme,size=4M,atomic=4K"}}), anything),
              AllOf(HasSubstr("it survived "), HasSubstr(" crash points, all that there can be")));
  EXPECT_THAT(Explanation(Crashes(WritesOverItsLog, {.images_max = 40}), anything),
              AllOf(HasSubstr(" of 9 crash points; at "), HasSubstr(" of them a sample, of up to 10^3 images")));
}

TEST(CrashesTest, AScenarioThatWritesNothingHasNoCrash) {
  int checked = 0;
  EXPECT_THAT(Crashes([](ScenarioRun&) {}), SurvivesEveryCrash([&](Syscalls&, uint64_t) {
                ++checked;
                return AssertionSuccess();
              }));
  EXPECT_EQ(checked, 1);
}

TEST(CrashesTest, TheSameSeedGivesTheSameAnswer) {
  const auto run = [] {
    return Explanation(Crashes([](ScenarioRun& run) { ReplacesItsLog(run, false); }), HasTheRecords);
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace aiolab
