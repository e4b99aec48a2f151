#include "kernel_model/model_files.h"

#include <sys/stat.h>

#include <string>
#include <utility>

#include "kernel_model/drivers/char/mem.h"
#include "kernel_model/fs/aio.h"
#include "kernel_model/fs/direct_io.h"
#include "kernel_model/fs/libfs.h"
#include "kernel_model/fs/mpage.h"
#include "kernel_model/fs/namei.h"
#include "kernel_model/fs/proc_sysctl.h"
#include "kernel_model/kernel/sched.h"
#include "kernel_model/mm/shmem.h"

namespace aiolab {
namespace {

// Numbers and names that no client changes.
constexpr inode_operations proc_dir_inode_operations = {
    .lookup = simple_lookup,
};

std::unique_ptr<super_block> MakeProc() {
  auto sb = std::make_unique<super_block>();
  sb->s_type = "proc";
  uint64_t last_ino = 0;
  const auto directory = [&] { return simple_new_dir(*sb, ++last_ino, 0555, proc_dir_inode_operations); };
  const auto add = [&](inode& dir, const char* name, std::shared_ptr<inode> node) {
    node->i_ino = ++last_ino;
    simple_add(dir, name, std::move(node));
  };
  sb->s_root = directory();
  const std::shared_ptr<inode> sys = directory(), fs = directory();
  simple_add(*sb->s_root, "sys", sys);
  simple_add(*sys, "fs", fs);
  add(*fs, "aio-nr", MakeSysctl(&mm_struct::aio_nr, /*writable=*/false));
  add(*fs, "aio-max-nr", MakeSysctl(&mm_struct::aio_max_nr, /*writable=*/true));
  return sb;
}

std::unique_ptr<super_block> MakeDev() {
  std::unique_ptr<super_block> sb = MakeTmpfs(shmem_backing{});
  sb->s_type = "devtmpfs";
  inode& root = *sb->s_root;
  root.i_mode = S_IFDIR | 0755;
  simple_add(root, "null", MakeDevNull());
  simple_add(root, "zero", MakeDevZero());
  simple_add(root, "full", MakeDevFull());
  root.i_op->mkdir(root, "shm", S_IFDIR | 01777);
  return sb;
}

// Mounts on a directory that is there.
void Mount(fs_struct& fs, const char* name, std::unique_ptr<super_block> sb) {
  path at;
  BUG_ON(kern_path(name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &at) != 0);
  MountAt(fs, at, std::move(sb));
}

}  // namespace

std::unique_ptr<fs_struct> MakeModelNamespace(const Profile& profile) {
  // Where buffered I/O is retried, there has to be something to wait for.
  const shmem_backing backing = profile.buffered_io_retries
                                    ? shmem_backing{.readahead = mpage_readahead, .direct_IO = blockdev_direct_IO}
                                    : shmem_backing{};
  auto fs = std::make_unique<fs_struct>(MakeTmpfs(backing));
  fs->root.entry->d_inode->i_mode = S_IFDIR | 0755;
  current().fs = fs.get();
  for (const char* name : {"/tmp", "/dev", "/proc"}) BUG_ON(kern_mkdir(name, 0755) != 0);
  path tmp;
  BUG_ON(kern_path("/tmp", LOOKUP_DIRECTORY, &tmp) != 0);
  tmp.entry->d_inode->i_mode = S_IFDIR | 01777;
  fs->pwd = tmp;
  Mount(*fs, "/dev", MakeDev());
  Mount(*fs, "/dev/shm", MakeTmpfs(backing));
  Mount(*fs, "/proc", MakeProc());
  fs->shm_mnt = kern_mount(*fs, MakeTmpfs(backing));
  return fs;
}

}  // namespace aiolab
