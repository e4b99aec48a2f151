// The C library's functions behind the ones that this library puts in their place.
//
//   RealFunction<int(pollfd*, nfds_t, int)> real_poll("poll");
//   real_poll(fds, nfds, timeout);
//
//   INTERPOSE(int, poll, (pollfd * fds, nfds_t nfds, int timeout)) { ... }
#ifndef TOOLS_PRELOAD_REAL_FUNCTIONS_H_
#define TOOLS_PRELOAD_REAL_FUNCTIONS_H_

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>

namespace aiolab {

// Looked up at its first call, not when the library is loaded: other libraries' constructors, and a libaio loaded by
// dlopen, come first or much later. Async-signal-safe after that.
template <typename Signature>
class RealFunction;

template <typename Result, typename... Args>
class RealFunction<Result(Args...)> {
 public:
  // `version` names one of several versions of a symbol, as in "GLIBC_2.3.2".
  explicit constexpr RealFunction(const char* name, const char* version = nullptr) : name_(name), version_(version) {}

  Result operator()(Args... args) { return Find()(args...); }

 private:
  using Pointer = Result (*)(Args...);

  Pointer Find() {
    Pointer found = found_.load(std::memory_order_acquire);
    if (found != nullptr) return found;
    void* symbol = version_ == nullptr ? nullptr : dlvsym(RTLD_NEXT, name_, version_);
    if (symbol == nullptr) symbol = dlsym(RTLD_NEXT, name_);
    if (symbol == nullptr) abort();  // the client calls what its C library does not have
    found = reinterpret_cast<Pointer>(symbol);
    found_.store(found, std::memory_order_release);
    return found;
  }

  const char* const name_;
  const char* const version_;
  std::atomic<Pointer> found_{nullptr};
};

}  // namespace aiolab

// Defines the function that the client's calls of `name` reach. The label keeps the definition apart from whatever the
// system's headers declare or redirect under that name.
#define INTERPOSE(result, name, parameters)                                                                      \
  extern "C" __attribute__((visibility("default"), used)) result aiolab_interposed_##name parameters asm(#name); \
  extern "C" result aiolab_interposed_##name parameters

#endif  // TOOLS_PRELOAD_REAL_FUNCTIONS_H_
