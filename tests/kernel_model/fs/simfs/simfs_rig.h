// A machine with a simfs on /data, and short calls on it, for the tests of this folder. Results are the kernel's: >= 0
// or -errno.
#ifndef TESTS_KERNEL_MODEL_FS_SIMFS_SIMFS_RIG_H_
#define TESTS_KERNEL_MODEL_FS_SIMFS_SIMFS_RIG_H_

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/fs/simfs/image.h"
#include "kernel_model/machine.h"
#include "kernel_model/sim/chooser.h"

namespace aiolab {

class SimfsRig {
 public:
  explicit SimfsRig(uint64_t seed = 7, const char* disk = "nvme,size=4M", const char* profile = "mainline");

  Machine& machine() { return *machine_; }
  EmulatedSyscalls& kernel() { return *kernel_; }
  uint64_t events_run() { return machine_->kernel().executor.events_run(); }

  long Open(const std::string& path, int flags = O_RDWR, mode_t mode = 0644);
  long Close(long fd);
  long Write(long fd, absl::string_view bytes, loff_t pos);
  long Fsync(long fd);
  long Fdatasync(long fd);
  long Truncate(long fd, loff_t size);
  long Fallocate(long fd, int mode, loff_t offset, loff_t len);
  long Seek(long fd, loff_t offset, int whence);
  long Mkdir(const std::string& path);
  long Rmdir(const std::string& path);
  long Unlink(const std::string& path);
  long Link(const std::string& from, const std::string& to);
  long Symlink(const std::string& target, const std::string& path);
  long Rename(const std::string& from, const std::string& to, unsigned flags = 0);
  long Stat(const std::string& path, struct stat* status);
  long Sync();
  long Ioctl(long fd, unsigned cmd, void* arg);
  uint64_t FreeBlocks();  // as statfs tells
  // The whole file; "-ENOENT" and the like if it cannot be read.
  std::string Contents(const std::string& path);
  // Makes a file with these contents. Not durable.
  long Put(const std::string& path, absl::string_view contents);
  // Lets virtual time pass.
  void Sleep(int64_t ns);

  // Cuts the power if it is on, and boots. The disk is checked on the way.
  void PowerCutAndReboot();
  // What is wrong with the disk as it is, if the power went now and everything that was written survived.
  std::vector<std::string> CheckDisk();
  simfs::Image ReadDisk();

 private:
  template <typename Call>
  long In(Call call);

  SeededChooser chooser_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<EmulatedSyscalls> kernel_;
};

}  // namespace aiolab

#endif  // TESTS_KERNEL_MODEL_FS_SIMFS_SIMFS_RIG_H_
