// open and its kin, and fopen: of simulated files, and of the kernel's own that are the model's.
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/preload/proc_files.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/simfs.h"
#include "tools/preload/streams.h"

namespace aiolab::preload {
namespace {

RealFunction<FILE*(const char*, const char*)> real_fopen("fopen");
RealFunction<FILE*(const char*, const char*)> real_fopen64("fopen64");
RealFunction<int(const char*, int, mode_t)> real_open("open");
RealFunction<int(const char*, int, mode_t)> real_open64("open64");
RealFunction<int(int, const char*, int, mode_t)> real_openat("openat");
RealFunction<int(int, const char*, int, mode_t)> real_openat64("openat64");
RealFunction<int(const char*, int)> real_open_2("__open_2");
RealFunction<int(const char*, int)> real_open64_2("__open64_2");
RealFunction<int(int, const char*, int)> real_openat_2("__openat_2");
RealFunction<int(int, const char*, int)> real_openat64_2("__openat64_2");

// True if `path` is one of ours; `*fd` is then what open returns.
bool Opens(int dirfd, const char* path, int flags, mode_t mode, int* fd) {
  if (!Active()) return false;
  long simulated;
  if (Simfs(&simulated, __NR_openat, dirfd, path, flags, mode)) {
    *fd = static_cast<int>(WithErrno(simulated));
    return true;
  }
  bool ours;
  const long ret = OpenProcFile(path, flags, &ours);
  if (!ours) return false;
  *fd = static_cast<int>(WithErrno(ret));
  return true;
}

FILE* OpenStream(const char* path, const char* mode, RealFunction<FILE*(const char*, const char*)>& real) {
  int fd;
  if (!Opens(AT_FDCWD, path, FlagsOfMode(mode), 0666, &fd)) return real(path, mode);
  if (fd < 0) return nullptr;
  if (OnSimfs(fd)) return SimfsStream(fd, mode);
  return fdopen(fd, mode[0] == 'r' ? mode : strchr(mode, '+') != nullptr ? "r+" : "w");
}

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

#define INTERPOSE_OPEN(name)                                 \
  INTERPOSE(int, name, (const char* path, int flags, ...)) { \
    va_list arguments;                                       \
    va_start(arguments, flags);                              \
    const mode_t mode = va_arg(arguments, mode_t);           \
    va_end(arguments);                                       \
    int fd;                                                  \
    if (Opens(AT_FDCWD, path, flags, mode, &fd)) return fd;  \
    return real_##name(path, flags, mode);                   \
  }
INTERPOSE_OPEN(open)
INTERPOSE_OPEN(open64)

#define INTERPOSE_OPENAT(name)                                          \
  INTERPOSE(int, name, (int dirfd, const char* path, int flags, ...)) { \
    va_list arguments;                                                  \
    va_start(arguments, flags);                                         \
    const mode_t mode = va_arg(arguments, mode_t);                      \
    va_end(arguments);                                                  \
    int fd;                                                             \
    if (Opens(dirfd, path, flags, mode, &fd)) return fd;                \
    return real_##name(dirfd, path, flags, mode);                       \
  }
INTERPOSE_OPENAT(openat)
INTERPOSE_OPENAT(openat64)

INTERPOSE(int, __open_2, (const char* path, int flags)) {
  int fd;
  return Opens(AT_FDCWD, path, flags, 0, &fd) ? fd : real_open_2(path, flags);
}
INTERPOSE(int, __open64_2, (const char* path, int flags)) {
  int fd;
  return Opens(AT_FDCWD, path, flags, 0, &fd) ? fd : real_open64_2(path, flags);
}
INTERPOSE(int, __openat_2, (int dirfd, const char* path, int flags)) {
  int fd;
  return Opens(dirfd, path, flags, 0, &fd) ? fd : real_openat_2(dirfd, path, flags);
}
INTERPOSE(int, __openat64_2, (int dirfd, const char* path, int flags)) {
  int fd;
  return Opens(dirfd, path, flags, 0, &fd) ? fd : real_openat64_2(dirfd, path, flags);
}

INTERPOSE(FILE*, fopen, (const char* path, const char* mode)) { return OpenStream(path, mode, real_fopen); }
INTERPOSE(FILE*, fopen64, (const char* path, const char* mode)) { return OpenStream(path, mode, real_fopen64); }
