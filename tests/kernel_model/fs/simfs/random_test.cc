// Random operations, compared with a string and a map that nothing can go wrong with.
#include <fcntl.h>
#include <linux/falloc.h>
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernel_model/fs/simfs/extents.h"
#include "tests/kernel_model/fs/simfs/numbers.h"
#include "tests/kernel_model/fs/simfs/simfs_rig.h"

namespace aiolab {
namespace {

// Where two strings begin to differ; -1: they do not.
int64_t FirstDifference(const std::string& a, const std::string& b) {
  const size_t common = std::min(a.size(), b.size());
  for (size_t i = 0; i < common; ++i) {
    if (a[i] != b[i]) return static_cast<int64_t>(i);
  }
  return a.size() == b.size() ? -1 : static_cast<int64_t>(common);
}

class FileAndModel {
 public:
  explicit FileAndModel(uint64_t seed)
      : rig_(seed, "nvme,size=4M", seed % 2 == 0 ? "mainline" : "retry"), numbers_(seed) {
    Open();
  }

  // Does something to both. What it was.
  std::string Step() {
    const uint64_t at = numbers_.Below(60000);
    const uint64_t length = 1 + numbers_.Below(20000);
    switch (numbers_.Below(10)) {
      case 0:
      case 1:
      case 2: {
        const std::string bytes(length, static_cast<char>('a' + numbers_.Below(26)));
        EXPECT_EQ(rig_.Write(fd_, bytes, static_cast<loff_t>(at)), static_cast<long>(length));
        Grow(at + length);
        model_.replace(at, length, bytes);
        return absl::StrCat("write ", at, "+", length);
      }
      case 3:
        EXPECT_EQ(rig_.Truncate(fd_, static_cast<loff_t>(at)), 0);
        model_.resize(at, '\0');
        return absl::StrCat("truncate ", at);
      case 4:
        EXPECT_EQ(rig_.Fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<loff_t>(at),
                                 static_cast<loff_t>(length)),
                  0);
        Zero(at, length);
        return absl::StrCat("punch ", at, "+", length);
      case 5:
        EXPECT_EQ(rig_.Fallocate(fd_, FALLOC_FL_ZERO_RANGE, static_cast<loff_t>(at), static_cast<loff_t>(length)), 0);
        Grow(at + length);
        Zero(at, length);
        return absl::StrCat("zero ", at, "+", length);
      case 6:
        EXPECT_EQ(rig_.Fallocate(fd_, 0, static_cast<loff_t>(at), static_cast<loff_t>(length)), 0);
        Grow(at + length);
        return absl::StrCat("allocate ", at, "+", length);
      case 7:
        EXPECT_EQ(rig_.Fdatasync(fd_), 0);
        rig_.machine().DropCaches();
        return "sync and drop";
      case 8: {
        const std::string bytes(512 * (1 + numbers_.Below(30)), static_cast<char>('A' + numbers_.Below(26)));
        const uint64_t sector = at / 512 * 512;
        alignas(512) static char aligned[512 * 32];
        std::copy(bytes.begin(), bytes.end(), aligned);
        const long direct = rig_.Open("/data/f", O_RDWR | O_DIRECT);
        EXPECT_EQ(rig_.Write(direct, absl::string_view(aligned, bytes.size()), static_cast<loff_t>(sector)),
                  static_cast<long>(bytes.size()));
        rig_.Close(direct);
        Grow(sector + bytes.size());
        model_.replace(sector, bytes.size(), bytes);
        return absl::StrCat("direct write ", sector, "+", bytes.size());
      }
      default:
        if (numbers_.Below(4) != 0) return "nothing";
        EXPECT_EQ(rig_.Sync(), 0);
        rig_.PowerCutAndReboot();
        Open();
        return "reboot";
    }
  }

  int64_t Difference() { return FirstDifference(rig_.Contents("/data/f"), model_); }

 private:
  void Open() { fd_ = rig_.Open("/data/f", O_RDWR | O_CREAT); }
  void Grow(uint64_t size) {
    if (size > model_.size()) model_.resize(size, '\0');
  }
  void Zero(uint64_t at, uint64_t length) {
    for (uint64_t i = at; i < std::min<uint64_t>(at + length, model_.size()); ++i) model_[i] = '\0';
  }

  SimfsRig rig_;
  Numbers numbers_;
  long fd_ = -1;
  std::string model_;
};

TEST(RandomTest, AFileIsWhatWasDoneToIt) {
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    FileAndModel both(seed);
    std::string history;
    for (int step = 0; step < 120; ++step) {
      absl::StrAppend(&history, both.Step(), "\n");
      ASSERT_EQ(both.Difference(), -1) << "seed " << seed << " after\n" << history;
      if (HasFailure()) return;
    }
  }
}

TEST(RandomTest, AnExtentMapIsWhatWasDoneToIt) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Numbers numbers(seed);
    simfs::ExtentMap extents;
    simfs::FreeSpace free;
    free.Release({1000, 500});
    std::map<uint64_t, uint64_t> model;  // logical to physical
    for (int step = 0; step < 400; ++step) {
      const uint64_t logical = numbers.Below(100);
      const uint64_t length = 1 + numbers.Below(20);
      std::vector<simfs::Blocks> freed;
      if (numbers.Below(3) == 0) {
        extents.Erase(logical, length, &freed);
        for (uint64_t i = 0; i < length; ++i) model.erase(logical + i);
      } else {
        const simfs::Blocks got = free.Allocate(numbers.Below(1600), length);
        ASSERT_GT(got.length, 0u);
        extents.Insert(logical, {got.length, got.first, false}, &freed);
        for (uint64_t i = 0; i < got.length; ++i) model[logical + i] = got.first + i;
      }
      for (const simfs::Blocks& run : freed) ASSERT_TRUE(free.Release(run)) << run.first << "+" << run.length;
      ASSERT_EQ(extents.blocks(), model.size());
      ASSERT_EQ(free.free_blocks(), 500 - model.size());
      for (uint64_t i = 0; i < 130; ++i) {
        const simfs::ExtentMap::Run run = extents.Find(i);
        const auto expected = model.find(i);
        ASSERT_EQ(run.mapped, expected != model.end()) << i;
        if (run.mapped) {
          ASSERT_EQ(run.physical, expected->second) << i;
        }
      }
    }
  }
}

// Memory is for what was touched: the pages, their bytes on the disk, and what leads to both.
TEST(SparseTest, AThousandPagesOfATebibyteCostLessThanTenMebibytes) {
  SimfsRig rig(7, "nvme,size=1T");
  const long fd = rig.Open("/data/f", O_RDWR | O_CREAT);
  const auto before = static_cast<int64_t>(mallinfo2().uordblks);
  for (loff_t page = 0; page < 1000; ++page) ASSERT_EQ(rig.Write(fd, "x", page << 30), 1);
  ASSERT_EQ(rig.Fsync(fd), 0);
  EXPECT_LT(static_cast<int64_t>(mallinfo2().uordblks) - before, 10 << 20);
  struct stat status;
  ASSERT_EQ(rig.Stat("/data/f", &status), 0);
  EXPECT_EQ(status.st_size, (int64_t{999} << 30) + 1);
}

}  // namespace
}  // namespace aiolab
