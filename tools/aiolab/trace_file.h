// One process's trace, which loses nothing when the process is killed.
//
// A trace goes to its file in large pieces. What is not there yet, the tail, lies in a second file, which the process
// has mapped: that outlives the process whatever ends it, SIGKILL too. The runner then appends it.
//
//   in the process:  TraceFile trace(path, TailPath(run_dir, rank));
//                    trace.Append("[1] 200 client/1 0 sys_enter_io_setup:\n");
//                    trace.Flush();                  // at its end
//   in the runner:   RecoverTrace(path, TailPath(run_dir, rank));   // of a process that is gone
//
// All by raw system calls, and without an fd that stays open: some clients close every one they find.
#ifndef TOOLS_AIOLAB_TRACE_FILE_H_
#define TOOLS_AIOLAB_TRACE_FILE_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace aiolab {

// Where rank `rank` keeps its tail.
std::string TailPath(absl::string_view run_dir, int rank);

// Thread-compatible.
class TraceFile {
 public:
  // Makes the file at `path` anew. Without a tail file (a full disk) the tail is in memory of this process alone.
  TraceFile(std::string path, const std::string& tail_path);
  // Does not flush: in a child of fork the tail is the parent's.
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  // After a failure, both do nothing.
  void Append(absl::string_view lines);
  void Flush();

  const std::string& path() const { return path_; }
  // The file could be opened.
  bool begun() const { return begun_; }
  // What failed: "/t/trace: cannot be written: ENOSPC (No space left on device)"; or empty.
  const std::string& error() const { return error_; }

 private:
  friend absl::Status RecoverTrace(const std::string& path, const std::string& tail_path);

  // What is mapped. A process may be killed between any two stores to it.
  struct Tail {
    uint64_t bytes_before;       // in the trace's file when this tail began
    std::atomic<uint64_t> size;  // bytes of `text`
    char text[(1 << 20) - 16];
  };

  void Write(absl::string_view text);

  const std::string path_;
  Tail* tail_ = nullptr;
  bool begun_ = false;
  std::string error_;
};

// Appends to the trace at `path` what its process, which is gone, had not written yet; nothing if there is no tail.
absl::Status RecoverTrace(const std::string& path, const std::string& tail_path);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_TRACE_FILE_H_
