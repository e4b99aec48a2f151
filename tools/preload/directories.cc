// opendir and its kin. A DIR of the C library is made on the fd's placeholder, so that dirfd and closedir are its own;
// what is in the directory comes from the model.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <map>
#include <memory>
#include <vector>

#include "tools/preload/file_calls.h"

namespace aiolab::preload {
namespace {

// As the kernel writes entries, and as the C library's struct dirent64 has them.
struct OpenDirectory {
  alignas(8) char entries[32 << 10];
  size_t size = 0;
  size_t next = 0;
  long position = 0;  // of the next entry, for telldir
};

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
// By fd. The C library's caller does not read one directory from two threads at once.
std::map<int, std::unique_ptr<OpenDirectory>>* directories = nullptr;

OpenDirectory& DirectoryOf(int fd) {
  pthread_mutex_lock(&mutex);
  if (directories == nullptr) directories = new std::map<int, std::unique_ptr<OpenDirectory>>;
  std::unique_ptr<OpenDirectory>& directory = (*directories)[fd];
  if (directory == nullptr) directory = std::make_unique<OpenDirectory>();
  pthread_mutex_unlock(&mutex);
  return *directory;
}

void DropDirectory(int fd) {
  pthread_mutex_lock(&mutex);
  if (directories != nullptr) directories->erase(fd);
  pthread_mutex_unlock(&mutex);
}

RealFunction<DIR*(const char*)> real_opendir("opendir");
RealFunction<DIR*(int)> real_fdopendir("fdopendir");
RealFunction<int(DIR*)> real_closedir("closedir");
RealFunction<dirent*(DIR*)> real_readdir("readdir");
RealFunction<dirent64*(DIR*)> real_readdir64("readdir64");
RealFunction<int(DIR*, dirent*, dirent**)> real_readdir_r("readdir_r");
RealFunction<int(DIR*, dirent64*, dirent64**)> real_readdir64_r("readdir64_r");
RealFunction<void(DIR*)> real_rewinddir("rewinddir");
RealFunction<void(DIR*, long)> real_seekdir("seekdir");
RealFunction<long(DIR*)> real_telldir("telldir");

int FdOf(DIR* dir) { return dir == nullptr ? -1 : dirfd(dir); }

// Null: the end, or errno is set.
dirent64* Next(int fd) {
  OpenDirectory& directory = DirectoryOf(fd);
  if (directory.next >= directory.size) {
    const long size = CallSimfs(__NR_getdents64, fd, directory.entries, sizeof(directory.entries));
    // A directory that was removed is at its end.
    if (size == -ENOENT || WithErrno(size) <= 0) return nullptr;
    directory.size = static_cast<size_t>(size);
    directory.next = 0;
  }
  auto* const entry = reinterpret_cast<dirent64*>(directory.entries + directory.next);
  directory.next += entry->d_reclen;
  directory.position = entry->d_off;
  return entry;
}

void SeekTo(int fd, long position) {
  OpenDirectory& directory = DirectoryOf(fd);
  directory.size = directory.next = 0;
  directory.position = position;
  (void)CallSimfs(__NR_lseek, fd, position, SEEK_SET);
}

template <typename Dirent>
int ReadInto(int fd, Dirent* entry, Dirent** result) {
  const int errno_before = errno;
  errno = 0;
  const dirent64* const next = Next(fd);
  const int error = next == nullptr ? errno : 0;
  errno = errno_before;
  *result = nullptr;
  if (next == nullptr) return error;
  memcpy(entry, next, next->d_reclen);
  *result = entry;
  return 0;
}

template <typename Dirent>
int Scan(const char* path, Dirent*** list, int (*wanted)(const Dirent*),
         int (*compare)(const Dirent**, const Dirent**)) {
  DIR* const dir = opendir(path);
  if (dir == nullptr) return -1;
  std::vector<Dirent*> found;
  const int fd = dirfd(dir);
  errno = 0;
  while (auto* const entry = reinterpret_cast<Dirent*>(Next(fd))) {
    if (wanted != nullptr && wanted(entry) == 0) continue;
    auto* const copy = static_cast<Dirent*>(malloc(entry->d_reclen));
    memcpy(copy, entry, entry->d_reclen);
    found.push_back(copy);
    errno = 0;
  }
  const int error = errno;
  closedir(dir);
  if (error != 0) {
    for (Dirent* const entry : found) free(entry);
    errno = error;
    return -1;
  }
  *list = static_cast<Dirent**>(malloc((found.size() + 1) * sizeof(Dirent*)));
  if (!found.empty()) memcpy(*list, found.data(), found.size() * sizeof(Dirent*));
  if (compare != nullptr && !found.empty()) {
    qsort(*list, found.size(), sizeof(Dirent*), reinterpret_cast<int (*)(const void*, const void*)>(compare));
  }
  return static_cast<int>(found.size());
}

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

INTERPOSE(DIR*, opendir, (const char* path)) {
  long fd;
  if (!Simfs(&fd, __NR_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC, 0)) {
    return real_opendir(path);
  }
  if (WithErrno(fd) < 0) return nullptr;
  DropDirectory(static_cast<int>(fd));
  return real_fdopendir(static_cast<int>(fd));
}

INTERPOSE(DIR*, fdopendir, (int fd)) {
  if (!OnSimfs(fd)) return real_fdopendir(fd);
  struct stat status;
  long ret = CallSimfs(__NR_fstat, fd, &status);
  if (ret == 0 && !S_ISDIR(status.st_mode)) ret = -ENOTDIR;
  if (WithErrno(ret) < 0) return nullptr;
  DropDirectory(fd);
  return real_fdopendir(fd);
}

INTERPOSE(int, closedir, (DIR * dir)) {
  const int fd = FdOf(dir);
  if (OnSimfs(fd)) {
    DropDirectory(fd);
    ForgetSimfsFd(fd);
  }
  return real_closedir(dir);
}

INTERPOSE(dirent*, readdir, (DIR * dir)) {
  const int fd = FdOf(dir);
  return OnSimfs(fd) ? reinterpret_cast<dirent*>(Next(fd)) : real_readdir(dir);
}
INTERPOSE(dirent64*, readdir64, (DIR * dir)) {
  const int fd = FdOf(dir);
  return OnSimfs(fd) ? Next(fd) : real_readdir64(dir);
}
INTERPOSE(int, readdir_r, (DIR * dir, dirent* entry, dirent** result)) {
  const int fd = FdOf(dir);
  return OnSimfs(fd) ? ReadInto(fd, entry, result) : real_readdir_r(dir, entry, result);
}
INTERPOSE(int, readdir64_r, (DIR * dir, dirent64* entry, dirent64** result)) {
  const int fd = FdOf(dir);
  return OnSimfs(fd) ? ReadInto(fd, entry, result) : real_readdir64_r(dir, entry, result);
}

INTERPOSE(void, rewinddir, (DIR * dir)) {
  const int fd = FdOf(dir);
  OnSimfs(fd) ? SeekTo(fd, 0) : real_rewinddir(dir);
}
INTERPOSE(void, seekdir, (DIR * dir, long position)) {
  const int fd = FdOf(dir);
  OnSimfs(fd) ? SeekTo(fd, position) : real_seekdir(dir, position);
}
INTERPOSE(long, telldir, (DIR * dir)) {
  const int fd = FdOf(dir);
  return OnSimfs(fd) ? DirectoryOf(fd).position : real_telldir(dir);
}

#define INTERPOSE_SCANDIR(name, Dirent)                                                                      \
  namespace aiolab::preload {                                                                                \
  namespace {                                                                                                \
  RealFunction<int(const char*, Dirent***, int (*)(const Dirent*), int (*)(const Dirent**, const Dirent**))> \
      real_##name(#name);                                                                                    \
  }                                                                                                          \
  }                                                                                                          \
  INTERPOSE(int, name,                                                                                       \
            (const char* path, Dirent*** list, int (*wanted)(const Dirent*),                                 \
             int (*compare)(const Dirent**, const Dirent**))) {                                              \
    return IsOnSimfs(path) ? Scan(path, list, wanted, compare) : real_##name(path, list, wanted, compare);   \
  }
INTERPOSE_SCANDIR(scandir, dirent)
INTERPOSE_SCANDIR(scandir64, dirent64)
