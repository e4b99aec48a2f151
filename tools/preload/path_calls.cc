// The C library's functions on names of files. open and its kin are in proc_files.cc, streams in streams.cc.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include <atomic>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/preload/file_calls.h"
#include "tools/preload/simfs_cwd.h"
#include "tools/preload/simfs_mount.h"
#include "tools/preload/simfs_stat.h"

#define BOTH_PATH_CALLS(result, name, name64, ...) \
  PATH_CALL(result, name, __VA_ARGS__)             \
  PATH_CALL(result, name64, __VA_ARGS__)

BOTH_PATH_CALLS(int, creat, creat64, (const char* path, mode_t mode), (path, mode), __NR_creat, path, mode)
BOTH_PATH_CALLS(int, stat, stat64, (const char* path, struct stat* status), (path, status), __NR_stat, path, status)
BOTH_PATH_CALLS(int, lstat, lstat64, (const char* path, struct stat* status), (path, status), __NR_lstat, path, status)
BOTH_PATH_CALLS(int, fstatat, fstatat64, (int dirfd, const char* path, struct stat* status, int flags),
                (dirfd, path, status, flags), __NR_newfstatat, dirfd, path, status, flags)
PATH_CALL(int, statx, (int dirfd, const char* path, int flags, unsigned mask, struct statx* status),
          (dirfd, path, flags, mask, status), __NR_statx, dirfd, path, flags, mask, status)
PATH_CALL(int, access, (const char* path, int mode), (path, mode), __NR_access, path, mode)
PATH_CALL(int, euidaccess, (const char* path, int mode), (path, mode), __NR_access, path, mode)
PATH_CALL(int, eaccess, (const char* path, int mode), (path, mode), __NR_access, path, mode)
PATH_CALL(int, faccessat, (int dirfd, const char* path, int mode, int flags), (dirfd, path, mode, flags),
          __NR_faccessat2, dirfd, path, mode, flags)
BOTH_PATH_CALLS(int, truncate, truncate64, (const char* path, off_t length), (path, length), __NR_truncate, path,
                length)
PATH_CALL(int, rename, (const char* from, const char* to), (from, to), __NR_rename, from, to)
PATH_CALL(int, renameat, (int from_dirfd, const char* from, int to_dirfd, const char* to),
          (from_dirfd, from, to_dirfd, to), __NR_renameat, from_dirfd, from, to_dirfd, to)
PATH_CALL(int, renameat2, (int from_dirfd, const char* from, int to_dirfd, const char* to, unsigned flags),
          (from_dirfd, from, to_dirfd, to, flags), __NR_renameat2, from_dirfd, from, to_dirfd, to, flags)
PATH_CALL(int, unlink, (const char* path), (path), __NR_unlink, path)
PATH_CALL(int, unlinkat, (int dirfd, const char* path, int flags), (dirfd, path, flags), __NR_unlinkat, dirfd, path,
          flags)
PATH_CALL(int, rmdir, (const char* path), (path), __NR_rmdir, path)
PATH_CALL(int, mkdir, (const char* path, mode_t mode), (path, mode), __NR_mkdir, path, mode)
PATH_CALL(int, mkdirat, (int dirfd, const char* path, mode_t mode), (dirfd, path, mode), __NR_mkdirat, dirfd, path,
          mode)
PATH_CALL(int, mknod, (const char* path, mode_t mode, dev_t device), (path, mode, device), __NR_mknod, path, mode,
          device)
PATH_CALL(int, mkfifo, (const char* path, mode_t mode), (path, mode), __NR_mknod, path, mode, 0)
PATH_CALL(int, mknodat, (int dirfd, const char* path, mode_t mode, dev_t device), (dirfd, path, mode, device),
          __NR_mknodat, dirfd, path, mode, device)
PATH_CALL(int, mkfifoat, (int dirfd, const char* path, mode_t mode), (dirfd, path, mode), __NR_mknodat, dirfd, path,
          mode, 0)
PATH_CALL(int, link, (const char* from, const char* to), (from, to), __NR_link, from, to)
PATH_CALL(int, linkat, (int from_dirfd, const char* from, int to_dirfd, const char* to, int flags),
          (from_dirfd, from, to_dirfd, to, flags), __NR_linkat, from_dirfd, from, to_dirfd, to, flags)
PATH_CALL(int, symlink, (const char* target, const char* path), (target, path), __NR_symlink, target, path)
PATH_CALL(int, symlinkat, (const char* target, int dirfd, const char* path), (target, dirfd, path), __NR_symlinkat,
          target, dirfd, path)
PATH_CALL(ssize_t, readlink, (const char* path, char* buf, size_t size), (path, buf, size), __NR_readlink, path, buf,
          size)
PATH_CALL(ssize_t, __readlink_chk, (const char* path, char* buf, size_t size, size_t buf_size),
          (path, buf, size, buf_size), __NR_readlink, path, buf, size)
PATH_CALL(ssize_t, readlinkat, (int dirfd, const char* path, char* buf, size_t size), (dirfd, path, buf, size),
          __NR_readlinkat, dirfd, path, buf, size)
PATH_CALL(ssize_t, __readlinkat_chk, (int dirfd, const char* path, char* buf, size_t size, size_t buf_size),
          (dirfd, path, buf, size, buf_size), __NR_readlinkat, dirfd, path, buf, size)
BOTH_PATH_CALLS(int, statfs, statfs64, (const char* path, struct statfs* status), (path, status), __NR_statfs, path,
                status)
PATH_CALL(int, chmod, (const char* path, mode_t mode), (path, mode), __NR_chmod, path, mode)
PATH_CALL(int, fchmodat, (int dirfd, const char* path, mode_t mode, int flags), (dirfd, path, mode, flags),
          __NR_fchmodat, dirfd, path, mode)
PATH_CALL(int, chown, (const char* path, uid_t owner, gid_t group), (path, owner, group), __NR_chown, path, owner,
          group)
PATH_CALL(int, lchown, (const char* path, uid_t owner, gid_t group), (path, owner, group), __NR_lchown, path, owner,
          group)
PATH_CALL(int, fchownat, (int dirfd, const char* path, uid_t owner, gid_t group, int flags),
          (dirfd, path, owner, group, flags), __NR_fchownat, dirfd, path, owner, group, flags)
PATH_CALL(int, utimensat, (int dirfd, const char* path, const timespec* times, int flags), (dirfd, path, times, flags),
          __NR_utimensat, dirfd, path, times, flags)
PATH_CALL(ssize_t, getxattr, (const char* path, const char* name, void* value, size_t size), (path, name, value, size),
          __NR_getxattr, path, name, value, size)
PATH_CALL(ssize_t, lgetxattr, (const char* path, const char* name, void* value, size_t size), (path, name, value, size),
          __NR_lgetxattr, path, name, value, size)
PATH_CALL(int, setxattr, (const char* path, const char* name, const void* value, size_t size, int flags),
          (path, name, value, size, flags), __NR_setxattr, path, name, value, size, flags)
PATH_CALL(int, lsetxattr, (const char* path, const char* name, const void* value, size_t size, int flags),
          (path, name, value, size, flags), __NR_lsetxattr, path, name, value, size, flags)
PATH_CALL(ssize_t, listxattr, (const char* path, char* list, size_t size), (path, list, size), __NR_listxattr, path,
          list, size)
PATH_CALL(ssize_t, llistxattr, (const char* path, char* list, size_t size), (path, list, size), __NR_llistxattr, path,
          list, size)
PATH_CALL(int, removexattr, (const char* path, const char* name), (path, name), __NR_removexattr, path, name)
PATH_CALL(int, lremovexattr, (const char* path, const char* name), (path, name), __NR_lremovexattr, path, name)
PATH_CALL(int, chdir, (const char* path), (path), __NR_chdir, path)
PATH_CALL(int, fchdir, (int fd), (fd), __NR_fchdir, fd)

namespace aiolab::preload {
namespace {

RealFunction<int(const char*)> real_remove("remove");
RealFunction<int(const char*, const utimbuf*)> real_utime("utime");
RealFunction<int(const char*, const timeval*)> real_utimes("utimes");
RealFunction<int(const char*, const timeval*)> real_lutimes("lutimes");
RealFunction<int(int, const char*, const timeval*)> real_futimesat("futimesat");
RealFunction<int(const char*, struct statvfs*)> real_statvfs("statvfs");
RealFunction<int(const char*, struct statvfs*)> real_statvfs64("statvfs64");
RealFunction<long(const char*, int)> real_pathconf("pathconf");
RealFunction<char*(char*, size_t)> real_getcwd("getcwd");
RealFunction<char*()> real_get_current_dir_name("get_current_dir_name");
RealFunction<char*(const char*, char*)> real_realpath("realpath", "GLIBC_2.3");
RealFunction<mode_t(mode_t)> real_umask("umask");
RealFunction<int(int, const char*, struct stat*)> real_xstat("__xstat", "GLIBC_2.2.5");
RealFunction<int(int, const char*, struct stat*)> real_xstat64("__xstat64", "GLIBC_2.2.5");
RealFunction<int(int, const char*, struct stat*)> real_lxstat("__lxstat", "GLIBC_2.2.5");
RealFunction<int(int, const char*, struct stat*)> real_lxstat64("__lxstat64", "GLIBC_2.2.5");
RealFunction<int(int, int, const char*, struct stat*, int)> real_fxstatat("__fxstatat", "GLIBC_2.4");
RealFunction<int(int, int, const char*, struct stat*, int)> real_fxstatat64("__fxstatat64", "GLIBC_2.4");

int Statvfs(const char* path, struct statvfs* status, RealFunction<int(const char*, struct statvfs*)>& real) {
  struct statfs from;
  long ret;
  if (!Simfs(&ret, __NR_statfs, path, &from)) return real(path, status);
  if (ret == 0) ToStatvfs(from, status);
  return static_cast<int>(WithErrno(ret));
}

char* Getcwd(char* buf, size_t size) {
  char path[PATH_MAX];
  long ret;
  if (!Simfs(&ret, __NR_getcwd, path, sizeof(path))) return real_getcwd(buf, size);
  const size_t needed = static_cast<size_t>(ret);
  if (buf != nullptr && size == 0) ret = -EINVAL;
  if (ret > 0 && size != 0 && size < needed) ret = -ERANGE;
  if (WithErrno(ret) < 0) return nullptr;
  if (buf == nullptr) buf = static_cast<char*>(malloc(size == 0 ? needed : size));
  if (buf != nullptr) memcpy(buf, path, needed);
  return buf;
}

// Replaces the links of a path in the simulated file system. 0 or -errno.
long Resolve(std::string rest, std::string* resolved) {
  resolved->clear();
  for (int links = 0;;) {
    const size_t begin = rest.find_first_not_of('/');
    if (begin == std::string::npos) break;
    const size_t end = std::min(rest.find('/', begin), rest.size());
    const std::string name = rest.substr(begin, end - begin);
    rest.erase(0, end);
    if (name == ".") continue;
    if (name == "..") {
      resolved->resize(std::max<size_t>(resolved->rfind('/'), 0));
      continue;
    }
    const std::string at = absl::StrCat(*resolved, "/", name);
    char target[PATH_MAX];
    long size = -EINVAL;
    if (!Simfs(&size, __NR_readlink, at.c_str(), target, sizeof(target))) {
      size = RawSyscall(__NR_readlink, at.c_str(), target, sizeof(target));
    }
    if (size >= 0) {
      if (++links > 40) return -ELOOP;
      rest = absl::StrCat(absl::string_view(target, static_cast<size_t>(size)), rest);
      if (target[0] == '/') resolved->clear();
      continue;
    }
    // -EINVAL: it is there, and no link. The directories above the prefix need not be on the host.
    if (size != -EINVAL && !absl::StartsWith(SimfsPrefix(), at)) return size;
    *resolved = at;
  }
  if (resolved->empty()) *resolved = "/";
  return 0;
}

char* Realpath(const char* path, char* buf) {
  if (path == nullptr || !HasSimfs()) return real_realpath(path, buf);
  const Route route = RouteOf(AT_FDCWD, path);
  if (route.side == Route::Side::kHost) return real_realpath(path, buf);
  if (route.side == Route::Side::kHostByAnother) return real_realpath(route.path.c_str(), buf);
  std::string resolved;
  struct stat status;
  long ret = CallSimfs(__NR_stat, path, &status);
  std::string from = route.path;
  if (route.dirfd != AT_FDCWD) from = absl::StrCat(NameOfSimfsFd(route.dirfd), "/", route.path);
  if (ret == 0) ret = Resolve(from, &resolved);
  if (WithErrno(ret) < 0) return nullptr;
  if (buf == nullptr) return strdup(resolved.c_str());
  memcpy(buf, resolved.c_str(), resolved.size() + 1);
  return buf;
}

// Fills in the six X of a template until `make` finds a name that is free. By count, not at random, so that a run
// repeats.
template <typename Make>
int MakeTemporary(char* name, int suffix_length, Make make) {
  static std::atomic<unsigned> next{0};
  const size_t length = strlen(name);
  const size_t suffix = static_cast<size_t>(suffix_length);
  if (suffix_length < 0 || length < suffix + 6 || memcmp(name + length - suffix - 6, "XXXXXX", 6) != 0) {
    errno = EINVAL;
    return -1;
  }
  constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (int tries = 0; tries < 1'000'000; ++tries) {
    unsigned number = next.fetch_add(1);
    for (char* at = name + length - suffix - 6; at != name + length - suffix; ++at) {
      *at = kLetters[number % 36];
      number /= 36;
    }
    const long ret = make();
    if (ret != -EEXIST) return static_cast<int>(WithErrno(ret));
  }
  errno = EEXIST;
  return -1;
}

int MakeTemporaryFile(char* name, int suffix_length, int flags) {
  return MakeTemporary(name, suffix_length, [&] {
    return CallSimfs(__NR_openat, AT_FDCWD, name, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600);
  });
}

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

INTERPOSE(int, remove, (const char* path)) {
  long ret;
  if (!Simfs(&ret, __NR_unlink, path)) return real_remove(path);
  if (ret == -EISDIR || ret == -EPERM) ret = CallSimfs(__NR_rmdir, path);
  return static_cast<int>(WithErrno(ret));
}

INTERPOSE(int, utime, (const char* path, const utimbuf* times)) {
  const timespec converted[2] = {{times == nullptr ? 0 : times->actime, 0}, {times == nullptr ? 0 : times->modtime, 0}};
  long ret;
  if (!Simfs(&ret, __NR_utimensat, AT_FDCWD, path, times == nullptr ? nullptr : converted, 0)) {
    return real_utime(path, times);
  }
  return static_cast<int>(WithErrno(ret));
}

#define INTERPOSE_UTIMES(name, parameters, arguments, dirfd, flags)                                      \
  INTERPOSE(int, name, parameters) {                                                                     \
    const TimesOfTimevals converted(times);                                                              \
    long ret;                                                                                            \
    if (!Simfs(&ret, __NR_utimensat, dirfd, path, converted.get(), flags)) return real_##name arguments; \
    return static_cast<int>(WithErrno(ret));                                                             \
  }
INTERPOSE_UTIMES(utimes, (const char* path, const timeval* times), (path, times), AT_FDCWD, 0)
INTERPOSE_UTIMES(lutimes, (const char* path, const timeval* times), (path, times), AT_FDCWD, AT_SYMLINK_NOFOLLOW)
INTERPOSE_UTIMES(futimesat, (int fd, const char* path, const timeval* times), (fd, path, times), fd, 0)

INTERPOSE(int, statvfs, (const char* path, struct statvfs* status)) { return Statvfs(path, status, real_statvfs); }
INTERPOSE(int, statvfs64, (const char* path, struct statvfs* status)) { return Statvfs(path, status, real_statvfs64); }

INTERPOSE(long, pathconf, (const char* path, int name)) {
  return IsOnSimfs(path) ? SimfsPathconf(name) : real_pathconf(path, name);
}

INTERPOSE(char*, getcwd, (char* buf, size_t size)) { return Getcwd(buf, size); }
INTERPOSE(char*, __getcwd_chk, (char* buf, size_t size, size_t)) { return Getcwd(buf, size); }
INTERPOSE(char*, get_current_dir_name, ()) {
  return HasSimfs() && !SimfsCwd().empty() ? strdup(SimfsCwd().c_str()) : real_get_current_dir_name();
}

INTERPOSE(char*, realpath, (const char* path, char* resolved)) { return Realpath(path, resolved); }
INTERPOSE(char*, __realpath_chk, (const char* path, char* resolved, size_t)) { return Realpath(path, resolved); }
INTERPOSE(char*, canonicalize_file_name, (const char* path)) { return Realpath(path, nullptr); }

INTERPOSE(mode_t, umask, (mode_t mask)) {
  SetSimfsUmask(mask);
  return real_umask(mask);
}

#define INTERPOSE_TEMPORARY(name, parameters, arguments, suffix_length, flags)                      \
  namespace aiolab::preload {                                                                       \
  namespace {                                                                                       \
  RealFunction<int parameters> real_##name(#name);                                                  \
  }                                                                                                 \
  }                                                                                                 \
  INTERPOSE(int, name, parameters) {                                                                \
    return IsOnSimfs(path) ? MakeTemporaryFile(path, suffix_length, flags) : real_##name arguments; \
  }
INTERPOSE_TEMPORARY(mkstemp, (char* path), (path), 0, 0)
INTERPOSE_TEMPORARY(mkstemp64, (char* path), (path), 0, 0)
INTERPOSE_TEMPORARY(mkostemp, (char* path, int flags), (path, flags), 0, flags)
INTERPOSE_TEMPORARY(mkostemp64, (char* path, int flags), (path, flags), 0, flags)
INTERPOSE_TEMPORARY(mkstemps, (char* path, int suffix_length), (path, suffix_length), suffix_length, 0)
INTERPOSE_TEMPORARY(mkstemps64, (char* path, int suffix_length), (path, suffix_length), suffix_length, 0)
INTERPOSE_TEMPORARY(mkostemps, (char* path, int suffix_length, int flags), (path, suffix_length, flags), suffix_length,
                    flags)
INTERPOSE_TEMPORARY(mkostemps64, (char* path, int suffix_length, int flags), (path, suffix_length, flags),
                    suffix_length, flags)

namespace aiolab::preload {
namespace {
RealFunction<char*(char*)> real_mkdtemp("mkdtemp");
}
}  // namespace aiolab::preload
INTERPOSE(char*, mkdtemp, (char* path)) {
  if (!IsOnSimfs(path)) return real_mkdtemp(path);
  return MakeTemporary(path, 0, [&] { return CallSimfs(__NR_mkdir, path, 0700); }) == 0 ? path : nullptr;
}

// stat, as a program calls it that was linked against a C library before 2.33.
#define INTERPOSE_XSTAT(name, parameters, real, ...)                           \
  INTERPOSE(int, name, parameters) {                                           \
    long ret;                                                                  \
    return Simfs(&ret, __VA_ARGS__) ? static_cast<int>(WithErrno(ret)) : real; \
  }
INTERPOSE_XSTAT(__xstat, (int version, const char* path, struct stat* status), real_xstat(version, path, status),
                __NR_stat, path, status)
INTERPOSE_XSTAT(__xstat64, (int version, const char* path, struct stat* status), real_xstat64(version, path, status),
                __NR_stat, path, status)
INTERPOSE_XSTAT(__lxstat, (int version, const char* path, struct stat* status), real_lxstat(version, path, status),
                __NR_lstat, path, status)
INTERPOSE_XSTAT(__lxstat64, (int version, const char* path, struct stat* status), real_lxstat64(version, path, status),
                __NR_lstat, path, status)
INTERPOSE_XSTAT(__fxstatat, (int version, int dirfd, const char* path, struct stat* status, int flags),
                real_fxstatat(version, dirfd, path, status, flags), __NR_newfstatat, dirfd, path, status, flags)
INTERPOSE_XSTAT(__fxstatat64, (int version, int dirfd, const char* path, struct stat* status, int flags),
                real_fxstatat64(version, dirfd, path, status, flags), __NR_newfstatat, dirfd, path, status, flags)
