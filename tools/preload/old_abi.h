// libaio's first ABI: io_cancel@LIBAIO_0.1 and io_getevents@LIBAIO_0.1 take other arguments than today's functions.
//
// A library without symbol versions, as a preloaded one is, gets the calls of both. The relocations of the calling
// program or library say which one it was linked against.
#ifndef TOOLS_PRELOAD_OLD_ABI_H_
#define TOOLS_PRELOAD_OLD_ABI_H_

namespace aiolab::preload {

enum class OldFunction { kIoCancel, kIoGetevents };

// Looks through what is loaded now.
void FindUsersOfOldAbi();

// `caller`, a return address, lies in one that was linked against the old `function`.
bool UsesOldAbi(const void* caller, OldFunction function);

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_OLD_ABI_H_
