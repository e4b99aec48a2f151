#include "kernel_model/fs/dcache.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include <utility>

namespace aiolab {
namespace {

void Unhash(dentry& entry) {
  if (entry.d_parent == nullptr || entry.d_unhashed) return;
  entry.d_parent->d_children.erase(entry.d_name);
  entry.d_unhashed = true;
}

void Hash(dentry& entry) {
  entry.d_unhashed = false;
  entry.d_parent->d_children[entry.d_name] = &entry;
}

}  // namespace

dentry::~dentry() { Unhash(*this); }

std::shared_ptr<dentry> d_make_root(super_block& sb) {
  auto root = std::make_shared<dentry>();
  root->d_sb = &sb;
  root->d_inode = sb.s_root;
  return root;
}

std::shared_ptr<dentry> d_tmpfile(const std::shared_ptr<dentry>& dir, std::shared_ptr<inode> node) {
  auto entry = std::make_shared<dentry>();
  entry->d_sb = dir->d_sb;
  entry->d_parent = dir;
  entry->d_inode = std::move(node);
  entry->d_unhashed = true;
  return entry;
}

int d_lookup_or_ask(const std::shared_ptr<dentry>& dir, absl::string_view name, std::shared_ptr<dentry>* found) {
  if (name.size() > NAME_MAX) return -ENAMETOOLONG;
  const auto used = dir->d_children.find(std::string(name));
  if (used != dir->d_children.end()) {
    // Not the last reference: the map forgets a dentry when that goes.
    *found = used->second->shared_from_this();
    return 0;
  }
  inode& node = *dir->d_inode;
  if (node.i_op == nullptr || node.i_op->lookup == nullptr) return -ENOTDIR;
  std::shared_ptr<inode> target;
  if (const int error = node.i_op->lookup(node, name, &target); error != 0) return error;
  auto entry = std::make_shared<dentry>();
  entry->d_sb = dir->d_sb;
  entry->d_parent = dir;
  entry->d_name = std::string(name);
  entry->d_inode = std::move(target);
  Hash(*entry);
  *found = std::move(entry);
  return 0;
}

void d_delete(dentry& entry) { Unhash(entry); }

void d_move(dentry& entry, dentry& target, bool exchange) {
  Unhash(entry);
  Unhash(target);
  std::swap(entry.d_parent, target.d_parent);
  std::swap(entry.d_name, target.d_name);
  Hash(entry);
  if (exchange) Hash(target);
}

bool is_subdir(const dentry& entry, const dentry& ancestor) {
  for (const dentry* at = &entry; at != nullptr; at = at->d_parent.get()) {
    if (at == &ancestor) return true;
  }
  return false;
}

}  // namespace aiolab
