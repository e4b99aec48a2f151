// Mounts, and what a file system is told: by tmpfs of a given size, and by one that writes down what happens to it.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/fs/libfs.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/machine.h"
#include "kernel_model/mm/shmem.h"
#include "kernel_model/sim/chooser.h"

namespace aiolab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class VfsTest : public testing::Test {
 protected:
  VfsTest() : machine_({.chooser = &chooser_, .profile = FindProfile("mainline")}), kernel_(machine_) {}

  // A file system is made on a client's task, as a mount is.
  std::unique_ptr<super_block> Tmpfs(uint64_t size_bytes) {
    Machine::Entry entry(machine_, nullptr, /*cost_ns=*/0);
    return MakeTmpfs(shmem_backing{}, size_bytes);
  }

  void MountTmpfs(const char* path, uint64_t size_bytes = 1 << 20) {
    const absl::Status status = machine_.Mount(path, Tmpfs(size_bytes));
    ASSERT_TRUE(status.ok()) << status;
  }

  int Make(const std::string& path) {
    const long fd = kernel_.openat(AT_FDCWD, path.c_str(), O_CREAT | O_RDWR, 0600);
    EXPECT_GE(fd, 0) << path;
    return static_cast<int>(fd);
  }
  long Rename(const char* from, const char* to) { return kernel_.renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

  SeededChooser chooser_{/*seed=*/1};
  Machine machine_;
  EmulatedSyscalls kernel_;
};

TEST_F(VfsTest, AMountMakesTheFoldersOfItsPath) {
  MountTmpfs("/a/b/c");
  Make("/a/b/c/file");
  struct stat above, mounted;
  ASSERT_EQ(kernel_.newfstatat(AT_FDCWD, "/a/b", &above, 0), 0);
  ASSERT_EQ(kernel_.newfstatat(AT_FDCWD, "/a/b/c", &mounted, 0), 0);
  EXPECT_NE(above.st_dev, mounted.st_dev);
}

TEST_F(VfsTest, AMountOnARelativePathSaysWhatWouldBeRight) {
  const absl::Status status = machine_.Mount("data", Tmpfs(1 << 20));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("such as /data"));
}

TEST_F(VfsTest, AMountOnAFileNamesIt) {
  Make("/tmp/file");
  const absl::Status status = machine_.Mount("/tmp/file", Tmpfs(1 << 20));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/tmp/file: it has to be a folder: ENOTDIR"));
}

TEST_F(VfsTest, AMountPointCanBeNeitherRemovedNorRenamedNorReplaced) {
  MountTmpfs("/data");
  EXPECT_EQ(kernel_.unlinkat(AT_FDCWD, "/data", AT_REMOVEDIR), -EBUSY);
  EXPECT_EQ(Rename("/data", "/other"), -EBUSY);
  ASSERT_EQ(kernel_.mkdirat(AT_FDCWD, "/empty", 0700), 0);
  EXPECT_EQ(Rename("/empty", "/data"), -EBUSY);
}

TEST_F(VfsTest, AMountHidesWhatItsFolderHad) {
  ASSERT_EQ(kernel_.mkdirat(AT_FDCWD, "/data", 0700), 0);
  Make("/data/hidden");
  MountTmpfs("/data");
  struct stat attributes;
  EXPECT_EQ(kernel_.newfstatat(AT_FDCWD, "/data/hidden", &attributes, 0), -ENOENT);
}

TEST_F(VfsTest, TheSecondMountOnAFolderLiesOnTheFirst) {
  MountTmpfs("/data");
  Make("/data/first");
  MountTmpfs("/data");
  Make("/data/second");
  struct stat attributes;
  EXPECT_EQ(kernel_.newfstatat(AT_FDCWD, "/data/first", &attributes, 0), -ENOENT);
  EXPECT_EQ(kernel_.newfstatat(AT_FDCWD, "/data/second", &attributes, 0), 0);
}

TEST_F(VfsTest, DotDotLeavesAMountAndStaysInTheRoot) {
  MountTmpfs("/data");
  Make("/outside");
  struct stat attributes;
  EXPECT_EQ(kernel_.newfstatat(AT_FDCWD, "/data/../outside", &attributes, 0), 0);
  EXPECT_EQ(kernel_.newfstatat(AT_FDCWD, "/../../data/../outside", &attributes, 0), 0);
}

TEST_F(VfsTest, NothingIsRenamedOrLinkedFromOneMountToAnother) {
  MountTmpfs("/data");
  Make("/data/file");
  EXPECT_EQ(Rename("/data/file", "/tmp/file"), -EXDEV);
  EXPECT_EQ(kernel_.linkat(AT_FDCWD, "/data/file", AT_FDCWD, "/tmp/file", 0), -EXDEV);
}

TEST_F(VfsTest, AFullFileSystemTakesWhatFitsAndThenNothing) {
  MountTmpfs("/data", /*size_bytes=*/4 * 4096);
  const int file = Make("/data/file");
  const std::string much(5 * 4096, 'x');
  EXPECT_EQ(kernel_.pwrite64(file, much.data(), much.size(), 0), 4 * 4096);
  EXPECT_EQ(kernel_.pwrite64(file, much.data(), 1, 4 * 4096), -ENOSPC);
  EXPECT_EQ(kernel_.pwrite64(file, much.data(), 1, 0), 1);
}

TEST_F(VfsTest, AllocatingMoreThanThereIsTakesNothing) {
  MountTmpfs("/data", /*size_bytes=*/4 * 4096);
  const int file = Make("/data/file");
  EXPECT_EQ(kernel_.fallocate(file, 0, 0, 5 * 4096), -ENOSPC);
  EXPECT_EQ(kernel_.fallocate(file, 0, 0, int64_t{1} << 50), -ENOSPC);
  struct statfs status;
  ASSERT_EQ(kernel_.fstatfs(file, &status), 0);
  EXPECT_EQ(status.f_bfree, 4u);
  EXPECT_EQ(kernel_.fallocate(file, 0, 0, 4 * 4096), 0);
}

TEST_F(VfsTest, APunchedHoleMakesRoom) {
  MountTmpfs("/data", /*size_bytes=*/4 * 4096);
  const int file = Make("/data/file");
  ASSERT_EQ(kernel_.fallocate(file, 0, 0, 4 * 4096), 0);
  ASSERT_EQ(kernel_.fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
  EXPECT_EQ(kernel_.pwrite64(Make("/data/other"), "x", 1, 0), 1);
}

TEST_F(VfsTest, AnUnlinkedFileMakesRoomWhenItIsClosed) {
  MountTmpfs("/data", /*size_bytes=*/4096);
  const int file = Make("/data/file"), other = Make("/data/other");
  ASSERT_EQ(kernel_.pwrite64(file, "x", 1, 0), 1);
  ASSERT_EQ(kernel_.unlinkat(AT_FDCWD, "/data/file", 0), 0);
  EXPECT_EQ(kernel_.pwrite64(other, "x", 1, 0), -ENOSPC);
  ASSERT_EQ(kernel_.close(file), 0);
  EXPECT_EQ(kernel_.pwrite64(other, "x", 1, 0), 1);
}

TEST_F(VfsTest, TimesBeginAtTheSameDateInEveryRun) {
  struct stat attributes;
  ASSERT_EQ(kernel_.fstat(Make("/tmp/file"), &attributes), 0);
  EXPECT_EQ(attributes.st_mtim.tv_sec, 1735689600);  // 2025-01-01
}

// ---- What a file system is asked and told.

std::vector<std::string>& Log() {
  static std::vector<std::string>& log = *new std::vector<std::string>;
  return log;
}

// The name "slow" is found when this is true, as if it had to be read from a disk.
bool slow_is_read = false;
wait_queue_head& SlowIsRead() {
  static wait_queue_head& head = *new wait_queue_head;
  return head;
}

int LoggedLookup(inode& dir, absl::string_view name, std::shared_ptr<inode>* found) {
  Log().push_back("lookup " + std::string(name));
  if (name == "slow") {
    wait_event(SlowIsRead(), [] { return slow_is_read; });
    Log().push_back("slow is found");
  }
  return simple_lookup(dir, name, found);
}

int LoggedUnlink(inode& dir, absl::string_view name) {
  Log().push_back("unlink " + std::string(name));
  return simple_unlink(dir, name);
}

int LoggedSetattr(inode& node, const iattr& attr) {
  if ((attr.ia_valid & ATTR_SIZE) != 0) {
    Log().push_back("size " + std::to_string(attr.ia_size));
    node.i_size = attr.ia_size;
  }
  setattr_copy(node, attr);
  return 0;
}

int RefusingOpen(inode&, file* filp) { return (filp->f_flags & O_APPEND) != 0 ? -EPERM : 0; }

constexpr file_operations logged_file_operations = {.name = "logged", .open = RefusingOpen};
constexpr inode_operations logged_inode_operations = {.setattr = LoggedSetattr};

int LoggedCreate(inode& dir, absl::string_view name, mode_t mode, std::shared_ptr<inode>* made) {
  Log().push_back("create " + std::string(name));
  std::shared_ptr<inode> node = new_inode(*dir.i_sb, std::make_unique<inode>());
  node->i_mode = mode;
  node->i_op = &logged_inode_operations;
  node->i_fop = &logged_file_operations;
  simple_add(dir, name, node);
  *made = std::move(node);
  return 0;
}

constexpr inode_operations logged_dir_operations = {
    .lookup = LoggedLookup, .create = LoggedCreate, .unlink = LoggedUnlink};

void LoggedEvict(inode& node) {
  if (S_ISREG(node.i_mode)) Log().push_back("evict with " + std::to_string(node.i_nlink) + " links");
}

int LoggedSync(super_block&, int) {
  Log().push_back("sync");
  return -EIO;
}

constexpr super_operations logged_super_operations = {.sync_fs = LoggedSync, .evict_inode = LoggedEvict};

class LoggedVfsTest : public VfsTest {
 protected:
  LoggedVfsTest() {
    std::unique_ptr<super_block> sb;
    {
      Machine::Entry entry(machine_, nullptr, /*cost_ns=*/0);
      sb = std::make_unique<super_block>();
      sb->s_op = &logged_super_operations;
      sb->s_root = simple_new_dir(*sb, /*ino=*/1, 0755, logged_dir_operations);
    }
    super_ = sb.get();
    EXPECT_TRUE(machine_.Mount("/log", std::move(sb)).ok());
    Log().clear();
  }

  super_block* super_;
};

TEST_F(LoggedVfsTest, ANewFileIsLookedUpAndMadeOnce) {
  Make("/log/f");
  EXPECT_THAT(Log(), ElementsAre("lookup f", "create f"));
}

TEST_F(LoggedVfsTest, ANameInUseIsNotLookedUpAgain) {
  Make("/log/f");
  Log().clear();
  Make("/log/f");
  EXPECT_THAT(Log(), ElementsAre());
}

TEST_F(LoggedVfsTest, TheLastReferenceOfAnUnlinkedFileEvictsIt) {
  const int file = Make("/log/f");
  ASSERT_EQ(kernel_.unlinkat(AT_FDCWD, "/log/f", 0), 0);
  Log().clear();
  ASSERT_EQ(kernel_.close(file), 0);
  EXPECT_THAT(Log(), ElementsAre("evict with 0 links"));
}

TEST_F(LoggedVfsTest, TruncatingOpenIsOneSetattrAndNoneForANewFile) {
  Make("/log/f");
  Log().clear();
  ASSERT_GE(kernel_.openat(AT_FDCWD, "/log/f", O_WRONLY | O_CREAT | O_TRUNC, 0600), 0);
  ASSERT_GE(kernel_.openat(AT_FDCWD, "/log/g", O_WRONLY | O_CREAT | O_TRUNC, 0600), 0);
  EXPECT_THAT(Log(), ElementsAre("size 0", "lookup g", "create g"));
}

TEST_F(LoggedVfsTest, AFileThatRefusesToBeOpenedGetsNoFd) {
  Make("/log/f");
  EXPECT_EQ(kernel_.openat(AT_FDCWD, "/log/f", O_WRONLY | O_APPEND, 0), -EPERM);
}

// The second client comes while the first sleeps in the file system, and waits outside until that is done.
TEST_F(LoggedVfsTest, TwoClientsAreNeverInsideADirectoryTogether) {
  slow_is_read = false;
  const auto open_slow = [this] { kernel_.openat(AT_FDCWD, "/log/slow", O_RDONLY, 0); };
  std::thread first(open_slow), second(open_slow);
  bool one_waits = false;
  for (int attempt = 0; attempt < 50000 && !one_waits; ++attempt) {
    usleep(100);
    Machine::Entry entry(machine_, nullptr, /*cost_ns=*/0);
    one_waits = waitqueue_active(super_->s_dir_lock.wait);
  }
  EXPECT_TRUE(one_waits);
  EXPECT_THAT(Log(), ElementsAre("lookup slow"));
  {
    Machine::Entry entry(machine_, nullptr, /*cost_ns=*/0);
    slow_is_read = true;
    wake_up_all(SlowIsRead());
  }
  first.join();
  second.join();
  EXPECT_THAT(Log(), ElementsAre("lookup slow", "slow is found", "lookup slow", "slow is found"));
}

TEST_F(LoggedVfsTest, SyncfsReportsWhatTheFileSystemSaysAndSyncReportsNothing) {
  const int file = Make("/log/f");
  Log().clear();
  EXPECT_EQ(kernel_.syncfs(file), -EIO);
  EXPECT_EQ(kernel_.sync(), 0);
  EXPECT_THAT(Log(), ElementsAre("sync", "sync"));
}

TEST_F(LoggedVfsTest, WhatAFileSystemCannotDoIsEpermAndEopnotsuppForUnnamedFiles) {
  Make("/log/f");
  EXPECT_EQ(kernel_.mkdirat(AT_FDCWD, "/log/d", 0700), -EPERM);
  EXPECT_EQ(kernel_.symlinkat("f", AT_FDCWD, "/log/link"), -EPERM);
  EXPECT_EQ(kernel_.linkat(AT_FDCWD, "/log/f", AT_FDCWD, "/log/g", 0), -EPERM);
  EXPECT_EQ(Rename("/log/f", "/log/g"), -EPERM);
  EXPECT_EQ(kernel_.openat(AT_FDCWD, "/log", O_TMPFILE | O_RDWR, 0600), -EOPNOTSUPP);
}

}  // namespace
}  // namespace aiolab
