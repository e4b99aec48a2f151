// Room for data that are still to come, and holes where they were.
#include <errno.h>
#include <linux/falloc.h>

#include <algorithm>

#include "kernel_model/fs/simfs/super.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab::simfs {
namespace {

constexpr char kZeros[kBlockSize] = {};

// The whole blocks of [from, to), bytes.
struct WholeBlocks {
  WholeBlocks(loff_t from, loff_t to)
      : first((static_cast<uint64_t>(from) + kBlockSize - 1) >> kBlockShift),
        end(std::max(static_cast<uint64_t>(to) >> kBlockShift, first)) {}
  uint64_t length() const { return end - first; }

  uint64_t first;
  uint64_t end;
};

// Writes zeros to [from, to), which lie within one block, through the page cache. A hole has them already.
int ZeroWithinBlock(file* filp, loff_t from, loff_t to) {
  SimfsInode& node = SIMFS_I(*filp->f_inode);
  to = std::min(to, node.i_size);
  if (from >= to) return 0;
  block_map map;
  if (const int error = kAops.map_blocks(node, static_cast<uint64_t>(from) >> kBlockShift, 1, false, &map);
      error != 0) {
    return error;
  }
  if (map.type == block_map::kHole) return 0;
  kiocb iocb;
  iocb.ki_filp = filp;
  iocb.ki_flags = IOCB_WRITE;
  iocb.ki_pos = from;
  iov_iter zeros;
  zeros.segments.assign(1, iovec{const_cast<char*>(kZeros), static_cast<size_t>(to - from)});
  zeros.count = static_cast<size_t>(to - from);
  zeros.pinned = true;
  const ssize_t written = generic_file_write_iter(&iocb, &zeros);
  if (written < 0) return static_cast<int>(written);
  return written == to - from ? 0 : -EIO;
}

// The parts of [from, to) that are no whole blocks.
int ZeroEdges(file* filp, loff_t from, loff_t to) {
  const auto block = static_cast<loff_t>(kBlockSize);
  const loff_t first_end = std::min(to, (from + block - 1) / block * block);
  if (const int error = ZeroWithinBlock(filp, from, first_end); error != 0) return error;
  const loff_t last_begin = to / block * block;
  return last_begin >= first_end ? ZeroWithinBlock(filp, last_begin, to) : 0;
}

// Room for all of it or nothing: how many of [first, end) have neither a block nor a promise, and in how many pieces.
struct Missing {
  uint64_t blocks = 0;
  uint64_t pieces = 0;
};
Missing CountMissing(const SimfsInode& node, uint64_t first, uint64_t end) {
  Missing missing;
  for (uint64_t index = first; index < end;) {
    block_map map;
    kAops.map_blocks(const_cast<SimfsInode&>(node), index, end - index, /*allocate=*/false, &map);
    if (map.type == block_map::kHole) {
      missing.blocks += map.nr_pages;
      ++missing.pieces;
    }
    index += map.nr_pages;
  }
  return missing;
}

// Gives the holes of [first, end) unwritten blocks.
int AllocateUnwritten(SimfsInode& node, uint64_t first, uint64_t end) {
  Simfs& fs = SIMFS_SB(node);
  const Missing missing = CountMissing(node, first, end);
  if (const int error = WaitForFreeBlocks(fs, nullptr, missing.blocks); error != 0) return error;
  if (missing.blocks > fs.available()) return -ENOSPC;
  if (const int error = fs.RoomForRecords(missing.pieces * 2 * kExtentRecordBytes); error != 0) return error;
  for (uint64_t index = first; index < end;) {
    block_map map;
    kAops.map_blocks(node, index, end - index, /*allocate=*/false, &map);
    if (map.type != block_map::kHole) {
      index += map.nr_pages;
      continue;
    }
    const ExtentMap::Run before = index == 0 ? ExtentMap::Run() : node.extents.Find(index - 1);
    const Blocks got = fs.free.Allocate(before.mapped ? before.physical + 1 : 0, map.nr_pages);
    BUG_ON(got.length == 0);
    const Extent unwritten = {got.length, got.first, true};
    fs.ChangeExtents(node,
                     [&](ExtentMap& extents, std::vector<Blocks>* freed) { extents.Insert(index, unwritten, freed); });
    PutExtent(node.i_ino, index, unwritten, fs.journal.Change());
    index += got.length;
  }
  return 0;
}

// The pages that would have made the size on the disk grow are about to go.
//
// Mirrors: ext4_update_disksize_before_punch.
void UpdateDisksize(SimfsInode& node, loff_t end) {
  if (end >= node.i_size) node.i_disksize = node.i_size;
}

// The pages go, and nothing is on its way to the blocks any more.
int ClearPages(SimfsInode& node, const WholeBlocks& blocks) {
  if (blocks.length() == 0) return 0;
  return truncate_inode_pages_range(node.mapping, blocks.first, blocks.end - 1);
}

int PunchHole(SimfsInode& node, const WholeBlocks& blocks) {
  Simfs& fs = SIMFS_SB(node);
  // One extent may become two.
  if (const int error = fs.RoomForRecords(kExtentRecordBytes); error != 0) return error;
  if (const int error = ClearPages(node, blocks); error != 0) return error;
  fs.DropPending(node, blocks.first, blocks.length());
  fs.ChangeExtents(node, [&](ExtentMap& extents, std::vector<Blocks>* freed) {
    extents.Erase(blocks.first, blocks.length(), freed);
  });
  PutHole(node.i_ino, blocks.first, blocks.length(), fs.journal.Change());
  return 0;
}

// What has blocks keeps them, and they count as unwritten.
int ZeroBlocks(SimfsInode& node, const WholeBlocks& blocks) {
  Simfs& fs = SIMFS_SB(node);
  if (const int error = ClearPages(node, blocks); error != 0) return error;
  fs.DropPending(node, blocks.first, blocks.length());
  for (uint64_t index = blocks.first; index < blocks.end;) {
    const ExtentMap::Run run = node.extents.Find(index);
    const uint64_t length = std::min(run.length, blocks.end - index);
    if (run.mapped && !run.unwritten) {
      if (const int error = fs.RoomForRecords(2 * kExtentRecordBytes); error != 0) return error;
      const Extent unwritten = {length, run.physical, true};
      fs.ChangeExtents(
          node, [&](ExtentMap& extents, std::vector<Blocks>* freed) { extents.Insert(index, unwritten, freed); });
      PutExtent(node.i_ino, index, unwritten, fs.journal.Change());
    }
    index += length;
  }
  return 0;
}

void SetSizeAndTimes(SimfsInode& node, loff_t end, bool grows) {
  if (grows && end > node.i_size) node.i_size = node.i_disksize = end;
  node.i_mtime = node.i_ctime = current_time();
  SIMFS_SB(node).Touch(node, /*data=*/true);
}

int FallocateLocked(SimfsInode& node, int mode, loff_t offset, loff_t end) {
  if (const int error = inode_dio_wait(node); error != 0) return error;
  const int drops_pages = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
  if ((mode & drops_pages) != 0 && offset <= node.i_size) UpdateDisksize(node, end);
  if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) return PunchHole(node, WholeBlocks(offset, end));
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && end > node.i_size && node.i_size % kBlockSize != 0) {
    if (const int error = truncate_pagecache_block(node, node.i_size); error != 0) return error;
  }
  if ((mode & FALLOC_FL_ZERO_RANGE) != 0) {
    if (const int error = ZeroBlocks(node, WholeBlocks(offset, end)); error != 0) return error;
  }
  const uint64_t first = static_cast<uint64_t>(offset) >> kBlockShift;
  const uint64_t last = (static_cast<uint64_t>(end) - 1) >> kBlockShift;
  return AllocateUnwritten(node, first, last + 1);
}

}  // namespace

long simfs_fallocate(file* filp, int mode, loff_t offset, loff_t len) {
  SimfsInode& node = SIMFS_I(*filp->f_inode);
  if (const int error = SIMFS_SB(node).change_error(); error != 0) return error;
  const int kind = mode & ~FALLOC_FL_KEEP_SIZE;
  if (kind != 0 && kind != FALLOC_FL_PUNCH_HOLE && kind != FALLOC_FL_ZERO_RANGE) return -EOPNOTSUPP;
  if (kind == FALLOC_FL_PUNCH_HOLE && (mode & FALLOC_FL_KEEP_SIZE) == 0) return -EOPNOTSUPP;
  if (offset > kFileBytesMax - len) return -EFBIG;
  const loff_t end = offset + len;
  const bool grows = (mode & FALLOC_FL_KEEP_SIZE) == 0;
  if (grows) {
    if (const int error = inode_newsize_ok(node, end); error != 0) return error;
  }
  if (kind != 0) {
    if (const int error = ZeroEdges(filp, offset, end); error != 0) return error;
  }
  if (const int error = inode_lock(node); error != 0) return error;
  const int error = FallocateLocked(node, mode, offset, end);
  if (error == 0) SetSizeAndTimes(node, end, grows);
  inode_unlock(node);
  return error;
}

}  // namespace aiolab::simfs
