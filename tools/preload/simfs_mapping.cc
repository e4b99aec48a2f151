#include "tools/preload/simfs_mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tools/preload/notes.h"
#include "tools/preload/process.h"
#include "tools/preload/simfs.h"

namespace aiolab::preload {

long MapSimfs(const long (&a)[6]) {
  const auto length = static_cast<size_t>(a[1]);
  const long prot = a[2];
  const long flags = a[3];
  const long fd = a[4];
  loff_t pos = a[5];
  const long access = CallModel(__NR_fcntl, fd, F_GETFL, 0);
  if (access < 0) return access;
  if ((access & O_ACCMODE) == O_WRONLY) return -EACCES;
  if ((flags & MAP_TYPE) != MAP_PRIVATE) {
    AddWarning(
        "a shared mapping of a simulated file was refused (mmap, ENODEV): only private ones are there, as copies");
    return -ENODEV;
  }
  if (pos % 4096 != 0) return -EINVAL;
  const long at = RawSyscall(__NR_mmap, a[0], length, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
  if (at < 0 && at >= -4095) return at;
  for (size_t done = 0; done < length;) {
    const long n = CallModel(__NR_pread64, fd, at + static_cast<long>(done), length - done, pos);
    if (n == 0) break;
    if (n < 0) {
      RawSyscall(__NR_munmap, at, length);
      return n;
    }
    done += static_cast<size_t>(n);
    pos += n;
  }
  if (prot != (PROT_READ | PROT_WRITE)) RawSyscall(__NR_mprotect, at, length, prot);
  return at;
}

}  // namespace aiolab::preload
