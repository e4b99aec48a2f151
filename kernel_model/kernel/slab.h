// Memory for objects of one kind, which is used again: an object costs no allocation once as many have been freed.
//
// Mirrors: include/linux/slab.h.
// Differs: objects are constructed and destroyed.
#ifndef KERNEL_MODEL_KERNEL_SLAB_H_
#define KERNEL_MODEL_KERNEL_SLAB_H_

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

namespace aiolab {

// Thread-compatible. Objects that are still in use when the cache goes away are not its affair.
struct kmem_cache {
  kmem_cache() = default;
  kmem_cache(const kmem_cache&) = delete;
  kmem_cache& operator=(const kmem_cache&) = delete;
  ~kmem_cache() {
    for (void* object : free) ::operator delete(object);
  }

  std::vector<void*> free;
};

// Requires, of both: all objects of one cache are of one type, whose alignment needs nothing special.
template <typename T, typename... Args>
T* kmem_cache_new(kmem_cache& cache, Args&&... args) {
  static_assert(alignof(T) <= alignof(std::max_align_t));
  void* memory;
  if (cache.free.empty()) {
    memory = ::operator new(sizeof(T));
  } else {
    memory = cache.free.back();
    cache.free.pop_back();
  }
  return new (memory) T{std::forward<Args>(args)...};
}

template <typename T>
void kmem_cache_delete(kmem_cache& cache, T* object) {
  object->~T();
  cache.free.push_back(object);
}

}  // namespace aiolab

#endif  // KERNEL_MODEL_KERNEL_SLAB_H_
