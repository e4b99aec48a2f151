#include "tools/preload/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "tools/preload/file_calls.h"
#include "tools/preload/notes.h"
#include "tools/preload/process.h"

namespace aiolab::preload {
namespace {

int FdOf(void* cookie) { return static_cast<int>(reinterpret_cast<intptr_t>(cookie)); }

ssize_t ReadStream(void* cookie, char* buf, size_t size) {
  return WithErrno(CallSimfs(__NR_read, FdOf(cookie), buf, size));
}

// What fopencookie wants for an error is 0.
ssize_t WriteStream(void* cookie, const char* buf, size_t size) {
  return std::max<long>(WithErrno(CallSimfs(__NR_write, FdOf(cookie), buf, size)), 0);
}

int SeekStream(void* cookie, off64_t* offset, int whence) {
  const long ret = WithErrno(CallSimfs(__NR_lseek, FdOf(cookie), *offset, whence));
  if (ret < 0) return -1;
  *offset = ret;
  return 0;
}

int CloseStream(void* cookie) { return static_cast<int>(WithErrno(CallModel(__NR_close, FdOf(cookie)))); }

RealFunction<FILE*(int, const char*)> real_fdopen("fdopen");
RealFunction<FILE*(const char*, const char*, FILE*)> real_freopen("freopen");
RealFunction<FILE*(const char*, const char*, FILE*)> real_freopen64("freopen64");

FILE* Reopen(const char* path, const char* mode, FILE* stream,
             RealFunction<FILE*(const char*, const char*, FILE*)>& real) {
  if (!(path != nullptr && IsOnSimfs(path)) && !OnSimfs(fileno(stream))) return real(path, mode, stream);
  AddWarning("freopen from or to a simulated file was refused (EOPNOTSUPP): fclose and fopen it");
  errno = EOPNOTSUPP;
  return nullptr;
}

}  // namespace

int FlagsOfMode(const char* mode) {
  const bool update = strchr(mode, '+') != nullptr;
  int flags = update ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
  if (mode[0] == 'w') flags |= O_CREAT | O_TRUNC;
  if (mode[0] == 'a') flags |= O_CREAT | O_APPEND;
  if (strchr(mode, 'x') != nullptr) flags |= O_EXCL;
  if (strchr(mode, 'e') != nullptr) flags |= O_CLOEXEC;
  return flags;
}

FILE* SimfsStream(int fd, const char* mode) {
  // fopencookie knows the letter and the plus only.
  char plain[3] = {mode[0], strchr(mode, '+') != nullptr ? '+' : '\0', '\0'};
  FILE* const stream = fopencookie(reinterpret_cast<void*>(static_cast<intptr_t>(fd)), plain,
                                   {ReadStream, WriteStream, SeekStream, CloseStream});
  // A stream of this kind has no fd, but whoever asks gets what stands here.
  if (stream != nullptr) stream->_fileno = fd;
  return stream;
}

}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

INTERPOSE(FILE*, fdopen, (int fd, const char* mode)) {
  if (!OnSimfs(fd)) return real_fdopen(fd, mode);
  if (mode[0] == 'a') {
    const long flags = CallSimfs(__NR_fcntl, fd, F_GETFL, 0);
    if ((flags & O_APPEND) == 0) (void)CallSimfs(__NR_fcntl, fd, F_SETFL, flags | O_APPEND);
  }
  return SimfsStream(fd, mode);
}

INTERPOSE(FILE*, freopen, (const char* path, const char* mode, FILE* stream)) {
  return Reopen(path, mode, stream, real_freopen);
}
INTERPOSE(FILE*, freopen64, (const char* path, const char* mode, FILE* stream)) {
  return Reopen(path, mode, stream, real_freopen64);
}
