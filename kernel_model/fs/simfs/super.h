// A mounted simfs, for the files of this folder.
#ifndef KERNEL_MODEL_FS_SIMFS_SUPER_H_
#define KERNEL_MODEL_FS_SIMFS_SUPER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernel_model/fs/fs.h"
#include "kernel_model/fs/simfs/extents.h"
#include "kernel_model/fs/simfs/image.h"
#include "kernel_model/fs/simfs/journal.h"
#include "kernel_model/fs/simfs/simfs.h"
#include "kernel_model/mm/filemap.h"

namespace aiolab::simfs {

struct Simfs;

inline constexpr loff_t kFileBytesMax = static_cast<loff_t>(kFileBlocksMax << kBlockShift);
inline constexpr unsigned kLinksMax = 65000;

extern const inode_operations kDirInodeOperations;
extern const inode_operations kFileInodeOperations;
extern const inode_operations kSymlinkInodeOperations;
extern const file_operations kDirOperations;
extern const file_operations kFileOperations;
extern const address_space_operations kAops;

struct SimfsInode : inode {
  SimfsInode() : mapping(kAops) {}

  address_space mapping;
  // What the disk knows, or will with the next commit.
  ExtentMap extents;
  loff_t i_disksize = 0;
  // Allocated for data that are not on the device yet: nobody else's, and no part of the file so far.
  ExtentMap pending;
  // Blocks for which there is room, but no place yet.
  std::set<uint64_t> delayed;

  struct Entry {
    std::shared_ptr<inode> node;
    loff_t offset;     // as readdir has it
    uint64_t seq = 0;  // the transaction that made it
  };
  std::map<std::string, Entry, std::less<>> entries;  // of a directory
  std::map<loff_t, const std::string*> by_offset;
  loff_t next_offset = 2;  // behind "." and ".."
  // Names that were taken out, and the transactions that have it; what is committed may go.
  std::map<std::string, uint64_t> removed;
  uint64_t parent_ino = kRootIno;
  std::string target;  // of a symbolic link

  // What writes that fail now leave, if not what the mount says: a fault rule's.
  std::optional<ErrorModel> fault_model;

  // The transactions that have its last change, and the last that fdatasync has to wait for.
  uint64_t sync_seq = 0;
  uint64_t datasync_seq = 0;
  // The disk may have something else than zeros between the end of the file and the end of its block: data were
  // written there whose size was not committed when the power went.
  bool tail_unknown = false;
};

inline SimfsInode& SIMFS_I(inode& node) { return static_cast<SimfsInode&>(node); }
inline const SimfsInode& SIMFS_I(const inode& node) { return static_cast<const SimfsInode&>(node); }

struct Simfs : super_block, Journal::Client {
  Simfs(kernel_state& kernel, block_device& bdev, const MountOptions& options, const Image& image);
  ~Simfs() override;

  // Journal::Client.
  void PutTouched(std::string* records) override;
  void PutEverything(std::string* records) override;
  uint64_t next_ino() const override { return next_ino_; }
  void Release(const std::vector<Blocks>& blocks) override;
  void Aborted(int error) override;

  // A new inode: in no directory, i_nlink 0.
  std::shared_ptr<SimfsInode> NewInode(mode_t mode);
  // An inode as the disk has it.
  std::shared_ptr<SimfsInode> Load(const ImageInode& image);

  // An attribute changed; `data`: one that fdatasync has to make durable.
  void Touch(SimfsInode& node, bool data);
  // What may still be allocated or promised, blocks.
  uint64_t available() const { return free.free_blocks() - delayed_blocks; }
  // What a failed commit has made of the file system: 0, or the error of whoever wants to change something, or to look
  // at something.
  int change_error() const { return journal.error() == 0 ? 0 : shuts_down() ? -EIO : -EROFS; }
  int read_error() const { return journal.error() != 0 && shuts_down() ? -EIO : 0; }
  bool shuts_down() const { return options.error_model == ErrorModel::kXfs; }
  // 0, or -ENOSPC if `bytes` more of records would not fit into a checkpoint; change_error().
  int RoomForRecords(size_t bytes) const;
  // Changes a file's extents by `change` and keeps the books. The blocks that it frees are free with the commit.
  template <typename Change>
  void ChangeExtents(SimfsInode& node, Change change) {
    std::vector<Blocks> freed;
    const size_t before = node.extents.extents().size();
    change(node.extents, &freed);
    record_bytes += (node.extents.extents().size() - before) * kExtentRecordBytes;
    journal.Free(freed);
    UpdateBlocks(node);
  }
  void UpdateBlocks(SimfsInode& node) const;
  // Forgets that there is room or a place for these blocks without data.
  void DropPending(SimfsInode& node, uint64_t first, uint64_t blocks);
  // Gives back everything of a file without names that nobody has open.
  void Forget(SimfsInode& node);

  kernel_state& kernel;
  block_device& bdev;
  const MountOptions options;
  const Superblock disk;
  FreeSpace free;
  Journal journal;
  uint64_t delayed_blocks = 0;                                       // of all files
  uint64_t record_bytes = 0;                                         // of everything
  std::map<uint64_t, SimfsInode*> inodes;                            // all there are, by ino
  std::set<uint64_t> touched;                                        // whose attributes the running transaction has
  std::map<std::string, std::shared_ptr<inode>, std::less<>> nodes;  // AddNode()
  bool unmounting = false;

 private:
  uint64_t next_ino_;
};

inline Simfs& SIMFS_SB(const inode& node) { return static_cast<Simfs&>(*node.i_sb); }

InodeRecord RecordOf(const SimfsInode& node);

// fsync.cc
int simfs_fsync(file* filp, int datasync, fsync_state* state);
// When fewer than `wanted` blocks are free and others are about to be, asks for the commit that frees them and sleeps
// or leaves iocb->ki_wait until it has ended. A null iocb sleeps. 0: go on; -EIOCBRETRY, -EAGAIN as for a request.
int WaitForFreeBlocks(Simfs& fs, kiocb* iocb, uint64_t wanted);

// inode.cc
int simfs_setattr(inode& node, const iattr& attr);
int simfs_getattr(const inode& node, kstat* stat);

// fallocate.cc
long simfs_fallocate(file* filp, int mode, loff_t offset, loff_t len);

}  // namespace aiolab::simfs

#endif  // KERNEL_MODEL_FS_SIMFS_SUPER_H_
