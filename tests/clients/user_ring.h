// The completion ring as a client reads it by itself, without io_getevents. The layout is the kernel's; no installed
// header has it.
#ifndef TESTS_CLIENTS_USER_RING_H_
#define TESTS_CLIENTS_USER_RING_H_

#include <libaio.h>
#include <stdint.h>

#include "tests/clients/client.h"

namespace client {

struct UserRing {
  uint32_t id;
  uint32_t nr;
  uint32_t head;
  uint32_t tail;
  uint32_t magic;
  uint32_t compat_features;
  uint32_t incompat_features;
  uint32_t header_length;

  static UserRing* Of(io_context_t ctx) {
    auto* ring = reinterpret_cast<UserRing*>(ctx);
    if (ring->magic != 0xa10a10a1) Fail("the ring's magic is 0x%x", ring->magic);
    if (ring->incompat_features != 0) Fail("the ring has incompatible features 0x%x", ring->incompat_features);
    if (ring->header_length != sizeof(UserRing)) Fail("the ring's header has %u bytes", ring->header_length);
    return ring;
  }

  // Takes the next event; false if there is none. No system call is made.
  bool Take(io_event& event) {
    const uint32_t at = head;  // only we write it
    if (at == __atomic_load_n(&tail, __ATOMIC_ACQUIRE)) return false;
    event = reinterpret_cast<const io_event*>(reinterpret_cast<const char*>(this) + header_length)[at];
    __atomic_store_n(&head, (at + 1) % nr, __ATOMIC_RELEASE);
    return true;
  }
};

}  // namespace client

#endif  // TESTS_CLIENTS_USER_RING_H_
