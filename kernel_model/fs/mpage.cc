#include "kernel_model/fs/mpage.h"

#include "kernel_model/block/bio.h"

namespace aiolab {
namespace {

constexpr unsigned kSectorsPerPageShift = kPageShift - SECTOR_SHIFT;

// The bio's reference to the inode keeps the mapping.
void mpage_read_end_io(bio* bio) {
  auto& mapping = *static_cast<address_space*>(bio->bi_private);
  folio_end_read(mapping, (bio->bi_sector - mapping.first_sector) >> kSectorsPerPageShift, bio->bi_size >> kPageShift,
                 bio->bi_status == 0);
  bio_put(bio);
}

}  // namespace

void mpage_readahead(kiocb* iocb, address_space& mapping, uint64_t first, uint64_t nr) {
  // A read wants the data; a write asks the file system where its blocks are.
  const blk_opf_t opf = REQ_OP_READ | ((iocb->ki_flags & IOCB_WRITE) != 0 ? REQ_META : 0);
  bio* const bio =
      bio_alloc(*current_kernel().disk, opf, mapping.first_sector + (first << kSectorsPerPageShift), nr << kPageShift);
  bio->bi_request = iocb->ki_id;
  bio->bi_inode = iocb->ki_filp->f_inode;
  bio->bi_private = &mapping;
  bio->bi_end_io = mpage_read_end_io;
  submit_bio(bio);
}

}  // namespace aiolab
