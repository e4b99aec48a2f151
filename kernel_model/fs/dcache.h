// Names in use: what an open file, a working directory, a mount or a walk under way stands on.
//
// Mirrors: fs/dcache.c, include/linux/dcache.h.
// Differs: nothing is cached. A name that nobody uses is asked for anew, and costs no memory.
#ifndef KERNEL_MODEL_FS_DCACHE_H_
#define KERNEL_MODEL_FS_DCACHE_H_

#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "kernel_model/fs/fs.h"

namespace aiolab {

// A name in a directory. While somebody uses a name there is one dentry for it, so a rename is seen by all of them.
struct dentry : std::enable_shared_from_this<dentry> {
  ~dentry();

  super_block* d_sb = nullptr;
  std::shared_ptr<dentry> d_parent;  // null: the root of its file system
  std::string d_name;
  std::shared_ptr<inode> d_inode;  // null: there is no such name
  int d_mounted = 0;               // mounts on it
  bool d_unhashed = false;         // the name is gone, or there never was one
  std::map<std::string, dentry*, std::less<>> d_children;
};

std::shared_ptr<dentry> d_make_root(super_block& sb);
// One for an inode without a name.
std::shared_ptr<dentry> d_tmpfile(const std::shared_ptr<dentry>& dir, std::shared_ptr<inode> node);

// The dentry of `name` in `dir`, with a null inode if there is no such name. 0 or what the file system's look-up says.
// Requires: `dir` is a directory, and its sb.s_dir_lock is held.
int d_lookup_or_ask(const std::shared_ptr<dentry>& dir, absl::string_view name, std::shared_ptr<dentry>* found);

// The name is gone; who holds the dentry keeps its inode.
void d_delete(dentry& entry);
// `entry` takes the place of `target`, which is gone; with `exchange` they swap their places.
void d_move(dentry& entry, dentry& target, bool exchange);
// Whether `entry` is `ancestor` or below it.
bool is_subdir(const dentry& entry, const dentry& ancestor);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_DCACHE_H_
