// Mirrors: libaio 0.3.113, seen from its manual pages and its behaviour.
// Differs: with a kernel installed, a zero timeout and an empty ring are the kernel's affair too (kernel_entry.cc).
#include "uapi/libaio/libaio.h"

#include <errno.h>

#include <cstddef>
#include <cstdint>

#include "uapi/libaio/kernel_entry.h"

// In the shared library the version script gives each function its version; only a second, older function of the same
// name says its own. In a static link a name has none.
#ifdef AIOLAB_LIBAIO_VERSIONED
#define LIBAIO_VERSION(name_and_version) __attribute__((symver(name_and_version)))
#else
#define LIBAIO_VERSION(name_and_version)
#endif

namespace aiolab::libaio {
namespace {

static_assert(sizeof(iocb) == kIocbSize);
static_assert(offsetof(iocb, data) == kIocbDataOffset);
static_assert(offsetof(iocb, key) == kIocbKeyOffset);
static_assert(offsetof(iocb, aio_rw_flags) == kIocbRwFlagsOffset);
static_assert(offsetof(iocb, aio_lio_opcode) == kIocbOpcodeOffset);
static_assert(offsetof(iocb, aio_reqprio) == kIocbReqprioOffset);
static_assert(offsetof(iocb, aio_fildes) == kIocbFildesOffset);
static_assert(offsetof(iocb, u.c.buf) == kIocbBufOffset);
static_assert(offsetof(iocb, u.c.nbytes) == kIocbNbytesOffset);
static_assert(offsetof(iocb, u.c.offset) == kIocbOffsetOffset);
static_assert(offsetof(iocb, u.c.flags) == kIocbFlagsOffset);
static_assert(offsetof(iocb, u.c.resfd) == kIocbResfdOffset);
static_assert(sizeof(io_event) == kIoEventSize);
static_assert(offsetof(io_event, data) == kIoEventDataOffset);
static_assert(offsetof(io_event, obj) == kIoEventObjOffset);
static_assert(offsetof(io_event, res) == kIoEventResOffset);
static_assert(offsetof(io_event, res2) == kIoEventRes2Offset);
static_assert(sizeof(Context) == sizeof(io_context_t));

Context Id(io_context_t ctx) { return reinterpret_cast<Context>(ctx); }

bool IsZero(const timespec* timeout) { return timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0; }

int GetEvents(io_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) {
  // Mirrors: the look into the ring comes before every check of the arguments, so min_nr > nr, which the kernel
  // refuses, is 0 here.
  if (IsZero(timeout) && HostRingIsEmpty(Id(ctx))) return 0;
  return KernelIoGetevents(Id(ctx), min_nr, nr, events, timeout);
}

// The old ABI promised not to write to the timeout.
class TimeoutCopy {
 public:
  explicit TimeoutCopy(const timespec* timeout) : given_(timeout != nullptr) {
    if (given_) copy_ = *timeout;
  }
  timespec* get() { return given_ ? &copy_ : nullptr; }

 private:
  const bool given_;
  timespec copy_ = {};
};

}  // namespace
}  // namespace aiolab::libaio

extern "C" {

using namespace aiolab::libaio;  // NOLINT: every function below is a call of one in there

int io_setup(int maxevents, io_context_t* ctxp) { return KernelIoSetup(maxevents, ctxp); }

int io_destroy(io_context_t ctx) { return KernelIoDestroy(Id(ctx)); }

int io_submit(io_context_t ctx, long nr, struct iocb* ios[]) { return KernelIoSubmit(Id(ctx), nr, ios); }

int io_cancel(io_context_t ctx, struct iocb* iocb, struct io_event* event) {
  return KernelIoCancel(Id(ctx), iocb, event);
}

int io_getevents(io_context_t ctx, long min_nr, long nr, struct io_event* events, struct timespec* timeout) {
  return GetEvents(ctx, min_nr, nr, events, timeout);
}

int io_pgetevents(io_context_t ctx, long min_nr, long nr, struct io_event* events, struct timespec* timeout,
                  sigset_t* sigmask) {
  if (IsZero(timeout) && HostRingIsEmpty(Id(ctx))) return 0;
  return KernelIoPgetevents(Id(ctx), min_nr, nr, events, timeout, sigmask);
}

int io_queue_init(int maxevents, io_context_t* ctxp) {
  if (maxevents <= 0) return -EINVAL;
  *ctxp = nullptr;  // io_setup itself refuses a context id that is not 0
  return KernelIoSetup(maxevents, ctxp);
}

int io_queue_release(io_context_t ctx) { return KernelIoDestroy(Id(ctx)); }

int io_queue_wait(io_context_t ctx, struct timespec* timeout) { return GetEvents(ctx, 0, 0, nullptr, timeout); }

int io_queue_run(io_context_t ctx) {
  for (;;) {
    timespec zero = {};
    io_event event;
    const int ret = GetEvents(ctx, 0, 1, &event, &zero);
    if (ret != 1) return ret;
    // io_set_callback() put it there.
    const auto callback = reinterpret_cast<io_callback_t>(event.data);
    callback(ctx, event.obj, static_cast<long>(event.res), static_cast<long>(event.res2));
  }
}

LIBAIO_VERSION("io_cancel@LIBAIO_0.1")
int io_cancel_0_1(io_context_t ctx, struct iocb* iocb) {
  io_event event;
  return KernelIoCancel(Id(ctx), iocb, &event);
}

LIBAIO_VERSION("io_getevents@LIBAIO_0.1")
int io_getevents_0_1(io_context_t ctx, long nr, struct io_event* events, const struct timespec* timeout) {
  TimeoutCopy copy(timeout);
  return GetEvents(ctx, 1, nr, events, copy.get());
}

LIBAIO_VERSION("io_queue_wait@LIBAIO_0.1")
int io_queue_wait_0_1(io_context_t ctx, const struct timespec* timeout) {
  TimeoutCopy copy(timeout);
  return GetEvents(ctx, 0, 0, nullptr, copy.get());
}

}  // extern "C"
