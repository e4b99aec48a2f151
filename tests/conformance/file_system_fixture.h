// Tests of a file system: each has a directory of its own, runs on a disk and on a tmpfs, and its name says which:
//
//   INSTANTIATE_ON_ALL_FILE_SYSTEMS(NamespaceTest);   // Disk/NamespaceTest.X/host, Tmpfs/NamespaceTest.X/host, ...
//
//   TEST_P(NamespaceTest, ADirectoryIsMadeOnce) {
//     EXPECT_EQ(MakeDir("d"), 0);                     // relative names are those of the test's directory
//     EXPECT_THAT(MakeDir("d"), FailsWith(EEXIST));
//   }
#ifndef TESTS_CONFORMANCE_FILE_SYSTEM_FIXTURE_H_
#define TESTS_CONFORMANCE_FILE_SYSTEM_FIXTURE_H_

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/conformance/fixture.h"

#define INSTANTIATE_ON_ALL_FILE_SYSTEMS(suite)                                                                     \
  INSTANTIATE_TEST_SUITE_P(Disk, suite,                                                                            \
                           testing::ValuesIn(::aiolab::BackendsWithFilesIn(&::aiolab::Backend::disk_dir)),         \
                           [](const testing::TestParamInfo<::aiolab::Backend>& info) { return info.param.name; }); \
  INSTANTIATE_TEST_SUITE_P(Tmpfs, suite,                                                                           \
                           testing::ValuesIn(::aiolab::BackendsWithFilesIn(&::aiolab::Backend::tmpfs_dir)),        \
                           [](const testing::TestParamInfo<::aiolab::Backend>& info) { return info.param.name; })

namespace aiolab {

class FileSystemTest : public AioConformanceTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  // What the kernel says of the test's directory: a disk's folder may be on tmpfs, too.
  bool OnTmpfs();

  // The folder of the backend that the test's own is not in, and a name there.
  std::string ElsewhereDir() const {
    return GetParam().files_dir == GetParam().disk_dir ? GetParam().tmpfs_dir : GetParam().disk_dir;
  }
  std::string PathElsewhere() { return GetParam().files_dir == GetParam().disk_dir ? NewTmpfsPath() : NewDiskPath(); }

  // The absolute path of `name` in the test's directory.
  std::string Path(absl::string_view name) const;

  // Results of the calls, with names in the test's directory.
  long OpenAt(absl::string_view name, int flags, mode_t mode = 0600);
  long MakeDir(absl::string_view name, mode_t mode = 0700);
  long Unlink(absl::string_view name, int flags = 0);
  long Rename(absl::string_view from, absl::string_view to, unsigned flags = 0);
  long Link(absl::string_view from, absl::string_view to);
  long Symlink(absl::string_view target, absl::string_view name);
  long Stat(absl::string_view name, struct stat* attributes, int flags = 0);

  // A new file with that contents, open for reading and writing; closed after the test.
  int MakeFile(absl::string_view name, absl::string_view contents = "");
  // What stat says; 0 or the size for a name that has to be there.
  loff_t SizeOf(int fd);
  struct stat AttributesOf(int fd);
  // Whether there is a name, followed or not.
  bool Exists(absl::string_view name);
  // The contents of a file that has to be there.
  std::string Read(absl::string_view name);

  // Every name in a directory with its d_type, read with a buffer of `buffer_size` bytes.
  std::map<std::string, int> Entries(int dir, unsigned buffer_size = 4096);

  aio_context_t ctx_ = 0;  // for 32 requests
  int dir_ = -1;           // the test's directory, open

 private:
  void RemoveTree(const std::string& path);

  std::string dir_path_;
};

}  // namespace aiolab

#endif  // TESTS_CONFORMANCE_FILE_SYSTEM_FIXTURE_H_
