// Reading a disk back: what recovery takes, what it refuses, and what the checker finds.
#include "kernel_model/fs/simfs/image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "tests/kernel_model/fs/simfs/simfs_rig.h"

namespace aiolab::simfs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr size_t kDiskBytes = size_t{4} << 20;

// A disk with two files and a directory, each made by a transaction of its own.
std::string MakeDisk() {
  SimfsRig rig;
  EXPECT_EQ(rig.Put("/data/a", "a"), 1);
  EXPECT_EQ(rig.Sync(), 0);
  EXPECT_EQ(rig.Put("/data/b", "b"), 1);
  EXPECT_EQ(rig.Sync(), 0);
  EXPECT_EQ(rig.Mkdir("/data/d"), 0);
  EXPECT_EQ(rig.Sync(), 0);
  std::string disk(kDiskBytes, '\0');
  rig.machine().DiskOf("/data")->bytes().Read(0, absl::MakeSpan(&disk[0], disk.size()));
  return disk;
}

int Read(const std::string& disk, Image* image, std::string* problem) {
  return ReadImage(
      [&disk](uint64_t first, uint64_t blocks, char* to) {
        if ((first + blocks) * kBlockSize > disk.size()) return -EIO;
        memcpy(to, disk.data() + first * kBlockSize, blocks * kBlockSize);
        return 0;
      },
      image, problem);
}

TEST(FormatTest, TheChecksumIsCrc32c) { EXPECT_EQ(Crc32c("123456789"), 0xe3069283u); }

TEST(ImageTest, TransactionsAreReplayedOnTheCheckpoint) {
  Image image;
  std::string problem;
  ASSERT_EQ(Read(MakeDisk(), &image, &problem), 0) << problem;
  EXPECT_EQ(image.checkpoint_seq, 0u);
  EXPECT_EQ(image.transactions_replayed, 3u);
  EXPECT_FALSE(image.torn_tail);
  EXPECT_EQ(image.inodes[kRootIno].entries.size(), 3u);
  EXPECT_THAT(Check(image), IsEmpty());
}

// A byte of the last transaction's records is another: the one before it is the last.
TEST(ImageTest, ATornTransactionEndsTheReplay) {
  std::string disk = MakeDisk();
  Image image;
  std::string problem;
  ASSERT_EQ(Read(disk, &image, &problem), 0);
  const uint64_t commit = image.super.journal_block + image.journal_head - 1;
  disk[(commit - 1) * kBlockSize + sizeof(TransactionHeader) + 3] ^= 1;
  ASSERT_EQ(Read(disk, &image, &problem), 0) << problem;
  EXPECT_EQ(image.seq, 2u);
  EXPECT_TRUE(image.torn_tail);
  EXPECT_EQ(image.inodes[kRootIno].entries.count("d"), 0u);
  EXPECT_THAT(Check(image), IsEmpty());
}

TEST(ImageTest, WithoutItsCommitBlockATransactionIsNotThere) {
  std::string disk = MakeDisk();
  Image image;
  std::string problem;
  ASSERT_EQ(Read(disk, &image, &problem), 0);
  memset(&disk[(image.super.journal_block + image.journal_head - 1) * kBlockSize], 0, kBlockSize);
  ASSERT_EQ(Read(disk, &image, &problem), 0) << problem;
  EXPECT_EQ(image.seq, 2u);
}

TEST(ImageTest, ADamagedCheckpointIsEuclean) {
  std::string disk = MakeDisk();
  Image image;
  std::string problem;
  ASSERT_EQ(Read(disk, &image, &problem), 0);
  disk[(image.super.checkpoint_block[0] + 1) * kBlockSize] ^= 1;
  EXPECT_EQ(Read(disk, &image, &problem), -EUCLEAN);
  EXPECT_THAT(problem, HasSubstr("the records of checkpoint 0"));
}

TEST(ImageTest, AnotherDiskIsEinval) {
  Image image;
  std::string problem;
  EXPECT_EQ(Read(std::string(kDiskBytes, '\0'), &image, &problem), -EINVAL);
  EXPECT_EQ(problem, "block 0 is no superblock of simfs");
}

// ---- The checker, on images that are wrong on purpose.

Image GoodImage() {
  Image image;
  std::string problem;
  EXPECT_EQ(Read(MakeDisk(), &image, &problem), 0) << problem;
  return image;
}

TEST(CheckTest, FindsABlockOfTwoFiles) {
  Image image = GoodImage();
  const uint64_t a = image.inodes[kRootIno].entries["a"], b = image.inodes[kRootIno].entries["b"];
  std::vector<Blocks> freed;
  image.inodes[b].extents.Insert(5, image.inodes[a].extents.extents().begin()->second, &freed);
  EXPECT_THAT(Check(image), ElementsAre(HasSubstr("are another file's")));
}

TEST(CheckTest, FindsABlockOutsideTheData) {
  Image image = GoodImage();
  std::vector<Blocks> freed;
  image.inodes[image.inodes[kRootIno].entries["a"]].extents.Insert(5, {1, 3, false}, &freed);
  EXPECT_THAT(Check(image), ElementsAre(HasSubstr("or no data blocks")));
}

TEST(CheckTest, FindsAWrongLinkCount) {
  Image image = GoodImage();
  image.inodes[image.inodes[kRootIno].entries["a"]].attributes.nlink = 2;
  EXPECT_THAT(Check(image), ElementsAre(HasSubstr("2 links, and 1 names lead to it")));
}

TEST(CheckTest, FindsANameThatLeadsNowhere) {
  Image image = GoodImage();
  image.inodes[kRootIno].entries["x"] = 999;
  EXPECT_THAT(Check(image), ElementsAre(HasSubstr("leads to inode 999, which there is not")));
}

}  // namespace
}  // namespace aiolab::simfs
