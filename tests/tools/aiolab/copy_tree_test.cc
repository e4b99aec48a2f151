// Trees of files between the host and a simulated file system. Method: the host's side is looked at with the standard
// library, the model's by its system calls.
#include "tools/aiolab/copy_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "kernel_model/sim/chooser.h"
#include "tests/subprocess/subprocess.h"
#include "tools/aiolab/files.h"
#include "uapi/host_syscalls.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;

class CopyTreeTest : public testing::Test {
 protected:
  // Into the model, and from there to another directory of the host.
  absl::Status ThereAndBack(const CopyTreeOptions& options = {}) {
    const absl::Status loaded = CopyTree(host_, source_, model_, "/data");
    return loaded.ok() ? CopyTree(model_, "/data", host_, back_, options) : loaded;
  }

  std::string NewDirectory(const std::string& name) {
    const std::string path = absl::StrCat(directory_, "/", name);
    EXPECT_EQ(mkdir(path.c_str(), 0755), 0);
    return path;
  }

  long StatInModel(const char* path, struct stat* status) {
    return model_.newfstatat(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
  }

  const std::string directory_ = NewTestDirectory();
  const std::string source_ = NewDirectory("source");
  const std::string back_ = NewDirectory("back");
  SeededChooser chooser_{7};
  Machine machine_{{.chooser = &chooser_, .simfs = {{.disk = "ram,size=8M"}}}};
  EmulatedSyscalls model_{machine_};
  HostSyscalls host_;
};

TEST_F(CopyTreeTest, FilesDirectoriesAndLinksComeBackAsTheyWere) {
  NewDirectory("source/below");
  NewDirectory("source/below/empty");
  const std::string large(3 << 20, 'l');
  ASSERT_TRUE(CreateFile(source_ + "/file", "contents").ok());
  ASSERT_TRUE(CreateFile(source_ + "/none", "").ok());
  ASSERT_TRUE(CreateFile(source_ + "/below/large", large).ok());
  ASSERT_EQ(symlink("../nowhere", (source_ + "/below/link").c_str()), 0);

  EXPECT_EQ(ThereAndBack().message(), "");
  EXPECT_EQ(ReadFile(back_ + "/file").value_or("missing"), "contents");
  EXPECT_EQ(ReadFile(back_ + "/none").value_or("missing"), "");
  EXPECT_EQ(ReadFile(back_ + "/below/large").value_or("missing") == large, true);
  EXPECT_EQ(std::filesystem::read_symlink(back_ + "/below/link"), "../nowhere");
  EXPECT_TRUE(std::filesystem::is_empty(back_ + "/below/empty"));
}

TEST_F(CopyTreeTest, PermissionsAreKeptWhateverTheUmask) {
  NewDirectory("source/private");
  ASSERT_TRUE(CreateFile(source_ + "/open", "x").ok());
  ASSERT_EQ(chmod((source_ + "/private").c_str(), 01700), 0);
  ASSERT_EQ(chmod((source_ + "/open").c_str(), 0766), 0);
  ASSERT_EQ(ThereAndBack().message(), "");
  struct stat status;
  ASSERT_EQ(StatInModel("/data/private", &status), 0);
  EXPECT_EQ(status.st_mode, S_IFDIR | 01700);
  ASSERT_EQ(stat((back_ + "/private").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFDIR | 01700);
  ASSERT_EQ(stat((back_ + "/open").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFREG | 0766);
}

// A file of 1 GiB goes onto a disk of 8 MiB, and back, by its data alone.
TEST_F(CopyTreeTest, HolesStayHoles) {
  const int fd = open((source_ + "/sparse").c_str(), O_RDWR | O_CREAT, 0644);
  ASSERT_EQ(pwrite(fd, "data", 4, 512 << 20), 4);
  ASSERT_EQ(ftruncate(fd, 1 << 30), 0);
  ASSERT_EQ(close(fd), 0);
  ASSERT_EQ(ThereAndBack().message(), "");
  struct stat status;
  ASSERT_EQ(StatInModel("/data/sparse", &status), 0);
  EXPECT_EQ(status.st_size, 1 << 30);
  EXPECT_LE(status.st_blocks, 64);
  ASSERT_EQ(stat((back_ + "/sparse").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 1 << 30);
  EXPECT_LE(status.st_blocks, 64);
  const int copy = open((back_ + "/sparse").c_str(), O_RDONLY);
  char data[4];
  EXPECT_EQ(pread(copy, data, 4, 512 << 20), 4);
  EXPECT_EQ(std::string(data, 4), "data");
  close(copy);
}

TEST_F(CopyTreeTest, WhatDoesNotFitIsENOSPCByName) {
  ASSERT_TRUE(CreateFile(source_ + "/a", std::string(1 << 20, 'a')).ok());
  ASSERT_TRUE(CreateFile(source_ + "/large", std::string(9 << 20, 'l')).ok());
  const absl::Status status = ThereAndBack();
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("/data/large: cannot be written: ENOSPC (No space left on device)"));
}

TEST_F(CopyTreeTest, ADirectoryThatIsNotThereOrNoneIsNamed) {
  EXPECT_THAT(std::string(CopyTree(host_, directory_ + "/no", model_, "/data").message()),
              HasSubstr("/no: cannot be opened: ENOENT (No such file or directory)"));
  ASSERT_TRUE(CreateFile(source_ + "/file", "x").ok());
  EXPECT_THAT(std::string(CopyTree(host_, source_ + "/file", model_, "/data").message()),
              HasSubstr("/file: cannot be opened: ENOTDIR (Not a directory)"));
}

// The simulated file system's own device node among them, which a name of the host must not write to.
TEST_F(CopyTreeTest, SpecialFilesAreLeftOutAndNotOverwritten) {
  ASSERT_EQ(mkfifo((source_ + "/fifo").c_str(), 0644), 0);
  EXPECT_EQ(ThereAndBack().message(), "");
  EXPECT_TRUE(std::filesystem::is_empty(back_));
  ASSERT_TRUE(CreateFile(source_ + "/dev0", "x").ok());
  EXPECT_THAT(
      std::string(ThereAndBack().message()),
      HasSubstr("/data/dev0: cannot be made, as something of another kind has that name: EEXIST (File exists)"));
}

TEST_F(CopyTreeTest, WhatTheSourceHasNotStaysOrGoes) {
  ASSERT_TRUE(CreateFile(source_ + "/file", "new").ok());
  ASSERT_TRUE(CreateFile(back_ + "/file", "old and longer").ok());
  NewDirectory("back/other");
  ASSERT_TRUE(CreateFile(back_ + "/other/file", "x").ok());
  ASSERT_EQ(ThereAndBack().message(), "");
  EXPECT_EQ(ReadFile(back_ + "/file").value_or("missing"), "new");
  EXPECT_EQ(ReadFile(back_ + "/other/file").value_or("missing"), "x");
  ASSERT_EQ(ThereAndBack({.remove_others = true}).message(), "");
  EXPECT_EQ(ReadFile(back_ + "/file").value_or("missing"), "new");
  EXPECT_FALSE(std::filesystem::exists(back_ + "/other"));
}

TEST_F(CopyTreeTest, AnotherKindIsReplacedOnlyWhereOthersGo) {
  ASSERT_TRUE(CreateFile(source_ + "/name", "file").ok());
  NewDirectory("back/name");
  EXPECT_THAT(std::string(ThereAndBack().message()), HasSubstr("/back/name: cannot be made, as something of another"));
  EXPECT_EQ(ThereAndBack({.remove_others = true}).message(), "");
  EXPECT_EQ(ReadFile(back_ + "/name").value_or("missing"), "file");
}

}  // namespace
}  // namespace aiolab
