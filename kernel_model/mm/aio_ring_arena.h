// Where completion rings live: pages that kernel and client share, at addresses that become context ids.
//
// Differs: in the kernel each ring is a mapping of its own. Here all are slices of one shared mapping, because a
// process may hold more contexts than it may have mappings (vm.max_map_count).
#ifndef KERNEL_MODEL_MM_AIO_RING_ARENA_H_
#define KERNEL_MODEL_MM_AIO_RING_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <map>

namespace aiolab {

// Thread-compatible. A child of fork still sees the parent's rings, as in the kernel, and makes its own elsewhere.
class AioRingArena {
 public:
  AioRingArena() = default;
  ~AioRingArena();
  AioRingArena(const AioRingArena&) = delete;
  AioRingArena& operator=(const AioRingArena&) = delete;

  // `pages` zeroed pages, readable and writable; null if there is no more room.
  void* Map(size_t pages);
  // Takes them from the client, who has them at `now_at`: the next access there is a SIGSEGV. The kernel's view stays
  // as it is until Unmap.
  void Hide(void* now_at, size_t pages);
  // Gives them back; their contents are gone. Requires: `ring` is from Map with the same number of pages.
  void Unmap(void* ring, void* now_at, size_t pages);

  // The client has moved `ring` to `address` by mremap. Reads /proc/self/maps, which is slow.
  bool HasMoved(const void* ring, const void* address) const;

  // The kernel's own view of `ring`'s pages, which stays when the client unmaps, moves or protects its view.
  void* KernelView(void* ring) const { return kernel_base_ + (static_cast<char*>(ring) - base_); }

  // In a child of fork: the slices are the parent's; the next Map() starts an arena of the child's own.
  void AfterForkInChild();

 private:
  bool Reserve();

  char* base_ = nullptr;         // where the client sees the rings
  char* kernel_base_ = nullptr;  // the same pages again
  size_t size_ = 0;              // bytes
  uint64_t dev_ = 0;             // of the pages' file
  uint64_t inode_ = 0;           // likewise
  size_t used_end_ = 0;          // bytes from base_ that were ever handed out
  int forks_ = 0;                // how often this process descends from one with an arena: each tries another address
  std::multimap<size_t, size_t> free_;  // pages -> offset of a free slice
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_MM_AIO_RING_ARENA_H_
