#include "tools/preload/write_recording.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>

#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/run_protocol.h"
#include "tools/aiolab/trace_file.h"
#include "tools/crash/crash_recorder.h"
#include "tools/preload/process.h"
#include "tools/preload/simfs_mount.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

// Never destroyed: clients do I/O from destructors.
struct Recording {
  std::string output_path;  // of the client's standard output
  std::string text;         // until a rank says where it goes
  std::unique_ptr<TraceFile> file;
  uint64_t bytes = 0;  // in all
  bool forgotten = false;
  super_block* sb = nullptr;
  std::unique_ptr<CrashRecorder> recorder;

  void Append(absl::string_view piece) {
    bytes += piece.size();
    if (file == nullptr) {
      text.append(piece.data(), piece.size());
    } else {
      file->Append(piece);
    }
  }
};

Recording* recording = nullptr;
int rank_of_process = 0;  // 0: none yet

void OpenFile() {
  const std::string& run_dir = Config().run_dir;
  recording->file = std::make_unique<TraceFile>(RecordingOfRank(run_dir, rank_of_process),
                                                RecordingTailOfRank(run_dir, rank_of_process));
  recording->file->Append(std::exchange(recording->text, ""));
}

// Whoever wrote it, and by whatever call.
uint64_t OutputSize() {
  struct stat status = {};
  if (RawSyscall(__NR_newfstatat, AT_FDCWD, recording->output_path.c_str(), &status, 0) != 0) return 0;
  return static_cast<uint64_t>(status.st_size);
}

}  // namespace

DiskObserver* NewWriteRecording(const SimfsSpec& spec) {
  if (!Config().record_writes) return nullptr;
  recording = new Recording;
  recording->output_path = OutputPath(Config().run_dir);
  CrashRecorderOptions options;
  options.append = [](absl::string_view piece) { recording->Append(piece); };
  options.acknowledged = OutputSize;
  options.file_system = [] { return recording->sb; };
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(spec.disk);
  options.write_through = disk.ok() && disk->cache_bytes == 0;
  recording->recorder = std::make_unique<CrashRecorder>(std::move(options));
  if (rank_of_process != 0) OpenFile();
  return recording->recorder.get();
}

void WriteRecordingBegins(super_block& sb) {
  if (recording == nullptr) return;
  recording->sb = &sb;
  recording->recorder->Begin();
}

void WriteRecordingGoesTo(int rank) {
  rank_of_process = rank;
  if (recording != nullptr && recording->file == nullptr && !recording->forgotten) OpenFile();
}

void FinishWriteRecording() {
  if (recording == nullptr || recording->file == nullptr) return;
  Machine& machine = *TheMachine();
  {
    // Other threads of the client may be at work on its files still.
    const Machine::Entry entry(machine, nullptr, /*cost_ns=*/0);
    recording->recorder->Finish();
  }
  SettleSimfs(machine);
  recording->recorder->GoOn();  // an exec may fail, and its client is here still
  recording->file->Flush();
}

void WriteRecordingBeforeFork() {
  if (recording == nullptr || recording->file == nullptr) return;
  const Machine::Entry entry(*TheMachine(), nullptr, /*cost_ns=*/0);
  recording->recorder->BeforeFork();
  recording->file->Flush();
}

void WriteRecordingInChild() {
  const int parent = std::exchange(rank_of_process, 0);
  if (recording == nullptr || recording->file == nullptr) return;
  recording->file.reset();
  std::string text = ReadFile(RecordingOfRank(Config().run_dir, parent)).value_or("");
  // The parent may have gone on. What it had not flushed is its own.
  if (text.size() < recording->bytes) {
    recording->recorder->Stop();
    recording->forgotten = true;
    return;
  }
  text.resize(recording->bytes);
  recording->text = std::move(text);
  recording->recorder->InChild();
}

}  // namespace aiolab::preload
