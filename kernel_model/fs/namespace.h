// What is mounted where, and from where a process looks at it.
//
// Mirrors: fs/namespace.c, include/linux/fs_struct.h.
// Differs: one process in one namespace; a mount shows the whole of its file system, and stays.
#ifndef KERNEL_MODEL_FS_NAMESPACE_H_
#define KERNEL_MODEL_FS_NAMESPACE_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "kernel_model/fs/dcache.h"
#include "kernel_model/fs/fs.h"

namespace aiolab {

struct vfsmount {
  ~vfsmount();

  std::unique_ptr<super_block> mnt_sb;
  std::shared_ptr<dentry> mnt_root;
  path mnt_mountpoint;  // empty: the root of everything, or mounted nowhere
  uint64_t mnt_id = 0;
};

struct fs_struct {
  explicit fs_struct(std::unique_ptr<super_block> root_sb);
  ~fs_struct();

  path root;
  path pwd;
  mode_t umask = 022;
  std::vector<std::shared_ptr<vfsmount>> mounts;  // in the order in which they came
  std::shared_ptr<vfsmount> shm_mnt;              // where memfds live; has no place in the tree
};

// A mount without a place in the tree.
std::shared_ptr<vfsmount> kern_mount(fs_struct& fs, std::unique_ptr<super_block> sb);

// Mounts `sb` on the directory `at`, above what is mounted there already.
void MountAt(fs_struct& fs, const path& at, std::unique_ptr<super_block> sb);

// If something is mounted on `at`, moves it there, to the topmost.
void follow_mount(const fs_struct& fs, path* at);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_NAMESPACE_H_
