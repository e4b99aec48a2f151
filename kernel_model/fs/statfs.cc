// Mirrors: fs/statfs.c.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/vfs.h>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/namei.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

// Flags of every mount here: they are valid, and it is mounted with relatime.
constexpr long ST_VALID = 0x20;
constexpr long kStRelatime = 0x1000;

// Of what is in no file system that could be asked: anon_inodefs.
constexpr long ANON_INODE_FS_MAGIC = 0x09041934;

int StatfsOf(super_block* sb, struct statfs* user_statfs) {
  struct statfs status = {};
  status.f_type = ANON_INODE_FS_MAGIC;
  status.f_bsize = status.f_frsize = kPageSize;
  status.f_namelen = NAME_MAX;
  status.f_flags = ST_VALID | kStRelatime;
  if (sb != nullptr && sb->s_op != nullptr && sb->s_op->statfs != nullptr) {
    if (const int error = sb->s_op->statfs(*sb, &status); error != 0) return error;
  }
  return copy_to_user(user_statfs, &status, sizeof(status)) == 0 ? 0 : -EFAULT;
}

}  // namespace

long sys_statfs(const char* user_path, struct statfs* user_statfs) {
  path found;
  if (const int error = user_path_at(AT_FDCWD, user_path, LOOKUP_FOLLOW, &found); error != 0) return error;
  return StatfsOf(found.entry->d_sb, user_statfs);
}

long sys_fstatfs(int fd, struct statfs* user_statfs) {
  const FileRef filp = fdget_raw(fd);
  return filp ? StatfsOf(filp->f_inode->i_sb, user_statfs) : -EBADF;
}

}  // namespace aiolab
