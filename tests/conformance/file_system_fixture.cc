#include "tests/conformance/file_system_fixture.h"

#include <dirent.h>
#include <linux/magic.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace aiolab {

void FileSystemTest::SetUp() {
  static int counter = 0;
  dir_path_ = absl::StrCat(GetParam().files_dir, "/aio_conformance_dir_", getpid(), "_", counter++);
  ASSERT_EQ(aio().mkdirat(AT_FDCWD, dir_path_.c_str(), 0700), 0) << dir_path_;
  dir_ = Open(dir_path_, O_RDONLY | O_DIRECTORY);
  ctx_ = NewContext(32);
}

void FileSystemTest::TearDown() { RemoveTree(dir_path_); }

bool FileSystemTest::OnTmpfs() {
  struct statfs status = {};
  EXPECT_EQ(aio().fstatfs(dir_, &status), 0);
  return status.f_type == TMPFS_MAGIC;
}

std::string FileSystemTest::Path(absl::string_view name) const {
  return !name.empty() && name.front() == '/' ? std::string(name) : absl::StrCat(dir_path_, "/", name);
}

long FileSystemTest::OpenAt(absl::string_view name, int flags, mode_t mode) {
  return aio().openat(AT_FDCWD, Path(name).c_str(), flags, mode);
}

long FileSystemTest::MakeDir(absl::string_view name, mode_t mode) {
  return aio().mkdirat(AT_FDCWD, Path(name).c_str(), mode);
}

long FileSystemTest::Unlink(absl::string_view name, int flags) {
  return aio().unlinkat(AT_FDCWD, Path(name).c_str(), flags);
}

long FileSystemTest::Rename(absl::string_view from, absl::string_view to, unsigned flags) {
  return aio().renameat2(AT_FDCWD, Path(from).c_str(), AT_FDCWD, Path(to).c_str(), flags);
}

long FileSystemTest::Link(absl::string_view from, absl::string_view to) {
  return aio().linkat(AT_FDCWD, Path(from).c_str(), AT_FDCWD, Path(to).c_str(), 0);
}

long FileSystemTest::Symlink(absl::string_view target, absl::string_view name) {
  return aio().symlinkat(std::string(target).c_str(), AT_FDCWD, Path(name).c_str());
}

long FileSystemTest::Stat(absl::string_view name, struct stat* attributes, int flags) {
  return aio().newfstatat(AT_FDCWD, Path(name).c_str(), attributes, flags);
}

int FileSystemTest::MakeFile(absl::string_view name, absl::string_view contents) {
  const int fd = Owned(OpenAt(name, O_CREAT | O_EXCL | O_RDWR));
  if (!contents.empty()) {
    EXPECT_EQ(aio().pwrite64(fd, contents.data(), contents.size(), 0), static_cast<long>(contents.size()));
  }
  return fd;
}

struct stat FileSystemTest::AttributesOf(int fd) {
  struct stat attributes = {};
  EXPECT_EQ(aio().fstat(fd, &attributes), 0);
  return attributes;
}

loff_t FileSystemTest::SizeOf(int fd) { return AttributesOf(fd).st_size; }

bool FileSystemTest::Exists(absl::string_view name) {
  struct stat attributes;
  return Stat(name, &attributes, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string FileSystemTest::Read(absl::string_view name) { return ContentsOf(Open(Path(name), O_RDONLY)); }

std::map<std::string, int> FileSystemTest::Entries(int dir, unsigned buffer_size) {
  std::map<std::string, int> entries;
  alignas(8) char buffer[4096];
  for (;;) {
    const long got = aio().getdents64(dir, buffer, buffer_size);
    EXPECT_GE(got, 0) << ResultName(got);
    if (got <= 0) return entries;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      EXPECT_TRUE(entries.emplace(entry->d_name, entry->d_type).second) << entry->d_name << " came twice";
      at += entry->d_reclen;
    }
  }
}

void FileSystemTest::RemoveTree(const std::string& path) {
  const long dir = aio().openat(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY, 0);
  ASSERT_GE(dir, 0) << path << ": " << ResultName(dir);
  for (const auto& [name, type] : Entries(static_cast<int>(dir))) {
    if (name == "." || name == "..") continue;
    if (type == DT_DIR) {
      RemoveTree(absl::StrCat(path, "/", name));
    } else {
      EXPECT_EQ(aio().unlinkat(static_cast<int>(dir), name.c_str(), 0), 0) << path << "/" << name;
    }
  }
  aio().close(static_cast<int>(dir));
  EXPECT_EQ(aio().unlinkat(AT_FDCWD, path.c_str(), AT_REMOVEDIR), 0) << path;
}

}  // namespace aiolab
