#include "tests/kernel_model/fs/simfs/simfs_rig.h"

#include <errno.h>
#include <sys/statfs.h>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/fs/namei.h"
#include "kernel_model/fs/syscalls.h"
#include "uapi/errno_name.h"

namespace aiolab {

SimfsRig::SimfsRig(uint64_t seed, const char* disk, const char* profile) : chooser_(seed) {
  machine_ = std::make_unique<Machine>(MachineOptions{.chooser = &chooser_, .profile = FindProfile(profile)});
  const absl::Status mounted = machine_->MountSimfs({.path = "/data", .disk = disk});
  EXPECT_TRUE(mounted.ok()) << mounted;
  kernel_ = std::make_unique<EmulatedSyscalls>(*machine_);
}

// A call that EmulatedSyscalls does not have.
template <typename Call>
long SimfsRig::In(Call call) {
  Machine::Entry entry(*machine_, "test");
  long result = machine_->power_is_off() ? -EIO : call();
  if (machine_->power_is_off()) result = -EIO;
  return entry.Return(result);
}

long SimfsRig::Open(const std::string& path, int flags, mode_t mode) {
  return kernel_->openat(AT_FDCWD, path.c_str(), flags, mode);
}
long SimfsRig::Close(long fd) { return kernel_->close(static_cast<int>(fd)); }
long SimfsRig::Write(long fd, absl::string_view bytes, loff_t pos) {
  return kernel_->pwrite64(static_cast<int>(fd), bytes.data(), bytes.size(), pos);
}
long SimfsRig::Fsync(long fd) { return kernel_->fsync(static_cast<int>(fd)); }
long SimfsRig::Fdatasync(long fd) { return kernel_->fdatasync(static_cast<int>(fd)); }
long SimfsRig::Truncate(long fd, loff_t size) { return kernel_->ftruncate(static_cast<int>(fd), size); }
long SimfsRig::Fallocate(long fd, int mode, loff_t offset, loff_t len) {
  return In([&] { return sys_fallocate(static_cast<int>(fd), mode, offset, len); });
}
long SimfsRig::Seek(long fd, loff_t offset, int whence) { return kernel_->lseek(static_cast<int>(fd), offset, whence); }
long SimfsRig::Mkdir(const std::string& path) {
  return In([&] { return sys_mkdirat(AT_FDCWD, path.c_str(), 0755); });
}
long SimfsRig::Rmdir(const std::string& path) { return kernel_->unlinkat(AT_FDCWD, path.c_str(), AT_REMOVEDIR); }
long SimfsRig::Unlink(const std::string& path) { return kernel_->unlinkat(AT_FDCWD, path.c_str(), 0); }
long SimfsRig::Link(const std::string& from, const std::string& to) {
  return In([&] { return sys_linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0); });
}
long SimfsRig::Symlink(const std::string& target, const std::string& path) {
  return In([&] { return sys_symlinkat(target.c_str(), AT_FDCWD, path.c_str()); });
}
long SimfsRig::Rename(const std::string& from, const std::string& to, unsigned flags) {
  return In([&] { return sys_renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags); });
}
long SimfsRig::Stat(const std::string& path, struct stat* status) {
  return In([&] { return sys_newfstatat(AT_FDCWD, path.c_str(), status, AT_SYMLINK_NOFOLLOW); });
}
long SimfsRig::Sync() {
  return In([] { return sys_sync(); });
}
long SimfsRig::Ioctl(long fd, unsigned cmd, void* arg) {
  return In([&] { return sys_ioctl(static_cast<int>(fd), cmd, reinterpret_cast<unsigned long>(arg)); });
}

uint64_t SimfsRig::FreeBlocks() {
  struct statfs status = {};
  EXPECT_EQ(In([&] { return sys_statfs("/data", &status); }), 0);
  return status.f_bfree;
}

std::string SimfsRig::Contents(const std::string& path) {
  const long fd = Open(path, O_RDONLY);
  if (fd < 0) return "-" + std::string(ErrnoName(static_cast<int>(-fd)));
  std::string contents;
  char piece[8192];
  long n = 0;
  while ((n = kernel_->pread64(static_cast<int>(fd), piece, sizeof(piece), static_cast<loff_t>(contents.size()))) > 0) {
    contents.append(piece, static_cast<size_t>(n));
  }
  Close(fd);
  return n < 0 ? "-" + std::string(ErrnoName(static_cast<int>(-n))) : contents;
}

long SimfsRig::Put(const std::string& path, absl::string_view contents) {
  const long fd = Open(path, O_RDWR | O_CREAT | O_TRUNC);
  if (fd < 0) return fd;
  const long written = Write(fd, contents, 0);
  Close(fd);
  return written;
}

void SimfsRig::Sleep(int64_t ns) { machine_->AdvanceTo(machine_->NowNs() + ns); }

simfs::Image SimfsRig::ReadDisk() {
  simfs::Image image;
  std::string problem;
  const SectorStore& bytes = machine_->DiskOf("/data")->bytes();
  const int error = simfs::ReadImage(
      [&bytes](uint64_t first, uint64_t blocks, char* to) {
        bytes.Read(first * simfs::kSectorsPerBlock, absl::MakeSpan(to, blocks * simfs::kBlockSize));
        return 0;
      },
      &image, &problem);
  EXPECT_EQ(error, 0) << problem;
  return image;
}

std::vector<std::string> SimfsRig::CheckDisk() { return simfs::Check(ReadDisk()); }

void SimfsRig::PowerCutAndReboot() {
  if (!machine_->power_is_off()) machine_->PowerCut();
  for (const std::string& problem : CheckDisk()) ADD_FAILURE() << problem;
  const absl::Status booted = machine_->Reboot();
  EXPECT_TRUE(booted.ok()) << booted;
}

}  // namespace aiolab
