#include "tools/crash/crash_recorder.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace aiolab {

void CrashRecorder::Begin() {
  begun_ = true;
  options_.append(EncodeBegin());
}

// A look at the files when nothing became durable and nothing was promised would tell nothing that a report needs: a
// crash then takes what one at the last look would have taken.
void CrashRecorder::MarkIfChanged(bool look_at_files) {
  const uint64_t acknowledged = options_.acknowledged();
  if (acknowledged == acknowledged_ && !look_at_files) return;
  std::string note = note_;
  if (options_.file_system != nullptr) {
    if (super_block* const sb = options_.file_system(); sb != nullptr) {
      note = EncodeUndurable(simfs::FindUndurable(*sb));
    }
  }
  if (acknowledged == acknowledged_ && note == note_) return;
  acknowledged_ = acknowledged;
  note_ = std::move(note);
  options_.append(EncodeMark(acknowledged_, note_));
}

void CrashRecorder::Finish() {
  if (stopped_) return;
  MarkIfChanged(/*look_at_files=*/true);
  begun_ = false;
  options_.append(EncodeEnd());
}

void CrashRecorder::BeforeFork() {
  if (begun_ && !stopped_) MarkIfChanged(/*look_at_files=*/true);
}

void CrashRecorder::InChild() {
  if (!stopped_) options_.append(EncodeFork());
}

void CrashRecorder::OnRequest(const Entry& entry) {
  if (stopped_) return;
  if (begun_) {
    MarkIfChanged(std::exchange(made_durable_, false));
    made_durable_ = options_.write_through || entry.fua || entry.kind == Kind::kFlush;
  }
  options_.append(EncodeRequest(entry));
}

void CrashRecorder::OnPowerCut() {
  if (begun_ && !stopped_) MarkIfChanged(/*look_at_files=*/true);
  Stop();
}

std::string EncodeUndurable(const std::vector<simfs::Undurable>& undurable) {
  std::string note;
  for (const simfs::Undurable& one : undurable) {
    absl::StrAppend(&note, one.what, " ", one.bytes, " ", one.size, " ", absl::CEscape(one.path), "\n");
  }
  return note;
}

std::vector<simfs::Undurable> DecodeUndurable(absl::string_view note) {
  std::vector<simfs::Undurable> undurable;
  for (const absl::string_view line : absl::StrSplit(note, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    int what = 0;
    simfs::Undurable one = {};
    if (fields.size() != 4 || !absl::SimpleAtoi(fields[0], &what) || !absl::SimpleAtoi(fields[1], &one.bytes) ||
        !absl::SimpleAtoi(fields[2], &one.size) || !absl::CUnescape(fields[3], &one.path)) {
      continue;
    }
    one.what = static_cast<simfs::Undurable::What>(what);
    undurable.push_back(one);
  }
  return undurable;
}

}  // namespace aiolab
