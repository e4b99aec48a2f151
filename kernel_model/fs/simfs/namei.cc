// Names: directories and what leads through them. Each change is one step, so a commit has all of it or nothing.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "kernel_model/fs/libfs.h"
#include "kernel_model/fs/simfs/super.h"

namespace aiolab::simfs {
namespace {

constexpr loff_t kEnd = MAX_LFS_FILESIZE;

size_t EntryBytes(absl::string_view name) { return EntryRecordBytes(name.size()); }

bool IsDisks(const inode& node, absl::string_view name) { return SIMFS_SB(node).nodes.count(name) == 0; }

void TouchDir(SimfsInode& dir) {
  dir.i_mtime = dir.i_ctime = current_time();
  SIMFS_SB(dir).Touch(dir, /*data=*/true);
}

// Links are counted by the caller.
void Insert(SimfsInode& dir, absl::string_view name, SimfsInode& node) {
  Simfs& fs = SIMFS_SB(dir);
  if (S_ISDIR(node.i_mode)) {
    ++dir.i_nlink;
    node.parent_ino = dir.i_ino;
  }
  const loff_t offset = dir.next_offset++;
  SimfsInode::Entry entry = {node.shared_from_this(), offset, fs.journal.running_seq()};
  const auto at = dir.entries.emplace(std::string(name), std::move(entry)).first;
  dir.by_offset[offset] = &at->first;
  fs.record_bytes += EntryBytes(name);
  PutEntry(dir.i_ino, name, node.i_ino, fs.journal.Change());
  TouchDir(dir);
  node.i_ctime = dir.i_ctime;
  fs.Touch(node, /*data=*/false);
}

std::shared_ptr<inode> Take(SimfsInode& dir, absl::string_view name) {
  Simfs& fs = SIMFS_SB(dir);
  const auto at = dir.entries.find(name);
  std::shared_ptr<inode> node = std::move(at->second.node);
  const uint64_t seq = fs.journal.running_seq();
  std::erase_if(dir.removed, [&fs](const auto& gone) { return gone.second <= fs.journal.committed_seq(); });
  // The disk never had a name that came and went in one transaction.
  if (at->second.seq < seq) dir.removed[at->first] = seq;
  dir.by_offset.erase(at->second.offset);
  dir.entries.erase(at);
  if (S_ISDIR(node->i_mode)) --dir.i_nlink;
  fs.record_bytes -= EntryBytes(name);
  PutNoEntry(dir.i_ino, name, fs.journal.Change());
  TouchDir(dir);
  node->i_ctime = dir.i_ctime;
  fs.Touch(SIMFS_I(*node), /*data=*/false);
  return node;
}

int simfs_lookup(inode& dir, absl::string_view name, std::shared_ptr<inode>* found) {
  const Simfs& fs = SIMFS_SB(dir);
  *found = nullptr;
  if (fs.read_error() != 0) return fs.read_error();
  if (dir.i_ino == kRootIno) {
    const auto node = fs.nodes.find(name);
    if (node != fs.nodes.end()) *found = node->second;
  }
  const auto& entries = SIMFS_I(dir).entries;
  const auto at = entries.find(name);
  if (*found == nullptr && at != entries.end()) *found = at->second.node;
  return 0;
}

// A new inode under a name.
int Make(inode& dir, absl::string_view name, mode_t mode, absl::string_view target, std::shared_ptr<inode>* made) {
  Simfs& fs = SIMFS_SB(dir);
  InodeRecord record;
  record.target = std::string(target);
  if (const int error = fs.RoomForRecords(InodeRecordBytes(record) + EntryBytes(name)); error != 0) return error;
  const std::shared_ptr<SimfsInode> node = fs.NewInode(mode);
  node->target = record.target;
  if (S_ISLNK(mode)) node->i_size = node->i_disksize = static_cast<loff_t>(target.size());
  fs.record_bytes += target.size();
  node->i_nlink = S_ISDIR(mode) ? 2 : 1;
  Insert(SIMFS_I(dir), name, *node);
  fs.Touch(*node, /*data=*/true);
  if (made != nullptr) *made = node;
  return 0;
}

int simfs_create(inode& dir, absl::string_view name, mode_t mode, std::shared_ptr<inode>* made) {
  return Make(dir, name, mode, "", made);
}

int simfs_mkdir(inode& dir, absl::string_view name, mode_t mode) { return Make(dir, name, mode, "", nullptr); }

int simfs_symlink(inode& dir, absl::string_view name, absl::string_view target) {
  // ext4 keeps a target in one block, with a zero behind it.
  if (target.size() >= kBlockSize) return -ENAMETOOLONG;
  return Make(dir, name, S_IFLNK | 0777, target, nullptr);
}

int simfs_tmpfile(inode& dir, mode_t mode, std::shared_ptr<inode>* made) {
  Simfs& fs = SIMFS_SB(dir);
  if (const int error = fs.RoomForRecords(InodeRecordBytes({})); error != 0) return error;
  const std::shared_ptr<SimfsInode> node = fs.NewInode(mode);
  fs.Touch(*node, /*data=*/true);
  *made = node;
  return 0;
}

int simfs_link(inode& dir, absl::string_view name, inode& target) {
  Simfs& fs = SIMFS_SB(dir);
  if (S_ISBLK(target.i_mode)) return -EPERM;  // a node of AddNode()
  if (target.i_nlink >= kLinksMax) return -EMLINK;
  if (const int error = fs.RoomForRecords(EntryBytes(name)); error != 0) return error;
  ++target.i_nlink;
  Insert(SIMFS_I(dir), name, SIMFS_I(target));
  return 0;
}

int simfs_unlink(inode& dir, absl::string_view name) {
  if (!IsDisks(dir, name)) return -EPERM;
  if (const int error = SIMFS_SB(dir).change_error(); error != 0) return error;
  const std::shared_ptr<inode> node = Take(SIMFS_I(dir), name);
  --node->i_nlink;
  return 0;
}

int simfs_rmdir(inode& dir, absl::string_view name) {
  SimfsInode& parent = SIMFS_I(dir);
  if (const int error = SIMFS_SB(dir).change_error(); error != 0) return error;
  if (!SIMFS_I(*parent.entries.find(name)->second.node).entries.empty()) return -ENOTEMPTY;
  Take(parent, name)->i_nlink = 0;
  return 0;
}

int simfs_rename(inode& old_dir, absl::string_view old_name, inode& new_dir, absl::string_view new_name,
                 unsigned flags) {
  SimfsInode& from = SIMFS_I(old_dir);
  SimfsInode& to = SIMFS_I(new_dir);
  Simfs& fs = SIMFS_SB(old_dir);
  if (!IsDisks(old_dir, old_name) || !IsDisks(new_dir, new_name)) return -EPERM;
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  const auto taken = to.entries.find(new_name);
  if (taken == to.entries.end()) {
    if (const int error = fs.RoomForRecords(EntryBytes(new_name)); error != 0) return error;
  } else if (fs.change_error() != 0) {
    return fs.change_error();
  } else if (!exchange && !SIMFS_I(*taken->second.node).entries.empty()) {
    return -ENOTEMPTY;
  }
  std::shared_ptr<inode> replaced;
  if (taken != to.entries.end()) {
    replaced = Take(to, new_name);
    if (!exchange) replaced->i_nlink = S_ISDIR(replaced->i_mode) ? 0 : replaced->i_nlink - 1;
  }
  Insert(to, new_name, SIMFS_I(*Take(from, old_name)));
  if (exchange) Insert(from, old_name, SIMFS_I(*replaced));
  return 0;
}

int simfs_get_link(inode& node, std::string* target) {
  *target = SIMFS_I(node).target;
  return SIMFS_SB(node).read_error();
}

int simfs_readdir(file* filp, dir_context* ctx) {
  const SimfsInode& dir = SIMFS_I(*filp->f_inode);
  if (const int error = SIMFS_SB(dir).read_error(); error != 0) return error;
  if (ctx->pos == 0) {
    if (!ctx->emit(".", dir.i_ino, DT_DIR)) return 0;
    ctx->pos = 1;
  }
  if (ctx->pos == 1) {
    if (!ctx->emit("..", dir.parent_ino, DT_DIR)) return 0;
    ctx->pos = 2;
  }
  if (ctx->pos == kEnd) return 0;
  for (auto next = dir.by_offset.lower_bound(ctx->pos); next != dir.by_offset.end(); ++next) {
    ctx->pos = next->first;
    const inode& node = *dir.entries.find(*next->second)->second.node;
    if (!ctx->emit(*next->second, node.i_ino, IFTODT(node.i_mode))) return 0;
    ++ctx->pos;
  }
  if (dir.i_ino == kRootIno) {
    // Behind everything that the disk could have.
    loff_t offset = kEnd - static_cast<loff_t>(SIMFS_SB(dir).nodes.size());
    for (const auto& [name, node] : SIMFS_SB(dir).nodes) {
      if (ctx->pos <= offset) {
        ctx->pos = offset;
        if (!ctx->emit(name, node->i_ino, IFTODT(node->i_mode))) return 0;
        ++ctx->pos;
      }
      ++offset;
    }
  }
  ctx->pos = kEnd;
  return 0;
}

}  // namespace

const inode_operations kDirInodeOperations = {
    .lookup = simfs_lookup,
    .create = simfs_create,
    .tmpfile = simfs_tmpfile,
    .link = simfs_link,
    .unlink = simfs_unlink,
    .symlink = simfs_symlink,
    .mkdir = simfs_mkdir,
    .rmdir = simfs_rmdir,
    .rename = simfs_rename,
    .setattr = simfs_setattr,
    .getattr = simfs_getattr,
};

const inode_operations kSymlinkInodeOperations = {
    .get_link = simfs_get_link,
    .setattr = simfs_setattr,
    .getattr = simfs_getattr,
};

const file_operations kDirOperations = {
    .name = "directory",
    .fsync = simfs_fsync,
    .read = generic_read_dir,
    .llseek = offset_dir_llseek,
    .iterate = simfs_readdir,
};

}  // namespace aiolab::simfs
