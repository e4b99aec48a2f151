#include "kernel_model/fs/d_path.h"

#include "absl/strings/str_cat.h"
#include "kernel_model/fs/dcache.h"
#include "kernel_model/fs/namespace.h"

namespace aiolab {

std::string d_path(const path& at) {
  if (at.entry == nullptr) return "";
  std::string name;
  const dentry* entry = at.entry.get();
  const vfsmount* mount = at.mnt.get();
  for (;;) {
    if (entry->d_parent != nullptr) {
      name = absl::StrCat("/", entry->d_name, name);
      entry = entry->d_parent.get();
    } else if (mount != nullptr && mount->mnt_mountpoint.entry != nullptr) {
      entry = mount->mnt_mountpoint.entry.get();
      mount = mount->mnt_mountpoint.mnt.get();
    } else {
      return name.empty() ? "/" : name;
    }
  }
}

}  // namespace aiolab
