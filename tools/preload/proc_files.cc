#include "tools/preload/proc_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/simfs.h"
#include "tools/preload/streams.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

constexpr char kAioNr[] = "/proc/sys/fs/aio-nr";
constexpr char kAioMaxNr[] = "/proc/sys/fs/aio-max-nr";
constexpr size_t kPageBytes = 4096;

// The page of the file that was opened for writing last. A mapping sees what write, fprintf or anything else puts
// there, and needs no fd.
char* written_page = nullptr;
std::string* text_before = nullptr;

bool Writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

unsigned long AioMaxNr() { return Kernel(/*setup=*/false), TheMachine()->mm().aio_max_nr; }

}  // namespace

void ApplyAioMaxNr() {
  if (written_page == nullptr) return;
  // At most a line; the rest of the page is zeros.
  const std::string text(written_page, strnlen(written_page, 32));
  uint64_t number;
  if (text != *text_before && absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &number)) {
    (void)Kernel(/*setup=*/false);
    TheMachine()->mm().aio_max_nr = number;
    *text_before = text;
  }
}

void ForgetProcFiles() { written_page = nullptr; }

long OpenProcFile(const char* path, int flags, bool* ours) {
  *ours = false;
  if (path == nullptr || path[0] != '/' || path[1] != 'p') return 0;
  const bool is_max = strcmp(path, kAioMaxNr) == 0;
  if (!is_max && strcmp(path, kAioNr) != 0) return 0;
  *ours = true;
  if (Writes(flags) && (!is_max || RawSyscall(__NR_geteuid) != 0)) return -EACCES;
  ApplyAioMaxNr();
  const unsigned long number = is_max ? AioMaxNr() : (TheMachine() == nullptr ? 0 : TheMachine()->mm().aio_nr);
  const long fd =
      RawSyscall(__NR_memfd_create, is_max ? "aio-max-nr" : "aio-nr", (flags & O_CLOEXEC) != 0 ? MFD_CLOEXEC : 0);
  if (fd < 0) return fd;
  const std::string text = (flags & O_ACCMODE) == O_WRONLY ? std::string(1, '\0') : absl::StrCat(number, "\n");
  RawSyscall(__NR_pwrite64, fd, text.data(), text.size(), 0);
  if (!Writes(flags)) return fd;
  const long page = RawSyscall(__NR_mmap, nullptr, kPageBytes, PROT_READ, MAP_SHARED, fd, 0);
  if (page > 0) {
    if (written_page != nullptr) RawSyscall(__NR_munmap, written_page, kPageBytes);
    written_page = reinterpret_cast<char*>(page);
    if (text_before == nullptr) text_before = new std::string;
    *text_before = text == std::string(1, '\0') ? "" : text;
  }
  return fd;
}

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
  if (ret < 0) errno = static_cast<int>(-ret);
  *fd = ret < 0 ? -1 : static_cast<int>(ret);
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
