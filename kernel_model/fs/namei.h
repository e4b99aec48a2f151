// The names of files: a tree of a few folders that the machine is made with, and the files that clients make in them.
//
// Mirrors: fs/namei.c, as far as names go.
// Differs: one process, root, on one mount. There are no links, no mkdir and no permissions but a file's own.
#ifndef KERNEL_MODEL_FS_NAMEI_H_
#define KERNEL_MODEL_FS_NAMEI_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "kernel_model/fs/fs.h"

namespace aiolab {

// Copies a path of the client. 0, -EFAULT, -ENAMETOOLONG, -ENOENT for an empty one.
int getname(const char* user_path, std::string* path);

// The inode of everything that has no other, as eventfds.
//
// Mirrors: fs/anon_inodes.c.
std::shared_ptr<inode> AnonInode();

class FileTree {
 public:
  // Makes the inode of a new regular file.
  using NewInode = std::function<std::shared_ptr<inode>(mode_t mode)>;

  explicit FileTree(NewInode new_inode);

  // Relative paths begin at `path`, which has to be a folder. The root at first.
  void set_working_directory(absl::string_view path) { working_directory_ = std::string(path); }
  // Requires: the parent is there. Paths are absolute, without a slash at the end.
  void AddDirectory(absl::string_view path);
  void Add(absl::string_view path, std::shared_ptr<inode> node);

  struct Place {
    std::string path;             // absolute, nothing doubled
    std::shared_ptr<inode> node;  // null: nothing of that name, but its folder is there
    bool slash_at_end = false;
  };
  // Where `path` is, seen from the folder `dir` (null: the working directory). 0, -ENOENT or -ENOTDIR for a folder on
  // the way, -ENAMETOOLONG.
  int Lookup(const file* dir, absl::string_view path, Place* place) const;

  // Makes a regular file at `place`, which becomes complete.
  void Create(Place* place, mode_t mode);
  // One without a name.
  std::shared_ptr<inode> CreateUnnamed(mode_t mode) const;
  // Takes the name away; whoever has the file open keeps it. Requires: place.node is a file.
  void Remove(const Place& place);

 private:
  const NewInode new_inode_;
  std::string working_directory_ = "/";
  std::map<std::string, std::shared_ptr<inode>> nodes_;  // by path
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_NAMEI_H_
