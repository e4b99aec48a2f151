#include "kernel_model/fs/simfs/super.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "kernel_model/fs/iomap.h"
#include "kernel_model/fs/simfs/simfs.h"
#include "kernel_model/fs/simfs/sync_io.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab::simfs {
namespace {

// Of a checkpoint area, what only changes may use that nobody can refuse: the pieces of extents.
constexpr uint64_t kReservedShare = 8;

constexpr long kSimfsMagic = 0x53494d46;  // "SIMF"

size_t RecordBytesOf(const SimfsInode& node) {
  size_t bytes = InodeRecordBytes(RecordOf(node)) + node.extents.extents().size() * kExtentRecordBytes;
  for (const auto& [name, entry] : node.entries) bytes += EntryRecordBytes(name.size());
  return bytes;
}

int simfs_statfs(super_block& sb, struct statfs* status) {
  const auto& fs = static_cast<const Simfs&>(sb);
  memset(status, 0, sizeof(*status));
  status->f_type = kSimfsMagic;
  status->f_bsize = status->f_frsize = kBlockSize;
  status->f_blocks = fs.disk.blocks - fs.disk.first_data_block;
  status->f_bfree = status->f_bavail = fs.available() + fs.journal.blocks_being_freed();
  const uint64_t room = (fs.disk.checkpoint_blocks - 1) * kBlockSize;
  const uint64_t inode_bytes = InodeRecordBytes({}) + EntryRecordBytes(0);
  status->f_ffree = fs.record_bytes < room ? (room - fs.record_bytes) / inode_bytes : 0;
  status->f_files = fs.inodes.size() + status->f_ffree;
  memcpy(&status->f_fsid, fs.disk.uuid, sizeof(status->f_fsid));
  status->f_namelen = kNameMax;
  return 0;
}

void simfs_put_super(super_block& sb) {
  auto& fs = static_cast<Simfs&>(sb);
  fs.unmounting = true;
  fs.nodes.clear();
  // Children go with their directory: each level is taken off before it is dropped, or a deep tree would be a deep
  // recursion.
  std::vector<std::shared_ptr<inode>> level = {sb.s_root};
  while (!level.empty()) {
    const std::shared_ptr<inode> last = std::move(level.back());
    level.pop_back();
    SimfsInode& dir = SIMFS_I(*last);
    for (auto& [name, entry] : dir.entries) {
      if (S_ISDIR(entry.node->i_mode)) level.push_back(entry.node);
    }
    dir.by_offset.clear();
    dir.entries.clear();
  }
}

int simfs_sync_fs(super_block& sb, int wait) {
  auto& fs = static_cast<Simfs&>(sb);
  std::vector<std::shared_ptr<inode>> files;
  for (const auto& [ino, node] : fs.inodes) {
    if (S_ISREG(node->i_mode) && !node->mapping.dirty_pages.empty()) files.push_back(node->shared_from_this());
  }
  constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
  for (const auto& file : files) filemap_fdatawrite(SIMFS_I(*file).mapping, 0, kLast);
  if (wait == 0) return 0;
  int result = 0;
  for (const auto& [ino, node] : std::map<uint64_t, SimfsInode*>(fs.inodes)) {
    if (!S_ISREG(node->i_mode) || !filemap_range_needs_writeback(node->mapping, 0, kLast)) continue;
    const std::shared_ptr<inode> kept = node->shared_from_this();
    fsync_state state;
    const int error = filemap_write_and_wait_range(node->mapping, 0, kLast, &state);
    if (error != 0) result = error;
  }
  if (fs.journal.error() != 0) return -EIO;
  if (fs.journal.has_changes()) {
    const uint64_t seq = fs.journal.running_seq();
    fs.journal.Request(seq);
    wait_event(fs.journal.done(), [&] {
      return fs.journal.committed_seq() >= seq || !fs.journal.has_changes() || fs.journal.error() != 0;
    });
    if (fs.journal.error() != 0) return -EIO;
  }
  const int error = blkdev_issue_flush(fs.bdev);
  return result != 0 ? result : error;
}

void simfs_evict_inode(inode& node) {
  Simfs& fs = SIMFS_SB(node);
  if (!fs.unmounting && node.i_nlink == 0) fs.Forget(SIMFS_I(node));
  fs.inodes.erase(node.i_ino);
}

constexpr super_operations kSuperOperations = {
    .statfs = simfs_statfs,
    .put_super = simfs_put_super,
    .sync_fs = simfs_sync_fs,
    .evict_inode = simfs_evict_inode,
};

}  // namespace

bool FindErrorModel(absl::string_view name, ErrorModel* model) {
  constexpr struct {
    absl::string_view name;
    ErrorModel model;
  } kModels[] = {{"ext4-ordered", ErrorModel::kExt4Ordered},
                 {"ext4-data", ErrorModel::kExt4Data},
                 {"xfs", ErrorModel::kXfs},
                 {"btrfs", ErrorModel::kBtrfs}};
  for (const auto& known : kModels) {
    if (known.name != name) continue;
    *model = known.model;
    return true;
  }
  return false;
}

InodeRecord RecordOf(const SimfsInode& node) {
  InodeRecord record;
  record.ino = node.i_ino;
  record.mode = node.i_mode;
  record.nlink = node.i_nlink;
  record.rdev = node.i_rdev;
  record.size = static_cast<uint64_t>(node.i_disksize);
  record.atime = node.i_atime;
  record.mtime = node.i_mtime;
  record.ctime = node.i_ctime;
  record.btime = node.i_btime;
  record.target = node.target;
  return record;
}

Simfs::Simfs(kernel_state& kernel, block_device& bdev, const MountOptions& options, const Image& image)
    : kernel(kernel),
      bdev(bdev),
      options(options),
      disk(image.super),
      journal(kernel, bdev, image, this),
      next_ino_(image.next_ino) {
  s_type = "simfs";
  s_op = &kSuperOperations;
  free.Release({disk.first_data_block, disk.blocks - disk.first_data_block});
}

Simfs::~Simfs() { s_root.reset(); }

std::shared_ptr<SimfsInode> Simfs::NewInode(mode_t mode) {
  const std::shared_ptr<SimfsInode> node = new_inode(*this, std::make_unique<SimfsInode>());
  node->i_ino = next_ino_++;
  node->i_mode = mode;
  node->i_nlink = 0;
  if (S_ISDIR(mode)) {
    node->i_op = &kDirInodeOperations;
    node->i_fop = &kDirOperations;
    node->i_size = node->i_disksize = kBlockSize;
  } else if (S_ISLNK(mode)) {
    node->i_op = &kSymlinkInodeOperations;
    node->i_fop = &kDirOperations;  // never opened
  } else {
    node->i_op = &kFileInodeOperations;
    node->i_fop = &kFileOperations;
    node->i_fmode = FMODE_CAN_ODIRECT | FMODE_NOWAIT;
    iomap_init_mapping(node->mapping, node, bdev, options.limits);
  }
  inodes[node->i_ino] = node.get();
  record_bytes += InodeRecordBytes(RecordOf(*node));
  return node;
}

std::shared_ptr<SimfsInode> Simfs::Load(const ImageInode& image) {
  const InodeRecord& record = image.attributes;
  const uint64_t next_ino = std::exchange(next_ino_, record.ino);
  const std::shared_ptr<SimfsInode> node = NewInode(record.mode);
  next_ino_ = next_ino;
  node->i_nlink = record.nlink;
  node->i_size = node->i_disksize = static_cast<loff_t>(record.size);
  node->i_atime = record.atime;
  node->i_mtime = record.mtime;
  node->i_ctime = record.ctime;
  node->i_btime = record.btime;
  node->target = record.target;
  node->extents = image.extents;
  node->tail_unknown = true;
  record_bytes += node->target.size() + node->extents.extents().size() * kExtentRecordBytes;
  UpdateBlocks(*node);
  return node;
}

void Simfs::PutTouched(std::string* records) {
  for (const uint64_t ino : std::exchange(touched, {})) PutInode(RecordOf(*inodes.find(ino)->second), records);
}

void Simfs::PutEverything(std::string* records) {
  for (const auto& [ino, node] : inodes) {
    PutInode(RecordOf(*node), records);
    for (const auto& [logical, extent] : node->extents.extents()) PutExtent(ino, logical, extent, records);
    for (const auto& [name, entry] : node->entries) PutEntry(ino, name, entry.node->i_ino, records);
  }
}

void Simfs::Release(const std::vector<Blocks>& blocks) {
  for (const Blocks& run : blocks) BUG_ON(!free.Release(run));
}

// Everything that changes is refused from now on (RoomForRecords).
void Simfs::Aborted(int) { touched.clear(); }

void Simfs::Touch(SimfsInode& node, bool data) {
  touched.insert(node.i_ino);
  journal.Touch();
  node.sync_seq = journal.running_seq();
  if (data) node.datasync_seq = node.sync_seq;
}

int Simfs::RoomForRecords(size_t bytes) const {
  if (change_error() != 0) return change_error();
  const uint64_t room = (disk.checkpoint_blocks - 1) * kBlockSize;
  // Each block that waits for its place may become an extent.
  const uint64_t promised = delayed_blocks * kExtentRecordBytes;
  return record_bytes + promised + bytes + room / kReservedShare <= room ? 0 : -ENOSPC;
}

void Simfs::UpdateBlocks(SimfsInode& node) const {
  node.i_blocks = (node.extents.blocks() + node.pending.blocks() + node.delayed.size()) * kSectorsPerBlock;
}

void Simfs::DropPending(SimfsInode& node, uint64_t first, uint64_t blocks) {
  const auto begin = node.delayed.lower_bound(first);
  const auto end = blocks > std::numeric_limits<uint64_t>::max() - first ? node.delayed.end()
                                                                         : node.delayed.lower_bound(first + blocks);
  delayed_blocks -= static_cast<uint64_t>(std::distance(begin, end));
  node.delayed.erase(begin, end);
  std::vector<Blocks> unused;
  node.pending.Erase(first, blocks, &unused);
  Release(unused);
  UpdateBlocks(node);
}

void Simfs::Forget(SimfsInode& node) {
  DropPending(node, 0, kFileBlocksMax);
  record_bytes -= RecordBytesOf(node);
  touched.erase(node.i_ino);
  if (journal.error() != 0) return;
  std::vector<Blocks> freed;
  node.extents.Erase(0, kFileBlocksMax, &freed);
  journal.Free(freed);
  PutForget(node.i_ino, journal.Change());
}

int mkfs(block_device& bdev, const MkfsOptions& options, std::string* problem) {
  *problem = CheckMkfsOptions(options);
  if (!problem->empty()) return -EINVAL;
  const Superblock super = LayOut(options);

  InodeRecord root;
  root.ino = kRootIno;
  root.mode = S_IFDIR | 0755;
  root.nlink = 2;
  root.size = kBlockSize;
  root.atime = root.mtime = root.ctime = root.btime = current_time();
  std::string records;
  PutInode(root, &records);
  CheckpointHeader checkpoint = {};
  checkpoint.magic = CheckpointHeader::kMagic;
  memcpy(checkpoint.uuid, super.uuid, sizeof(checkpoint.uuid));
  checkpoint.bytes = records.size();
  checkpoint.next_ino = kRootIno + 1;
  checkpoint.records_crc = Crc32c(records);
  Seal(&checkpoint);

  std::string block(kBlockSize, '\0');
  const auto write = [&](uint64_t at, const void* structure, size_t bytes, blk_opf_t flags) {
    std::fill(block.begin(), block.end(), '\0');
    if (bytes > 0) memcpy(block.data(), structure, bytes);
    return SyncIo(bdev, REQ_OP_WRITE | REQ_META | flags, at * kSectorsPerBlock, block.data(), kBlockSize);
  };
  // What an older file system of the same parameters left must not be replayed.
  if (const int error = SyncIo(bdev, REQ_OP_READ | REQ_META, 0, block.data(), kBlockSize); error != 0) return error;
  Superblock old;
  memcpy(&old, block.data(), sizeof(old));
  if (IsSealed(old)) {
    for (uint64_t i = 0; i < super.journal_blocks; ++i) {
      if (const int error = write(super.journal_block + i, nullptr, 0, 0); error != 0) return error;
    }
    if (const int error = write(super.checkpoint_block[1], nullptr, 0, 0); error != 0) return error;
  }
  int error = write(super.checkpoint_block[0], &checkpoint, sizeof(checkpoint), 0);
  if (error == 0) error = write(super.checkpoint_block[0] + 1, records.data(), records.size(), 0);
  // The device has that many blocks, or this fails.
  if (error == 0) error = write(super.blocks - 1, nullptr, 0, 0);
  return error != 0 ? error : write(0, &super, sizeof(super), REQ_PREFLUSH | REQ_FUA);
}

int mount(block_device& bdev, const MountOptions& options, std::unique_ptr<super_block>* sb, std::string* problem) {
  Image image;
  const int error = ReadImage(
      [&bdev](uint64_t first, uint64_t blocks, char* to) {
        return SyncIo(bdev, REQ_OP_READ | REQ_META, first * kSectorsPerBlock, to, blocks * kBlockSize);
      },
      &image, problem);
  if (error != 0) return error;
  const std::vector<std::string> problems = Check(image);
  if (!problems.empty()) {
    *problem = problems.front();
    return -EUCLEAN;
  }

  auto fs = std::make_unique<Simfs>(current_kernel(), bdev, options, image);
  std::map<uint64_t, std::shared_ptr<SimfsInode>> nodes;
  uint64_t orphans = 0;
  for (const auto& [ino, inode] : image.inodes) {
    nodes[ino] = fs->Load(inode);
    for (const auto& [logical, extent] : inode.extents.extents()) fs->free.Take({extent.physical, extent.length});
    if (inode.attributes.nlink == 0) ++orphans;
  }
  for (const auto& [ino, inode] : image.inodes) {
    SimfsInode& dir = *nodes[ino];
    for (const auto& [name, target] : inode.entries) {
      const loff_t offset = dir.next_offset++;
      const auto at = dir.entries.emplace(name, SimfsInode::Entry{nodes[target], offset}).first;
      dir.by_offset[offset] = &at->first;
      fs->record_bytes += EntryRecordBytes(name.size());
      if (S_ISDIR(nodes[target]->i_mode)) nodes[target]->parent_ino = ino;
    }
  }
  fs->s_root = nodes[kRootIno];
  TRACE_EVENT("simfs_mount", {{"transactions_replayed", image.transactions_replayed},
                              {"torn_tail", image.torn_tail},
                              {"orphans_freed", orphans},
                              {"inodes", image.inodes.size()},
                              {"seq", image.seq}});
  nodes.clear();  // and with them the files without a name
  *sb = std::move(fs);
  return 0;
}

void AddNode(super_block& sb, absl::string_view name, std::shared_ptr<inode> node) {
  if (node->i_sb == nullptr) node->i_sb = &sb;
  static_cast<Simfs&>(sb).nodes[std::string(name)] = std::move(node);
}

}  // namespace aiolab::simfs
