#include "tests/conformance/backend.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/sim/chooser.h"
#include "uapi/host_syscalls.h"

namespace aiolab {
namespace {

// Counts a list such as "0-3,8": sysconf(_SC_NPROCESSORS_CONF) is the C library's guess and may differ.
unsigned PossibleCpus() {
  std::ifstream file("/sys/devices/system/cpu/possible");
  std::string list;
  std::getline(file, list);
  unsigned cpus = 0;
  for (absl::string_view range : absl::StrSplit(list, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(range, '-');
    unsigned first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last)) continue;
    cpus += last - first + 1;
  }
  return std::max(cpus, 1u);
}

std::string TestTmpdir() {
  const char* dir = getenv("TEST_TMPDIR");
  return dir != nullptr ? dir : "/tmp";
}

// Asks the file system of `dir` whether it refuses an unaligned direct read, or falls back to the page cache. What is
// asked is the synchronous call: the tests then hold AIO to the same rule.
unsigned DirectAlignment(const std::string& dir) {
  std::string path = absl::StrCat(dir, "/aio_conformance_probe_XXXXXX");
  const int file = mkostemp(path.data(), O_DIRECT);
  if (file < 0) return 1;
  unlink(path.c_str());
  // Written, because in a hole nothing reaches the device, and nothing is refused.
  alignas(4096) static char pages[8192];
  unsigned alignment = 1;
  if (pwrite(file, pages, sizeof(pages), 0) == sizeof(pages) && pread(file, pages, 4096, 1) < 0 && errno == EINVAL) {
    alignment = 4096;
  }
  close(file);
  return alignment;
}

Backend Host() {
  Backend host;
  host.name = "host";
  host.make_kernel = [] { return std::make_unique<HostSyscalls>(); };
  host.disk_dir = TestTmpdir();
  host.tmpfs_dir = "/dev/shm";
  host.possible_cpus = PossibleCpus();
  host.disk_direct_alignment = DirectAlignment(host.disk_dir);
  return host;
}

// An emulated kernel with a machine of its own.
class EmulatedKernel {
 public:
  explicit EmulatedKernel(const Profile& profile)
      : machine_({.chooser = &chooser_,
                  .profile = &profile,
                  .nr_cpus = kPossibleCpus,
                  .simfs = {{.path = kDiskDir, .disk = "nvme,size=256M"}}}) {}
  Machine& machine() { return machine_; }

  static constexpr int kPossibleCpus = 4;
  static constexpr const char* kDiskDir = "/data";

 private:
  SeededChooser chooser_{/*seed=*/7};
  Machine machine_;
};

// First base, so that the machine is there before the interface to it.
class OwningEmulatedSyscalls : private EmulatedKernel, public EmulatedSyscalls {
 public:
  explicit OwningEmulatedSyscalls(const Profile& profile) : EmulatedKernel(profile), EmulatedSyscalls(machine()) {}
};

// Disks are simfs's. It follows ext4, but for what simfs.h says.
Backend Emulated(const Profile& profile) {
  Backend emulated;
  emulated.name = std::string(profile.name);
  emulated.make_kernel = [&profile] { return std::make_unique<OwningEmulatedSyscalls>(profile); };
  emulated.disk_dir = EmulatedKernel::kDiskDir;
  emulated.tmpfs_dir = "/dev/shm";
  emulated.possible_cpus = EmulatedKernel::kPossibleCpus;
  emulated.disk_direct_alignment = 512;
  return emulated;
}

std::vector<Backend>& Backends() {
  static std::vector<Backend>& backends =
      *new std::vector<Backend>{Host(), Emulated(*FindProfile("mainline")), Emulated(*FindProfile("retry"))};
  return backends;
}

}  // namespace

std::vector<Backend> AllBackends() { return Backends(); }

std::vector<Backend> BackendsWithFilesIn(std::string Backend::*dir) {
  std::vector<Backend> backends = Backends();
  for (Backend& backend : backends) backend.files_dir = backend.*dir;
  return backends;
}

bool SelectBackend(const std::string& name) {
  for (const Backend& backend : Backends()) {
    if (backend.name != name) continue;
    Backends() = std::vector<Backend>{Backend(backend)};
    return true;
  }
  return false;
}

}  // namespace aiolab
