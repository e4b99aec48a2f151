// One page of a file whose bytes are in the page cache, and the machine's count of them.
//
// For mm/ and for those who move pages to and from a device (fs/iomap). Nothing here sleeps.
//
// Mirrors: struct folio and struct bdi_writeback, mm/filemap.c, mm/page-writeback.c, mm/vmscan.c, fs/fs-writeback.c.
// Differs: a folio is one page. The limits are numbers of pages (profile.h), not shares of a memory that the model does
// not have. There is one list for reclaim, in order of use, without a second chance. One flusher serves all devices.
#ifndef KERNEL_MODEL_MM_FOLIO_H_
#define KERNEL_MODEL_MM_FOLIO_H_

#include <cstdint>

#include "kernel_model/kernel/sched.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/kernel/workqueue.h"
#include "kernel_model/mm/filemap.h"

namespace aiolab {

struct folio {
  address_space* mapping = nullptr;  // null: it has been removed, and only those who still use it have it
  uint64_t index = 0;
  int _refcount = 1;
  bool locked = false;      // being read
  bool uptodate = false;    // the bytes count
  bool dirty = false;       // they are not on the device, nor on their way
  bool writeback = false;   // they are on their way
  bool error = false;       // the last read of it failed
  bool unused = false;      // nobody has used it since it was read: who comes first would learn of an error
  bool readahead = false;   // who reads this one asks for the next window
  bool dropbehind = false;  // goes when whoever brought it is done (RWF_DONTCACHE)
  wait_queue_head wait;     // woken when it is no longer locked, or no longer under writeback
  list_head lru;            // in vm_state::lru while it is clean and idle
  char bytes[kPageSize] = {};
};

inline folio* folio_get(folio* page) {
  ++page->_refcount;
  return page;
}
void folio_put(folio* page);

// The page at `index`, or null. No reference.
folio* filemap_get_folio(const address_space& mapping, uint64_t index);
// A new page of zeros that is not uptodate. Requires: there is none. May remove other pages, but not this one.
folio* filemap_add_folio(address_space& mapping, uint64_t index);
// Requires: it is neither locked nor under writeback. A dirty page is lost.
void filemap_remove_folio(folio* page);
// It has been used: reclaim takes others first.
void folio_mark_accessed(folio* page);

// Requires: it is not locked.
void folio_lock(folio* page);
void folio_unlock(folio* page);
// A read of it has ended.
void folio_end_read(folio* page, bool success);
void folio_mark_dirty(folio* page);
// It is not dirty any more, without having been written.
void folio_cancel_dirty(folio* page);
// From dirty to under writeback.
void folio_start_writeback(folio* page);
void folio_end_writeback(folio* page);

// Waits for something on behalf of a request: -EAGAIN with IOCB_NOWAIT, else as wait_event_or_leave.
int kiocb_wait(kiocb* iocb, wait_queue_head& head, absl::FunctionRef<bool()> condition, const char* what);
int folio_wait_locked(folio* page, kiocb* iocb);
int folio_wait_writeback(folio* page, kiocb* iocb);

// Asks for the window that the read of `req_count` pages at `index` calls for; page_cache_async_ra when it has found
// the page with the mark.
void page_cache_sync_ra(address_space& mapping, kiocb* iocb, uint64_t index, uint64_t req_count);
void page_cache_async_ra(address_space& mapping, kiocb* iocb, folio* marked, uint64_t req_count);
// Asks for what is absent of `nr` pages from `first`, as far as the file goes, but for no more than a large window.
void force_page_cache_readahead(const file& filp, uint64_t first, uint64_t nr);
// Asks for one absent or stale page.
void filemap_read_folio(address_space& mapping, kiocb* iocb, uint64_t index);

// The pages of all files of the machine.
struct vm_state {
  explicit vm_state(kernel_state& kernel);
  ~vm_state();

  // The parent's transfers do not end here: pages that were being read are absent, those being written are dirty.
  void ResetAfterFork();
  // Drops what is clean and idle.
  void DropCaches();

  kernel_state& kernel;
  list_head mappings;  // address_space::mapping_list
  uint64_t nr_pages = 0;
  uint64_t nr_dirty = 0;
  uint64_t nr_writeback = 0;
  list_head lru;                  // clean and idle folios, the one to go next first
  list_head dirty;                // address_space::io_list: dirty for the longest time first
  wait_queue_head throttle_wait;  // writers over the dirty limit
  workqueue_struct bdi_wq;        // runs the flusher
  workqueue_struct dio_done_wq;   // ends direct writes
  struct Flusher : work_struct {
    vm_state* vm = nullptr;
  } flusher;
  struct Timer : Executor::Event {
    vm_state* vm = nullptr;
  } timer;  // armed while something is dirty
};

// Lets a writer wait while too much is dirty, and has the flusher begin before that.
int balance_dirty_pages_ratelimited(address_space& mapping, kiocb* iocb);
// Something is dirty no longer, or not under writeback any more.
void wake_throttled_writers(vm_state& vm);
// Keeps the periodic writeback going as long as it is needed.
void wb_schedule(vm_state& vm);

}  // namespace aiolab

#endif  // KERNEL_MODEL_MM_FOLIO_H_
