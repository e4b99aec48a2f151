// Which blocks of the disk a file has, and which nobody has.
#ifndef KERNEL_MODEL_FS_SIMFS_EXTENTS_H_
#define KERNEL_MODEL_FS_SIMFS_EXTENTS_H_

#include <cstdint>
#include <map>
#include <vector>

#include "kernel_model/fs/simfs/format.h"

namespace aiolab::simfs {

// A run of the disk's blocks.
struct Blocks {
  uint64_t first = 0;
  uint64_t length = 0;

  uint64_t end() const { return first + length; }
  friend bool operator==(const Blocks&, const Blocks&) = default;
};

// Where a file's blocks lie. Neighbours that could be one extent are one.
class ExtentMap {
 public:
  // A run of a file's blocks that has one answer.
  struct Run {
    uint64_t logical = 0;
    uint64_t length = 0;
    bool mapped = false;  // else a hole
    bool unwritten = false;
    uint64_t physical = 0;
  };

  // The run from `logical` on. A hole behind the last extent ends at kFileBlocksMax.
  Run Find(uint64_t logical) const;

  // Maps extent.length blocks from `logical` on, whatever was mapped there. The blocks that the file has no more are
  // added to `freed`.
  void Insert(uint64_t logical, const Extent& extent, std::vector<Blocks>* freed);
  void Erase(uint64_t logical, uint64_t length, std::vector<Blocks>* freed);

  uint64_t blocks() const { return blocks_; }
  const std::map<uint64_t, Extent>& extents() const { return extents_; }

 private:
  using Position = std::map<uint64_t, Extent>::iterator;
  // Makes `logical` a place where no extent has its middle. Returns the first extent at or behind it.
  Position SplitAt(uint64_t logical);
  // Makes `at` and the one behind it one, if they can be.
  void MergeWithNext(Position at);

  std::map<uint64_t, Extent> extents_;  // by first logical block
  uint64_t blocks_ = 0;
};

// The blocks that are free. Costs memory for fragments, not for blocks.
class FreeSpace {
 public:
  // At most `want` blocks in a row, at `goal` if that is free; length 0 if there is none at all.
  Blocks Allocate(uint64_t goal, uint64_t want);
  // False, and nothing changes, unless all of them are free.
  bool Take(const Blocks& blocks);
  // False, and nothing changes, if one of them is free already.
  bool Release(const Blocks& blocks);

  uint64_t free_blocks() const { return free_blocks_; }

 private:
  std::map<uint64_t, uint64_t> runs_;  // first block to length
  uint64_t free_blocks_ = 0;
};

}  // namespace aiolab::simfs

#endif  // KERNEL_MODEL_FS_SIMFS_EXTENTS_H_
