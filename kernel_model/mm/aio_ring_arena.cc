#include "kernel_model/mm/aio_ring_arena.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
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

bool ReadMaps(std::string* maps) {
  const long fd = RawSyscall(__NR_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return false;
  char buffer[4096];
  long count;
  while ((count = RawSyscall(__NR_read, fd, buffer, sizeof(buffer))) > 0) {
    maps->append(buffer, static_cast<size_t>(count));
  }
  RawSyscall(__NR_close, fd);
  return count == 0;
}

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
  struct stat status = {};
  RawSyscall(__NR_fstat, fd, &status);
  dev_ = status.st_dev;
  inode_ = status.st_ino;
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
void AioRingArena::Hide(void* now_at, size_t pages) {
  RawSyscall(__NR_mprotect, now_at, pages * kPageBytes, PROT_NONE);
}

void AioRingArena::Unmap(void* ring, void* now_at, size_t pages) {
  RawSyscall(__NR_madvise, KernelView(ring), pages * kPageBytes, MADV_REMOVE);
  if (now_at != ring) {
    // Where it was, the client may have something else by now: that address is not for rings any more.
    RawSyscall(__NR_munmap, now_at, pages * kPageBytes);
    return;
  }
  Hide(ring, pages);
  free_.emplace(pages, static_cast<size_t>(static_cast<char*>(ring) - base_));
}

// What lies at the address says which page of which file it is: a copy of a ring is no ring.
bool AioRingArena::HasMoved(const void* ring, const void* address) const {
  const auto at = reinterpret_cast<uint64_t>(address);
  const auto ring_offset = static_cast<uint64_t>(static_cast<const char*>(ring) - base_);
  std::string maps;
  if (!ReadMaps(&maps)) return false;
  for (const absl::string_view line : absl::StrSplit(maps, '\n')) {
    unsigned long begin, end, offset, inode;
    unsigned dev_major, dev_minor;
    if (sscanf(std::string(line).c_str(), "%lx-%lx %*s %lx %x:%x %lu", &begin, &end, &offset, &dev_major, &dev_minor,
               &inode) != 6) {
      continue;
    }
    if (at < begin || at >= end) continue;
    return inode == inode_ && makedev(dev_major, dev_minor) == dev_ && offset + (at - begin) == ring_offset;
  }
  return false;
}

void AioRingArena::AfterForkInChild() {
  base_ = nullptr;
  size_ = used_end_ = 0;
  free_.clear();
  ++forks_;
}

}  // namespace aiolab
