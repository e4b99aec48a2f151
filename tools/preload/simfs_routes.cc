// Which paths lead into the simulated file system.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "kernel_model/mm/uaccess.h"
#include "tools/preload/process.h"
#include "tools/preload/simfs.h"
#include "tools/preload/simfs_cwd.h"

namespace aiolab::preload {
namespace {

// Copies a path of the client, page by page, since a page that it does not reach may not be there. False: a bad
// pointer, or too long; the host says which.
bool CopyPath(const char* user_path, char (&copy)[PATH_MAX]) {
  if (user_path == nullptr) return false;
  for (size_t done = 0; done < sizeof(copy);) {
    const size_t to_page_end = 4096 - reinterpret_cast<uintptr_t>(user_path + done) % 4096;
    // Most paths are short, and most of them lead elsewhere.
    const size_t piece = std::min({to_page_end, sizeof(copy) - done, done == 0 ? size_t{128} : sizeof(copy)});
    if (CopyPinned(copy + done, user_path + done, piece) != 0) return false;
    if (memchr(copy + done, '\0', piece) != nullptr) return true;
    done += piece;
  }
  return false;
}

// The directory that a relative path begins at, as the host names it; empty if it has no name.
std::string HostDirectory(int dirfd) {
  char buffer[PATH_MAX];
  const std::string link = dirfd == AT_FDCWD ? "/proc/self/cwd" : absl::StrCat("/proc/self/fd/", dirfd);
  const long size = RawSyscall(__NR_readlink, link.c_str(), buffer, sizeof(buffer));
  if (size <= 0 || buffer[0] != '/') return "";
  return std::string(buffer, static_cast<size_t>(size));
}

// Walks an absolute path by its names alone.
Route Walk(absl::string_view path, absl::string_view prefix) {
  std::string at;      // where it is, without the slash of the root; the prefix if inside
  std::string inside;  // behind the prefix, as it was written
  int depth = -1;      // below the prefix; negative: outside
  bool was_inside = false;
  const bool slash_at_end = path.back() == '/';
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const absl::string_view name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || (name == "." && depth < 0)) continue;
    if (depth >= 0) {
      if (name != ".") depth += name == ".." ? -1 : 1;
      absl::StrAppend(&inside, "/", name);
      if (depth >= 0) continue;
      at.resize(at.rfind('/'));
    } else if (name == "..") {
      if (!at.empty()) at.resize(at.rfind('/'));
    } else {
      absl::StrAppend(&at, "/", name);
    }
    if (at == prefix) {
      depth = 0;
      was_inside = true;
      inside.clear();
    }
  }
  if (depth >= 0) return {Route::Side::kSimfs, AT_FDCWD, absl::StrCat(prefix, inside, slash_at_end ? "/" : "")};
  if (!was_inside) return {};
  return {Route::Side::kHostByAnother, AT_FDCWD, absl::StrCat(at, at.empty() || slash_at_end ? "/" : "")};
}

}  // namespace

Route RouteOf(int dirfd, const char* user_path) {
  char path[PATH_MAX];
  if (!CopyPath(user_path, path)) return {};
  const absl::string_view prefix = SimfsPrefix();
  if (path[0] != '/') {
    if (OnSimfs(dirfd)) return {Route::Side::kSimfs, dirfd, path};
    const std::string cwd = dirfd == AT_FDCWD ? SimfsCwd() : "";
    if (!cwd.empty()) return path[0] == '\0' ? Route{} : Walk(absl::StrCat(cwd, "/", path), prefix);
  }
  // What leads into the prefix from outside names its last directory.
  if (strstr(path, SimfsPrefix() + prefix.rfind('/') + 1) == nullptr) return {};
  if (path[0] == '/') return Walk(path, prefix);
  const std::string directory = HostDirectory(dirfd);
  if (directory.empty()) return {};
  return Walk(absl::StrCat(directory, "/", path), prefix);
}

}  // namespace aiolab::preload
