// Page cache reads as bios, for files whose bytes live elsewhere (mm/filemap.h): a bio takes the device's time and
// carries no memory. fs/iomap.h has the other kind.
//
// Mirrors: fs/mpage.c.
#ifndef KERNEL_MODEL_FS_MPAGE_H_
#define KERNEL_MODEL_FS_MPAGE_H_

#include <cstdint>

#include "kernel_model/mm/filemap.h"

namespace aiolab {

// An address_space::readahead: one bio for all the pages.
void mpage_readahead(kiocb* iocb, address_space& mapping, uint64_t first, uint64_t nr);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_MPAGE_H_
