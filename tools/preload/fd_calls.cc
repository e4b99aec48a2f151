// The C library's functions on open files.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tools/preload/descriptors.h"
#include "tools/preload/file_calls.h"
#include "tools/preload/simfs_stat.h"

// NOLINTBEGIN(misc-use-internal-linkage): the functions below are the client's.

#define BOTH_FD_CALLS(result, name, name64, ...) \
  FD_CALL(result, name, __VA_ARGS__)             \
  FD_CALL(result, name64, __VA_ARGS__)

FD_CALL(ssize_t, write, (int fd, const void* buf, size_t count), (fd, buf, count), __NR_write, fd, buf, count)
FD_CALL(ssize_t, readv, (int fd, const iovec* iov, int count), (fd, iov, count), __NR_readv, fd, iov, count)
FD_CALL(ssize_t, writev, (int fd, const iovec* iov, int count), (fd, iov, count), __NR_writev, fd, iov, count)
BOTH_FD_CALLS(ssize_t, pread, pread64, (int fd, void* buf, size_t count, off_t pos), (fd, buf, count, pos),
              __NR_pread64, fd, buf, count, pos)
BOTH_FD_CALLS(ssize_t, __pread_chk, __pread64_chk, (int fd, void* buf, size_t count, off_t pos, size_t size),
              (fd, buf, count, pos, size), __NR_pread64, fd, buf, count, pos)
BOTH_FD_CALLS(ssize_t, pwrite, pwrite64, (int fd, const void* buf, size_t count, off_t pos), (fd, buf, count, pos),
              __NR_pwrite64, fd, buf, count, pos)
BOTH_FD_CALLS(ssize_t, preadv, preadv64, (int fd, const iovec* iov, int count, off_t pos), (fd, iov, count, pos),
              __NR_preadv, fd, iov, count, pos)
BOTH_FD_CALLS(ssize_t, pwritev, pwritev64, (int fd, const iovec* iov, int count, off_t pos), (fd, iov, count, pos),
              __NR_pwritev, fd, iov, count, pos)
BOTH_FD_CALLS(ssize_t, preadv2, preadv64v2, (int fd, const iovec* iov, int count, off_t pos, int flags),
              (fd, iov, count, pos, flags), __NR_preadv2, fd, iov, count, pos, 0, flags)
BOTH_FD_CALLS(ssize_t, pwritev2, pwritev64v2, (int fd, const iovec* iov, int count, off_t pos, int flags),
              (fd, iov, count, pos, flags), __NR_pwritev2, fd, iov, count, pos, 0, flags)
BOTH_FD_CALLS(off_t, lseek, lseek64, (int fd, off_t offset, int whence), (fd, offset, whence), __NR_lseek, fd, offset,
              whence)
BOTH_FD_CALLS(int, ftruncate, ftruncate64, (int fd, off_t length), (fd, length), __NR_ftruncate, fd, length)
BOTH_FD_CALLS(int, fallocate, fallocate64, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length),
              __NR_fallocate, fd, mode, offset, length)
FD_CALL(int, fsync, (int fd), (fd), __NR_fsync, fd)
FD_CALL(int, fdatasync, (int fd), (fd), __NR_fdatasync, fd)
FD_CALL(int, syncfs, (int fd), (fd), __NR_syncfs, fd)
FD_CALL(int, sync_file_range, (int fd, off_t offset, off_t count, unsigned flags), (fd, offset, count, flags),
        __NR_sync_file_range, fd, offset, count, flags)
FD_CALL(ssize_t, readahead, (int fd, off_t offset, size_t count), (fd, offset, count), __NR_readahead, fd, offset,
        count)
FD_CALL(int, flock, (int fd, int operation), (fd, operation), __NR_flock, fd, operation)
FD_CALL(int, dup, (int fd), (fd), __NR_dup, fd)
FD_CALL(int, fchmod, (int fd, mode_t mode), (fd, mode), __NR_fchmod, fd, mode)
FD_CALL(int, fchown, (int fd, uid_t owner, gid_t group), (fd, owner, group), __NR_fchown, fd, owner, group)
FD_CALL(int, futimens, (int fd, const timespec* times), (fd, times), __NR_utimensat, fd, nullptr, times, 0)
FD_CALL(ssize_t, getdents64, (int fd, void* buf, size_t size), (fd, buf, size), __NR_getdents64, fd, buf, size)
BOTH_FD_CALLS(int, fstat, fstat64, (int fd, struct stat* status), (fd, status), __NR_fstat, fd, status)
BOTH_FD_CALLS(int, fstatfs, fstatfs64, (int fd, struct statfs* status), (fd, status), __NR_fstatfs, fd, status)
FD_CALL(ssize_t, fgetxattr, (int fd, const char* name, void* value, size_t size), (fd, name, value, size),
        __NR_fgetxattr, fd)
FD_CALL(int, fsetxattr, (int fd, const char* name, const void* value, size_t size, int flags),
        (fd, name, value, size, flags), __NR_fsetxattr, fd)
FD_CALL(ssize_t, flistxattr, (int fd, char* list, size_t size), (fd, list, size), __NR_flistxattr, fd)
FD_CALL(int, fremovexattr, (int fd, const char* name), (fd, name), __NR_fremovexattr, fd)
BOTH_FD_CALLS(void*, mmap, mmap64, (void* at, size_t length, int prot, int flags, int fd, off_t offset),
              (at, length, prot, flags, fd, offset), __NR_mmap, at, length, prot, flags, fd, offset)

// Two files each: whichever is simulated, the answer is by the number of the call.
PATH_CALL(ssize_t, copy_file_range, (int from, off_t* from_pos, int to, off_t* to_pos, size_t length, unsigned flags),
          (from, from_pos, to, to_pos, length, flags), __NR_copy_file_range, from, from_pos, to, to_pos, length, flags)
PATH_CALL(ssize_t, sendfile, (int to, int from, off_t* offset, size_t count), (to, from, offset, count), __NR_sendfile,
          to, from, offset, count)
PATH_CALL(ssize_t, sendfile64, (int to, int from, off_t* offset, size_t count), (to, from, offset, count),
          __NR_sendfile, to, from, offset, count)
PATH_CALL(ssize_t, splice, (int from, off_t* from_pos, int to, off_t* to_pos, size_t length, unsigned flags),
          (from, from_pos, to, to_pos, length, flags), __NR_splice, from, from_pos, to, to_pos, length, flags)

namespace aiolab::preload {
namespace {

RealFunction<int(int, int, void*)> real_fcntl("fcntl");
RealFunction<int(int, int, void*)> real_fcntl64("fcntl64");
RealFunction<int(int, unsigned long, void*)> real_ioctl("ioctl");
RealFunction<void()> real_sync("sync");
RealFunction<int(int, off_t, off_t)> real_posix_fallocate("posix_fallocate");
RealFunction<int(int, off_t, off_t)> real_posix_fallocate64("posix_fallocate64");
RealFunction<int(int, off_t, off_t, int)> real_posix_fadvise("posix_fadvise");
RealFunction<int(int, int, off_t)> real_lockf("lockf");
RealFunction<int(int, int, off_t)> real_lockf64("lockf64");
RealFunction<int(int, const timeval*)> real_futimes("futimes");
RealFunction<int(int, struct statvfs*)> real_fstatvfs("fstatvfs");
RealFunction<int(int, struct statvfs*)> real_fstatvfs64("fstatvfs64");
RealFunction<long(int, int)> real_fpathconf("fpathconf");
RealFunction<int(int, int, struct stat*)> real_fxstat("__fxstat", "GLIBC_2.2.5");
RealFunction<int(int, int, struct stat*)> real_fxstat64("__fxstat64", "GLIBC_2.2.5");

int Fcntl(int fd, int cmd, void* argument, RealFunction<int(int, int, void*)>& real) {
  if (!OnSimfs(fd)) [[likely]]
    return real(fd, cmd, argument);
  return static_cast<int>(WithErrno(CallSimfs(__NR_fcntl, fd, cmd, argument)));
}

// Lengths are from the current position, and may be negative: the kernel's own F_SETLK knows that.
int Lockf(int fd, int cmd, off_t length) {
  struct flock lock = {};
  lock.l_type = cmd == F_ULOCK ? F_UNLCK : F_WRLCK;
  lock.l_whence = SEEK_CUR;
  lock.l_len = length;
  if (cmd != F_TEST) return static_cast<int>(CallSimfs(__NR_fcntl, fd, cmd == F_LOCK ? F_SETLKW : F_SETLK, &lock));
  const long ret = CallSimfs(__NR_fcntl, fd, F_GETLK, &lock);
  if (ret < 0 || lock.l_type == F_UNLCK) return static_cast<int>(ret);
  return -EACCES;
}

int Fadvise(int fd, off_t offset, off_t length, int advice) {
  if (OnSimfs(fd)) return static_cast<int>(-CallSimfs(__NR_fadvise64, fd, offset, length, advice));
  return AdviseModel(fd, offset, length, advice) ? 0 : real_posix_fadvise(fd, offset, length, advice);
}

int Fstatvfs(int fd, struct statvfs* status) {
  struct statfs from;
  const long ret = CallSimfs(__NR_fstatfs, fd, &from);
  if (ret == 0) ToStatvfs(from, status);
  return static_cast<int>(WithErrno(ret));
}

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

#define INTERPOSE_VARIADIC(name, request, call)       \
  INTERPOSE(int, name, (int fd, request what, ...)) { \
    va_list arguments;                                \
    va_start(arguments, what);                        \
    void* argument = va_arg(arguments, void*);        \
    va_end(arguments);                                \
    return call;                                      \
  }
INTERPOSE_VARIADIC(fcntl, int, Fcntl(fd, what, argument, real_fcntl))
INTERPOSE_VARIADIC(fcntl64, int, Fcntl(fd, what, argument, real_fcntl64))
INTERPOSE_VARIADIC(ioctl, unsigned long,
                   !OnSimfs(fd) ? real_ioctl(fd, what, argument)
                                : static_cast<int>(WithErrno(CallSimfs(__NR_ioctl, fd, what, argument))))

INTERPOSE(void, sync, ()) {
  long ret;
  (void)Simfs(&ret, __NR_sync);
  real_sync();
}

// These return the error itself.
#define INTERPOSE_POSIX(name, parameters, arguments, ...)                                   \
  INTERPOSE(int, name, parameters) {                                                        \
    return OnSimfs(fd) ? static_cast<int>(-CallSimfs(__VA_ARGS__)) : real_##name arguments; \
  }
INTERPOSE_POSIX(posix_fallocate, (int fd, off_t offset, off_t length), (fd, offset, length), __NR_fallocate, fd, 0,
                offset, length)
INTERPOSE_POSIX(posix_fallocate64, (int fd, off_t offset, off_t length), (fd, offset, length), __NR_fallocate, fd, 0,
                offset, length)
INTERPOSE(int, posix_fadvise, (int fd, off_t offset, off_t length, int advice)) {
  return Fadvise(fd, offset, length, advice);
}
INTERPOSE(int, posix_fadvise64, (int fd, off_t offset, off_t length, int advice)) {
  return Fadvise(fd, offset, length, advice);
}

INTERPOSE(int, lockf, (int fd, int cmd, off_t length)) {
  return OnSimfs(fd) ? static_cast<int>(WithErrno(Lockf(fd, cmd, length))) : real_lockf(fd, cmd, length);
}
INTERPOSE(int, lockf64, (int fd, int cmd, off_t length)) {
  return OnSimfs(fd) ? static_cast<int>(WithErrno(Lockf(fd, cmd, length))) : real_lockf64(fd, cmd, length);
}

INTERPOSE(int, futimes, (int fd, const timeval* times)) {
  if (!OnSimfs(fd)) return real_futimes(fd, times);
  const TimesOfTimevals converted(times);
  return static_cast<int>(WithErrno(CallSimfs(__NR_utimensat, fd, nullptr, converted.get(), 0)));
}

INTERPOSE(int, fstatvfs, (int fd, struct statvfs* status)) {
  return OnSimfs(fd) ? Fstatvfs(fd, status) : real_fstatvfs(fd, status);
}
INTERPOSE(int, fstatvfs64, (int fd, struct statvfs* status)) {
  return OnSimfs(fd) ? Fstatvfs(fd, status) : real_fstatvfs64(fd, status);
}

INTERPOSE(long, fpathconf, (int fd, int name)) { return OnSimfs(fd) ? SimfsPathconf(name) : real_fpathconf(fd, name); }

// fstat, as a program calls it that was linked against a C library before 2.33.
INTERPOSE(int, __fxstat, (int version, int fd, struct stat* status)) {
  if (!OnSimfs(fd)) return real_fxstat(version, fd, status);
  return static_cast<int>(WithErrno(CallSimfs(__NR_fstat, fd, status)));
}
INTERPOSE(int, __fxstat64, (int version, int fd, struct stat* status)) {
  if (!OnSimfs(fd)) return real_fxstat64(version, fd, status);
  return static_cast<int>(WithErrno(CallSimfs(__NR_fstat, fd, status)));
}
// NOLINTEND(misc-use-internal-linkage)
