#include "kernel_model/fs/namei.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/kernel/sched.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

// So many symbolic links may be followed on one walk.
constexpr int kMaxSymlinks = 40;

enum class LastType { kNormal, kDot, kDotDot, kRoot };

// A walk through the tree, up to its last name.
struct nameidata {
  path at;  // the directory of the last name
  LastType last_type = LastType::kRoot;
  std::string last;  // one of kNormal
  bool trailing_slash = false;
  int links = 0;  // followed so far
};

inode& InodeOf(const path& at) { return *at.entry->d_inode; }

mutex& DirLock(const path& at) { return at.entry->d_sb->s_dir_lock; }

int LookupOne(const path& dir, absl::string_view name, path* found) {
  *found = path{dir.mnt, nullptr};
  return d_lookup_or_ask(dir.entry, name, &found->entry);
}

// The same for who does not hold the directory's lock; what is mounted there counts.
int LookupSlow(const path& dir, absl::string_view name, path* found) {
  const MutexGuard guard(DirLock(dir));
  if (guard.error() != 0) return guard.error();
  if (const int error = LookupOne(dir, name, found); error != 0) return error;
  follow_mount(*current().fs, found);
  return 0;
}

void follow_dotdot(path* at) {
  const fs_struct& fs = *current().fs;
  while (at->entry != fs.root.entry || at->mnt != fs.root.mnt) {
    if (at->entry->d_parent != nullptr) {
      at->entry = std::shared_ptr<dentry>(at->entry->d_parent);
      break;
    }
    if (at->mnt->mnt_mountpoint.entry == nullptr) break;
    *at = path(at->mnt->mnt_mountpoint);
  }
  follow_mount(fs, at);
}

bool IsSymlink(const path& at) { return at.entry->d_inode != nullptr && S_ISLNK(InodeOf(at).i_mode); }

// Puts the target of the link at `link` in front of what is left of the path.
int FollowLink(nameidata* nd, const path& link, absl::string_view rest_behind, std::string* rest) {
  if (++nd->links > kMaxSymlinks) return -ELOOP;
  std::string target;
  if (const int error = InodeOf(link).i_op->get_link(InodeOf(link), &target); error != 0) return error;
  if (target.empty()) return -ENOENT;
  if (target.front() == '/') nd->at = current().fs->root;
  *rest = absl::StrCat(target, rest_behind);
  return 0;
}

// Walks `rest` from nd->at up to its last name.
int link_path_walk(std::string rest, nameidata* nd) {
  nd->last_type = LastType::kRoot;
  nd->trailing_slash = !rest.empty() && rest.back() == '/';
  for (;;) {
    rest.erase(0, rest.find_first_not_of('/'));
    if (rest.empty() || rest.front() == '/') return 0;
    if (!S_ISDIR(InodeOf(nd->at).i_mode)) return -ENOTDIR;
    const size_t end = std::min(rest.find('/'), rest.size());
    const std::string name = rest.substr(0, end);
    const std::string behind = rest.substr(end);
    nd->last_type = name == "." ? LastType::kDot : name == ".." ? LastType::kDotDot : LastType::kNormal;
    if (behind.find_first_not_of('/') == std::string::npos) {
      nd->last = name;
      nd->trailing_slash = !behind.empty();
      return 0;
    }
    rest = behind;
    if (nd->last_type == LastType::kDot) continue;
    if (nd->last_type == LastType::kDotDot) {
      follow_dotdot(&nd->at);
      continue;
    }
    path next;
    if (const int error = LookupSlow(nd->at, name, &next); error != 0) return error;
    if (next.entry->d_inode == nullptr) return -ENOENT;
    if (IsSymlink(next)) {
      if (const int error = FollowLink(nd, next, behind, &rest); error != 0) return error;
      continue;
    }
    nd->at = std::move(next);
    if (!S_ISDIR(InodeOf(nd->at).i_mode)) return -ENOTDIR;
  }
}

// Where a walk begins.
int path_init(int dirfd, absl::string_view name, nameidata* nd) {
  if (!name.empty() && name.front() == '/') {
    nd->at = current().fs->root;
  } else if (dirfd == AT_FDCWD) {
    nd->at = current().fs->pwd;
  } else {
    const FileRef dir = fdget_raw(dirfd);
    if (!dir) return -EBADF;
    if (!name.empty() && !S_ISDIR(dir->f_inode->i_mode)) return -ENOTDIR;
    nd->at = dir->f_path;
  }
  return 0;
}

int path_parentat(int dirfd, const std::string& name, nameidata* nd) {
  if (const int error = path_init(dirfd, name, nd); error != 0) return error;
  return link_path_walk(name, nd);
}

// Goes on from the directory of the last name to what that is, through links if `follow`. A name that there is not is
// found too, with a null inode.
int walk_last(nameidata* nd, bool follow, path* found) {
  for (;;) {
    if (nd->last_type != LastType::kNormal) {
      if (nd->last_type == LastType::kDotDot) follow_dotdot(&nd->at);
      *found = nd->at;
      return 0;
    }
    if (const int error = LookupSlow(nd->at, nd->last, found); error != 0) return error;
    if (!IsSymlink(*found) || !(follow || nd->trailing_slash)) return 0;
    std::string rest;
    if (const int error = FollowLink(nd, *found, nd->trailing_slash ? "/" : "", &rest); error != 0) return error;
    if (const int error = link_path_walk(rest, nd); error != 0) return error;
  }
}

int path_lookupat(int dirfd, const std::string& name, unsigned flags, path* found) {
  nameidata nd;
  if (const int error = path_parentat(dirfd, name, &nd); error != 0) return error;
  if (const int error = walk_last(&nd, (flags & LOOKUP_FOLLOW) != 0, found); error != 0) return error;
  if (found->entry->d_inode == nullptr) return -ENOENT;
  const bool has_to_be_directory = nd.trailing_slash || (flags & LOOKUP_DIRECTORY) != 0;
  return has_to_be_directory && !S_ISDIR(InodeOf(*found).i_mode) ? -ENOTDIR : 0;
}

// A place for something new: its directory in nd->at, which is locked for the caller, and its dentry.
class NewName {
 public:
  NewName() = default;
  ~NewName() {
    if (locked_) mutex_unlock(DirLock(nd_.at));
  }
  NewName(const NewName&) = delete;
  NewName& operator=(const NewName&) = delete;

  // Mirrors: filename_create.
  int Find(int dirfd, const std::string& name, bool directory) {
    if (const int error = path_parentat(dirfd, name, &nd_); error != 0) return error;
    if (nd_.last_type != LastType::kNormal) return -EEXIST;
    if (const int error = mutex_lock(DirLock(nd_.at)); error != 0) return error;
    locked_ = true;
    if (const int error = LookupOne(nd_.at, nd_.last, &place_); error != 0) return error;
    if (place_.entry->d_inode != nullptr) return -EEXIST;
    if (nd_.trailing_slash && !directory) return -ENOENT;
    return dir().i_dead ? -ENOENT : 0;
  }

  inode& dir() const { return InodeOf(nd_.at); }
  const path& place() const { return place_; }
  absl::string_view name() const { return nd_.last; }
  const inode_operations& ops() const { return *dir().i_op; }

  // What was made is found from now on, by whoever holds the dentry as well.
  int Made() { return dir().i_op->lookup(dir(), name(), &place_.entry->d_inode); }

 private:
  nameidata nd_;
  path place_;
  bool locked_ = false;
};

mode_t WithUmask(mode_t mode) { return mode & 07777 & ~current().fs->umask; }

int MakeDirectory(int dirfd, const std::string& name, mode_t mode) {
  NewName made;
  if (const int error = made.Find(dirfd, name, /*directory=*/true); error != 0) return error;
  if (made.ops().mkdir == nullptr) return -EPERM;
  if (const int error = made.ops().mkdir(made.dir(), made.name(), S_IFDIR | (mode & 01777)); error != 0) return error;
  return made.Made();
}

int LinkTo(int dirfd, const std::string& name, const path& old) {
  NewName made;
  if (const int error = made.Find(dirfd, name, /*directory=*/false); error != 0) return error;
  inode& node = InodeOf(old);
  if (made.place().mnt != old.mnt) return -EXDEV;
  if (made.ops().link == nullptr || S_ISDIR(node.i_mode)) return -EPERM;
  if (node.i_nlink == 0 && !node.i_linkable) return -ENOENT;
  if (const int error = made.ops().link(made.dir(), made.name(), node); error != 0) return error;
  node.i_linkable = false;
  return made.Made();
}

// Whether the name can be removed from its directory, where it is one of a directory if `directory`.
//
// Mirrors: may_delete.
int MayDelete(const dentry& victim, bool directory) {
  const bool is_directory = S_ISDIR(victim.d_inode->i_mode);
  if (directory && !is_directory) return -ENOTDIR;
  if (!directory && is_directory) return -EISDIR;
  return 0;
}

int RemoveFile(const nameidata& nd) {
  const path& dir = nd.at;
  const MutexGuard guard(DirLock(dir));
  if (guard.error() != 0) return guard.error();
  path victim;
  if (const int error = LookupOne(dir, nd.last, &victim); error != 0) return error;
  if (victim.entry->d_inode == nullptr) return -ENOENT;
  if (nd.trailing_slash) return S_ISDIR(InodeOf(victim).i_mode) ? -EISDIR : -ENOTDIR;
  if (const int error = MayDelete(*victim.entry, /*directory=*/false); error != 0) return error;
  inode& node = InodeOf(dir);
  if (node.i_op->unlink == nullptr) return -EPERM;
  if (victim.entry->d_mounted > 0) return -EBUSY;
  if (const int error = node.i_op->unlink(node, nd.last); error != 0) return error;
  d_delete(*victim.entry);
  return 0;
}

int RemoveDirectory(const nameidata& nd) {
  const path& dir = nd.at;
  if (nd.last_type == LastType::kDotDot) return -ENOTEMPTY;
  if (nd.last_type == LastType::kDot) return -EINVAL;
  if (nd.last_type == LastType::kRoot) return -EBUSY;
  const MutexGuard guard(DirLock(dir));
  if (guard.error() != 0) return guard.error();
  path victim;
  if (const int error = LookupOne(dir, nd.last, &victim); error != 0) return error;
  if (victim.entry->d_inode == nullptr) return -ENOENT;
  if (const int error = MayDelete(*victim.entry, /*directory=*/true); error != 0) return error;
  inode& node = InodeOf(dir);
  if (node.i_op->rmdir == nullptr) return -EPERM;
  if (victim.entry->d_mounted > 0) return -EBUSY;
  if (const int error = node.i_op->rmdir(node, nd.last); error != 0) return error;
  InodeOf(victim).i_dead = true;
  d_delete(*victim.entry);
  return 0;
}

// The two names of a rename, with the lock of their file system held.
int RenameLocked(const nameidata& from, const nameidata& to, unsigned flags) {
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  path old_place, new_place;
  if (const int error = LookupOne(from.at, from.last, &old_place); error != 0) return error;
  if (old_place.entry->d_inode == nullptr) return -ENOENT;
  if (const int error = LookupOne(to.at, to.last, &new_place); error != 0) return error;
  inode* const target = new_place.entry->d_inode.get();
  if ((flags & RENAME_NOREPLACE) != 0 && target != nullptr) return -EEXIST;
  const bool is_directory = S_ISDIR(InodeOf(old_place).i_mode);
  if (exchange) {
    if (target == nullptr) return -ENOENT;
    if (!S_ISDIR(target->i_mode) && to.trailing_slash) return -ENOTDIR;
  }
  if (!is_directory && (from.trailing_slash || (!exchange && to.trailing_slash))) return -ENOTDIR;
  if (is_subdir(*to.at.entry, *old_place.entry)) return -EINVAL;
  if (target != nullptr && is_subdir(*from.at.entry, *new_place.entry)) return exchange ? -EINVAL : -ENOTEMPTY;

  if (target == &InodeOf(old_place)) return 0;
  inode& old_dir = InodeOf(from.at);
  inode& new_dir = InodeOf(to.at);
  if (target == nullptr && new_dir.i_dead) return -ENOENT;
  if (target != nullptr && !exchange) {
    if (const int error = MayDelete(*new_place.entry, is_directory); error != 0) return error;
  }
  if (old_dir.i_op->rename == nullptr) return -EPERM;
  if (old_place.entry->d_mounted > 0 || new_place.entry->d_mounted > 0) return -EBUSY;
  const int error = old_dir.i_op->rename(old_dir, from.last, new_dir, to.last, flags & RENAME_EXCHANGE);
  if (error != 0) return error;
  if (target != nullptr && !exchange && is_directory) target->i_dead = true;
  d_move(*old_place.entry, *new_place.entry, exchange);
  return 0;
}

// What open does with a last name that may be made: one step, which ends at a link that has to be followed.
int OpenOrCreate(const nameidata& nd, mode_t mode, path* found, bool* created) {
  const MutexGuard guard(DirLock(nd.at));
  if (guard.error() != 0) return guard.error();
  if (const int error = LookupOne(nd.at, nd.last, found); error != 0) return error;
  if (found->entry->d_inode != nullptr) {
    follow_mount(*current().fs, found);
    return 0;
  }
  inode& dir = InodeOf(nd.at);
  if (dir.i_dead) return -ENOENT;
  if (dir.i_op->create == nullptr) return -EACCES;
  *created = true;
  return dir.i_op->create(dir, nd.last, S_IFREG | WithUmask(mode), &found->entry->d_inode);
}

int OpenLast(nameidata* nd, unsigned flags, mode_t mode, path* found, bool* created) {
  const bool follow = (flags & (O_NOFOLLOW | O_EXCL)) == 0;
  for (;;) {
    if (nd->last_type != LastType::kNormal) return walk_last(nd, /*follow=*/true, found);
    if (nd->trailing_slash) return -EISDIR;
    if (const int error = OpenOrCreate(*nd, mode, found, created); error != 0) return error;
    if (!IsSymlink(*found) || !follow) return 0;
    std::string rest;
    if (const int error = FollowLink(nd, *found, "", &rest); error != 0) return error;
    if (const int error = link_path_walk(rest, nd); error != 0) return error;
  }
}

}  // namespace

int getname(const char* user_path, std::string* name) {
  char copy[PATH_MAX];
  // The string may end right before memory that is not there: what was copied up to there is enough.
  const size_t copied = sizeof(copy) - copy_from_user(copy, user_path, sizeof(copy));
  const void* end = memchr(copy, '\0', copied);
  if (end == nullptr) return copied < sizeof(copy) ? -EFAULT : -ENAMETOOLONG;
  name->assign(copy, static_cast<const char*>(end) - copy);
  return name->empty() ? -ENOENT : 0;
}

int user_path_at(int dirfd, const char* user_path, unsigned flags, path* found) {
  std::string name;
  const int error = getname(user_path, &name);
  if (error != 0 && !(error == -ENOENT && (flags & LOOKUP_EMPTY) != 0)) return error;
  return path_lookupat(dirfd, name, flags, found);
}

int kern_path(absl::string_view name, unsigned flags, path* found) {
  return path_lookupat(AT_FDCWD, std::string(name), flags, found);
}

int path_openat(int dirfd, const char* user_path, unsigned flags, mode_t mode, path* found, bool* created) {
  std::string name;
  if (const int error = getname(user_path, &name); error != 0) return error;
  *created = false;
  nameidata nd;
  if (const int error = path_parentat(dirfd, name, &nd); error != 0) return error;
  if ((flags & O_CREAT) != 0) {
    if (const int error = OpenLast(&nd, flags, mode, found, created); error != 0) return error;
    if ((flags & O_EXCL) != 0 && !*created) return -EEXIST;
    if (S_ISDIR(InodeOf(*found).i_mode)) return -EISDIR;
  } else {
    if (const int error = walk_last(&nd, (flags & O_NOFOLLOW) == 0, found); error != 0) return error;
    if (found->entry->d_inode == nullptr) return -ENOENT;
  }
  if ((nd.trailing_slash || (flags & O_DIRECTORY) != 0) && !S_ISDIR(InodeOf(*found).i_mode)) return -ENOTDIR;
  return IsSymlink(*found) && (flags & O_PATH) == 0 ? -ELOOP : 0;
}

int kern_mkdir(absl::string_view name, mode_t mode) { return MakeDirectory(AT_FDCWD, std::string(name), mode); }

long sys_mkdirat(int dirfd, const char* user_path, mode_t mode) {
  std::string name;
  if (const int error = getname(user_path, &name); error != 0) return error;
  return MakeDirectory(dirfd, name, WithUmask(mode));
}

long sys_unlinkat(int dirfd, const char* user_path, int flags) {
  if ((flags & ~AT_REMOVEDIR) != 0) return -EINVAL;
  std::string name;
  if (const int error = getname(user_path, &name); error != 0) return error;
  nameidata nd;
  if (const int error = path_parentat(dirfd, name, &nd); error != 0) return error;
  if ((flags & AT_REMOVEDIR) != 0) return RemoveDirectory(nd);
  return nd.last_type == LastType::kNormal ? RemoveFile(nd) : -EISDIR;
}

long sys_linkat(int old_dirfd, const char* user_old, int new_dirfd, const char* user_new, int flags) {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) return -EINVAL;
  path old;
  const unsigned lookup =
      ((flags & AT_SYMLINK_FOLLOW) != 0 ? LOOKUP_FOLLOW : 0) | ((flags & AT_EMPTY_PATH) != 0 ? LOOKUP_EMPTY : 0);
  if (const int error = user_path_at(old_dirfd, user_old, lookup, &old); error != 0) return error;
  std::string name;
  if (const int error = getname(user_new, &name); error != 0) return error;
  return LinkTo(new_dirfd, name, old);
}

long sys_symlinkat(const char* user_target, int new_dirfd, const char* user_new) {
  std::string target, name;
  if (const int error = getname(user_target, &target); error != 0) return error;
  if (const int error = getname(user_new, &name); error != 0) return error;
  NewName made;
  if (const int error = made.Find(new_dirfd, name, /*directory=*/false); error != 0) return error;
  if (made.ops().symlink == nullptr) return -EPERM;
  if (const int error = made.ops().symlink(made.dir(), made.name(), target); error != 0) return error;
  return made.Made();
}

long sys_renameat2(int old_dirfd, const char* user_old, int new_dirfd, const char* user_new, unsigned flags) {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) return -EINVAL;
  if ((flags & RENAME_NOREPLACE) != 0 && (flags & RENAME_EXCHANGE) != 0) return -EINVAL;
  std::string old_name, new_name;
  if (const int error = getname(user_old, &old_name); error != 0) return error;
  if (const int error = getname(user_new, &new_name); error != 0) return error;
  nameidata from, to;
  if (const int error = path_parentat(old_dirfd, old_name, &from); error != 0) return error;
  if (const int error = path_parentat(new_dirfd, new_name, &to); error != 0) return error;
  if (from.at.mnt != to.at.mnt) return -EXDEV;
  if (from.last_type != LastType::kNormal) return -EBUSY;
  if (to.last_type != LastType::kNormal) return (flags & RENAME_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
  const MutexGuard guard(DirLock(from.at));
  return guard.error() != 0 ? guard.error() : RenameLocked(from, to, flags);
}

}  // namespace aiolab
