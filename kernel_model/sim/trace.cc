#include "kernel_model/sim/trace.h"

#include "absl/strings/str_cat.h"

namespace aiolab {

void TextTraceSink::OnEvent(const TraceEvent& event) {
  absl::StrAppend(&buffer_, "[", event.step, "] ", event.time_ns, " ", event.task, " ", event.cpu, " ", event.name,
                  ":");
  for (const TraceField& field : event.fields) {
    if (field.is_text) {
      absl::StrAppend(&buffer_, " ", field.key, "=", field.text);
    } else {
      absl::StrAppend(&buffer_, " ", field.key, "=", field.number);
    }
  }
  buffer_ += '\n';
  if (buffer_.size() >= flush_bytes_) Flush();
}

void TextTraceSink::Flush() {
  if (buffer_.empty()) return;
  write_(buffer_);
  buffer_.clear();
}

}  // namespace aiolab
