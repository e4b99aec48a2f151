// Every errno by name and message, the kernel-internal ones that never reach a client included.
#ifndef UAPI_ERRNO_NAME_H_
#define UAPI_ERRNO_NAME_H_

#include <string>

#include "absl/strings/string_view.h"

namespace aiolab {

// Kernel-internal error numbers which the model passes around (include/linux/errno.h). None of them may reach a client.
inline constexpr int ERESTARTSYS = 512;
inline constexpr int ERESTARTNOINTR = 513;
inline constexpr int ERESTARTNOHAND = 514;
inline constexpr int ENOIOCTLCMD = 515;
inline constexpr int ERESTART_RESTARTBLOCK = 516;
inline constexpr int EIOCBQUEUED = 529;  // the request is under way; ki_complete will be called
inline constexpr int EIOCBRETRY = 530;   // the request has left a wait-queue entry; a kick will run it again

// The name of `error` (positive, as in errno): "EAGAIN", "EIOCBRETRY"; "0" for 0; "E<number>" for one that has no name.
//
// Number 530 is EIOCBRETRY here: kernels from 4.19 on use it for ERECALLCONFLICT inside the NFS client, which the model
// has not.
std::string ErrnoName(int error);

// The same with what it means, for people: "EAGAIN (Resource temporarily unavailable)".
std::string ErrnoDescription(int error);

// `result` as the kernel returns it, for people and traces: "4096" or "-EAGAIN".
std::string ResultName(long result);

// The inverse of ErrnoName: 11 for "EAGAIN", in any case of letters; 0 for an unknown name.
int ErrnoFromName(absl::string_view name);

}  // namespace aiolab

#endif  // UAPI_ERRNO_NAME_H_
