#include "kernel_model/mm/aio_ring_arena.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>

#include "uapi/raw_syscall.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace aiolab {
namespace {

constexpr size_t kPageBytes = 4096;

// Room for 4 million small contexts, or for a few hundred of the largest. Only touched pages cost memory.
constexpr size_t kArenaBytes = size_t{16} << 30;
constexpr size_t kSmallestArenaBytes = size_t{64} << 20;

// The same addresses in every run, in a range that AddressSanitizer and ThreadSanitizer leave to the program. Context
// ids then repeat, and with them everything that a client derives from one.
constexpr uintptr_t kArenaAddress = 0x7ea000000000;

}  // namespace

AioRingArena::~AioRingArena() {
  if (base_ == nullptr) return;
  RawSyscall(__NR_munmap, base_, size_);
  RawSyscall(__NR_munmap, kernel_base_, size_);
}

bool AioRingArena::Reserve() {
  // A shared file, because a ring is shared with children of fork; no fd stays open, because some clients close every
  // fd that they find.
  const long fd = RawSyscall(__NR_memfd_create, "[aio]", MFD_CLOEXEC);
  if (fd < 0) return false;
  for (size_ = kArenaBytes; base_ == nullptr && size_ >= kSmallestArenaBytes; size_ /= 2) {
    if (RawSyscall(__NR_ftruncate, fd, size_) < 0) continue;
    // A limit on address space (RLIMIT_AS) may refuse the large one; another mapping may sit at the address.
    for (const uintptr_t address : {kArenaAddress + forks_ * kArenaBytes, uintptr_t{0}}) {
      const long mapped = RawSyscall(__NR_mmap, address, size_, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_NORESERVE | (address != 0 ? MAP_FIXED_NOREPLACE : 0), fd, 0);
      if (mapped < 0 && mapped > -4096) continue;
      base_ = reinterpret_cast<char*>(mapped);
      break;
    }
    if (base_ == nullptr) continue;
    const long view = RawSyscall(__NR_mmap, nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (view < 0 && view > -4096) {
      RawSyscall(__NR_munmap, base_, size_);
      base_ = nullptr;
      continue;
    }
    kernel_base_ = reinterpret_cast<char*>(view);
    break;
  }
  RawSyscall(__NR_close, fd);
  return base_ != nullptr;
}

void* AioRingArena::Map(size_t pages) {
  if (base_ == nullptr && !Reserve()) return nullptr;
  const auto free = free_.find(pages);
  if (free != free_.end()) {
    char* const ring = base_ + free->second;
    free_.erase(free);
    RawSyscall(__NR_mprotect, ring, pages * kPageBytes, PROT_READ | PROT_WRITE);
    return ring;
  }
  if (used_end_ + pages * kPageBytes > size_) return nullptr;
  char* const ring = base_ + used_end_;
  used_end_ += pages * kPageBytes;
  return ring;
}

// Splitting the mapping can fail when there are very many; then the pages read as zeros once they are given back.
void AioRingArena::Hide(void* ring, size_t pages) { RawSyscall(__NR_mprotect, ring, pages * kPageBytes, PROT_NONE); }

void AioRingArena::Unmap(void* ring, size_t pages) {
  Hide(ring, pages);
  RawSyscall(__NR_madvise, KernelView(ring), pages * kPageBytes, MADV_REMOVE);
  free_.emplace(pages, static_cast<size_t>(static_cast<char*>(ring) - base_));
}

void AioRingArena::AfterForkInChild() {
  base_ = nullptr;
  size_ = used_end_ = 0;
  free_.clear();
  ++forks_;
}

}  // namespace aiolab
