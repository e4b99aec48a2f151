// The step between libaio's types and the kernel's: libaio.cc sees <libaio.h>, kernel_entry.cc sees uapi/syscalls.h,
// and between them an iocb is a pointer to void. Both check their own struct against the layout written down here, so
// the cast at each end is safe.
#ifndef UAPI_LIBAIO_KERNEL_ENTRY_H_
#define UAPI_LIBAIO_KERNEL_ENTRY_H_

#include <time.h>

#include <cstddef>
#include <cstdint>

namespace aiolab::libaio {

// The parts of struct iocb and struct io_event on which the two headers have to agree, bytes.
inline constexpr size_t kIocbSize = 64;
inline constexpr size_t kIocbDataOffset = 0;
inline constexpr size_t kIocbKeyOffset = 8;
inline constexpr size_t kIocbRwFlagsOffset = 12;
inline constexpr size_t kIocbOpcodeOffset = 16;
inline constexpr size_t kIocbReqprioOffset = 18;
inline constexpr size_t kIocbFildesOffset = 20;
inline constexpr size_t kIocbBufOffset = 24;
inline constexpr size_t kIocbNbytesOffset = 32;
inline constexpr size_t kIocbOffsetOffset = 40;
inline constexpr size_t kIocbFlagsOffset = 56;
inline constexpr size_t kIocbResfdOffset = 60;
inline constexpr size_t kIoEventSize = 32;
inline constexpr size_t kIoEventDataOffset = 0;
inline constexpr size_t kIoEventObjOffset = 8;
inline constexpr size_t kIoEventResOffset = 16;
inline constexpr size_t kIoEventRes2Offset = 24;

using Context = uintptr_t;  // io_context_t here, aio_context_t there

// The system calls of the installed kernel: >= 0 or -errno, errno untouched.
int KernelIoSetup(int nr_events, void* ctxp);
int KernelIoDestroy(Context ctx);
int KernelIoSubmit(Context ctx, long nr, void* iocbpp);
int KernelIoCancel(Context ctx, void* iocb, void* event);
int KernelIoGetevents(Context ctx, long min_nr, long nr, void* events, timespec* timeout);
int KernelIoPgetevents(Context ctx, long min_nr, long nr, void* events, timespec* timeout, const void* sigmask);

// True if the real kernel is the one behind the functions above, and the ring of `ctx` is known to be empty without
// asking it.
bool HostRingIsEmpty(Context ctx);

}  // namespace aiolab::libaio

#endif  // UAPI_LIBAIO_KERNEL_ENTRY_H_
