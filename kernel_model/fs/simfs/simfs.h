// simfs: files on the model's disk, whose state after a loss of power means something.
//
//   std::string problem;
//   if (mkfs(bdev, {.disk_bytes = 64 << 20}, &problem) != 0) ...
//   std::unique_ptr<super_block> sb;
//   if (mount(bdev, {}, &sb, &problem) != 0) ...      // recovers what is there
//
// How the disk looks: format.h. How changes get there: journal.h. Read first: map_blocks() and end_write() in inode.cc,
// then simfs_fsync() in fsync.cc.
//
// What is durable when:
// - fsync writes the file's pages and commits everything that happened before, the file's name included (as ext4);
//   fdatasync leaves the commit out if only times changed. A directory's fsync commits too.
// - Without one, metadata are committed after kCommitIntervalNs; data when the page cache writes them back.
// - Blocks are allocated at writeback (delayed allocation), and the size on the disk grows when the data are on the
//   device. A name that is committed before its file's data leads to a short or empty file after a loss of power: so
//   it is on XFS, and on ext4 with noauto_da_alloc. (ext4's default writes a file's pages when it is renamed over
//   another; a client that relies on it is wrong elsewhere.)
// - A truncation is committed at once with everything else; an extending one makes the size grow without data.
// - Blocks that were freed are used again only after the commit that frees them.
//
// Differences from ext4 that a client could see: atime is written along with other changes only; a directory's size is
// always one block; fallocate allocates everything or nothing.
#ifndef KERNEL_MODEL_FS_SIMFS_SIMFS_H_
#define KERNEL_MODEL_FS_SIMFS_SIMFS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel_model/block/blkdev.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/fs/simfs/format.h"
#include "kernel_model/fs/simfs/image.h"
#include "kernel_model/mm/filemap.h"

namespace aiolab::simfs {

// What a write of pages that fails, and so an fsync that fails, leaves behind. After "Can Applications Recover from
// fsync Failures?" (Rebello and others, USENIX ATC 2020, table 1; Linux 5.2), its authors' CuttleFS
// (cuttlefs/fsyncs.py) and the kernel's own source, which stands where CuttleFS differs: that makes the new size
// durable on XFS, too, and on Btrfs takes it back in memory.
//
//                                          ext4-ordered    ext4-data       xfs             btrfs
//   the fsync that says so                 this one        the next one    this one        this one
//   and what it writes                     what is dirty   nothing         what is dirty   what is dirty
//   the pages afterwards                   clean           clean           clean           clean
//   what they hold                         the new data    the new data    the new data    what the disk has
//   after they left the cache              what the disk has: the old data, or zeros where there were none
//   the new size, after a reboot           is there        is there        never was       never was
//   the next append that succeeds          leaves zeros where the lost one was
//   a data write fails: the file system    goes on         goes on         goes on         goes on
//   a commit fails: the file system        is read-only    is read-only    shuts down      is read-only
//
// So with all of them a second fsync writes nothing and returns 0, and each open file is told of the error once.
enum class ErrorModel {
  // ext4_writepages() sets the size when it allocates; ext4_end_io_end() leaves the blocks unwritten (since 6.15;
  // before that, a new block showed what the disk had there).
  kExt4Ordered,
  // ext4_sync_file() commits the data to the journal and returns 0; the next one meets the error when it writes them to
  // their place, and returns before it commits what has come since: that takes a third. (Here nothing replays the data
  // after a power cut, and the journal goes on, as it did before 5.14.)
  kExt4Data,
  // xfs_end_ioend() leaves the size to writes that succeed. After a shutdown everything that is asked is -EIO, where
  // the others are -EROFS to changes only.
  kXfs,
  // end_extent_writepage() makes the page not uptodate. (Btrfs has kept the new data like the others since 6.6.)
  kBtrfs,
};
// "ext4-ordered", "ext4-data", "xfs", "btrfs". False for another name.
bool FindErrorModel(absl::string_view name, ErrorModel* model);

struct MountOptions {
  mapping_limits limits;  // of the device
  ErrorModel error_model = ErrorModel::kExt4Ordered;
};

// Makes an empty file system on the device. Sleeps, as a client's task. 0; -EINVAL and what is wrong; the device's
// error.
int mkfs(block_device& bdev, const MkfsOptions& options, std::string* problem);

// Recovers and mounts. Sleeps, as a client's task. 0; -EINVAL if there is no simfs; -EUCLEAN if it is damaged; the
// device's error.
int mount(block_device& bdev, const MountOptions& options, std::unique_ptr<super_block>* sb, std::string* problem);

// What a client sees and the device was not given yet, or not in a way that counts: a power cut takes it back.
struct Undurable {
  enum What {
    kData,     // bytes in the page cache
    kSize,     // the size, or where the data lie: no commit has it
    kName,     // no commit has it
    kGone,     // the name was removed, and no commit has that
    kFailed,   // writing back its data failed once, and is not tried again: what was not rewritten since is lost
    kStopped,  // a commit failed, so none follows
  };
  What what;
  std::string path;  // "/a/b", from the file system's root; of kStopped: ""
  uint64_t bytes;    // of kData
  uint64_t size;     // of the file, as the client sees it
};
// In the order of the tree. What lies in the device's cache is not among it.
std::vector<Undurable> FindUndurable(super_block& sb);

// A name in the root directory that is not on the disk, as a device node. Nobody can remove it.
void AddNode(super_block& sb, absl::string_view name, std::shared_ptr<inode> node);

}  // namespace aiolab::simfs

#endif  // KERNEL_MODEL_FS_SIMFS_SIMFS_H_
