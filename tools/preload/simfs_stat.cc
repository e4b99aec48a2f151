#include "tools/preload/simfs_stat.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

namespace aiolab::preload {

void ToStatvfs(const struct statfs& from, struct statvfs* to) {
  *to = {};
  to->f_bsize = static_cast<unsigned long>(from.f_bsize);
  to->f_frsize = static_cast<unsigned long>(from.f_frsize != 0 ? from.f_frsize : from.f_bsize);
  to->f_blocks = from.f_blocks;
  to->f_bfree = from.f_bfree;
  to->f_bavail = from.f_bavail;
  to->f_files = from.f_files;
  to->f_ffree = from.f_ffree;
  to->f_favail = from.f_ffree;
  memcpy(&to->f_fsid, &from.f_fsid, sizeof(from.f_fsid));
  to->f_namemax = static_cast<unsigned long>(from.f_namelen);
}

long SimfsPathconf(int name) {
  switch (name) {
    case _PC_NAME_MAX:
      return NAME_MAX;
    case _PC_PATH_MAX:
      return PATH_MAX;
    case _PC_LINK_MAX:
      return 65000;
    case _PC_NO_TRUNC:
    case _PC_CHOWN_RESTRICTED:
    case _PC_2_SYMLINKS:
      return 1;
    case _PC_FILESIZEBITS:
      return 64;
    case _PC_REC_XFER_ALIGN:
    case _PC_REC_MIN_XFER_SIZE:
    case _PC_ALLOC_SIZE_MIN:
      return 4096;
    case _PC_ASYNC_IO:
    case _PC_SYNC_IO:
    case _PC_PRIO_IO:
    case _PC_REC_INCR_XFER_SIZE:
    case _PC_REC_MAX_XFER_SIZE:
    case _PC_SYMLINK_MAX:
    case _PC_SOCK_MAXBUF:
      return -1;
    default:
      errno = EINVAL;
      return -1;
  }
}

}  // namespace aiolab::preload
