// Waiting for writeback, and what becomes of its errors.
#include <errno.h>

#include <limits>

#include "kernel_model/mm/folio.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

bool HasIndexIn(const absl::btree_set<uint64_t>& indices, uint64_t first, uint64_t last) {
  const auto found = indices.lower_bound(first);
  return found != indices.end() && *found <= last;
}

}  // namespace

uint64_t filemap_fdatawrite(address_space& mapping, uint64_t first, uint64_t last) {
  return mapping.writepages(mapping, first, last, std::numeric_limits<uint64_t>::max(), /*sync=*/true);
}

bool filemap_range_has_writeback(const address_space& mapping, uint64_t first, uint64_t last) {
  return HasIndexIn(mapping.writeback_pages, first, last);
}

bool filemap_range_needs_writeback(const address_space& mapping, uint64_t first, uint64_t last) {
  return HasIndexIn(mapping.dirty_pages, first, last) || HasIndexIn(mapping.writeback_pages, first, last);
}

bool filemap_range_has_page(const address_space& mapping, uint64_t first, uint64_t last) {
  const auto found = mapping.i_pages.lower_bound(first);
  return found != mapping.i_pages.end() && found->first <= last;
}

// A page that is under writeback with older bytes when the first pass meets it is written in the second; more passes
// would be for what became dirty since.
int filemap_write_and_wait_range(address_space& mapping, uint64_t first, uint64_t last, fsync_state* state) {
  constexpr int kPasses = 2;
  for (;;) {
    if (state->writeback_passes == 0 ||
        (state->writeback_passes < kPasses && HasIndexIn(mapping.dirty_pages, first, last) &&
         !filemap_range_has_writeback(mapping, first, last))) {
      ++state->writeback_passes;
      filemap_fdatawrite(mapping, first, last);
    }
    const auto over = [&] { return !filemap_range_has_writeback(mapping, first, last); };
    if (const int error = wait_event_or_leave(mapping.writeback_wait, state->wait, over); error != 0) return error;
    if (state->writeback_passes == kPasses || !HasIndexIn(mapping.dirty_pages, first, last)) return 0;
  }
}

int file_write_and_wait_range(file* filp, uint64_t first, uint64_t last, fsync_state* state) {
  const int error = filemap_write_and_wait_range(*filp->f_inode->i_mapping, first, last, state);
  if (error == -EIOCBRETRY) return error;
  const int told = file_check_and_advance_wb_err(filp);
  return error != 0 ? error : told;
}

int file_fdatawait_range(file* filp, uint64_t first, uint64_t last) {
  address_space& mapping = *filp->f_inode->i_mapping;
  const auto over = [&] { return !filemap_range_has_writeback(mapping, first, last); };
  const int error = wait_event_or_leave(mapping.writeback_wait, nullptr, over);
  const int told = file_check_and_advance_wb_err(filp);
  return error != 0 ? error : told;
}

int file_check_and_advance_wb_err(file* filp) {
  return errseq_check_and_advance(&filp->f_inode->i_mapping->wb_err, &filp->f_wb_err);
}

errseq_t filemap_sample_wb_err(const address_space& mapping) { return errseq_sample(mapping.wb_err); }

int filemap_check_wb_err(const address_space& mapping, errseq_t since) { return errseq_check(mapping.wb_err, since); }

void mapping_set_error(address_space& mapping, int error) {
  if (error != 0) errseq_set(&mapping.wb_err, error);
}

}  // namespace aiolab
