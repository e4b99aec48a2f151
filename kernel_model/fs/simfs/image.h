// What a disk of simfs holds, read back from its blocks: what a mount starts from, and what a checker looks at.
#ifndef KERNEL_MODEL_FS_SIMFS_IMAGE_H_
#define KERNEL_MODEL_FS_SIMFS_IMAGE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "kernel_model/fs/simfs/extents.h"
#include "kernel_model/fs/simfs/format.h"

namespace aiolab::simfs {

struct ImageInode {
  InodeRecord attributes;
  ExtentMap extents;
  std::map<std::string, uint64_t, std::less<>> entries;  // of a directory: name to ino
};

struct Image {
  Superblock super = {};
  std::map<uint64_t, ImageInode> inodes;
  uint64_t next_ino = kRootIno + 1;
  int checkpoint_area = 0;      // the one that counts
  uint64_t checkpoint_seq = 0;  // its last transaction
  uint64_t journal_tail = 0;    // the ring's block where the first transaction behind the checkpoint begins
  uint64_t journal_head = 0;    // where the next one will
  uint64_t seq = 0;             // the last transaction that is complete
  uint64_t transactions_replayed = 0;
  // There is a header of transaction seq + 1 behind the last complete one: it was under way when the power went.
  bool torn_tail = false;
};

// Reads `blocks` blocks from `first` on. 0 or -errno.
using BlockReader = absl::FunctionRef<int(uint64_t first, uint64_t blocks, char* to)>;

// Recovers the metadata of a disk; the disk is only read. 0; -EINVAL if there is no simfs; -EUCLEAN and what is wrong
// in `*problem` if it is damaged in a way that no loss of power explains; or the reader's error.
int ReadImage(BlockReader read, Image* image, std::string* problem);

// Makes the changes that `records` describe. False if they make no sense, and then part of them is done.
bool ApplyRecords(absl::string_view records, Image* image);

// What contradicts itself: blocks that two files have or that are no data blocks, names that lead nowhere, link counts
// that do not add up, directories that are no tree. Empty: nothing. Inodes without links are no contradiction: a mount
// frees them.
std::vector<std::string> Check(const Image& image);

}  // namespace aiolab::simfs

#endif  // KERNEL_MODEL_FS_SIMFS_IMAGE_H_
