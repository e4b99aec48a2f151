#include "tools/preload/simfs_cwd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/simfs.h"

namespace aiolab::preload {
namespace {

// Never freed: another thread may be reading it.
std::atomic<const std::string*> cwd{nullptr};

// `path` without "." and "..".
std::string Clean(absl::string_view path) {
  std::vector<absl::string_view> names;
  for (const absl::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (name == ".") continue;
    if (name != "..") {
      names.push_back(name);
    } else if (!names.empty()) {
      names.pop_back();
    }
  }
  std::string clean;
  for (const absl::string_view name : names) absl::StrAppend(&clean, "/", name);
  return clean;
}

long ChangeTo(const std::string& path) {
  struct stat status;
  const long ret = CallModel(__NR_newfstatat, AT_FDCWD, path.c_str(), &status, 0);
  if (ret != 0) return ret;
  if (!S_ISDIR(status.st_mode)) return -ENOTDIR;
  cwd.store(new std::string(Clean(path)));
  return 0;
}

}  // namespace

const char* SimfsPrefix() { return TheSimfsSpec()->prefix.c_str(); }

void StartSimfsCwd() {
  char path[PATH_MAX];
  if (RawSyscall(__NR_getcwd, path, sizeof(path)) <= 0) return;
  if (const Route route = RouteOf(AT_FDCWD, path); route.side == Route::Side::kSimfs) {
    cwd.store(new std::string(route.path));
  }
}

std::string SimfsCwd() {
  const std::string* const path = cwd.load();
  return path == nullptr ? "" : *path;
}

bool SimfsChdir(const char* path, long* ret) {
  const Route route = RouteOf(AT_FDCWD, path);
  if (route.side == Route::Side::kSimfs) {
    *ret = ChangeTo(route.path);
    return true;
  }
  if (route.side == Route::Side::kHost && cwd.load() == nullptr) return false;
  *ret = RawSyscall(__NR_chdir, route.side == Route::Side::kHost ? path : route.path.c_str());
  if (*ret == 0) cwd.store(nullptr);
  return true;
}

bool SimfsFchdir(int fd, long* ret) {
  if (!OnSimfs(fd)) {
    if (cwd.load() == nullptr) return false;
    *ret = RawSyscall(__NR_fchdir, fd);
    if (*ret == 0) cwd.store(nullptr);
    return true;
  }
  *ret = ChangeTo(NameOfSimfsFd(fd));
  return true;
}

bool SimfsGetcwd(char* buf, size_t size, long* ret) {
  const std::string* const path = cwd.load();
  if (path == nullptr) return false;
  *ret = -ERANGE;
  if (size > path->size()) {
    memcpy(buf, path->c_str(), path->size() + 1);
    *ret = static_cast<long>(path->size() + 1);
  }
  return true;
}

}  // namespace aiolab::preload
