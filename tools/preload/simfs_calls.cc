// The client's system calls on simulated files, by number.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <utime.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "kernel_model/fs/d_path.h"
#include "kernel_model/syscall_table.h"
#include "tools/preload/process.h"
#include "tools/preload/signals.h"
#include "tools/preload/simfs.h"
#include "tools/preload/simfs_cwd.h"
#include "tools/preload/simfs_mapping.h"

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif

namespace aiolab::preload {
namespace {

// Where in its arguments a call names a file. kNone: nowhere. A path has its dirfd before it, or kCwd.
constexpr signed char kNone = -1;
constexpr signed char kCwd = -2;

struct Shape {
  long nr = 0;
  struct Name {
    signed char fd = kNone;
    signed char path = kNone;
  } first, second;
};

constexpr Shape kShapes[] = {
    {__NR_read, {0}, {}},
    {__NR_write, {0}, {}},
    {__NR_fstat, {0}, {}},
    {__NR_lseek, {0}, {}},
    {__NR_mmap, {4}, {}},
    {__NR_ioctl, {0}, {}},
    {__NR_pread64, {0}, {}},
    {__NR_pwrite64, {0}, {}},
    {__NR_readv, {0}, {}},
    {__NR_writev, {0}, {}},
    {__NR_dup, {0}, {}},
    {__NR_sendfile, {0}, {1}},
    {__NR_fcntl, {0}, {}},
    {__NR_flock, {0}, {}},
    {__NR_fsync, {0}, {}},
    {__NR_fdatasync, {0}, {}},
    {__NR_truncate, {kCwd, 0}, {}},
    {__NR_ftruncate, {0}, {}},
    {__NR_getdents, {0}, {}},
    {__NR_fchmod, {0}, {}},
    {__NR_fchown, {0}, {}},
    {__NR_statfs, {kCwd, 0}, {}},
    {__NR_fstatfs, {0}, {}},
    {__NR_readahead, {0}, {}},
    {__NR_setxattr, {kCwd, 0}, {}},
    {__NR_lsetxattr, {kCwd, 0}, {}},
    {__NR_fsetxattr, {0}, {}},
    {__NR_getxattr, {kCwd, 0}, {}},
    {__NR_lgetxattr, {kCwd, 0}, {}},
    {__NR_fgetxattr, {0}, {}},
    {__NR_listxattr, {kCwd, 0}, {}},
    {__NR_llistxattr, {kCwd, 0}, {}},
    {__NR_flistxattr, {0}, {}},
    {__NR_removexattr, {kCwd, 0}, {}},
    {__NR_lremovexattr, {kCwd, 0}, {}},
    {__NR_fremovexattr, {0}, {}},
    {__NR_getdents64, {0}, {}},
    {__NR_fadvise64, {0}, {}},
    {__NR_openat, {0, 1}, {}},
    {__NR_mkdirat, {0, 1}, {}},
    {__NR_mknodat, {0, 1}, {}},
    {__NR_fchownat, {0, 1}, {}},
    {__NR_newfstatat, {0, 1}, {}},
    {__NR_unlinkat, {0, 1}, {}},
    {__NR_linkat, {0, 1}, {2, 3}},
    {__NR_symlinkat, {1, 2}, {}},
    {__NR_readlinkat, {0, 1}, {}},
    {__NR_splice, {0}, {2}},
    {__NR_sync_file_range, {0}, {}},
    {__NR_utimensat, {0, 1}, {}},
    {__NR_fallocate, {0}, {}},
    {__NR_preadv, {0}, {}},
    {__NR_pwritev, {0}, {}},
    {__NR_name_to_handle_at, {0, 1}, {}},
    {__NR_syncfs, {0}, {}},
    {__NR_renameat2, {0, 1}, {2, 3}},
    {__NR_copy_file_range, {0}, {2}},
    {__NR_preadv2, {0}, {}},
    {__NR_pwritev2, {0}, {}},
    {__NR_statx, {0, 1}, {}},
    {__NR_faccessat2, {0, 1}, {}},
    {__NR_fchmodat2, {0, 1}, {}},
};

constexpr size_t kNumbersMax = 512;

constexpr std::array<signed char, kNumbersMax> kShapeByNumber = [] {
  std::array<signed char, kNumbersMax> index = {};
  for (signed char& slot : index) slot = kNone;
  for (size_t i = 0; i < std::size(kShapes); ++i) {
    index[static_cast<size_t>(kShapes[i].nr)] = static_cast<signed char>(i);
  }
  return index;
}();

// A call whose newer form names the directory too becomes that one.
void Modernise(long* nr, long (&a)[6]) {
  const auto at_cwd = [&](long newer, long second, long third, long fourth = 0) {
    *nr = newer;
    const long path = a[0];
    a[0] = AT_FDCWD;
    a[1] = path;
    a[2] = second;
    a[3] = third;
    a[4] = fourth;
  };
  switch (*nr) {
    case __NR_open:
      return at_cwd(__NR_openat, a[1], a[2]);
    case __NR_creat:
      return at_cwd(__NR_openat, O_CREAT | O_WRONLY | O_TRUNC, a[1]);
    case __NR_stat:
      return at_cwd(__NR_newfstatat, a[1], 0);
    case __NR_lstat:
      return at_cwd(__NR_newfstatat, a[1], AT_SYMLINK_NOFOLLOW);
    case __NR_access:
      return at_cwd(__NR_faccessat2, a[1], 0);
    case __NR_mkdir:
      return at_cwd(__NR_mkdirat, a[1], 0);
    case __NR_mknod:
      return at_cwd(__NR_mknodat, a[1], a[2]);
    case __NR_rmdir:
      return at_cwd(__NR_unlinkat, AT_REMOVEDIR, 0);
    case __NR_unlink:
      return at_cwd(__NR_unlinkat, 0, 0);
    case __NR_readlink:
      return at_cwd(__NR_readlinkat, a[1], a[2]);
    case __NR_chmod:
      return at_cwd(__NR_fchmodat2, a[1], 0);
    case __NR_chown:
      return at_cwd(__NR_fchownat, a[1], a[2], 0);
    case __NR_lchown:
      return at_cwd(__NR_fchownat, a[1], a[2], AT_SYMLINK_NOFOLLOW);
    case __NR_rename:
      return at_cwd(__NR_renameat2, AT_FDCWD, a[1]);
    case __NR_link:
      return at_cwd(__NR_linkat, AT_FDCWD, a[1]);
    case __NR_symlink:
      *nr = __NR_symlinkat;
      a[2] = a[1];
      a[1] = AT_FDCWD;
      return;
    case __NR_renameat:
      *nr = __NR_renameat2;
      a[4] = 0;
      return;
    case __NR_faccessat:
      *nr = __NR_faccessat2;
      a[3] = 0;
      return;
    case __NR_fchmodat:
      *nr = __NR_fchmodat2;
      a[3] = 0;
      return;
    default:
      return;
  }
}

// An fd or a path among the arguments, routed. Paths that were rewritten live here as long as the call.
class Named {
 public:
  Named(const Shape::Name& name, const long (&a)[6]) : name_(name) {
    if (name.fd == kNone) return;
    const int fd = name.fd == kCwd ? AT_FDCWD : static_cast<int>(a[name.fd]);
    if (name.path == kNone || a[name.path] == 0) {
      // utimensat and statx take no path, too.
      route_.side = OnSimfs(fd) ? Route::Side::kSimfs : Route::Side::kHost;
      given_ = true;
    } else {
      route_ = RouteOf(fd, reinterpret_cast<const char*>(a[name.path]));
    }
  }
  bool on_simfs() const { return route_.side == Route::Side::kSimfs; }
  bool on_host_by_another() const { return route_.side == Route::Side::kHostByAnother; }
  void Rewrite(long (&a)[6]) const {
    if (given_ || name_.path == kNone || route_.side == Route::Side::kHost) return;
    if (name_.fd >= 0) a[name_.fd] = route_.dirfd;
    a[name_.path] = reinterpret_cast<long>(route_.path.c_str());
  }

 private:
  const Shape::Name name_;
  Route route_;
  bool given_ = false;
};

// chmod and chown of a path by way of an fd, which is all that the model has.
long ChangeMode(const long (&a)[6]) {
  const long fd = CallModel(__NR_openat, a[0], a[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  const long ret = CallModel(__NR_fchmod, fd, a[2]);
  CallModel(__NR_close, fd);
  return ret;
}

// There is one user. The file has to be there.
long ChangeOwner(const long (&a)[6]) {
  struct stat status;
  return CallModel(__NR_newfstatat, a[0], a[1], &status, a[4]);
}

// Calls that the model has no counterpart of. True: *ret is the answer.
bool AnswerByHand(long nr, const long (&a)[6], long* ret) {
  switch (nr) {
    case __NR_mmap:
      *ret = MapSimfs(a);
      return true;
    case __NR_fcntl:
      // The number's own flag is the host's.
      if (a[1] != F_GETFD && a[1] != F_SETFD) return false;
      *ret = RawSyscall(__NR_fcntl, a[0], a[1], a[2]);
      return true;
    case __NR_ioctl:
      if (a[1] != FIOCLEX && a[1] != FIONCLEX) return false;
      *ret = RawSyscall(__NR_ioctl, a[0], a[1]);
      return true;
    case __NR_fchmodat2:
      *ret = ChangeMode(a);
      return true;
    case __NR_fchownat:
      *ret = ChangeOwner(a);
      return true;
    case __NR_fchown:
      *ret = 0;
      return true;
    case __NR_readahead:
      *ret = CallModel(__NR_fadvise64, a[0], a[1], a[2], POSIX_FADV_WILLNEED);
      return true;
    case __NR_mknodat:
      *ret = -EPERM;
      return true;
    // What a client goes round by reading and writing.
    case __NR_sendfile:
    case __NR_splice:
      *ret = -EINVAL;
      return true;
    case __NR_copy_file_range:
      *ret = -EXDEV;
      return true;
    default:
      if (FindSyscall(nr) != nullptr) return false;
      *ret = -EOPNOTSUPP;  // extended attributes, file handles
      return true;
  }
}

bool CwdCall(long nr, const long (&a)[6], long* ret) {
  switch (nr) {
    case __NR_chdir:
      return SimfsChdir(reinterpret_cast<const char*>(a[0]), ret);
    case __NR_fchdir:
      return SimfsFchdir(static_cast<int>(a[0]), ret);
    case __NR_getcwd:
      return SimfsGetcwd(reinterpret_cast<char*>(a[0]), static_cast<size_t>(a[1]), ret);
    default:
      return false;
  }
}

}  // namespace

std::atomic<const MixedFiles*> simfs_files{nullptr};

bool HasSimfs() { return Active() && TheSimfsSpec() != nullptr && !Machine::InsideModel(); }

bool IsOnSimfs(const char* path) { return HasSimfs() && RouteOf(AT_FDCWD, path).side == Route::Side::kSimfs; }

bool SimfsSyscall(long nr, const long (&given)[6], long* ret) {
  if (nr < 0 || static_cast<size_t>(nr) >= kNumbersMax) return false;
  long a[6];
  std::copy(std::begin(given), std::end(given), a);
  if (CwdCall(nr, a, ret)) return true;
  if (nr == __NR_sync && simfs_files.load() != nullptr) {
    CallModel(__NR_sync);
    return false;
  }
  Modernise(&nr, a);
  const signed char index = kShapeByNumber[static_cast<size_t>(nr)];
  if (index == kNone) return false;
  const Shape& shape = kShapes[index];
  const Named first(shape.first, a);
  const Named second(shape.second, a);
  if (!first.on_simfs() && !second.on_simfs()) {
    if (!first.on_host_by_another() && !second.on_host_by_another()) return false;
    first.Rewrite(a);
    second.Rewrite(a);
    *ret = RawSyscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    return true;
  }
  if (shape.second.path != kNone && first.on_simfs() != second.on_simfs()) {
    *ret = -EXDEV;
    return true;
  }
  first.Rewrite(a);
  second.Rewrite(a);
  if (!AnswerByHand(nr, a, ret)) *ret = CallModelWith(nr, a);
  return true;
}

long CallModelWith(long nr, const long (&a)[6]) {
  Machine& machine = EnterSimfs();
  const ScopedSignalDelivery signals;
  return DoSyscall(machine, *FindSyscall(nr), a);
}

void CloseSimfsRange(unsigned first, unsigned last) {
  for (unsigned fd = first; fd <= std::min<unsigned>(last, ModelFiles::kFdsMax - 1); ++fd) {
    if (OnSimfs(static_cast<int>(fd))) CallModel(__NR_close, fd);
  }
}

long DupSimfsTo(int oldfd, int newfd, int flags) {
  if (OnSimfs(oldfd)) return CallModel(__NR_dup3, oldfd, newfd, flags);
  // The host closes the number, and opens it again, in one step.
  if (RawSyscall(__NR_fcntl, oldfd, F_GETFD) < 0) return -EBADF;
  ForgetSimfsFd(newfd);
  return RawSyscall(__NR_dup3, oldfd, newfd, flags);
}

void ForgetSimfsFd(int fd) {
  Machine& machine = *TheMachine();
  const Machine::Entry entry(machine, "close");
  static_cast<MixedFiles&>(machine.files()).CloseKeepingNumber(fd);
}

std::string NameOfSimfsFd(int fd) {
  Machine& machine = *TheMachine();
  const Machine::Entry entry(machine, nullptr);
  const FileRef filp(static_cast<MixedFiles&>(machine.files()).fget_raw(fd));
  return filp ? d_path(filp->f_path) : "";
}

long WithErrno(long ret) {
  if (ret >= 0 || ret < -4095) return ret;
  errno = static_cast<int>(-ret);
  return -1;
}

void SimfsBegins(const MixedFiles* files) { simfs_files.store(files, std::memory_order_release); }

}  // namespace aiolab::preload
