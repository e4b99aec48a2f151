// Files in memory, with the rules of tmpfs: memfds, and whatever is opened by name.
//
// Mirrors: mm/shmem.c.
// Differs: with a backing the pages come and go like those of a disk's file, so that requests have something to wait
// for. The bytes are there all the time.
#ifndef KERNEL_MODEL_MM_SHMEM_H_
#define KERNEL_MODEL_MM_SHMEM_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "kernel_model/fs/fs.h"
#include "kernel_model/mm/filemap.h"

namespace aiolab {

// What is below the pages: as the members of address_space (filemap.h). Both null on a tmpfs like the kernel's.
struct shmem_backing {
  void (*readahead)(kiocb* iocb, address_space& mapping, uint64_t first, uint64_t nr) = nullptr;
  ssize_t (*direct_IO)(kiocb* iocb, iov_iter* iter, const address_space& mapping) = nullptr;
};

// An empty regular file.
std::shared_ptr<inode> shmem_get_inode(mode_t mode, const shmem_backing& backing);

// The pages of a file made by shmem_get_inode().
address_space& shmem_mapping(inode& node);

}  // namespace aiolab

#endif  // KERNEL_MODEL_MM_SHMEM_H_
