// The kernel's AIO ABI behind one include: struct iocb and struct io_event from the system's own <linux/aio_abi.h>, and
// struct aio_ring, which the kernel maps at the context id but which no installed header declares.
#ifndef UAPI_AIO_ABI_H_
#define UAPI_AIO_ABI_H_

#include <linux/aio_abi.h>
#include <linux/fs.h>  // RWF_*
#include <signal.h>

#include <cstddef>
#include <cstdint>

// RWF_* flags younger than the headers of the oldest system that this builds on.
#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND (static_cast<__kernel_rwf_t>(0x00000020))
#endif
#ifndef RWF_ATOMIC
#define RWF_ATOMIC (static_cast<__kernel_rwf_t>(0x00000040))
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE (static_cast<__kernel_rwf_t>(0x00000080))
#endif
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL (static_cast<__kernel_rwf_t>(0x00000100))
#endif

namespace aiolab {

inline constexpr uint32_t AIO_RING_MAGIC = 0xa10a10a1;
inline constexpr uint32_t AIO_RING_COMPAT_FEATURES = 1;
inline constexpr uint32_t AIO_RING_INCOMPAT_FEATURES = 0;

// What io_submit writes into iocb::aio_key, and what io_cancel demands there.
inline constexpr uint32_t KIOCB_KEY = 0;

// The completion ring as a client sees it: an aio_context_t is the address of one. Events lie behind the header, in a
// ring of `nr`. The kernel writes `tail`; whoever reaps writes `head`: io_getevents, or the client itself.
//
// Mirrors: struct aio_ring in fs/aio.c.
struct aio_ring {
  uint32_t id;    // index of the kioctx in its mm's table
  uint32_t nr;    // number of io_events, one of which always stays empty
  uint32_t head;  // next event to reap, 0..nr-1
  uint32_t tail;  // next event to write, 0..nr-1

  uint32_t magic;
  uint32_t compat_features;
  uint32_t incompat_features;
  uint32_t header_length;  // sizeof(aio_ring), bytes

  // io_event events[nr] follow.
  io_event* events() { return reinterpret_cast<io_event*>(this + 1); }
  const io_event* events() const { return reinterpret_cast<const io_event*>(this + 1); }
};

static_assert(sizeof(aio_ring) == 32);
static_assert(offsetof(aio_ring, head) == 8);
static_assert(offsetof(aio_ring, tail) == 12);
static_assert(offsetof(aio_ring, magic) == 16, "libaio looks for the magic here");
static_assert(sizeof(io_event) == 32);
static_assert(sizeof(iocb) == 64);
static_assert(offsetof(iocb, aio_key) == 8, "little endian only");
static_assert(offsetof(iocb, aio_rw_flags) == 12, "little endian only");
static_assert(offsetof(iocb, aio_buf) == 24);
static_assert(offsetof(iocb, aio_resfd) == 60);

// The last argument of io_pgetevents.
//
// Mirrors: struct __aio_sigset in fs/aio.c.
struct aio_sigset {
  const sigset_t* sigmask;
  size_t sigsetsize;  // bytes: 8, the kernel's sigset, not the C library's
};

static_assert(sizeof(aio_sigset) == 16);

// The size of the kernel's sigset_t, which sigsetsize has to name.
inline constexpr size_t kKernelSigsetSize = 8;

}  // namespace aiolab

#endif  // UAPI_AIO_ABI_H_
