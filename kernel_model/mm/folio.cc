#include "kernel_model/mm/folio.h"

#include <errno.h>

#include <string>

#include "uapi/errno_name.h"

namespace aiolab {
namespace {

// A page is up for reclaim while nobody needs it to stay.
void UpdateLru(folio* page) {
  const bool idle = page->mapping != nullptr && !page->locked && !page->dirty && !page->writeback;
  if (!idle) {
    list_del_init(&page->lru);
  } else if (list_empty(&page->lru)) {
    list_add_tail(&page->lru, &page->mapping->vm->lru);
  }
}

void Shrink(vm_state& vm, uint64_t nr_pages_max, const folio* spared) {
  while (vm.nr_pages > nr_pages_max && !list_empty(&vm.lru)) {
    folio* const oldest = list_entry(vm.lru.next, folio, lru);
    if (oldest == spared) break;
    filemap_remove_folio(oldest);
  }
}

}  // namespace

void folio_put(folio* page) {
  if (--page->_refcount == 0) delete page;
}

folio* filemap_get_folio(const address_space& mapping, uint64_t index) {
  const auto found = mapping.i_pages.find(index);
  return found == mapping.i_pages.end() ? nullptr : found->second;
}

folio* filemap_add_folio(address_space& mapping, uint64_t index) {
  vm_state& vm = *mapping.vm;
  auto* const page = new folio;
  page->mapping = &mapping;
  page->index = index;
  BUG_ON(!mapping.i_pages.emplace(index, page).second);
  ++vm.nr_pages;
  UpdateLru(page);
  Shrink(vm, vm.kernel.profile.page_cache_pages_max, page);
  TRACE_EVENT("mm_filemap_add_to_page_cache", {{"ino", mapping.host->i_ino}, {"index", index}});
  return page;
}

void filemap_remove_folio(folio* page) {
  BUG_ON(page->locked || page->writeback);
  address_space& mapping = *page->mapping;
  if (page->dirty) folio_cancel_dirty(page);
  page->mapping = nullptr;
  list_del_init(&page->lru);
  mapping.i_pages.erase(page->index);
  --mapping.vm->nr_pages;
  TRACE_EVENT("mm_filemap_delete_from_page_cache", {{"ino", mapping.host->i_ino}, {"index", page->index}});
  wake_up_all(page->wait);
  folio_put(page);
}

void folio_mark_accessed(folio* page) {
  page->unused = false;
  list_del_init(&page->lru);
  UpdateLru(page);
}

void folio_lock(folio* page) {
  BUG_ON(page->locked);
  page->locked = true;
  UpdateLru(page);
}

void folio_unlock(folio* page) {
  page->locked = false;
  UpdateLru(page);
  if (current_kernel().bug != SeededBug::kPageReadWakesNobody) wake_up_all(page->wait);
}

void folio_end_read(folio* page, bool success) {
  page->uptodate = page->unused = success;
  page->error = !success;
  folio_unlock(page);
}

void folio_mark_dirty(folio* page) {
  if (page->dirty) return;
  address_space& mapping = *page->mapping;
  vm_state& vm = *mapping.vm;
  page->dirty = true;
  UpdateLru(page);
  if (mapping.dirty_pages.empty()) {
    mapping.dirtied_when_ns = vm.kernel.executor.NowNs();
    list_add_tail(&mapping.io_list, &vm.dirty);
  }
  mapping.dirty_pages.insert(page->index);
  ++vm.nr_dirty;
  wb_schedule(vm);
}

void folio_cancel_dirty(folio* page) {
  address_space& mapping = *page->mapping;
  page->dirty = false;
  mapping.dirty_pages.erase(page->index);
  if (mapping.dirty_pages.empty()) list_del_init(&mapping.io_list);
  --mapping.vm->nr_dirty;
  UpdateLru(page);
  wake_throttled_writers(*mapping.vm);
}

void folio_start_writeback(folio* page) {
  BUG_ON(!page->dirty || page->writeback);
  address_space& mapping = *page->mapping;
  // First, so that no throttled writer is told of a page that is only on its way.
  page->writeback = true;
  mapping.writeback_pages.insert(page->index);
  ++mapping.vm->nr_writeback;
  folio_cancel_dirty(page);
}

void folio_end_writeback(folio* page) {
  address_space& mapping = *page->mapping;
  page->writeback = false;
  mapping.writeback_pages.erase(page->index);
  --mapping.vm->nr_writeback;
  UpdateLru(page);
  folio_get(page);
  wake_throttled_writers(*mapping.vm);
  wake_up_all(page->wait);
  if (page->dropbehind && page->mapping != nullptr && !page->dirty && !page->locked) filemap_remove_folio(page);
  folio_put(page);
}

int kiocb_wait(kiocb* iocb, wait_queue_head& head, absl::FunctionRef<bool()> condition, const char* what) {
  if (condition()) return 0;
  if ((iocb->ki_flags & IOCB_NOWAIT) != 0) return -EAGAIN;
  iocb->ki_waits_for = what;
  return wait_event_or_leave(head, iocb->ki_wait, condition);
}

int folio_wait_locked(folio* page, kiocb* iocb) {
  folio_get(page);
  const int error = kiocb_wait(
      iocb, page->wait, [page] { return !page->locked; }, "a page of its file");
  folio_put(page);
  return error;
}

int folio_wait_writeback(folio* page, kiocb* iocb) {
  folio_get(page);
  const int error = kiocb_wait(
      iocb, page->wait, [page] { return !page->writeback; }, "a page of its file that is being written");
  folio_put(page);
  return error;
}

void vm_state::DropCaches() { Shrink(*this, 0, nullptr); }

}  // namespace aiolab
