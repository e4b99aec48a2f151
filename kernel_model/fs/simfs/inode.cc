// Where a file's blocks are, and how long it is.
#include <errno.h>
#include <linux/stat.h>
#include <sys/stat.h>

#include <algorithm>

#include "kernel_model/fs/simfs/super.h"
#include "kernel_model/kernel/sched.h"
#include "kernel_model/mm/folio.h"

namespace aiolab::simfs {
namespace {

// What a block could follow on the disk: the one before it in the file.
uint64_t GoalFor(const SimfsInode& node, uint64_t index) {
  if (index == 0) return 0;
  const ExtentMap::Run placed = node.extents.Find(index - 1);
  if (placed.mapped) return placed.physical + 1;
  const ExtentMap::Run pending = node.pending.Find(index - 1);
  return pending.mapped ? pending.physical + 1 : 0;
}

void Answer(block_map* map, block_map::Type type, uint64_t physical, uint64_t nr) {
  map->type = type;
  map->sector = physical * kSectorsPerBlock;
  map->nr_pages = nr;
}

// Gives up to `nr` blocks from `index` on, which lie nowhere, a place.
int Allocate(Simfs& fs, SimfsInode& node, uint64_t index, uint64_t nr, block_map* map) {
  // Those that were promised room have it, the others take what is left.
  const bool promised = node.delayed.count(index) != 0;
  uint64_t want = 1;
  while (want < nr && (node.delayed.count(index + want) != 0) == promised) ++want;
  if (!promised) {
    if (const int error = fs.RoomForRecords(kExtentRecordBytes); error != 0) return error;
    want = std::min(want, fs.available());
  }
  const Blocks got = fs.free.Allocate(GoalFor(node, index), want);
  if (got.length == 0) return -ENOSPC;
  std::vector<Blocks> none;
  node.pending.Insert(index, {got.length, got.first, false}, &none);
  if (promised) {
    node.delayed.erase(node.delayed.find(index), node.delayed.lower_bound(index + got.length));
    fs.delayed_blocks -= got.length;
  }
  fs.UpdateBlocks(node);
  Answer(map, block_map::kUnwritten, got.first, got.length);
  return 0;
}

int simfs_map_blocks(inode& vfs_node, uint64_t index, uint64_t nr, bool allocate, block_map* map) {
  SimfsInode& node = SIMFS_I(vfs_node);
  const ExtentMap::Run run = node.extents.Find(index);
  nr = std::min(nr, run.length);
  if (run.mapped) {
    Answer(map, run.unwritten ? block_map::kUnwritten : block_map::kMapped, run.physical, nr);
    return 0;
  }
  const ExtentMap::Run pending = node.pending.Find(index);
  nr = std::min(nr, pending.length);
  if (pending.mapped) {
    Answer(map, block_map::kUnwritten, pending.physical, nr);
    return 0;
  }
  if (allocate) return index + nr > kFileBlocksMax ? -EFBIG : Allocate(SIMFS_SB(node), node, index, nr, map);
  auto delayed = node.delayed.lower_bound(index);
  if (delayed == node.delayed.end() || *delayed != index) {
    if (delayed != node.delayed.end()) nr = std::min(nr, *delayed - index);
    Answer(map, block_map::kHole, 0, nr);
    return 0;
  }
  uint64_t length = 0;
  while (length < nr && delayed != node.delayed.end() && *delayed == index + length) ++length, ++delayed;
  Answer(map, block_map::kDelayed, 0, length);
  return 0;
}

int simfs_reserve(inode& vfs_node, uint64_t first, uint64_t nr) {
  SimfsInode& node = SIMFS_I(vfs_node);
  Simfs& fs = SIMFS_SB(node);
  if (first + nr > kFileBlocksMax) return -EFBIG;
  std::vector<uint64_t> wanted;
  bool splits_extents = false;
  for (uint64_t index = first; index < first + nr; ++index) {
    const ExtentMap::Run run = node.extents.Find(index);
    if (run.mapped && run.unwritten) splits_extents = true;
    if (!run.mapped && !node.pending.Find(index).mapped && node.delayed.count(index) == 0) wanted.push_back(index);
  }
  if (wanted.empty() && !splits_extents) return fs.change_error();
  const size_t records = wanted.size() + (splits_extents ? 2 : 0);
  if (const int error = fs.RoomForRecords(records * kExtentRecordBytes); error != 0) return error;
  if (wanted.size() > fs.available()) return -ENOSPC;
  node.delayed.insert(wanted.begin(), wanted.end());
  fs.delayed_blocks += wanted.size();
  fs.UpdateBlocks(node);
  return 0;
}

void AfterFailedWrite(Simfs& fs, SimfsInode& node, uint64_t first, uint64_t nr, loff_t new_disk_size) {
  switch (node.fault_model.value_or(fs.options.error_model)) {
    case ErrorModel::kExt4Ordered:
    case ErrorModel::kExt4Data:
      if (new_disk_size <= node.i_disksize) return;
      node.i_disksize = new_disk_size;
      fs.Touch(node, /*data=*/true);
      return;
    case ErrorModel::kXfs:
      return;
    case ErrorModel::kBtrfs:
      for (uint64_t index = first; index < first + nr; ++index) {
        folio* const page = filemap_get_folio(node.mapping, index);
        if (page != nullptr && !page->dirty) page->uptodate = false;
      }
      return;
  }
}

// The data are on the device: from now on the blocks are the file's. A failed write leaves them as they are: reserved,
// and they read as zeros.
void simfs_end_write(inode& vfs_node, uint64_t first, uint64_t nr, loff_t new_disk_size, int error) {
  SimfsInode& node = SIMFS_I(vfs_node);
  Simfs& fs = SIMFS_SB(node);
  if (fs.journal.error() != 0) return;
  if (error != 0) {
    AfterFailedWrite(fs, node, first, nr, new_disk_size);
    return;
  }
  const uint64_t end = first + nr;
  for (uint64_t index = first; index < end;) {
    const ExtentMap::Run run = node.extents.Find(index);
    const ExtentMap::Run pending = node.pending.Find(index);
    uint64_t length = std::min(end - index, run.length);
    uint64_t physical = run.physical;
    if (!run.mapped) {
      length = std::min(length, pending.length);
      physical = pending.physical;
    }
    if (run.mapped ? run.unwritten : pending.mapped) {
      const Extent written = {length, physical, false};
      fs.ChangeExtents(node, [&](ExtentMap& extents, std::vector<Blocks>* freed) {
        extents.Insert(index, written, freed);
        std::vector<Blocks> moved;
        node.pending.Erase(index, length, &moved);
      });
      PutExtent(node.i_ino, index, written, fs.journal.Change());
      fs.Touch(node, /*data=*/true);
    }
    index += length;
  }
  if (new_disk_size > node.i_disksize) {
    node.i_disksize = new_disk_size;
    fs.Touch(node, /*data=*/true);
  }
}

// What the file had behind its end may be anything on the disk: it becomes zeros before it becomes part of the file.
int ZeroTail(SimfsInode& node) {
  if (node.i_size % kBlockSize == 0) return 0;
  return truncate_pagecache_block(node, node.i_size);
}

int Shrink(Simfs& fs, SimfsInode& node, loff_t size) {
  if (size % kBlockSize != 0) {
    if (const int error = truncate_pagecache_block(node, size); error != 0) return error;
  }
  node.i_size = size;
  const int error = truncate_pagecache(node, size);
  const uint64_t first_gone = (static_cast<uint64_t>(size) + kBlockSize - 1) >> kBlockShift;
  fs.DropPending(node, first_gone, kFileBlocksMax);
  fs.ChangeExtents(
      node, [&](ExtentMap& extents, std::vector<Blocks>* freed) { extents.Erase(first_gone, kFileBlocksMax, freed); });
  PutHole(node.i_ino, first_gone, kFileBlocksMax, fs.journal.Change());
  return error;
}

int SetSize(SimfsInode& node, loff_t size) {
  Simfs& fs = SIMFS_SB(node);
  if (size > kFileBytesMax) return -EFBIG;
  if (const int error = inode_lock(node); error != 0) return error;
  int error = inode_dio_wait(node);
  if (error == 0) error = size < node.i_size ? Shrink(fs, node, size) : size > node.i_size ? ZeroTail(node) : 0;
  if (error == 0) {
    node.i_size = node.i_disksize = size;
    fs.Touch(node, /*data=*/true);
  }
  inode_unlock(node);
  return error;
}

}  // namespace

const address_space_operations kAops = {
    .map_blocks = simfs_map_blocks,
    .reserve = simfs_reserve,
    .end_write = simfs_end_write,
};

int simfs_setattr(inode& vfs_node, const iattr& attr) {
  SimfsInode& node = SIMFS_I(vfs_node);
  Simfs& fs = SIMFS_SB(node);
  if (const int error = fs.change_error(); error != 0) return error;
  if ((attr.ia_valid & ATTR_SIZE) != 0) {
    if (!S_ISREG(node.i_mode)) return -EINVAL;
    if (const int error = SetSize(node, attr.ia_size); error != 0) return error;
  }
  setattr_copy(node, attr);
  fs.Touch(node, /*data=*/false);
  return 0;
}

int simfs_getattr(const inode& node, kstat* stat) {
  if (const int error = SIMFS_SB(node).read_error(); error != 0) return error;
  if (!S_ISREG(node.i_mode)) return 0;
  const mapping_limits& limits = SIMFS_SB(node).options.limits;
  stat->result_mask |= STATX_DIOALIGN;
  stat->dio_mem_align = limits.dma_alignment;
  stat->dio_offset_align = limits.logical_block_size;
  return 0;
}

const inode_operations kFileInodeOperations = {
    .setattr = simfs_setattr,
    .getattr = simfs_getattr,
};

}  // namespace aiolab::simfs
