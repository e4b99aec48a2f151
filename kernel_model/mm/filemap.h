// The page cache. It serves two kinds of files:
//
// - Files whose bytes live elsewhere (files of the host, tmpfs): the cache knows only which pages are there, which are
//   being read, and who waits for them. They fill in read_range, write_range and size, and use filemap_read() and
//   filemap_write().
// - Files whose bytes are in the pages and whose blocks are on a block device. They fill in map_blocks, reserve and
//   end_write, call iomap_init_mapping() (fs/iomap.h) once for each inode, and use generic_file_read_iter(),
//   generic_file_write_iter() and file_write_and_wait_range(). All the rest of this page is about them.
//
// Nothing but what says so sleeps.
//
// The first kind is not the second with less in it: hostfs has no bytes of its own to keep (preadv2 moves them straight
// between the client and the host's file), and knows of a file no more than its fd tells, so it has neither blocks nor
// a size to go by. Of tmpfs, whose bytes are never elsewhere, only a machine that retries asks which pages "are there".
//
// Mirrors: include/linux/pagemap.h, mm/filemap.c, mm/truncate.c, mm/fadvise.c.
#ifndef KERNEL_MODEL_MM_FILEMAP_H_
#define KERNEL_MODEL_MM_FILEMAP_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/mm/errseq.h"

namespace aiolab {

struct address_space;
struct block_device;
struct folio;
struct page_state;
struct vm_state;

// Where pages of a file lie. `nr_pages` of them, at least 1, are of the same kind, and those that have sectors follow
// one another on the device.
struct block_map {
  enum Type {
    kHole,       // nowhere: zeros
    kDelayed,    // room is reserved, but the place is not chosen
    kUnwritten,  // at `sector`, but what lies there counts as zeros until end_write
    kMapped,     // at `sector`
  };
  Type type = kHole;
  uint64_t sector = 0;  // of 512 bytes
  uint64_t nr_pages = 0;
};

// None of them sleeps.
struct address_space_operations {
  // ---- Files whose bytes live elsewhere.
  // Move up to `n` bytes at iocb->ki_pos between the file and the iterator, which advances by what was moved; ki_pos
  // stays. Return the bytes moved (fewer than `n`: end of file, a bad address or no space), or -errno if none was.
  ssize_t (*read_range)(kiocb* iocb, iov_iter* iter, size_t n) = nullptr;
  ssize_t (*write_range)(kiocb* iocb, iov_iter* iter, size_t n) = nullptr;
  // The file's size now.
  loff_t (*size)(file* filp) = nullptr;

  // ---- Files whose bytes are in the pages.
  // Where the `nr` pages from `index` lie, or as many of them as are of one kind. With `allocate` (writeback and direct
  // writes) a hole and a delayed page get blocks first: the answer is kUnwritten or kMapped. A file system without
  // unwritten extents may answer kMapped for new blocks only if it makes the place part of the file in end_write. 0,
  // -ENOSPC, -EIO.
  int (*map_blocks)(inode& node, uint64_t index, uint64_t nr, bool allocate, block_map* map) = nullptr;
  // Room for a buffered write to these pages, before it is copied (delayed allocation). Pages that have blocks or room
  // cost nothing. Room that is not used any more goes with a truncation. Null: there is always room. 0, -ENOSPC.
  int (*reserve)(inode& node, uint64_t first, uint64_t nr) = nullptr;
  // In interrupt context, or in that of a direct write's completion: a write of these pages has ended, with `error` (0
  // or -errno). Without an error unwritten extents are written now, and the size on disk may grow to `new_disk_size`
  // (bytes). Writes may end in any order: pages before these may not have had their end_write yet. Null: nothing to do.
  void (*end_write)(inode& node, uint64_t first, uint64_t nr, loff_t new_disk_size, int error) = nullptr;
};

// What of a device direct I/O has to know.
struct mapping_limits {
  uint32_t logical_block_size = 512;  // bytes: offsets and lengths of direct requests are multiples
  uint32_t dma_alignment = 512;       // bytes: so are the addresses of their buffers
  bool write_cache = true;            // volatile: O_DSYNC needs a flush or FUA
  bool fua = true;
  uint32_t atomic_write_unit_min = 0;  // bytes, powers of two; 0: no RWF_ATOMIC
  uint32_t atomic_write_unit_max = 0;
};

// The cached pages of one inode. Memory is used for pages that were touched only.
struct address_space {
  explicit address_space(const address_space_operations& a_ops);
  // Drops the pages, dirty ones too: a file system keeps its linked inodes while they have any. No page is under
  // writeback: the bios keep the inode.
  ~address_space();
  address_space(const address_space&) = delete;
  address_space& operator=(const address_space&) = delete;

  const address_space_operations& a_ops;
  // Moves a whole O_DIRECT request past the pages; -EIOCBQUEUED if it completes later. Null: O_DIRECT means nothing
  // here, as on tmpfs.
  ssize_t (*direct_IO)(kiocb* iocb, iov_iter* iter, address_space& mapping) = nullptr;

  // ---- Files whose bytes live elsewhere.
  // Asks the device for `nr` pages from `first`, on behalf of `iocb`; folio_end_read follows when they are there. Null:
  // every page is always there, as on tmpfs.
  void (*readahead)(kiocb* iocb, address_space& mapping, uint64_t first, uint64_t nr) = nullptr;
  bool swaps = false;         // a page that is in memory may be out of it the next moment: tmpfs
  uint64_t first_sector = 0;  // where the file begins on the device; its blocks follow one another
  absl::flat_hash_map<uint64_t, std::unique_ptr<page_state>> i_page_states;  // by page index
  std::vector<std::unique_ptr<page_state>> free_page_states;                 // to be used again

  // ---- Files whose bytes are in the pages. iomap_init_mapping() fills in the next few.
  inode* host = nullptr;
  std::weak_ptr<inode> host_reference;
  vm_state* vm = nullptr;
  block_device* bdev = nullptr;
  mapping_limits limits;
  // Starts reading the locked folios [first, first + nr), which are all there. Each is unlocked when it has been read.
  // `ahead`: nobody may be waiting for them. May sleep for a request of the device, if the current task can.
  void (*read_folios)(address_space& mapping, uint64_t first, uint64_t nr, bool ahead, int64_t request) = nullptr;
  // Starts writing dirty folios of [first, last] that are not under writeback, up to `nr_max`. `sync`: somebody waits
  // for them. The number of pages that are dirty no longer. May sleep as read_folios does.
  uint64_t (*writepages)(address_space& mapping, uint64_t first, uint64_t last, uint64_t nr_max, bool sync) = nullptr;
  // A page under writeback may not be written to before that has ended (AS_STABLE_WRITES). Otherwise it may, as on
  // most devices, and is then dirty again.
  bool stable_writes = false;

  absl::btree_map<uint64_t, folio*> i_pages;  // by page index; each holds a reference
  absl::btree_set<uint64_t> dirty_pages;
  absl::btree_set<uint64_t> writeback_pages;
  // Woken when pages of this file have left writeback, whatever became of them.
  wait_queue_head writeback_wait;
  errseq_t wb_err = 0;
  int write_fault = 0;          // -errno with which a fault rule ends the writes of pages that begin now
  list_head io_list;            // in vm_state::dirty, while there are dirty pages
  int64_t dirtied_when_ns = 0;  // since when there are
  list_head mapping_list;       // in vm_state::mappings
};

// ---- Reads and writes

// Buffered and direct, as the file's mode and the request's flags say. Sleeps, or leaves iocb->ki_wait where it has
// to wait: for a page (read-ahead, or the rest of a page that is written in part), for the inode lock, for dirty pages
// to become fewer, for a page under writeback. With IOCB_NOWAIT -EAGAIN instead. Direct requests never leave: they
// sleep (in io_submit) or end by ki_complete. The generic_write_checks, locking, syncing (O_DSYNC, RWF_DSYNC) and the
// size (i_size) are all dealt with; file times are not.
ssize_t generic_file_read_iter(kiocb* iocb, iov_iter* to);
ssize_t generic_file_write_iter(kiocb* iocb, iov_iter* from);

// For file_operations::open: what reads and writes need to know of a new file. `filp` refers to `node` already.
int generic_file_open(inode& node, file* filp);

// For file_operations::fadvise. Sleeps as filemap_fdatawrite does. 0 or -EINVAL.
int generic_fadvise(file* filp, loff_t offset, loff_t len, int advice);

// The inode lock for a request. 0, -EIOCBRETRY or -EAGAIN as above. Kept until inode_unlock; a retried request that has
// it already gets 0.
int inode_lock_iocb(inode& node, kiocb* iocb);
void inode_unlock_iocb(inode& node, kiocb* iocb);
// The same for a client's task, which sleeps. 0, or -EIO if it will never be free and the machine was told to go on.
int inode_lock(inode& node);
void inode_unlock(inode& node);
// Sleeps until no direct request is under way. Requires: the inode lock, so that none begins.
int inode_dio_wait(inode& node);

// ---- Writeback

// Starts writing the dirty pages of [first, last] (page indices); how many were started. May sleep for a request of the
// device, if the current task can. Those that are under writeback
// already and dirty again are left for another call, after that has ended.
uint64_t filemap_fdatawrite(address_space& mapping, uint64_t first, uint64_t last);
// A page of [first, last] is under writeback: mapping.writeback_wait says when to look again.
bool filemap_range_has_writeback(const address_space& mapping, uint64_t first, uint64_t last);
// A page of [first, last] is dirty or under writeback.
bool filemap_range_needs_writeback(const address_space& mapping, uint64_t first, uint64_t last);
bool filemap_range_has_page(const address_space& mapping, uint64_t first, uint64_t last);
// Writes the dirty pages of [first, last] and sleeps, or leaves state->wait (-EIOCBRETRY, then call it again with the
// same state), until what was dirty at the call is on the device. 0, or -EIO when the sleep failed. It leaves errors of
// writing for filemap_check_wb_err. The device's cache is not flushed.
int filemap_write_and_wait_range(address_space& mapping, uint64_t first, uint64_t last, fsync_state* state);
// The same for fsync: 0, -EIOCBRETRY, or the error that this file has to be told of, once.
int file_write_and_wait_range(file* filp, uint64_t first, uint64_t last, fsync_state* state);
// Sleeps until no page of [first, last] is under writeback. 0, or the error that this file has to be told of, once.
int file_fdatawait_range(file* filp, uint64_t first, uint64_t last);
// The error of writing back since the file was told last, or 0; it has been told then.
int file_check_and_advance_wb_err(file* filp);
errseq_t filemap_sample_wb_err(const address_space& mapping);
int filemap_check_wb_err(const address_space& mapping, errseq_t since);
// Notes an error that an fsync of every file of the inode has to tell.
void mapping_set_error(address_space& mapping, int error);

// ---- Going away

// The file ends at `new_size` now (i_size is set): pages behind go, dirty ones too, and the rest of the last one
// becomes zeros, and is not made dirty. Sleeps until those pages are not being read or written. 0, or -EIO when the
// sleep failed.
int truncate_pagecache(inode& node, loff_t new_size);
// Before the file ends within a page: brings that page in if it has blocks, fills it with zeros behind `from`, and
// makes it dirty, so that the device gets the zeros too. Sleeps. 0, -EIO, -ENOSPC.
int truncate_pagecache_block(inode& node, loff_t from);
// Removes the whole pages of [first, last] whatever their state, as for a hole that is punched. Sleeps like
// truncate_pagecache.
int truncate_inode_pages_range(address_space& mapping, uint64_t first, uint64_t last);
// Removes the clean, idle pages of [first, last]. 0, or -EBUSY if some page could not go.
int invalidate_inode_pages2_range(address_space& mapping, uint64_t first, uint64_t last);

// Forgets the pages of [first, last] that nobody waits for, so that the next request finds them absent. For both kinds
// of files; dirty pages stay.
void invalidate_mapping_pages(address_space& mapping, uint64_t first = 0,
                              uint64_t last = std::numeric_limits<uint64_t>::max());

// ---- Files whose bytes live elsewhere

// Buffered read and write. Both go as far as they can: a page that is not there is asked for, and the request waits for
// it by iocb->ki_wait (-EIOCBRETRY) or, if that is null, by sleeping. With IOCB_NOWAIT they return -EAGAIN instead of
// waiting. ki_pos and the iterator advance.
//
// Mirrors: generic_file_read_iter, generic_file_write_iter.
ssize_t filemap_read(kiocb* iocb, iov_iter* iter, address_space& mapping);
ssize_t filemap_write(kiocb* iocb, iov_iter* iter, address_space& mapping);

// Whether a write of [pos, pos + bytes), within a page, leaves bytes of it that a file of this size had before.
bool write_leaves_old_bytes(loff_t size, loff_t pos, size_t bytes);

// `nr` pages from `first` have come, or cannot be read: whoever waits for one is woken, and told.
void folio_end_read(address_space& mapping, uint64_t first, uint64_t nr, bool success);

}  // namespace aiolab

#endif  // KERNEL_MODEL_MM_FILEMAP_H_
