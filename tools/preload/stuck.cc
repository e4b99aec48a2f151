#include "tools/preload/stuck.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/aiolab/run_protocol.h"
#include "tools/preload/clock.h"
#include "tools/preload/notes.h"
#include "tools/preload/process.h"

namespace aiolab::preload {
namespace {

int told_of_rank = 0;  // a child of fork has its own

}  // namespace

Executor::Patience HangPatience(bool alone) {
  const int seconds = Config().hang_after_s >= 0 ? Config().hang_after_s : alone ? kHangAfterS : 0;
  // A thread that makes no calls may still be about to.
  Executor::Patience patience = {.tell_ns = (alone ? 2 : 10) * kNanosecondsPerSecond};
  if (seconds > 0) patience.end_ns = seconds * kNanosecondsPerSecond;
  return patience;
}

bool OnStuck(const std::string& finding, bool certain) {
  if (certain) {
    AddFinding(finding);
    EndByFinding();
  }
  // What a process with threads waits for may be the idle state of a server.
  const bool alone = SingleThreaded();
  alone ? AddFinding(finding) : AddWarning(finding);
  if (std::exchange(told_of_rank, Rank()) == Rank()) return false;
  const int64_t end_ns = HangPatience(alone).end_ns;
  const std::string end = end_ns == kNoDeadline ? "Ctrl-C ends it, or --hang-after=SECONDS."
                                                : absl::StrCat("After ", end_ns / kNanosecondsPerSecond,
                                                               " s of this the run is ended (--hang-after).");
  (void)WriteHint(Config().run_dir, absl::StrCat("process ", Rank(), " (", CommandName(), "): ", finding,
                                                 "\n  It may wait for ever, as on the real kernel. ", end));
  // Who is killed in its wait can write no other.
  WriteReport(/*killed_by=*/0, /*interim=*/true);
  return false;
}

}  // namespace aiolab::preload
