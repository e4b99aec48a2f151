#include "kernel_model/fs/mpage.h"

#include "kernel_model/block/block.h"

namespace aiolab {
namespace {

// The bio's reference to the file keeps the mapping.
void mpage_read_end_io(bio* bio) {
  folio_end_read(*static_cast<address_space*>(bio->bi_private), static_cast<uint64_t>(bio->bi_pos) >> kPageShift,
                 bio->bi_size >> kPageShift);
  bio_put(bio);
}

}  // namespace

void mpage_readahead(kiocb* iocb, address_space& mapping, uint64_t first, uint64_t nr) {
  // A read wants the data; a write asks the file system where its blocks are.
  const BioOp op = (iocb->ki_flags & IOCB_WRITE) != 0 ? BioOp::kReadMeta : BioOp::kRead;
  bio* const bio = bio_alloc(op, iocb->ki_filp, static_cast<loff_t>(first << kPageShift), nr << kPageShift);
  bio->bi_request = iocb->ki_id;
  bio->bi_private = &mapping;
  bio->bi_end_io = mpage_read_end_io;
  submit_bio(bio);
}

}  // namespace aiolab
