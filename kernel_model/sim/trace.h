// What happened, in order: the teaching product and the debugger.
//
// An event has a step number, the virtual time, the task, the CPU, a name (the kernel's tracepoint's where there is
// one) and fields. It never carries a pointer: contexts, files and iocbs are named by order of first use, so the same
// run gives the same trace, byte for byte.
//
//   if (trace.enabled()) trace.Add("aio_complete", {{"req", 12}, {"res", 4096}});
//   // [57] 81240 fio/1 0 aio_complete: req=12 res=4096
#ifndef KERNEL_MODEL_SIM_TRACE_H_
#define KERNEL_MODEL_SIM_TRACE_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace aiolab {

struct TraceField {
  TraceField(absl::string_view key, absl::string_view text) : key(key), text(text), is_text(true) {}
  TraceField(absl::string_view key, const char* text) : TraceField(key, absl::string_view(text)) {}
  TraceField(absl::string_view key, const std::string& text) : TraceField(key, absl::string_view(text)) {}
  template <typename Int, typename = std::enable_if_t<std::is_integral_v<Int>>>
  TraceField(absl::string_view key, Int number) : key(key), number(static_cast<int64_t>(number)) {}

  absl::string_view key;
  absl::string_view text;
  int64_t number = 0;
  bool is_text = false;
};

struct TraceEvent {
  uint64_t step;  // counts from 1
  int64_t time_ns;
  absl::string_view task;
  int cpu;
  absl::string_view name;
  std::initializer_list<TraceField> fields;
};

// Takes each event as it happens. A sink copies what it keeps.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void OnEvent(const TraceEvent& event) = 0;
  // Everything so far is where it belongs when this returns.
  virtual void Flush() {}
};

// One line an event: "[step] time_ns task cpu name: key=value ...". `write` gets whole lines: as many at a time as make
// `flush_bytes`, at least one.
class TextTraceSink : public TraceSink {
 public:
  explicit TextTraceSink(std::function<void(absl::string_view)> write, size_t flush_bytes = 1 << 20)
      : write_(std::move(write)), flush_bytes_(flush_bytes) {}
  ~TextTraceSink() override { Flush(); }
  void OnEvent(const TraceEvent& event) override;
  void Flush() override;

 private:
  const std::function<void(absl::string_view)> write_;
  const size_t flush_bytes_;
  std::string buffer_;
};

class Trace {
 public:
  // The sink must outlive the trace; null turns it off.
  void set_sink(TraceSink* sink) { sink_ = sink; }
  TraceSink* sink() const { return sink_; }
  bool enabled() const { return sink_ != nullptr; }
  void Flush() {
    if (sink_ != nullptr) sink_->Flush();
  }

  // Who does what happens next, and when. `task` must outlive the events.
  void SetContext(absl::string_view task, int cpu) {
    task_ = task;
    cpu_ = cpu;
  }
  void SetTime(int64_t time_ns) { time_ns_ = time_ns; }

  void Add(absl::string_view name, std::initializer_list<TraceField> fields) {
    if (sink_ == nullptr) return;
    sink_->OnEvent({++step_, time_ns_, task_, cpu_, name, fields});
  }

  uint64_t step() const { return step_; }

  // Small numbers, from 1, for things that the client names by address or number: the same thing gets the same number
  // again.
  int64_t NameOfIocb(uint64_t address) { return NameOf(iocbs_, address); }

 private:
  using Names = absl::flat_hash_map<uint64_t, int64_t>;
  static int64_t NameOf(Names& names, uint64_t key) {
    return names.try_emplace(key, static_cast<int64_t>(names.size()) + 1).first->second;
  }

  TraceSink* sink_ = nullptr;
  uint64_t step_ = 0;
  int64_t time_ns_ = 0;
  absl::string_view task_ = "-";
  int cpu_ = 0;
  Names iocbs_;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_TRACE_H_
