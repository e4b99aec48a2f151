#include "tests/conformance/backend.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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

// The file systems which refuse an unaligned direct request, and are common; others fall back to the page cache.
unsigned DirectAlignment(const std::string& dir) {
  struct statfs fs;
  if (statfs(dir.c_str(), &fs) != 0) return 1;
  return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ? 4096 : 1;
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

std::vector<Backend>& Backends() {
  static std::vector<Backend>& backends = *new std::vector<Backend>{Host()};
  return backends;
}

}  // namespace

std::vector<Backend> AllBackends() { return Backends(); }

bool SelectBackend(const std::string& name) {
  for (const Backend& backend : Backends()) {
    if (backend.name != name) continue;
    Backends() = std::vector<Backend>{Backend(backend)};
    return true;
  }
  return false;
}

}  // namespace aiolab
