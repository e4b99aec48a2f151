// Writes down what a disk is given, what its client has promised by then, and what of its files could still be lost.
//
//   CrashRecorder recorder({.append = ..., .acknowledged = ..., .root = ...});
//   machine.MountSimfs({.path = "/data", .disk = "nvme,size=4M", .observer = &recorder});
//   recorder.Begin();
//   ... the client works ...
//   recorder.Finish();
#ifndef TOOLS_CRASH_CRASH_RECORDER_H_
#define TOOLS_CRASH_CRASH_RECORDER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel_model/drivers/block/write_log.h"
#include "kernel_model/fs/simfs/simfs.h"

namespace aiolab {

struct CrashRecorderOptions {
  // Gets the log, piece by piece; see ParseWriteLog().
  std::function<void(absl::string_view)> append = nullptr;
  // What the client has promised so far; grows only.
  std::function<uint64_t()> acknowledged = nullptr;
  // The file system on the disk. Null: what could be lost is not written down.
  std::function<super_block*()> file_system = nullptr;
  // The disk has no volatile cache.
  bool write_through = false;
};

class CrashRecorder : public DiskObserver {
 public:
  explicit CrashRecorder(CrashRecorderOptions options) : options_(std::move(options)) {}

  void OnRequest(const Entry& entry) override;
  // The log ends here: it knows nothing of what comes after a reboot.
  void OnPowerCut() override;
  // The file system is mounted, the client begins.
  void Begin();
  // The client has ended. What reaches the disk from now on is no longer its doing, and gets no marks.
  void Finish();
  // The client had not ended: its exec failed.
  void GoOn() { begun_ = true; }
  // Before a fork: what could be lost by then is written down, as it is not the child's doing. And in the child, whose
  // log begins with a copy of its parent's.
  void BeforeFork();
  void InChild();
  // Nothing is written down any more.
  void Stop() { stopped_ = true; }

 private:
  void MarkIfChanged(bool look_at_files);

  const CrashRecorderOptions options_;
  bool begun_ = false;
  bool stopped_ = false;
  bool made_durable_ = true;  // something, since the last mark
  uint64_t acknowledged_ = 0;
  std::string note_;
};

// The note of a mark: a line for each thing that could be lost.
std::string EncodeUndurable(const std::vector<simfs::Undurable>& undurable);
std::vector<simfs::Undurable> DecodeUndurable(absl::string_view note);

}  // namespace aiolab

#endif  // TOOLS_CRASH_CRASH_RECORDER_H_
