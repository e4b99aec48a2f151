#include "uapi/libaio/kernel_entry.h"

#include <atomic>
#include <new>

#include "uapi/aio_abi.h"
#include "uapi/host_syscalls.h"
#include "uapi/libaio/install.h"
#include "uapi/syscalls.h"

namespace aiolab {
namespace {

std::atomic<AioSyscalls*> installed_syscalls{nullptr};

// Never destroyed: clients call libaio from destructors and atexit handlers. In static storage, so that the drop-in
// allocates nothing.
AioSyscalls* Host() {
  alignas(HostSyscalls) static char storage[sizeof(HostSyscalls)];
  static HostSyscalls* const host = new (storage) HostSyscalls;
  return host;
}

AioSyscalls& Kernel() {
  AioSyscalls* installed = installed_syscalls.load(std::memory_order_acquire);
  return installed != nullptr ? *installed : *Host();
}

}  // namespace

void InstallSyscalls(AioSyscalls* syscalls) { installed_syscalls.store(syscalls, std::memory_order_release); }

AioSyscalls* InstalledSyscalls() { return installed_syscalls.load(std::memory_order_acquire); }

namespace libaio {

static_assert(sizeof(iocb) == kIocbSize);
static_assert(offsetof(iocb, aio_data) == kIocbDataOffset);
static_assert(offsetof(iocb, aio_key) == kIocbKeyOffset);
static_assert(offsetof(iocb, aio_rw_flags) == kIocbRwFlagsOffset);
static_assert(offsetof(iocb, aio_lio_opcode) == kIocbOpcodeOffset);
static_assert(offsetof(iocb, aio_reqprio) == kIocbReqprioOffset);
static_assert(offsetof(iocb, aio_fildes) == kIocbFildesOffset);
static_assert(offsetof(iocb, aio_buf) == kIocbBufOffset);
static_assert(offsetof(iocb, aio_nbytes) == kIocbNbytesOffset);
static_assert(offsetof(iocb, aio_offset) == kIocbOffsetOffset);
static_assert(offsetof(iocb, aio_flags) == kIocbFlagsOffset);
static_assert(offsetof(iocb, aio_resfd) == kIocbResfdOffset);
static_assert(sizeof(io_event) == kIoEventSize);
static_assert(offsetof(io_event, data) == kIoEventDataOffset);
static_assert(offsetof(io_event, obj) == kIoEventObjOffset);
static_assert(offsetof(io_event, res) == kIoEventResOffset);
static_assert(offsetof(io_event, res2) == kIoEventRes2Offset);
static_assert(sizeof(Context) == sizeof(aio_context_t));

int KernelIoSetup(int nr_events, void* ctxp) {
  return Kernel().io_setup(static_cast<unsigned>(nr_events), static_cast<aio_context_t*>(ctxp));
}

int KernelIoDestroy(Context ctx) { return Kernel().io_destroy(ctx); }

int KernelIoSubmit(Context ctx, long nr, void* iocbpp) {
  return Kernel().io_submit(ctx, nr, static_cast<iocb**>(iocbpp));
}

int KernelIoCancel(Context ctx, void* request, void* event) {
  return Kernel().io_cancel(ctx, static_cast<iocb*>(request), static_cast<io_event*>(event));
}

int KernelIoGetevents(Context ctx, long min_nr, long nr, void* events, timespec* timeout) {
  return Kernel().io_getevents(ctx, min_nr, nr, static_cast<io_event*>(events), timeout);
}

int KernelIoPgetevents(Context ctx, long min_nr, long nr, void* events, timespec* timeout, const void* sigmask) {
  // libaio passes the struct even for a null mask, which the kernel takes for "leave the mask alone".
  const aio_sigset usig = {static_cast<const sigset_t*>(sigmask), kKernelSigsetSize};
  return Kernel().io_pgetevents(ctx, min_nr, nr, static_cast<io_event*>(events), timeout, &usig);
}

bool HostRingIsEmpty(Context ctx) {
  // An installed kernel sees every call: a client that polls with a zero timeout is how a model that runs on its
  // client's stack gets any time at all, and a fault rule for getevents has to meet each of them.
  if (InstalledSyscalls() != nullptr) return false;
  const auto* ring = reinterpret_cast<aio_ring*>(ctx);
  if (ring == nullptr || ring->magic != AIO_RING_MAGIC) return false;
  return __atomic_load_n(&ring->head, __ATOMIC_RELAXED) == __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
}

}  // namespace libaio
}  // namespace aiolab
