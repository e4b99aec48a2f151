// Directories in memory, for file systems that have nothing to store them on.
//
// Mirrors: fs/libfs.c.
// Differs: the kernel keeps them in the dentry cache alone.
#ifndef KERNEL_MODEL_FS_LIBFS_H_
#define KERNEL_MODEL_FS_LIBFS_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "kernel_model/fs/fs.h"

namespace aiolab {

struct simple_dir : inode {
  struct Entry {
    std::shared_ptr<inode> node;
    loff_t offset;  // as readdir has it, which begins with the youngest; never used again
  };
  std::map<std::string, Entry, std::less<>> entries;
  std::map<loff_t, const std::string*> by_offset;
  loff_t next_offset = 4;  // 0 and 1 are "." and "..", 2 is the youngest name, whichever that is
  uint64_t parent_ino = 0;
};

extern const file_operations simple_dir_operations;

// Entries of file_operations for directories of any kind. A position means nothing but to iterate().
ssize_t generic_read_dir(file* filp, char* buf, size_t count, loff_t* ppos);
loff_t offset_dir_llseek(file* filp, loff_t offset, int whence);

std::shared_ptr<simple_dir> simple_new_dir(super_block& sb, uint64_t ino, mode_t mode, const inode_operations& i_op);
std::shared_ptr<inode> simple_new_symlink(super_block& sb, uint64_t ino, absl::string_view target);

// Puts `node` there, which has its i_nlink already. Requires: `dir` is a simple_dir without that name.
void simple_add(inode& dir, absl::string_view name, std::shared_ptr<inode> node);

// Entries of inode_operations for such directories.
int simple_lookup(inode& dir, absl::string_view name, std::shared_ptr<inode>* found);
int simple_link(inode& dir, absl::string_view name, inode& target);
int simple_unlink(inode& dir, absl::string_view name);
int simple_rmdir(inode& dir, absl::string_view name);
int simple_rename(inode& old_dir, absl::string_view old_name, inode& new_dir, absl::string_view new_name,
                  unsigned flags);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_LIBFS_H_
