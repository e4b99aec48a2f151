// Preloaded into a client on the real kernel: a libaio whose io_submit and io_getevents do what a busy kernel may do,
// by counting calls. Every second submit is -EAGAIN, the others take one request at a time; writes and reads lose half
// of their bytes when they can; every third wait is -EINTR. With FLAKY_DISK_FULL
// set, writes from the twenty-first on fail.
#include <dlfcn.h>
#include <errno.h>
#include <libaio.h>
#include <stdlib.h>

namespace {

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

unsigned submits = 0;
unsigned waits = 0;
unsigned writes = 0;

}  // namespace

extern "C" int io_submit(io_context_t ctx, long nr, struct iocb* ios[]) {
  if (++submits % 2 == 0) return -EAGAIN;
  const auto next = Next<int(io_context_t, long, struct iocb**)>("io_submit");
  iocb& first = *ios[0];
  const bool transfers = first.aio_lio_opcode == IO_CMD_PREAD || first.aio_lio_opcode == IO_CMD_PWRITE;
  const unsigned long nbytes = first.u.c.nbytes;
  if (nr > 0 && transfers && nbytes > 1 && submits % 3 == 0) first.u.c.nbytes = nbytes / 2;
  const int taken = next(ctx, nr > 0 ? 1 : nr, ios);
  first.u.c.nbytes = nbytes;  // the kernel has its own copy
  return taken;
}

extern "C" int io_getevents(io_context_t ctx, long min_nr, long nr, struct io_event* events, struct timespec* timeout) {
  if (++waits % 3 == 0) return -EINTR;
  const auto next = Next<int(io_context_t, long, long, struct io_event*, struct timespec*)>("io_getevents");
  const int got = next(ctx, min_nr, nr, events, timeout);
  const char* disk_full = getenv("FLAKY_DISK_FULL");
  for (int i = 0; disk_full != nullptr && i < got; ++i) {
    if (events[i].obj->aio_lio_opcode == IO_CMD_PWRITE && ++writes > 20)
      events[i].res = static_cast<unsigned long>(-ENOSPC);
  }
  return got;
}
