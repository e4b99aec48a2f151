// The files under the prefix of --simfs: which of the client's calls are for them, and the calls themselves. Everything
// else stays the host's.
//
// A path is taken as it is written: it leads into the simulated file system if it does so without a look at the host's
// symbolic links. A host link into the prefix is not followed there.
#ifndef TOOLS_PRELOAD_SIMFS_H_
#define TOOLS_PRELOAD_SIMFS_H_

#include <atomic>
#include <string>

#include "kernel_model/fs/mixed_files.h"
#include "kernel_model/machine.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {

// The fds of the process's machine; null before there is one, and without --simfs.
extern std::atomic<const MixedFiles*> simfs_files;

// Whether `fd` is a simulated file. A look into a table.
inline bool OnSimfs(int fd) {
  const MixedFiles* const files = simfs_files.load(std::memory_order_acquire);
  return files != nullptr && files->has(fd) && !Machine::InsideModel();
}

// The process runs under --simfs, and the calling thread may enter the model.
bool HasSimfs();

// Where a path leads, seen from `dirfd`.
struct Route {
  enum class Side {
    kHost,           // as it is
    kHostByAnother,  // it goes through the prefix and leaves it again: `path` is the same place without that
    kSimfs,
  };
  Side side = Side::kHost;
  int dirfd = -1;
  std::string path;
};
Route RouteOf(int dirfd, const char* path);

// `path`, from the working directory, leads to a simulated file, which need not be there.
bool IsOnSimfs(const char* path);

// System call `nr`, if it is one for the simulated file system. True: *ret is its result, >= 0 or -errno. False: it is
// the host's affair. close and the dups are in descriptors.h.
bool SimfsSyscall(long nr, const long (&a)[6], long* ret);

// The same, from arguments of any type.
template <typename... Args>
bool Simfs(long* ret, long nr, Args... args) {
  if (!HasSimfs()) return false;
  const long a[6] = {SyscallArgument(args)...};
  return SimfsSyscall(nr, a, ret);
}

// System call `nr` on simulated files only.
template <typename... Args>
long CallModel(long nr, Args... args);
long CallModelWith(long nr, const long (&a)[6]);

// Closes the simulated files among them.
void CloseSimfsRange(unsigned first, unsigned last);
// What dup3 does, if either is a simulated file.
long DupSimfsTo(int oldfd, int newfd, int flags);
// The file goes, and its number stays open on the host.
void ForgetSimfsFd(int fd);

// Where the file of `fd` is in the tree of names now. Requires: OnSimfs(fd).
std::string NameOfSimfsFd(int fd);

// errno and -1 for an error.
long WithErrno(long ret);

// The machine has been made.
void SimfsBegins(const MixedFiles* files);

template <typename... Args>
long CallModel(long nr, Args... args) {
  const long a[6] = {SyscallArgument(args)...};
  return CallModelWith(nr, a);
}

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_SIMFS_H_
