// Looks for a power cut that a client does not survive: every crash point of a write log, or a sample of them, and at
// each the images that it can leave, each mounted in a machine of its own and shown to a checker.
#ifndef TOOLS_CRASH_CRASH_SEARCH_H_
#define TOOLS_CRASH_CRASH_SEARCH_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel_model/drivers/block/crash_images.h"
#include "kernel_model/drivers/block/write_log.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"

namespace aiolab {

// A machine that has booted with what a power cut left on its disk.
class RebootedMachine {
 public:
  // The file system on `contents` is mounted as `simfs` says. The problem, if it cannot be.
  static absl::StatusOr<std::unique_ptr<RebootedMachine>> Boot(const SectorStore& contents, SimfsOptions simfs,
                                                               const std::string& profile);
  Machine& machine() { return machine_; }
  Syscalls& kernel() { return kernel_; }

 private:
  explicit RebootedMachine(const std::string& profile);
  SeededChooser chooser_;
  Machine machine_;
  EmulatedSyscalls kernel_;
};

// What a power cut left, for a checker.
struct CrashedMachine {
  Syscalls& kernel;             // has booted with it
  uint64_t acknowledged;        // what the client had promised
  const SectorStore& contents;  // of the disks, before that
};

// "" if the files in `machine` are as they have to be; else what is wrong. An error ends the search.
using CrashChecker = std::function<absl::StatusOr<std::string>(const CrashedMachine& machine)>;

struct CrashSearchOptions {
  SimfsOptions simfs = {};  // how the client's file system was mounted
  std::string profile = "retry";
  uint64_t seed = 1;        // of what is drawn
  uint64_t points_max = 0;  // crash points; 0: all
  uint64_t images_max = 2000;
  // Told now and then.
  std::function<void(uint64_t points_done, uint64_t points, uint64_t images)> progress = nullptr;
};

struct CrashViolation {
  uint64_t acknowledged = 0;
  std::string problem;      // the checker's
  std::string explanation;  // of the image: ExplainCrash()
  SectorStore contents;
};

struct CrashSearchResult {
  std::optional<CrashViolation> violation;  // the first
  uint64_t points = 0;                      // looked at
  uint64_t points_of_log = 0;
  uint64_t images = 0;  // checked
  uint64_t points_sampled = 0;
  double images_of_a_point_log10 = 0;  // the most, of those that were sampled

  // "812 distinct images at 57 of 57 crash points, a sample at 12 of them (of up to 10^31 images)".
  std::string Coverage() const;
};

// INVALID_ARGUMENT for a log that has no file system, or the checker's error.
absl::StatusOr<CrashSearchResult> SearchCrashes(const WriteLog& log, const CrashSearchOptions& options,
                                                const CrashChecker& checker);

// What the checker says of the disk at the end of the log, when nothing is lost.
absl::StatusOr<std::string> CheckWithoutCrash(const WriteLog& log, const CrashSearchOptions& options,
                                              const CrashChecker& checker);

}  // namespace aiolab

#endif  // TOOLS_CRASH_CRASH_SEARCH_H_
