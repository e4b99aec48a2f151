// A kernel that only writes down how it was called. Its header names no iocb, so a test that includes <libaio.h> can
// use it.
#ifndef TESTS_UAPI_LIBAIO_RECORDING_KERNEL_H_
#define TESTS_UAPI_LIBAIO_RECORDING_KERNEL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "uapi/libaio/install.h"

namespace aiolab {

struct RecordedCall {
  std::string name;
  std::vector<uint64_t> arguments;  // pointers as numbers
  std::string timeout;              // "none", or "seconds.nanoseconds" as the kernel saw it
  uint64_t sigsetsize = 0;          // io_pgetevents: the last argument, taken apart
  uint64_t sigmask = 0;
};

// One event for io_getevents to hand out.
struct RecordedEvent {
  uint64_t data;
  uint64_t obj;
  int64_t res;
  int64_t res2;
};

class RecordingKernel {
 public:
  RecordingKernel();
  ~RecordingKernel();

  AioSyscalls* syscalls();

  std::vector<RecordedCall> calls;
  long result = 0;                   // of every call, except io_getevents while there are events
  std::deque<RecordedEvent> events;  // io_getevents hands out one a call
  bool writes_timeout = false;       // io_getevents overwrites the timeout, which a kernel may do

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aiolab

#endif  // TESTS_UAPI_LIBAIO_RECORDING_KERNEL_H_
