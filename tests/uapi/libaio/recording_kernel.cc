#include "tests/uapi/libaio/recording_kernel.h"

#include "uapi/syscalls.h"

namespace aiolab {
namespace {

uint64_t Number(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }
uint64_t Number(long value) { return static_cast<uint64_t>(value); }

std::string TimeoutText(const timespec* timeout) {
  if (timeout == nullptr) return "none";
  return std::to_string(timeout->tv_sec) + "." + std::to_string(timeout->tv_nsec);
}

}  // namespace

class RecordingKernel::Impl : public AioSyscalls {
 public:
  explicit Impl(RecordingKernel* owner) : owner_(*owner) {}

  long io_setup(unsigned nr_events, aio_context_t* ctxp) override {
    return Record({"io_setup", {nr_events, Number(ctxp)}, "none"});
  }
  long io_destroy(aio_context_t ctx) override { return Record({"io_destroy", {ctx}, "none"}); }
  long io_submit(aio_context_t ctx, long nr, iocb** iocbpp) override {
    return Record({"io_submit", {ctx, Number(nr), Number(iocbpp)}, "none"});
  }
  long io_cancel(aio_context_t ctx, iocb* iocb, io_event* result) override {
    return Record({"io_cancel", {ctx, Number(iocb), Number(result)}, "none"});
  }
  long io_getevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) override {
    Record({"io_getevents", {ctx, Number(min_nr), Number(nr), Number(events)}, TimeoutText(timeout)});
    if (owner_.writes_timeout && timeout != nullptr) *timeout = {99, 99};
    if (owner_.events.empty()) return owner_.result;
    const RecordedEvent& event = owner_.events.front();
    events[0] = {event.data, event.obj, event.res, event.res2};
    owner_.events.pop_front();
    return 1;
  }
  long io_pgetevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout,
                     const aio_sigset* usig) override {
    return Record({"io_pgetevents",
                   {ctx, Number(min_nr), Number(nr), Number(events)},
                   TimeoutText(timeout),
                   usig->sigsetsize,
                   Number(usig->sigmask)});
  }

 private:
  long Record(RecordedCall call) {
    owner_.calls.push_back(std::move(call));
    return owner_.result;
  }

  RecordingKernel& owner_;
};

RecordingKernel::RecordingKernel() : impl_(std::make_unique<Impl>(this)) {}
RecordingKernel::~RecordingKernel() = default;
AioSyscalls* RecordingKernel::syscalls() { return impl_.get(); }

}  // namespace aiolab
