#include "kernel_model/fs/namei.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "kernel_model/kernel/sched.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

struct directory : inode {
  std::string path;
};

ssize_t generic_read_dir(file*, char*, size_t, loff_t*) { return -EISDIR; }

loff_t dcache_dir_lseek(file* filp, loff_t offset, int whence) {
  if (whence != SEEK_SET || offset < 0) return -EINVAL;
  return filp->f_pos = offset;
}

constexpr file_operations simple_dir_operations = {
    .name = "directory",
    .fsync = noop_fsync,
    .read = generic_read_dir,
    .llseek = dcache_dir_lseek,
};

}  // namespace

int getname(const char* user_path, std::string* path) {
  char copy[PATH_MAX];
  // The string may end right before memory that is not there: what was copied up to there is enough.
  const size_t copied = sizeof(copy) - copy_from_user(copy, user_path, sizeof(copy));
  const void* end = memchr(copy, '\0', copied);
  if (end == nullptr) return copied < sizeof(copy) ? -EFAULT : -ENAMETOOLONG;
  path->assign(copy, static_cast<const char*>(end) - copy);
  return path->empty() ? -ENOENT : 0;
}

std::shared_ptr<inode> AnonInode() {
  static const std::shared_ptr<inode>& anonymous = *new std::shared_ptr<inode>([] {
    auto node = std::make_shared<inode>();
    node->i_mode = 0600;
    return node;
  }());
  return anonymous;
}

FileTree::FileTree(NewInode new_inode) : new_inode_(std::move(new_inode)) { AddDirectory("/"); }

void FileTree::AddDirectory(absl::string_view path) {
  auto node = std::make_shared<directory>();
  node->i_mode = S_IFDIR | 0755;
  node->i_fop = &simple_dir_operations;
  node->path = std::string(path);
  Add(path, std::move(node));
}

void FileTree::Add(absl::string_view path, std::shared_ptr<inode> node) {
  BUG_ON(path != "/" && nodes_.count(std::string(path.substr(0, std::max<size_t>(path.rfind('/'), 1)))) == 0);
  node->i_ino = nodes_.size() + 1;
  nodes_[std::string(path)] = std::move(node);
}

int FileTree::Lookup(const file* dir, absl::string_view path, Place* place) const {
  std::string at = working_directory_;
  if (dir != nullptr) {
    if (!S_ISDIR(dir->f_inode->i_mode)) return -ENOTDIR;
    at = static_cast<const directory&>(*dir->f_inode).path;
  }
  if (path.front() == '/') at = "/";
  place->slash_at_end = path.back() == '/';
  place->node = nodes_.at(at);
  const std::vector<absl::string_view> names = absl::StrSplit(path, '/', absl::SkipEmpty());
  for (absl::string_view name : names) {
    // Only the last name may be missing.
    if (place->node == nullptr) return -ENOENT;
    if (!S_ISDIR(place->node->i_mode)) return -ENOTDIR;
    if (name.size() > NAME_MAX) return -ENAMETOOLONG;
    if (name == ".") continue;
    if (name == "..") {
      at.resize(std::max<size_t>(at.rfind('/'), 1));
    } else {
      absl::StrAppend(&at, at == "/" ? "" : "/", name);
    }
    const auto found = nodes_.find(at);
    place->node = found == nodes_.end() ? nullptr : found->second;
  }
  place->path = std::move(at);
  return 0;
}

std::shared_ptr<inode> FileTree::CreateUnnamed(mode_t mode) const { return new_inode_(mode); }

void FileTree::Create(Place* place, mode_t mode) {
  place->node = new_inode_(mode);
  nodes_[place->path] = place->node;
}

void FileTree::Remove(const Place& place) {
  --place.node->i_nlink;
  nodes_.erase(place.path);
}

}  // namespace aiolab
