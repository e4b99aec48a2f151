// The arithmetic of the completion ring, without the ring.
#ifndef KERNEL_MODEL_FS_AIO_RING_H_
#define KERNEL_MODEL_FS_AIO_RING_H_

#include <cstddef>
#include <cstdint>

#include "uapi/aio_abi.h"

namespace aiolab {

struct AioRingGeometry {
  size_t pages;
  unsigned events;  // one of them always stays empty
};

// The ring that holds at least `nr_events` events, and as many more as fit its last page.
constexpr AioRingGeometry AioRingGeometryFor(unsigned nr_events) {
  constexpr size_t kPageBytes = 4096;
  // One slot stays empty, since a full ring must not look like an empty one; the kernel adds another.
  const size_t bytes = sizeof(aio_ring) + sizeof(io_event) * (size_t{nr_events} + 2);
  const size_t pages = (bytes + kPageBytes - 1) / kPageBytes;
  return {pages, static_cast<unsigned>((kPageBytes * pages - sizeof(aio_ring)) / sizeof(io_event))};
}

// How many events lie between `head` and `tail`. Requires: both below `nr`.
constexpr unsigned AioRingCount(unsigned head, unsigned tail, unsigned nr) {
  return head <= tail ? tail - head : nr - (head - tail);
}

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_AIO_RING_H_
