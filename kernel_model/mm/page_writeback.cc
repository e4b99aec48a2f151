// Dirty pages: how many there may be, and who writes them when.
#include <errno.h>

#include <algorithm>
#include <limits>

#include "kernel_model/mm/folio.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr uint64_t kAllPages = std::numeric_limits<uint64_t>::max();

// dirty_writeback_interval and dirty_expire_interval.
constexpr int64_t kWritebackIntervalNs = 5'000'000'000;
constexpr int64_t kExpireNs = 30'000'000'000;

uint64_t BackgroundThreshold(const vm_state& vm) {
  return std::min(vm.kernel.profile.dirty_background_pages, vm.kernel.profile.dirty_pages / 2);
}

bool OverDirtyLimit(const vm_state& vm) { return vm.nr_dirty + vm.nr_writeback >= vm.kernel.profile.dirty_pages; }

// Starts writing up to `nr_max` pages of `mapping`, whose inode may be on its way out: then its pages go with it. False
// if none could be started, as every dirty page is under writeback with its older bytes.
bool WriteInode(address_space& mapping, uint64_t nr_max) {
  const std::shared_ptr<inode> keep = mapping.host_reference.lock();
  return keep != nullptr && mapping.writepages(mapping, 0, kAllPages, nr_max, /*sync=*/false) > 0;
}

// The inodes of vm.dirty, which changes while they are written.
template <typename Visit>
void ForEachDirtyInode(vm_state& vm, Visit visit) {
  list_head later;
  while (!list_empty(&vm.dirty)) {
    list_head* const entry = vm.dirty.next;
    if (!visit(*list_entry(entry, address_space, io_list))) break;
    // Gone from there if it is clean now, or no more. Still dirty, it keeps its place, behind this round.
    if (vm.dirty.next == entry) {
      list_del_init(entry);
      list_add_tail(entry, &later);
    }
  }
  while (!list_empty(&later)) {
    list_head* const last = later.prev;
    list_del_init(last);
    list_add(last, &vm.dirty);
  }
}

// Mirrors: wb_check_old_data_flush and wb_check_background_flush.
void wb_workfn(work_struct* work) {
  vm_state& vm = *static_cast<vm_state::Flusher*>(work)->vm;
  const int64_t expired_ns = vm.kernel.executor.NowNs() - kExpireNs;
  ForEachDirtyInode(vm, [expired_ns](address_space& mapping) {
    if (mapping.dirtied_when_ns > expired_ns) return false;
    WriteInode(mapping, kAllPages);
    return true;
  });
  ForEachDirtyInode(vm, [&vm](address_space& mapping) {
    const uint64_t background = BackgroundThreshold(vm);
    if (vm.nr_dirty <= background) return false;
    WriteInode(mapping, vm.nr_dirty - background);
    return true;
  });
  wb_schedule(vm);
}

void TimerExpired(Executor::Event& event) {
  vm_state& vm = *static_cast<vm_state::Timer&>(event).vm;
  ScopedCurrent in_interrupt(vm.kernel.irq);
  queue_work(vm.bdi_wq, &vm.flusher);
}

}  // namespace

vm_state::vm_state(kernel_state& kernel)
    : kernel(kernel), bdi_wq(kernel, "kworker/writeback"), dio_done_wq(kernel, "kworker/dio") {
  INIT_WORK(&flusher, wb_workfn, "wb_workfn");
  flusher.vm = this;
  timer.run = TimerExpired;
  timer.vm = this;
}

vm_state::~vm_state() {
  kernel.executor.Cancel(timer);
  list_del_init(&flusher.entry);
  BUG_ON(!list_empty(&mappings));
}

void vm_state::ResetAfterFork() {
  bdi_wq.ResetAfterFork();
  dio_done_wq.ResetAfterFork();
  const auto forget_waiters = [](wait_queue_head& head) {
    while (!list_empty(&head.head)) list_del_init(head.head.next);
  };
  forget_waiters(throttle_wait);
  for (list_head* at = mappings.next; at != &mappings; at = at->next) {
    address_space& mapping = *list_entry(at, address_space, mapping_list);
    mapping.host->i_dio_count = 0;
    forget_waiters(mapping.host->i_dio_wait);
    forget_waiters(mapping.host->i_rwsem.wait);
    forget_waiters(mapping.writeback_wait);
    for (const auto& [index, page] : mapping.i_pages) {
      forget_waiters(page->wait);
      if (page->locked) folio_unlock(page);
      if (!page->writeback) continue;
      page->dropbehind = false;
      folio_end_writeback(page);
      folio_mark_dirty(page);
    }
  }
  wb_schedule(*this);
}

int balance_dirty_pages_ratelimited(address_space& mapping, kiocb* iocb) {
  vm_state& vm = *mapping.vm;
  if (vm.nr_dirty > BackgroundThreshold(vm)) queue_work(vm.bdi_wq, &vm.flusher);
  return kiocb_wait(
      iocb, vm.throttle_wait, [&vm] { return !OverDirtyLimit(vm); }, "dirty pages to become fewer");
}

void wake_throttled_writers(vm_state& vm) {
  if (vm.kernel.bug == SeededBug::kThrottledForEver) return;
  if (waitqueue_active(vm.throttle_wait) && !OverDirtyLimit(vm)) wake_up_all(vm.throttle_wait);
}

// A timer that fires although nothing is dirty would keep an idle machine from being idle.
void wb_schedule(vm_state& vm) {
  if (vm.nr_dirty == 0 || Executor::armed(vm.timer)) return;
  vm.kernel.executor.At(vm.timer, vm.kernel.executor.NowNs() + kWritebackIntervalNs);
}

}  // namespace aiolab
