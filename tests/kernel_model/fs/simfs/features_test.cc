// What simfs tells of its disk, directories while they change, files without a name, and atomic writes.
#include <dirent.h>
#include <errno.h>
#include <linux/stat.h>
#include <string.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/kernel_model/fs/simfs/simfs_rig.h"
#include "uapi/aio_abi.h"
#include "uapi/statx_abi.h"

namespace aiolab {
namespace {

constexpr size_t kBlock = 4096;

struct FreeMemory {
  void operator()(char* memory) const { free(memory); }
};
std::unique_ptr<char, FreeMemory> Aligned(size_t size, char fill) {
  std::unique_ptr<char, FreeMemory> memory(
      static_cast<char*>(aligned_alloc(kBlock, (size + kBlock - 1) / kBlock * kBlock)));
  memset(memory.get(), fill, size);
  return memory;
}

struct statx StatxOf(SimfsRig& rig, const char* path, unsigned mask) {
  struct statx status = {};
  EXPECT_EQ(rig.kernel().statx(AT_FDCWD, path, 0, mask, &status), 0) << path;
  return status;
}

// ---- statx

TEST(SimfsStatxTest, TheAlignmentIsThatOfTheDisksLogicalBlocks) {
  for (const unsigned block : {512u, 4096u}) {
    SimfsRig rig(7, absl::StrCat("nvme,size=4M,lbs=", block).c_str());
    EXPECT_EQ(rig.Put("/data/a", std::string(2 * kBlock, 'a')), 2 * kBlock);
    for (const char* path : {"/data/a", "/data/dev0"}) {
      const struct statx status = StatxOf(rig, path, STATX_DIOALIGN);
      EXPECT_NE(status.stx_mask & STATX_DIOALIGN, 0u) << path;
      EXPECT_EQ(status.stx_dio_offset_align, block) << path;
      EXPECT_LE(status.stx_dio_mem_align, block) << path;
    }
    EXPECT_EQ(rig.Sync(), 0);
    const int fd = static_cast<int>(rig.Open("/data/a", O_RDWR | O_DIRECT));
    const auto memory = Aligned(kBlock, '-');
    EXPECT_EQ(rig.kernel().pread64(fd, memory.get(), block, block), block);
    EXPECT_EQ(rig.kernel().pread64(fd, memory.get(), block, block / 2), -EINVAL);
  }
}

TEST(SimfsStatxTest, DirectoriesHaveNoAlignment) {
  SimfsRig rig;
  EXPECT_EQ(StatxOf(rig, "/data", STATX_DIOALIGN).stx_mask & STATX_DIOALIGN, 0u);
}

TEST(SimfsStatxTest, TheAtomicUnitsAreToldWhenAskedFor) {
  SimfsRig rig(7, "nvme,size=4M,atomic=16K");
  rig.Put("/data/a", "a");
  EXPECT_EQ(StatxOf(rig, "/data/a", STATX_BASIC_STATS).stx_mask & STATX_WRITE_ATOMIC, 0u);
  const struct statx status = StatxOf(rig, "/data/a", STATX_WRITE_ATOMIC);
  EXPECT_NE(status.stx_mask & STATX_WRITE_ATOMIC, 0u);
  EXPECT_NE(status.stx_attributes & STATX_ATTR_WRITE_ATOMIC, 0u);
  EXPECT_EQ(AtomicWriteOf(status).unit_min, kBlock);
  EXPECT_EQ(AtomicWriteOf(status).unit_max, kBlock);
  EXPECT_EQ(AtomicWriteOf(status).segments_max, 1u);
}

TEST(SimfsStatxTest, ADiskWithoutAtomicWritesHasNoUnits) {
  for (const char* disk : {"nvme,size=4M", "nvme,size=4M,atomic=2K"}) {
    SimfsRig rig(7, disk);
    rig.Put("/data/a", "a");
    const struct statx status = StatxOf(rig, "/data/a", STATX_WRITE_ATOMIC);
    EXPECT_NE(status.stx_mask & STATX_WRITE_ATOMIC, 0u);
    EXPECT_NE(status.stx_attributes_mask & STATX_ATTR_WRITE_ATOMIC, 0u);
    EXPECT_EQ(status.stx_attributes & STATX_ATTR_WRITE_ATOMIC, 0u) << disk;
    EXPECT_EQ(AtomicWriteOf(status).unit_max, 0u) << disk;
  }
}

// ---- readdir

std::multiset<std::string> Names(SimfsRig& rig, int fd, size_t buffer_size, int calls_max = 1000) {
  std::multiset<std::string> names;
  for (int call = 0; call < calls_max; ++call) {
    alignas(8) char buffer[4096];
    const long size = rig.kernel().getdents64(fd, buffer, static_cast<unsigned>(buffer_size));
    EXPECT_GE(size, 0);
    if (size <= 0) break;
    for (long at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(buffer + at);
      names.insert(entry->d_name);
      at += entry->d_reclen;
    }
  }
  return names;
}

TEST(SimfsReaddirTest, NamesThatStayAreFoundOnceWhileOthersComeAndGo) {
  SimfsRig rig;
  for (int i = 0; i < 40; ++i) EXPECT_EQ(rig.Put(absl::StrCat("/data/", i), ""), 0);
  const int fd = static_cast<int>(rig.Open("/data", O_RDONLY | O_DIRECTORY));
  std::multiset<std::string> names = Names(rig, fd, 200, /*calls_max=*/2);
  // Those that it has passed, and those before it.
  for (int i = 0; i < 40; i += 2) EXPECT_EQ(rig.Unlink(absl::StrCat("/data/", i)), 0);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(rig.Put(absl::StrCat("/data/new", i), ""), 0);
  names.merge(Names(rig, fd, 200));
  for (int i = 1; i < 40; i += 2) EXPECT_EQ(names.count(absl::StrCat(i)), 1u) << i;
  EXPECT_EQ(names.count("dev0"), 1u);
}

TEST(SimfsReaddirTest, ARebootKeepsTheNames) {
  SimfsRig rig;
  EXPECT_EQ(rig.Mkdir("/data/d"), 0);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(rig.Put(absl::StrCat("/data/d/", i), ""), 0);
  const auto names = [&rig] { return Names(rig, static_cast<int>(rig.Open("/data/d", O_RDONLY | O_DIRECTORY)), 4096); };
  const std::multiset<std::string> before = names();
  EXPECT_EQ(before.size(), 42u);
  EXPECT_EQ(rig.Sync(), 0);
  rig.PowerCutAndReboot();
  EXPECT_EQ(names(), before);
}

// ---- O_TMPFILE

TEST(SimfsTmpfileTest, ItsBlocksAreFreeAgainWhenItIsClosed) {
  SimfsRig rig;
  const uint64_t free_blocks = rig.FreeBlocks();
  const long fd = rig.Open("/data", O_TMPFILE | O_RDWR);
  EXPECT_EQ(rig.Write(fd, std::string(10 * kBlock, 't'), 0), 10 * kBlock);
  EXPECT_EQ(rig.Fsync(fd), 0);
  EXPECT_EQ(rig.FreeBlocks(), free_blocks - 10);
  EXPECT_EQ(rig.Close(fd), 0);
  EXPECT_EQ(rig.Sync(), 0);
  EXPECT_EQ(rig.FreeBlocks(), free_blocks);
}

TEST(SimfsTmpfileTest, APowerCutTakesItWithItsBlocks) {
  SimfsRig rig;
  const uint64_t free_blocks = rig.FreeBlocks();
  const long fd = rig.Open("/data", O_TMPFILE | O_RDWR);
  EXPECT_EQ(rig.Write(fd, std::string(10 * kBlock, 't'), 0), 10 * kBlock);
  EXPECT_EQ(rig.Fsync(fd), 0);
  rig.PowerCutAndReboot();
  EXPECT_EQ(rig.FreeBlocks(), free_blocks);
  EXPECT_TRUE(rig.CheckDisk().empty());
}

TEST(SimfsTmpfileTest, WithANameItStays) {
  SimfsRig rig;
  const int fd = static_cast<int>(rig.Open("/data", O_TMPFILE | O_RDWR));
  EXPECT_EQ(rig.Write(fd, "contents", 0), 8);
  EXPECT_EQ(rig.kernel().linkat(fd, "", AT_FDCWD, "/data/name", AT_EMPTY_PATH), 0);
  EXPECT_EQ(rig.Fsync(fd), 0);
  rig.PowerCutAndReboot();
  EXPECT_EQ(rig.Contents("/data/name"), "contents");
}

// ---- RWF_ATOMIC

struct AtomicFile {
  explicit AtomicFile(const char* disk = "nvme,size=4M,atomic=16K", int flags = O_DIRECT, uint64_t seed = 7)
      : rig(seed, disk) {
    EXPECT_EQ(rig.Put("/data/a", std::string(16 * kBlock, 'a')), 16 * kBlock);
    EXPECT_EQ(rig.Sync(), 0);
    fd = static_cast<int>(rig.Open("/data/a", O_RDWR | flags));
  }
  long Write(size_t size, loff_t position, int rwf = RWF_ATOMIC, size_t segments = 1) {
    const auto memory = Aligned(size, 'A');
    std::vector<iovec> vector;
    for (size_t i = 0; i < segments; ++i) vector.push_back({memory.get() + i * (size / segments), size / segments});
    return rig.kernel().pwritev2(fd, vector.data(), static_cast<int>(segments), position, rwf);
  }
  SimfsRig rig;
  int fd;
};

// As on ext4 without clusters.
TEST(SimfsAtomicTest, OneBlockIsTaken) {
  AtomicFile file;
  EXPECT_EQ(file.Write(4096, 4096), 4096);
  EXPECT_EQ(file.Write(4096, 16 * 4096), 4096) << "behind the end";
}

TEST(SimfsAtomicTest, AnythingElseIsEinval) {
  AtomicFile file;
  EXPECT_EQ(file.Write(2048, 0), -EINVAL) << "less than the unit";
  EXPECT_EQ(file.Write(8192, 0), -EINVAL) << "more than the unit";
  EXPECT_EQ(file.Write(4096, 2048), -EINVAL) << "not at a multiple of its length";
  EXPECT_EQ(file.Write(4096, 0, RWF_ATOMIC, /*segments=*/2), -EINVAL) << "two segments";
  EXPECT_EQ(file.rig.Contents("/data/a"), std::string(16 * kBlock, 'a'));
}

// Size and position are looked at first, as in the kernel.
TEST(SimfsAtomicTest, ABufferedOneIsEopnotsuppIfItIsRightOtherwise) {
  AtomicFile file("nvme,size=4M,atomic=16K", /*flags=*/0);
  EXPECT_EQ(file.Write(4096, 0), -EOPNOTSUPP);
  EXPECT_EQ(file.Write(2048, 0), -EINVAL);
  EXPECT_EQ(file.rig.kernel().fcntl(file.fd, F_SETFL, O_DIRECT), 0);
  EXPECT_EQ(file.Write(4096, 0), 4096);
}

TEST(SimfsAtomicTest, ReadsAndDisksThatCannotAreEopnotsupp) {
  AtomicFile file;
  char byte;
  const iovec vector = {&byte, 1};
  EXPECT_EQ(file.rig.kernel().preadv2(file.fd, &vector, 1, 0, RWF_ATOMIC), -EOPNOTSUPP);
  for (const char* disk : {"nvme,size=4M", "nvme,size=4M,atomic=2K"}) {
    EXPECT_EQ(AtomicFile(disk).Write(4096, 0), -EOPNOTSUPP) << disk;
  }
}

// How many of 50 power cuts leave a part of a block that was written.
int TornWrites(const char* disk, int rwf) {
  int torn = 0;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    AtomicFile file(disk, O_DIRECT, seed);
    EXPECT_EQ(file.Write(kBlock, kBlock, rwf), kBlock);
    file.rig.PowerCutAndReboot();
    const std::string found = file.rig.Contents("/data/a").substr(kBlock, kBlock);
    const auto fresh = static_cast<size_t>(std::count(found.begin(), found.end(), 'A'));
    torn += fresh != 0 && fresh != found.size() ? 1 : 0;
  }
  return torn;
}

TEST(SimfsAtomicTest, APowerCutLeavesAllOfItOrNothing) {
  EXPECT_EQ(TornWrites("nvme,size=4M,cache=1M,atomic=16K", RWF_ATOMIC), 0);
  EXPECT_GT(TornWrites("nvme,size=4M,cache=1M", 0), 0) << "the power cuts tear nothing";
}

}  // namespace
}  // namespace aiolab
