// Mirrors: fs/open.c, and mm/memfd.c.
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "kernel_model/fs/d_path.h"
#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/namei.h"
#include "kernel_model/fs/namespace.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

// The C library's O_LARGEFILE is 0 where the kernel's is always on.
constexpr unsigned kOLargefile = 0100000;

// O_ACCMODE counts from 0, f_mode is bits; 3 is neither reading nor writing.
fmode_t OPEN_FMODE(unsigned flags) { return ((flags & O_ACCMODE) + 1) & (FMODE_READ | FMODE_WRITE); }

bool Writes(unsigned flags) { return (OPEN_FMODE(flags) & FMODE_WRITE) != 0 || (flags & O_TRUNC) != 0; }

// Mirrors: do_dentry_open.
int NewFile(path at, unsigned flags, file** opened) {
  std::shared_ptr<inode> node = at.entry->d_inode;
  auto* filp = new file;
  filp->f_flags = flags & ~static_cast<unsigned>(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
  filp->f_path = std::move(at);
  filp->f_inode = node;
  *opened = filp;
  if ((flags & O_PATH) != 0) {
    static constexpr file_operations kNone = {.name = "path"};
    filp->f_op = &kNone;
    filp->f_mode = FMODE_PATH;
    return 0;
  }
  filp->f_op = node->i_fop;
  filp->f_mode = OPEN_FMODE(flags) | node->i_fmode;
  if (filp->f_op->llseek != nullptr) filp->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
  filp->f_flags |= kOLargefile;
  const int error = filp->f_op->open == nullptr ? 0 : filp->f_op->open(*node, filp);
  if (error != 0) delete filp;
  return error;
}

// The flags that make no sense.
//
// Mirrors: build_open_flags.
int CheckFlags(unsigned flags) {
  constexpr unsigned kTmpfile = O_TMPFILE & ~O_DIRECTORY;
  if ((flags & kTmpfile) != 0) {
    if ((flags & O_TMPFILE) != O_TMPFILE || (flags & O_CREAT) != 0) return -EINVAL;
    if ((OPEN_FMODE(flags) & FMODE_WRITE) == 0) return -EINVAL;
  } else if ((flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT)) {
    return -EINVAL;
  }
  return 0;
}

int Permission(inode& node, bool write) {
  return node.i_op != nullptr && node.i_op->permission != nullptr ? node.i_op->permission(node, write) : 0;
}

// Whether what was found may be opened so.
int may_open(inode& node, unsigned flags) {
  if ((flags & O_PATH) != 0) return 0;
  if (S_ISDIR(node.i_mode) && Writes(flags)) return -EISDIR;
  if (const int error = Permission(node, Writes(flags)); error != 0) return error;
  return (flags & O_DIRECT) != 0 && (node.i_fmode & FMODE_CAN_ODIRECT) == 0 ? -EINVAL : 0;
}

int do_truncate(inode& node, loff_t size) {
  iattr attr;
  attr.ia_valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME;
  attr.ia_size = size;
  attr.ia_mtime = attr.ia_ctime = current_time();
  return notify_change(node, attr);
}

int MakeTmpfile(const path& dir, mode_t mode, path* made) {
  inode& node = *dir.entry->d_inode;
  if (node.i_op->tmpfile == nullptr) return -EOPNOTSUPP;
  std::shared_ptr<inode> file_node;
  if (const int error = node.i_op->tmpfile(node, S_IFREG | (mode & 07777), &file_node); error != 0) return error;
  *made = path{dir.mnt, d_tmpfile(dir.entry, std::move(file_node))};
  return 0;
}

int OpenTmpfile(int dirfd, const char* user_path, unsigned flags, mode_t mode, path* made) {
  path dir;
  if (const int error = user_path_at(dirfd, user_path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &dir); error != 0) {
    return error;
  }
  if (const int error = MakeTmpfile(dir, mode & ~current().fs->umask, made); error != 0) return error;
  inode& node = *made->entry->d_inode;
  node.i_linkable = (flags & O_EXCL) == 0;
  return (flags & O_DIRECT) != 0 && (node.i_fmode & FMODE_CAN_ODIRECT) == 0 ? -EINVAL : 0;
}

int OpenNamed(int dirfd, const char* user_path, unsigned flags, mode_t mode, path* found) {
  bool created = false;
  if (const int error = path_openat(dirfd, user_path, flags, mode, found, &created); error != 0) return error;
  inode& node = *found->entry->d_inode;
  if (const int error = may_open(node, flags); error != 0) return error;
  return (flags & O_TRUNC) != 0 && !created && S_ISREG(node.i_mode) ? do_truncate(node, 0) : 0;
}

// Mirrors: vfs_fallocate, but for the parts that the file does.
int CheckFallocate(const file& filp, int mode, loff_t offset, loff_t len) {
  constexpr int kOperations = FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE |
                              FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;
  if (offset < 0 || len <= 0) return -EINVAL;
  if ((mode & ~(kOperations | FALLOC_FL_KEEP_SIZE)) != 0) return -EOPNOTSUPP;
  const bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  switch (mode & kOperations) {
    case 0:
    case FALLOC_FL_UNSHARE_RANGE:
    case FALLOC_FL_ZERO_RANGE:
      break;
    case FALLOC_FL_PUNCH_HOLE:
      if (!keep_size) return -EOPNOTSUPP;
      break;
    case FALLOC_FL_COLLAPSE_RANGE:
    case FALLOC_FL_INSERT_RANGE:
      if (keep_size) return -EOPNOTSUPP;
      break;
    default:
      return -EOPNOTSUPP;
  }
  if ((filp.f_mode & FMODE_WRITE) == 0) return -EBADF;
  const mode_t type = filp.f_inode->i_mode;
  if (S_ISFIFO(type)) return -ESPIPE;
  if (S_ISDIR(type)) return -EISDIR;
  if (!S_ISREG(type) && !S_ISBLK(type)) return -ENODEV;
  loff_t end = 0;
  return __builtin_add_overflow(offset, len, &end) ? -EFBIG : 0;
}

}  // namespace

long sys_openat(int dirfd, const char* user_path, int signed_flags, mode_t mode) {
  auto flags = static_cast<unsigned>(signed_flags);
  if ((flags & O_PATH) != 0) flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
  if (const int error = CheckFlags(flags); error != 0) return error;
  path found;
  const bool is_tmpfile = (flags & O_TMPFILE) == O_TMPFILE;
  const int error = is_tmpfile ? OpenTmpfile(dirfd, user_path, flags, mode, &found)
                               : OpenNamed(dirfd, user_path, flags, mode, &found);
  if (error != 0) return error;
  std::string name = is_tmpfile ? "" : d_path(found);
  file* filp = nullptr;
  if (const int failed = NewFile(std::move(found), flags, &filp); failed != 0) return failed;
  filp->f_name = std::move(name);
  return current_files().Install(filp, (flags & O_CLOEXEC) != 0);
}

long sys_memfd_create(const char* user_name, unsigned flags) {
  constexpr size_t kNameMax = 249;  // MFD_NAME_MAX_LEN, which leaves room for "memfd:"
  if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING)) != 0) return -EINVAL;
  std::string name;
  // Of paths, an empty one is refused; this is none.
  if (const int error = getname(user_name, &name); error != 0 && error != -ENOENT) {
    return error == -ENAMETOOLONG ? -EINVAL : error;
  }
  if (name.size() > kNameMax) return -EINVAL;
  const std::shared_ptr<vfsmount>& shm_mnt = current().fs->shm_mnt;
  path made;
  if (const int error = MakeTmpfile(path{shm_mnt, shm_mnt->mnt_root}, 0777, &made); error != 0) return error;
  file* filp = nullptr;
  if (const int error = NewFile(std::move(made), O_RDWR, &filp); error != 0) return error;
  // The flag for O_DIRECT is set by open, through which a memfd never goes.
  filp->f_mode &= ~FMODE_CAN_ODIRECT;
  return current_files().Install(filp, (flags & MFD_CLOEXEC) != 0);
}

long sys_close(int fd) { return current_files().Close(fd); }

long sys_truncate(const char* user_path, loff_t length) {
  if (length < 0) return -EINVAL;
  path found;
  if (const int error = user_path_at(AT_FDCWD, user_path, LOOKUP_FOLLOW, &found); error != 0) return error;
  inode& node = *found.entry->d_inode;
  if (S_ISDIR(node.i_mode)) return -EISDIR;
  if (!S_ISREG(node.i_mode)) return -EINVAL;
  if (const int error = Permission(node, /*write=*/true); error != 0) return error;
  return do_truncate(node, length);
}

long sys_ftruncate(int fd, loff_t length) {
  if (length < 0) return -EINVAL;
  FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if (!S_ISREG(filp->f_inode->i_mode) || (filp->f_mode & FMODE_WRITE) == 0) return -EINVAL;
  return do_truncate(*filp->f_inode, length);
}

long sys_fallocate(int fd, int mode, loff_t offset, loff_t len) {
  FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if (const int error = CheckFallocate(*filp.get(), mode, offset, len); error != 0) return error;
  return filp->f_op->fallocate == nullptr ? -EOPNOTSUPP : filp->f_op->fallocate(filp.get(), mode, offset, len);
}

// The client is root: only what nobody could run is refused, and what the file itself refuses.
long sys_faccessat2(int dirfd, const char* user_path, int mode, int flags) {
  if ((mode & ~(R_OK | W_OK | X_OK)) != 0) return -EINVAL;
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return -EINVAL;
  path found;
  const unsigned lookup =
      ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0 : LOOKUP_FOLLOW) | ((flags & AT_EMPTY_PATH) != 0 ? LOOKUP_EMPTY : 0);
  if (const int error = user_path_at(dirfd, user_path, lookup, &found); error != 0) return error;
  inode& node = *found.entry->d_inode;
  if ((mode & X_OK) != 0 && !S_ISDIR(node.i_mode) && (node.i_mode & 0111) == 0) return -EACCES;
  return (mode & W_OK) != 0 ? Permission(node, /*write=*/true) : 0;
}

long sys_fchmod(int fd, mode_t mode) {
  FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  iattr attr;
  attr.ia_valid = ATTR_MODE;
  attr.ia_mode = (mode & 07777) | (filp->f_inode->i_mode & S_IFMT);
  return notify_change(*filp->f_inode, attr);
}

}  // namespace aiolab
