// How a function of the C library that is a system call on a file is put in place.
#ifndef TOOLS_PRELOAD_FILE_CALLS_H_
#define TOOLS_PRELOAD_FILE_CALLS_H_

#include <type_traits>

#include "tools/preload/real_functions.h"
#include "tools/preload/simfs.h"

// FD_CALL(result, name, parameters, arguments, nr, arguments of the system call...): `fd` is the parameter that names
// the file. On another than a simulated file it costs a look into a table.
#define FD_CALL(result, name, parameters, arguments, ...) \
  namespace aiolab::preload {                             \
  namespace {                                             \
  RealFunction<result parameters> real_##name(#name);     \
  }                                                       \
  }                                                       \
  INTERPOSE(result, name, parameters) {                   \
    using namespace aiolab::preload;                      \
    if (!OnSimfs(fd)) [[likely]]                          \
      return real_##name arguments;                       \
    return ResultAs<result>(CallSimfs(__VA_ARGS__));      \
  }

// The same for a call that names its file by a path, or by more than one.
#define PATH_CALL(result, name, parameters, arguments, ...)     \
  namespace aiolab::preload {                                   \
  namespace {                                                   \
  RealFunction<result parameters> real_##name(#name);           \
  }                                                             \
  }                                                             \
  INTERPOSE(result, name, parameters) {                         \
    using namespace aiolab::preload;                            \
    long ret;                                                   \
    if (Simfs(&ret, __VA_ARGS__)) return ResultAs<result>(ret); \
    return real_##name arguments;                               \
  }

namespace aiolab::preload {

// 0, or the -errno with which a fault rule ends the calling thread's sync of a file of the host.
long FaultAtHostFsync(int fd);

// A call that is for the simulated file system.
template <typename... Args>
long CallSimfs(long nr, Args... args) {
  long ret = 0;
  (void)Simfs(&ret, nr, args...);
  return ret;
}

// What the C library's function returns, with errno set.
template <typename Result>
Result ResultAs(long ret) {
  ret = WithErrno(ret);
  if constexpr (std::is_pointer_v<Result>) {
    return reinterpret_cast<Result>(ret);
  } else {
    return static_cast<Result>(ret);
  }
}

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_FILE_CALLS_H_
