// The page cache, as far as requests notice it: which pages of a file are there, which are being read, and who waits
// for them. The bytes themselves are the file's own business (address_space_operations).
//
// Mirrors: mm/filemap.c.
#ifndef KERNEL_MODEL_MM_FILEMAP_H_
#define KERNEL_MODEL_MM_FILEMAP_H_

#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "kernel_model/fs/fs.h"

namespace aiolab {

struct address_space;
struct folio;

struct address_space_operations {
  // Move up to `n` bytes at iocb->ki_pos between the file and the iterator, which advances by what was moved; ki_pos
  // stays. Return the bytes moved (fewer than `n`: end of file, a bad address or no space), or -errno if none was.
  ssize_t (*read_range)(kiocb* iocb, iov_iter* iter, size_t n) = nullptr;
  ssize_t (*write_range)(kiocb* iocb, iov_iter* iter, size_t n) = nullptr;
  // The file's size now.
  loff_t (*size)(file* filp) = nullptr;
};

// The cached pages of one inode. Memory is used for pages that were touched only.
struct address_space {
  explicit address_space(const address_space_operations& a_ops);
  ~address_space();
  address_space(const address_space&) = delete;
  address_space& operator=(const address_space&) = delete;

  const address_space_operations& a_ops;
  // Asks the device for `nr` pages from `first`, on behalf of `iocb`; folio_end_read follows when they are there. Null:
  // every page is always there, as on tmpfs.
  void (*readahead)(kiocb* iocb, address_space& mapping, uint64_t first, uint64_t nr) = nullptr;
  // Moves a whole O_DIRECT request past the pages; -EIOCBQUEUED if it completes later. Null: O_DIRECT means nothing
  // here, as on tmpfs.
  ssize_t (*direct_IO)(kiocb* iocb, iov_iter* iter, const address_space& mapping) = nullptr;
  uint64_t first_sector = 0;  // where the file begins on the device; its blocks follow one another
  absl::flat_hash_map<uint64_t, std::unique_ptr<folio>> i_pages;  // by page index
};

// Buffered read and write. Both go as far as they can: a page that is not there is asked for, and the request waits for
// it by iocb->ki_wait
// (-EIOCBRETRY) or, if that is null, by sleeping. With IOCB_NOWAIT they return -EAGAIN instead of waiting. ki_pos and
// the iterator advance.
//
// Mirrors: generic_file_read_iter, generic_file_write_iter.
ssize_t filemap_read(kiocb* iocb, iov_iter* iter, address_space& mapping);
ssize_t filemap_write(kiocb* iocb, iov_iter* iter, address_space& mapping);

// `nr` pages from `first` have come: whoever waits for one is woken.
void folio_end_read(address_space& mapping, uint64_t first, uint64_t nr);

// Forgets every page that nobody waits for, so that the next request finds them absent.
void invalidate_mapping_pages(address_space& mapping);

}  // namespace aiolab

#endif  // KERNEL_MODEL_MM_FILEMAP_H_
