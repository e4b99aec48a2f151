#include "kernel_model/fs/open.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <memory>
#include <string>
#include <utility>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/namei.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

// The C library's O_LARGEFILE is 0 where the kernel's is always on.
constexpr unsigned kOLargefile = 0100000;

// What F_SETFL may change.
constexpr unsigned SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_ASYNC;

// O_ACCMODE counts from 0, f_mode is bits; 3 is neither reading nor writing.
fmode_t OPEN_FMODE(unsigned flags) { return ((flags & O_ACCMODE) + 1) & (FMODE_READ | FMODE_WRITE); }

file* NewFile(std::shared_ptr<inode> node, unsigned flags) {
  auto* filp = new file;
  filp->f_flags = flags & ~static_cast<unsigned>(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
  if ((flags & O_PATH) != 0) {
    static constexpr file_operations kNone = {.name = "path"};
    filp->f_op = &kNone;
    filp->f_mode = FMODE_PATH;
  } else {
    filp->f_op = node->i_fop;
    filp->f_mode = OPEN_FMODE(flags) | node->i_fmode;
    if (filp->f_op->llseek != nullptr) filp->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
    filp->f_flags |= kOLargefile;
  }
  filp->f_inode = std::move(node);
  return filp;
}

// The flags that make no sense, as build_open_flags knows them.
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

// Whether what was found may be opened so.
int MayOpen(const FileTree::Place& place, unsigned flags) {
  inode& node = *place.node;
  const bool writes = (OPEN_FMODE(flags) & FMODE_WRITE) != 0 || (flags & O_TRUNC) != 0;
  if (S_ISDIR(node.i_mode)) {
    if ((flags & O_CREAT) != 0 || writes) return -EISDIR;
  } else if ((flags & O_DIRECTORY) != 0 || place.slash_at_end) {
    return -ENOTDIR;
  }
  if ((flags & O_PATH) != 0) return 0;
  if (const int error = node.permission(writes); error != 0) return error;
  if ((flags & O_DIRECT) != 0 && (node.i_fmode & FMODE_CAN_ODIRECT) == 0) return -EINVAL;
  return 0;
}

int Find(int dirfd, const char* user_path, FileTree::Place* place) {
  std::string path;
  if (const int error = getname(user_path, &path); error != 0) return error;
  const FileTree& tree = current_files().tree();
  if (path.front() == '/' || dirfd == AT_FDCWD) return tree.Lookup(nullptr, path, place);
  const FileRef dir = fdget_raw(dirfd);
  return dir ? tree.Lookup(dir.get(), path, place) : -EBADF;
}

int OpenTmpfile(const FileTree::Place& place, unsigned flags, mode_t mode, std::shared_ptr<inode>* node) {
  if (place.node == nullptr) return -ENOENT;
  if (!S_ISDIR(place.node->i_mode)) return -ENOTDIR;
  *node = current_files().tree().CreateUnnamed(S_IFREG | (mode & 07777));
  (*node)->i_nlink = 0;
  return (flags & O_DIRECT) != 0 && ((*node)->i_fmode & FMODE_CAN_ODIRECT) == 0 ? -EINVAL : 0;
}

}  // namespace

long sys_openat(int dirfd, const char* user_path, int signed_flags, mode_t mode) {
  auto flags = static_cast<unsigned>(signed_flags);
  if ((flags & O_PATH) != 0) flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
  if (const int error = CheckFlags(flags); error != 0) return error;
  FileTree::Place place;
  if (const int error = Find(dirfd, user_path, &place); error != 0) return error;

  ModelFiles& files = current_files();
  const bool close_on_exec = (flags & O_CLOEXEC) != 0;
  if ((flags & O_TMPFILE) == O_TMPFILE) {
    std::shared_ptr<inode> node;
    if (const int error = OpenTmpfile(place, flags, mode, &node); error != 0) return error;
    return files.Install(NewFile(std::move(node), flags), close_on_exec);
  }
  if (place.node == nullptr) {
    if ((flags & O_CREAT) == 0) return -ENOENT;
    if (place.slash_at_end) return -EISDIR;
    files.tree().Create(&place, S_IFREG | (mode & 07777));
  } else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
    return -EEXIST;
  }
  if (const int error = MayOpen(place, flags); error != 0) return error;
  if ((flags & O_TRUNC) != 0 && S_ISREG(place.node->i_mode)) {
    if (const int error = place.node->truncate(0); error != 0) return error;
  }
  file* const filp = NewFile(place.node, flags);
  filp->f_name = place.path;
  return files.Install(filp, close_on_exec);
}

long sys_unlinkat(int dirfd, const char* user_path, int flags) {
  if ((flags & ~AT_REMOVEDIR) != 0) return -EINVAL;
  FileTree::Place place;
  if (const int error = Find(dirfd, user_path, &place); error != 0) return error;
  if (place.node == nullptr) return -ENOENT;
  const bool is_directory = S_ISDIR(place.node->i_mode);
  // The folders are the machine's, and stay.
  if ((flags & AT_REMOVEDIR) != 0) return is_directory ? -EBUSY : -ENOTDIR;
  if (is_directory) return -EISDIR;
  if (place.slash_at_end) return -ENOTDIR;
  if (!S_ISREG(place.node->i_mode) || place.node->permission(/*write=*/true) != 0) return -EPERM;
  current_files().tree().Remove(place);
  return 0;
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
  ModelFiles& files = current_files();
  std::shared_ptr<inode> node = files.tree().CreateUnnamed(S_IFREG | 0777);
  node->i_nlink = 0;
  file* filp = NewFile(std::move(node), O_RDWR);
  // The flag for O_DIRECT is set by open, through which a memfd never goes.
  filp->f_mode &= ~FMODE_CAN_ODIRECT;
  return files.Install(filp, (flags & MFD_CLOEXEC) != 0);
}

long sys_close(int fd) { return current_files().Close(fd); }

long sys_dup(int oldfd) {
  FileRef filp = fdget_raw(oldfd);
  if (!filp) return -EBADF;
  return current_files().Install(get_file(filp.get()), /*close_on_exec=*/false);
}

long sys_fcntl(int fd, int cmd, unsigned long arg) {
  ModelFiles& files = current_files();
  FileRef filp = fdget_raw(fd);
  if (!filp) return -EBADF;
  const bool is_path = (filp->f_mode & FMODE_PATH) != 0;
  switch (cmd) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      if (arg >= static_cast<unsigned long>(ModelFiles::kFdsMax)) return -EINVAL;
      return files.Install(get_file(filp.get()), cmd == F_DUPFD_CLOEXEC, static_cast<int>(arg));
    case F_GETFD:
      return files.close_on_exec(fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
      files.set_close_on_exec(fd, (arg & FD_CLOEXEC) != 0);
      return 0;
    case F_GETFL:
      return filp->f_flags;
    case F_SETFL: {
      if (is_path) return -EBADF;
      const auto flags = static_cast<unsigned>(arg);
      if ((flags & O_DIRECT) != 0 && (filp->f_mode & FMODE_CAN_ODIRECT) == 0) return -EINVAL;
      filp->f_flags = (flags & SETFL_MASK) | (filp->f_flags & ~SETFL_MASK);
      return 0;
    }
    default:
      return is_path ? -EBADF : -EINVAL;
  }
}

long sys_fstat(int fd, struct stat* user_stat) {
  FileRef filp = fdget_raw(fd);
  if (!filp) return -EBADF;
  const inode& node = *filp->f_inode;
  struct stat attributes = {};
  attributes.st_dev = 1;
  attributes.st_ino = node.i_ino;
  attributes.st_mode = node.i_mode;
  attributes.st_nlink = node.i_nlink;
  attributes.st_size = node.i_size;
  attributes.st_blksize = kPageSize;
  attributes.st_blocks = static_cast<blkcnt_t>(node.i_blocks);
  return copy_to_user(user_stat, &attributes, sizeof(attributes)) == 0 ? 0 : -EFAULT;
}

long sys_ftruncate(int fd, loff_t length) {
  if (length < 0) return -EINVAL;
  FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if (!S_ISREG(filp->f_inode->i_mode) || (filp->f_mode & FMODE_WRITE) == 0) return -EINVAL;
  return filp->f_inode->truncate(length);
}

}  // namespace aiolab
