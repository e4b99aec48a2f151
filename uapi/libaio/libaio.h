// libaio's functions over an installed kernel. Link //uapi/libaio instead of -laio and every io_* call of the program
// goes to the AioSyscalls that InstallSyscalls() names, or to the real kernel if it names none.
//
// The types, the prototypes and the io_prep_* helpers are those of the system's own <libaio.h>; a client that includes
// that one alone needs no change. Added here: the two functions that <libaio.h> of 0.3.113 does not declare, and the
// three of the old ABI, which the shared library offers as io_cancel@LIBAIO_0.1 and so on and the static one by the
// names below.
#ifndef UAPI_LIBAIO_LIBAIO_H_
#define UAPI_LIBAIO_LIBAIO_H_

#include <libaio.h>

#include "uapi/libaio/install.h"

extern "C" {

// Waits for an event, and leaves it in the ring. Returns 0 or -errno.
int io_queue_wait(io_context_t ctx, struct timespec* timeout);

// io_cancel before LIBAIO_0.4: the event, if the kernel gives one, is lost.
int io_cancel_0_1(io_context_t ctx, struct iocb* iocb);

// io_getevents before LIBAIO_0.4: waits for one event, takes up to `nr`; `timeout` is not written to.
int io_getevents_0_1(io_context_t ctx, long nr, struct io_event* events, const struct timespec* timeout);

// io_queue_wait before LIBAIO_0.4: `timeout` is not written to.
int io_queue_wait_0_1(io_context_t ctx, const struct timespec* timeout);

}  // extern "C"

#endif  // UAPI_LIBAIO_LIBAIO_H_
