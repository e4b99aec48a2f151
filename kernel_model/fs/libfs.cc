#include "kernel_model/fs/libfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace aiolab {
namespace {

// What a name adds to the size of its directory, on tmpfs.
constexpr loff_t BOGO_DIRENT_SIZE = 20;

// Positions of a readdir that are no name's offset.
constexpr loff_t kYoungest = 2;
constexpr loff_t kEnd = MAX_LFS_FILESIZE;

struct simple_symlink : inode {
  std::string target;
};

simple_dir& DirOf(inode& dir) { return static_cast<simple_dir&>(dir); }

int simple_get_link(inode& node, std::string* target) {
  *target = static_cast<simple_symlink&>(node).target;
  return 0;
}

constexpr inode_operations simple_symlink_inode_operations = {
    .get_link = simple_get_link,
};

void TouchDir(inode& dir) { dir.i_mtime = dir.i_ctime = current_time(); }

// A directory counts the ".." of those in it.
void Insert(simple_dir& dir, absl::string_view name, std::shared_ptr<inode> node) {
  if (S_ISDIR(node->i_mode)) {
    ++dir.i_nlink;
    DirOf(*node).parent_ino = dir.i_ino;
  }
  if (node->i_sb == nullptr) node->i_sb = dir.i_sb;
  const loff_t offset = dir.next_offset++;
  const auto at = dir.entries.emplace(std::string(name), simple_dir::Entry{std::move(node), offset}).first;
  dir.by_offset[offset] = &at->first;
  dir.i_size += BOGO_DIRENT_SIZE;
  TouchDir(dir);
}

std::shared_ptr<inode> Take(simple_dir& dir, absl::string_view name) {
  const auto at = dir.entries.find(name);
  std::shared_ptr<inode> node = std::move(at->second.node);
  dir.by_offset.erase(at->second.offset);
  dir.entries.erase(at);
  if (S_ISDIR(node->i_mode)) --dir.i_nlink;
  dir.i_size -= BOGO_DIRENT_SIZE;
  TouchDir(dir);
  node->i_ctime = dir.i_ctime;
  return node;
}

bool simple_empty(inode& dir) { return DirOf(dir).entries.empty(); }

int offset_readdir(file* filp, dir_context* ctx) {
  simple_dir& dir = DirOf(*filp->f_inode);
  for (const char* name : {".", ".."}) {
    const bool itself = name[1] == '\0';
    if (ctx->pos != (itself ? 0 : 1)) continue;
    if (!ctx->emit(name, itself ? dir.i_ino : dir.parent_ino, DT_DIR)) return 0;
    ++ctx->pos;
  }
  auto next = ctx->pos == kYoungest ? dir.by_offset.end() : dir.by_offset.upper_bound(ctx->pos);
  if (ctx->pos == kEnd) return 0;
  while (next != dir.by_offset.begin()) {
    --next;
    ctx->pos = next->first;
    const inode& node = *dir.entries.find(*next->second)->second.node;
    if (!ctx->emit(*next->second, node.i_ino, IFTODT(node.i_mode))) return 0;
    --ctx->pos;
  }
  ctx->pos = kEnd;
  return 0;
}

}  // namespace

ssize_t generic_read_dir(file*, char*, size_t, loff_t*) { return -EISDIR; }

loff_t offset_dir_llseek(file* filp, loff_t offset, int whence) {
  if (whence == SEEK_CUR) offset += filp->f_pos;
  if ((whence != SEEK_SET && whence != SEEK_CUR) || offset < 0) return -EINVAL;
  return filp->f_pos = offset;
}

const file_operations simple_dir_operations = {
    .name = "directory",
    .fsync = noop_fsync,
    .read = generic_read_dir,
    .llseek = offset_dir_llseek,
    .iterate = offset_readdir,
};

std::shared_ptr<simple_dir> simple_new_dir(super_block& sb, uint64_t ino, mode_t mode, const inode_operations& i_op) {
  std::shared_ptr<simple_dir> dir = new_inode(sb, std::make_unique<simple_dir>());
  dir->i_ino = dir->parent_ino = ino;
  dir->i_mode = S_IFDIR | (mode & 07777);
  dir->i_nlink = 2;
  dir->i_op = &i_op;
  dir->i_fop = &simple_dir_operations;
  return dir;
}

std::shared_ptr<inode> simple_new_symlink(super_block& sb, uint64_t ino, absl::string_view target) {
  std::shared_ptr<simple_symlink> link = new_inode(sb, std::make_unique<simple_symlink>());
  link->i_ino = ino;
  link->i_mode = S_IFLNK | 0777;
  link->i_size = static_cast<loff_t>(target.size());
  link->i_op = &simple_symlink_inode_operations;
  link->target = std::string(target);
  return link;
}

void simple_add(inode& dir, absl::string_view name, std::shared_ptr<inode> node) {
  Insert(DirOf(dir), name, std::move(node));
}

int simple_lookup(inode& dir, absl::string_view name, std::shared_ptr<inode>* found) {
  const auto& entries = DirOf(dir).entries;
  const auto at = entries.find(name);
  *found = at == entries.end() ? nullptr : at->second.node;
  return 0;
}

int simple_link(inode& dir, absl::string_view name, inode& target) {
  ++target.i_nlink;
  Insert(DirOf(dir), name, target.shared_from_this());
  target.i_ctime = dir.i_ctime;
  return 0;
}

int simple_unlink(inode& dir, absl::string_view name) {
  --Take(DirOf(dir), name)->i_nlink;
  return 0;
}

int simple_rmdir(inode& dir, absl::string_view name) {
  simple_dir& parent = DirOf(dir);
  inode& victim = *parent.entries.find(name)->second.node;
  if (!simple_empty(victim)) return -ENOTEMPTY;
  Take(parent, name)->i_nlink = 0;
  return 0;
}

int simple_rename(inode& old_dir, absl::string_view old_name, inode& new_dir, absl::string_view new_name,
                  unsigned flags) {
  simple_dir& from = DirOf(old_dir);
  simple_dir& to = DirOf(new_dir);
  const auto taken = to.entries.find(new_name);
  std::shared_ptr<inode> replaced;
  if (taken != to.entries.end()) {
    inode& target = *taken->second.node;
    const bool exchange = (flags & RENAME_EXCHANGE) != 0;
    if (!exchange && S_ISDIR(target.i_mode) && !simple_empty(target)) return -ENOTEMPTY;
    replaced = Take(to, new_name);
    if (!exchange) replaced->i_nlink = S_ISDIR(replaced->i_mode) ? 0 : replaced->i_nlink - 1;
  }
  Insert(to, new_name, Take(from, old_name));
  if (replaced != nullptr && (flags & RENAME_EXCHANGE) != 0) Insert(from, old_name, std::move(replaced));
  return 0;
}

}  // namespace aiolab
