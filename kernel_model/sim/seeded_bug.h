// Bugs that can be put into the model on purpose. Each proves that some test, or the explorer, catches what it claims
// to catch.
#ifndef KERNEL_MODEL_SIM_SEEDED_BUG_H_
#define KERNEL_MODEL_SIM_SEEDED_BUG_H_

#include "absl/strings/string_view.h"

namespace aiolab {

enum class SeededBug {
  kNone,
  // kick_iocb does not put the request on run_list when the context's worker is already queued: that kick is gone.
  kLostKick,
  // blk_finish_plug forgets what lies in the plug.
  kPlugNeverFlushed,
  // A page that has been read wakes nobody.
  kPageReadWakesNobody,
  // An inode lock that is given up wakes nobody.
  kInodeLockNotPassedOn,
  // Writers that wait for dirty pages to become fewer are not told that they are.
  kThrottledForEver,
  // The worker runs retries without the submitter's memory.
  kWorkerWithoutMm,
};

struct SeededBugEntry {
  absl::string_view name;
  SeededBug bug;
  absl::string_view meaning;
};

inline constexpr SeededBugEntry kSeededBugs[] = {
    {"none", SeededBug::kNone, "the model as it should be"},
    {"lost-kick", SeededBug::kLostKick, "a wake-up that comes while the worker is queued is dropped"},
    {"plug-never-flushed", SeededBug::kPlugNeverFlushed, "blk_finish_plug forgets the plugged bios"},
    {"page-read-wakes-nobody", SeededBug::kPageReadWakesNobody, "a page that has been read wakes nobody"},
    {"inode-lock-not-passed-on", SeededBug::kInodeLockNotPassedOn, "an inode lock that is given up wakes nobody"},
    {"throttled-for-ever", SeededBug::kThrottledForEver, "writers over the dirty limit are never told to go on"},
    {"worker-without-mm", SeededBug::kWorkerWithoutMm, "the worker runs retries without use_mm"},
};

// Null for an unknown name.
inline const SeededBugEntry* FindSeededBug(absl::string_view name) {
  for (const SeededBugEntry& entry : kSeededBugs) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_SEEDED_BUG_H_
