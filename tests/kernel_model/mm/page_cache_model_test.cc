// Thousands of reads and writes of every kind against a string that says what the file has to be.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/kernel_model/mm/paged_file.h"
#include "uapi/aio_abi.h"

namespace aiolab {
namespace {

constexpr uint64_t kFilePagesMax = 48;

// A test's own choices.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  uint64_t Below(uint64_t limit) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % limit;
  }

 private:
  uint64_t state_;
};

Profile Cramped(const char* name) {
  Profile profile = *FindProfile(name);
  profile.dirty_background_pages = 4;
  profile.dirty_pages = 10;
  profile.page_cache_pages_max = 40;
  return profile;
}

struct Case {
  const char* name;
  const char* profile;
  bool stable_writes;
  bool scattered;  // no two blocks follow one another
};

class PageCacheModelTest : public PagedFileTest, public testing::WithParamInterface<Case> {
 protected:
  PageCacheModelTest() : PagedFileTest(Cramped(GetParam().profile)) {
    file_->mapping.stable_writes = GetParam().stable_writes;
    for (uint64_t page = 0; GetParam().scattered && page < kFilePagesMax; ++page) {
      file_->places[page] = 1000 + page * 37 % 101 * 2;
    }
  }

  void Truncate(uint64_t size) {
    Machine::Entry entry(machine_, nullptr);
    ASSERT_EQ(inode_lock(*file_), 0);
    ASSERT_EQ(inode_dio_wait(*file_), 0);
    const auto new_size = static_cast<loff_t>(size);
    if (new_size < file_->i_size) {
      ASSERT_EQ(truncate_pagecache_block(*file_, new_size), 0);
    }
    file_->i_size = new_size;
    ASSERT_EQ(truncate_pagecache(*file_, new_size), 0);
    file_->blocks.erase(file_->blocks.lower_bound((size + kPageSize - 1) / kPageSize), file_->blocks.end());
    inode_unlock(*file_);
    expected_.resize(size, '\0');
  }

  void WriteSome(Dice& dice, int fd, uint64_t unit, int rw_flags) {
    const uint64_t offset = dice.Below(kFilePagesMax * kPageSize / unit) * unit;
    uint64_t bytes = (1 + dice.Below(6 * kPageSize / unit)) * unit;
    bytes = std::min(bytes, kFilePagesMax * kPageSize - offset);
    const std::string text(bytes, static_cast<char>('a' + dice.Below(26)));
    ASSERT_EQ(Write(fd, text, static_cast<int64_t>(offset), rw_flags), static_cast<int64_t>(bytes));
    expected_.resize(std::max<size_t>(expected_.size(), offset + bytes), '\0');
    expected_.replace(offset, bytes, text);
  }

  void ReadSome(Dice& dice, int fd, uint64_t unit, int rw_flags) {
    const uint64_t offset = dice.Below(kFilePagesMax * kPageSize / unit) * unit;
    std::string read((1 + dice.Below(8 * kPageSize / unit)) * unit, '-');
    const std::string should = offset < expected_.size() ? expected_.substr(offset, read.size()) : "";
    ASSERT_EQ(Read(fd, &read, static_cast<int64_t>(offset), rw_flags), static_cast<int64_t>(should.size()));
    ASSERT_TRUE(read == should) << "at " << offset;
  }

  void Step(Dice& dice) {
    switch (dice.Below(12)) {
      case 0:
      case 1:
        return WriteSome(dice, buffered_, 1, 0);
      case 2:
        return WriteSome(dice, buffered_, 1, dice.Below(2) == 0 ? RWF_DSYNC : RWF_DONTCACHE);
      case 3:
        return WriteSome(dice, direct_, 512, dice.Below(2) == 0 ? RWF_DSYNC : 0);
      case 4:
        return WriteSome(dice, direct_, kPageSize, 0);
      case 5:
      case 6:
        return ReadSome(dice, buffered_, 1, dice.Below(3) == 0 ? RWF_DONTCACHE : 0);
      case 7:
        return ReadSome(dice, direct_, 512, 0);
      case 8:
        ASSERT_EQ(ResultOf(Request(IOCB_CMD_FSYNC, buffered_, nullptr, 0, 0)), 0);
        return;
      case 9:
        Sleep(static_cast<int64_t>(dice.Below(40)) * 1'000'000'000);
        return;
      case 10:
        machine_.DropCaches();
        return;
      default:
        return Truncate(dice.Below(kFilePagesMax * kPageSize));
    }
  }

  std::string expected_;
  const int buffered_ = Open(O_RDWR);
  const int direct_ = Open(O_RDWR | O_DIRECT);
};

TEST_P(PageCacheModelTest, TheFileIsWhatWasWrittenAndSoIsTheDiskAfterFsync) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Dice dice(seed);
    for (int step = 0; step < 150; ++step) {
      ASSERT_NO_FATAL_FAILURE(Step(dice)) << "seed " << seed << ", step " << step;
      ASSERT_EQ(file_->i_size, static_cast<loff_t>(expected_.size())) << "seed " << seed << ", step " << step;
    }
    ASSERT_EQ(kernel_.fsync(buffered_), 0);
    ASSERT_LE(machine_.kernel().vm->nr_pages, 40u);
    for (uint64_t page = 0; page * kPageSize < expected_.size(); ++page) {
      std::string should = expected_.substr(page * kPageSize, kPageSize);
      const auto block = file_->blocks.find(page);
      if (block == file_->blocks.end() || block->second != block_map::kMapped) {
        ASSERT_EQ(should, std::string(should.size(), '\0')) << "page " << page << " has no block";
      } else {
        ASSERT_TRUE(OnDisk(page).substr(0, should.size()) == should) << "seed " << seed << ", page " << page;
      }
    }
    Truncate(0);
    for (char*& buffer : buffers_) free(buffer);
    buffers_.clear();
  }
  EXPECT_EQ(findings_.size(), 0u);
}

// They meet on pages, on the inode lock and at the dirty limit, with an fsync and direct reads in between.
TEST_P(PageCacheModelTest, ManyRequestsAtOnceAllEndAndTheFileIsTheirSum) {
  constexpr size_t kPieces = 30;
  constexpr size_t kBytes = 6000;
  FillFile(kPieces * kBytes / kPageSize + 1);
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Dice dice(seed);
    std::vector<iocb> requests;
    expected_.clear();
    for (size_t piece = 0; piece < kPieces; ++piece) {
      const std::string text(kBytes, static_cast<char>('A' + dice.Below(26)));
      expected_ += text;
      char* const buffer = Buffer(kBytes);
      memcpy(buffer, text.data(), kBytes);
      requests.push_back(Request(IOCB_CMD_PWRITE, buffered_, buffer, kBytes, static_cast<int64_t>(piece * kBytes), 0));
    }
    for (size_t page = 0; page < 40; page += 8) {
      requests.push_back(
          Request(IOCB_CMD_PREAD, direct_, Buffer(kPageSize), kPageSize, static_cast<int64_t>(page * kPageSize), 0));
    }
    requests.push_back(Request(IOCB_CMD_FSYNC, buffered_, nullptr, 0, 0));
    std::vector<iocb*> batch;
    for (iocb& request : requests) {
      batch.insert(batch.begin() + static_cast<std::ptrdiff_t>(dice.Below(batch.size() + 1)), &request);
    }
    const auto nr = static_cast<long>(batch.size());
    ASSERT_EQ(kernel_.io_submit(ctx_, nr, batch.data()), nr);
    std::vector<io_event> events(batch.size());
    ASSERT_EQ(kernel_.io_getevents(ctx_, nr, nr, events.data(), nullptr), nr);
    for (const io_event& event : events) {
      ASSERT_EQ(event.res, static_cast<int64_t>(reinterpret_cast<const iocb*>(event.obj)->aio_nbytes));
    }
    std::string read(expected_.size(), '-');
    ASSERT_EQ(Read(buffered_, &read, 0), static_cast<int64_t>(expected_.size()));
    ASSERT_TRUE(read == expected_) << "seed " << seed;
    machine_.DropCaches();
  }
  EXPECT_EQ(findings_.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Cases, PageCacheModelTest,
                         testing::Values(Case{"Retry", "retry", false, false}, Case{"RetryStable", "retry", true, true},
                                         Case{"Mainline", "mainline", false, true},
                                         Case{"MainlineStable", "mainline", true, false}),
                         [](const testing::TestParamInfo<Case>& info) { return std::string(info.param.name); });

// The parent's transfers end in the parent only: the child writes again what was on its way, and reads again what was
// being read.
class ForkedPageCacheTest : public PagedFileTest {
 protected:
  const int buffered_ = Open(O_RDWR);
};

TEST_F(ForkedPageCacheTest, AChildOfForkLosesNoDirtyPageAndWaitsForNoTransferOfItsParent) {
  FillFile(8);
  ASSERT_EQ(Write(buffered_, PageOf('X'), 0), 4096);
  disk_.held = true;
  ASSERT_EQ(machine_.kernel().vm->nr_dirty, 1u);
  {
    Machine::Entry entry(machine_, nullptr);
    filemap_fdatawrite(file_->mapping, 0, 0);
  }
  std::string absent(10, '-');
  ASSERT_EQ(Read(buffered_, &absent, 5 * 4096, RWF_NOWAIT), -EAGAIN);  // its read is under way now
  const pid_t child = fork();
  if (child == 0) {
    disk_.held = false;
    ctx_ = 0;
    if (kernel_.io_setup(8, &ctx_) != 0) _exit(1);
    if (kernel_.fsync(buffered_) != 0) _exit(2);
    if (OnDisk(0) != PageOf('X')) _exit(3);
    std::string other(10, '-');
    if (kernel_.pread64(buffered_, other.data(), 10, 5 * 4096) != 10) _exit(4);
    _exit(other == PageOf('f', 10) ? 0 : 5);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ReleaseDisk();
  EXPECT_EQ(kernel_.fsync(buffered_), 0);
}

}  // namespace
}  // namespace aiolab
