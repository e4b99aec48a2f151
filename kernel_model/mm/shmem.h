// Files in memory, with the rules of tmpfs: memfds, and whatever has a name and is on no disk.
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
  ssize_t (*direct_IO)(kiocb* iocb, iov_iter* iter, address_space& mapping) = nullptr;
};

// A tmpfs of `size_bytes`, which only files' pages take from: -ENOSPC where they are gone.
inline constexpr uint64_t kTmpfsBytes = uint64_t{4} << 30;
std::unique_ptr<super_block> MakeTmpfs(const shmem_backing& backing, uint64_t size_bytes = kTmpfsBytes);

}  // namespace aiolab

#endif  // KERNEL_MODEL_MM_SHMEM_H_
