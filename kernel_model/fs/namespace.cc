#include "kernel_model/fs/namespace.h"

#include <algorithm>
#include <utility>

namespace aiolab {
namespace {

// Of what has no device, st_dev counts from here.
constexpr dev_t kFirstDev = 1;

}  // namespace

// Inodes go while their file system can still be told.
vfsmount::~vfsmount() {
  mnt_root.reset();
  if (mnt_sb->s_op != nullptr && mnt_sb->s_op->put_super != nullptr) mnt_sb->s_op->put_super(*mnt_sb);
  mnt_sb->s_root.reset();
}

fs_struct::fs_struct(std::unique_ptr<super_block> root_sb) {
  std::shared_ptr<vfsmount> mount = kern_mount(*this, std::move(root_sb));
  pwd = root = path{mount, mount->mnt_root};
}

// The last mounted first: each stands on one before it.
fs_struct::~fs_struct() {
  pwd = root = path{};
  while (!mounts.empty()) mounts.pop_back();
}

std::shared_ptr<vfsmount> kern_mount(fs_struct& fs, std::unique_ptr<super_block> sb) {
  auto mount = std::make_shared<vfsmount>();
  mount->mnt_id = fs.mounts.size() + 1;
  sb->s_dev = kFirstDev + fs.mounts.size();
  mount->mnt_root = d_make_root(*sb);
  mount->mnt_sb = std::move(sb);
  fs.mounts.push_back(mount);
  return mount;
}

void MountAt(fs_struct& fs, const path& at, std::unique_ptr<super_block> sb) {
  path place = at;
  follow_mount(fs, &place);
  ++place.entry->d_mounted;
  kern_mount(fs, std::move(sb))->mnt_mountpoint = std::move(place);
}

void follow_mount(const fs_struct& fs, path* at) {
  while (at->entry->d_mounted > 0) {
    const auto on_it = std::find_if(fs.mounts.begin(), fs.mounts.end(), [at](const auto& mount) {
      return mount->mnt_mountpoint.mnt == at->mnt && mount->mnt_mountpoint.entry == at->entry;
    });
    if (on_it == fs.mounts.end()) return;
    *at = path{*on_it, (*on_it)->mnt_root};
  }
}

}  // namespace aiolab
