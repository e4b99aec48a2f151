// The C library's functions that look through directories by themselves, by calls that no symbol reaches. glob can be
// given the calls to make; the others would look at the host, and are refused below the prefix.
#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "tools/preload/file_calls.h"
#include "tools/preload/notes.h"

namespace aiolab::preload {
namespace {

using GlobFunction = int(const char*, int, int (*)(const char*, int), glob_t*);
using FtsCompare = int(const FTSENT**, const FTSENT**);

RealFunction<GlobFunction> real_glob("glob", "GLIBC_2.27");

int Glob(const char* pattern, int flags, int (*on_error)(const char*, int), glob_t* list) {
  if (!HasSimfs() || (flags & GLOB_ALTDIRFUNC) != 0) return real_glob(pattern, flags, on_error, list);
  // These are the interposed ones, which know both sides.
  list->gl_opendir = [](const char* path) -> void* { return opendir(path); };
  list->gl_readdir = [](void* dir) { return readdir(static_cast<DIR*>(dir)); };
  list->gl_closedir = [](void* dir) { closedir(static_cast<DIR*>(dir)); };
  list->gl_stat = [](const char* path, struct stat* status) { return stat(path, status); };
  list->gl_lstat = [](const char* path, struct stat* status) { return lstat(path, status); };
  const int result = real_glob(pattern, flags | GLOB_ALTDIRFUNC, on_error, list);
  list->gl_flags &= ~GLOB_ALTDIRFUNC;
  return result;
}

// Whether a walk that begins at `path` would be one through simulated files. Then errno and the report say so.
bool RefusesWalk(const char* function, const char* path) {
  if (!IsOnSimfs(path)) return false;
  struct stat status;
  if (WithErrno(CallSimfs(__NR_stat, path, &status)) < 0) return true;
  AddWarning(
      absl::StrCat(function, " of ", path, ", a simulated file, was refused (EOPNOTSUPP): opendir and readdir it"));
  errno = EOPNOTSUPP;
  return true;
}

FTS* FtsOpen(const char* function, char* const* paths, int options, FtsCompare* compare,
             RealFunction<FTS*(char* const*, int, FtsCompare*)>& real) {
  for (char* const* path = paths; *path != nullptr; ++path) {
    if (RefusesWalk(function, *path)) return nullptr;
  }
  return real(paths, options, compare);
}

RealFunction<int(const char*, __ftw_func_t, int)> real_ftw("ftw");
RealFunction<int(const char*, __ftw_func_t, int)> real_ftw64("ftw64");
RealFunction<int(const char*, __nftw_func_t, int, int)> real_nftw("nftw", "GLIBC_2.3.3");
RealFunction<int(const char*, __nftw_func_t, int, int)> real_nftw64("nftw64", "GLIBC_2.3.3");
RealFunction<FTS*(char* const*, int, FtsCompare*)> real_fts_open("fts_open");
RealFunction<FTS*(char* const*, int, FtsCompare*)> real_fts64_open("fts64_open");

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

INTERPOSE(int, glob, (const char* pattern, int flags, int (*on_error)(const char*, int), glob_t* list)) {
  return Glob(pattern, flags, on_error, list);
}
INTERPOSE(int, glob64, (const char* pattern, int flags, int (*on_error)(const char*, int), glob_t* list)) {
  return Glob(pattern, flags, on_error, list);
}

INTERPOSE(int, ftw, (const char* path, __ftw_func_t visit, int fds_max)) {
  return RefusesWalk("ftw", path) ? -1 : real_ftw(path, visit, fds_max);
}
INTERPOSE(int, ftw64, (const char* path, __ftw_func_t visit, int fds_max)) {
  return RefusesWalk("ftw64", path) ? -1 : real_ftw64(path, visit, fds_max);
}
INTERPOSE(int, nftw, (const char* path, __nftw_func_t visit, int fds_max, int flags)) {
  return RefusesWalk("nftw", path) ? -1 : real_nftw(path, visit, fds_max, flags);
}
INTERPOSE(int, nftw64, (const char* path, __nftw_func_t visit, int fds_max, int flags)) {
  return RefusesWalk("nftw64", path) ? -1 : real_nftw64(path, visit, fds_max, flags);
}

INTERPOSE(FTS*, fts_open, (char* const* paths, int options, FtsCompare* compare)) {
  return FtsOpen("fts_open", paths, options, compare, real_fts_open);
}
INTERPOSE(FTS*, fts64_open, (char* const* paths, int options, FtsCompare* compare)) {
  return FtsOpen("fts64_open", paths, options, compare, real_fts64_open);
}
