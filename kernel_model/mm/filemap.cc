#include "kernel_model/mm/filemap.h"

#include <errno.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "kernel_model/kernel/fault_inject.h"
#include "kernel_model/kernel/sched.h"
#include "kernel_model/mm/folio.h"
#include "uapi/errno_name.h"

namespace aiolab {

// One page of a file, without its bytes.
struct page_state {
  bool uptodate = false;
  bool error = false;  // its last read has failed
  // Being read, if it is this process's kernel_state::forks: a read under way at a fork does not end in the child.
  int reading_forks = -1;
  wait_queue_head wait;  // woken when it has become uptodate
};

address_space::address_space(const address_space_operations& a_ops) : a_ops(a_ops) {}
address_space::~address_space() {
  while (!i_pages.empty()) {
    folio* const page = i_pages.begin()->second;
    // A transfer that was forgotten with its bio will not end it.
    page->locked = page->writeback = false;
    filemap_remove_folio(page);
  }
  if (vm != nullptr) list_del_init(&mapping_list);
}

namespace {

// So many forgotten pages of a file are kept to be used again.
constexpr size_t kFreePageStatesMax = 1024;

page_state& GetState(address_space& mapping, uint64_t index) {
  std::unique_ptr<page_state>& slot = mapping.i_page_states[index];
  if (slot != nullptr) return *slot;
  if (mapping.free_page_states.empty()) {
    slot = std::make_unique<page_state>();
  } else {
    slot = std::move(mapping.free_page_states.back());
    mapping.free_page_states.pop_back();
  }
  return *slot;
}

bool BeingRead(const page_state& page) { return page.reading_forks == current_kernel().forks; }

bool Uptodate(address_space& mapping, uint64_t index) {
  const auto found = mapping.i_page_states.find(index);
  return found != mapping.i_page_states.end() && found->second->uptodate;
}

// The first page of [first, last] that is not there; last + 1 if all are.
uint64_t FirstAbsent(address_space& mapping, uint64_t first, uint64_t last) {
  if (mapping.readahead == nullptr) return last + 1;
  uint64_t index = first;
  while (index <= last && Uptodate(mapping, index)) ++index;
  return index;
}

// Asks for the absent pages of [first, last] that follow one another from `first`.
void StartReading(kiocb* iocb, address_space& mapping, uint64_t first, uint64_t last) {
  uint64_t end = first;
  for (; end <= last && !Uptodate(mapping, end); ++end) {
    page_state& page = GetState(mapping, end);
    if (BeingRead(page)) break;
    page.reading_forks = current_kernel().forks;
    page.error = false;
  }
  if (end > first) mapping.readahead(iocb, mapping, first, end - first);
}

// Lets the request wait until the page is there, or its read has failed. 0 if that is so now; -EIOCBRETRY if the
// request must leave; -EINTR and the like if the sleep failed.
int WaitForPage(kiocb* iocb, address_space& mapping, uint64_t index) {
  page_state& page = GetState(mapping, index);
  iocb->ki_progress.page = index;
  if (iocb->ki_wait != nullptr) {
    iocb->ki_waits_for = "a page of its file";
    add_wait_queue(page.wait, iocb->ki_wait);
    return -EIOCBRETRY;
  }
  const SleepResult slept = wait_event(page.wait, [&page] { return page.uptodate || !BeingRead(page); });
  return slept == SleepResult::kDone ? 0 : -EIO;
}

// Whether the read of the page that this request waited for has failed. It is told once.
bool ReadHasFailed(kiocb* iocb, address_space& mapping, uint64_t index) {
  if (std::exchange(iocb->ki_progress.page, ~uint64_t{0}) != index) return false;
  const page_state& page = GetState(mapping, index);
  return page.error && !page.uptodate && !BeingRead(page);
}

enum class Direction { kRead, kWrite };

// Moves the request's bytes range by range: as many pages at once as are there.
ssize_t MoveRanges(kiocb* iocb, iov_iter* iter, address_space& mapping, Direction direction) {
  ssize_t moved = 0;
  while (iter->count > 0) {
    uint64_t n = iter->count;
    if (fault_armed(FaultSite::kPage)) [[unlikely]] {
      // Page by page, so that each is an occasion; what lies behind the end is none.
      if (direction == Direction::kRead) {
        const loff_t size = mapping.a_ops.size(iocb->ki_filp);
        if (iocb->ki_pos >= size) break;
        n = std::min<uint64_t>(n, static_cast<uint64_t>(size - iocb->ki_pos));
      }
      n = std::min<uint64_t>(n, kPageSize - static_cast<uint64_t>(iocb->ki_pos) % kPageSize);
      const bool there = !mapping.swaps && Uptodate(mapping, static_cast<uint64_t>(iocb->ki_pos) >> kPageShift);
      if (!there || direction == Direction::kWrite) {
        // What was swapped out comes back even for a write that replaces it.
        const bool read = !there && (direction == Direction::kRead || mapping.swaps ||
                                     write_leaves_old_bytes(mapping.a_ops.size(iocb->ki_filp), iocb->ki_pos, n));
        if (const int error = fault_page(iocb, n, read); error != 0) return moved > 0 ? moved : error;
      }
    }
    const uint64_t first = static_cast<uint64_t>(iocb->ki_pos) >> kPageShift;
    uint64_t last = (static_cast<uint64_t>(iocb->ki_pos) + n - 1) >> kPageShift;
    const uint64_t there = FirstAbsent(mapping, first, last);
    if (there == first) {
      // Nobody waits for what lies behind the end. Asked only now, as the size of a host's file is a system call.
      if (direction == Direction::kRead) {
        const loff_t size = mapping.a_ops.size(iocb->ki_filp);
        if (iocb->ki_pos >= size) break;
        last = std::min(last, (static_cast<uint64_t>(size) - 1) >> kPageShift);
      }
      if (ReadHasFailed(iocb, mapping, first)) return moved > 0 ? moved : -EIO;
      const bool may_not_wait = (iocb->ki_flags & IOCB_NOWAIT) != 0;
      // A read that may not wait for its pages has them read all the same: the next one finds them.
      if (!may_not_wait || direction == Direction::kRead) StartReading(iocb, mapping, first, last);
      if (may_not_wait) return moved > 0 ? moved : -EAGAIN;
      const int error = WaitForPage(iocb, mapping, first);
      if (error == -EIOCBRETRY) return error;
      if (error != 0) return moved > 0 ? moved : error;
      continue;
    }
    const uint64_t range = std::min<uint64_t>(n, (there << kPageShift) - static_cast<uint64_t>(iocb->ki_pos));
    const ssize_t result = direction == Direction::kRead ? mapping.a_ops.read_range(iocb, iter, range)
                                                         : mapping.a_ops.write_range(iocb, iter, range);
    if (result < 0) return moved > 0 ? moved : result;
    moved += result;
    iocb->ki_pos += result;
    if (static_cast<uint64_t>(result) < range) break;
  }
  return moved;
}

}  // namespace

bool write_leaves_old_bytes(loff_t size, loff_t pos, size_t bytes) {
  const auto offset = static_cast<loff_t>(static_cast<size_t>(pos) % kPageSize);
  return pos - offset < size && (offset > 0 || (bytes < kPageSize && pos + static_cast<loff_t>(bytes) < size));
}

ssize_t filemap_read(kiocb* iocb, iov_iter* iter, address_space& mapping) {
  return MoveRanges(iocb, iter, mapping, Direction::kRead);
}

ssize_t filemap_write(kiocb* iocb, iov_iter* iter, address_space& mapping) {
  // Where an appending write goes is known only when it goes there, so it cannot wait for pages in the middle.
  if ((iocb->ki_flags & IOCB_APPEND) != 0) {
    const ssize_t result = mapping.a_ops.write_range(iocb, iter, iter->count);
    if (result > 0) iocb->ki_pos += result;
    return result;
  }
  return MoveRanges(iocb, iter, mapping, Direction::kWrite);
}

void folio_end_read(address_space& mapping, uint64_t first, uint64_t nr, bool success) {
  for (uint64_t index = first; index < first + nr; ++index) {
    page_state& page = GetState(mapping, index);
    page.reading_forks = -1;
    page.uptodate = success;
    page.error = !success;
  }
  for (uint64_t index = first; index < first + nr; ++index) wake_up_all(GetState(mapping, index).wait);
}

void invalidate_mapping_pages(address_space& mapping, uint64_t first, uint64_t last) {
  invalidate_inode_pages2_range(mapping, first, last);
  absl::erase_if(mapping.i_page_states, [&mapping, first, last](auto& entry) {
    page_state& page = *entry.second;
    if (entry.first < first || entry.first > last || BeingRead(page) || waitqueue_active(page.wait)) return false;
    if (mapping.free_page_states.size() < kFreePageStatesMax) {
      page.uptodate = page.error = false;
      page.reading_forks = -1;
      mapping.free_page_states.push_back(std::move(entry.second));
    }
    return true;
  });
}

}  // namespace aiolab
