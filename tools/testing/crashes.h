// Power cuts in a test: a scenario runs once on a machine with a file system on a simulated disk, and then every disk
// that a power cut at any time could have left is mounted and checked.
//
//   void AppendsTwice(ScenarioRun& run) {
//     const long fd = run.kernel().openat(AT_FDCWD, "/data/log", O_CREAT | O_WRONLY, 0600);
//     run.kernel().pwrite64(fd, "one", 3, 0);
//     run.kernel().fdatasync(fd);
//     run.Acknowledge();                       // "one" is a promise from now on
//   }
//   testing::AssertionResult HasWhatWasPromised(Syscalls& kernel, uint64_t acknowledged) {
//     if (acknowledged == 0 || Contents(kernel, "/data/log") == "one") return testing::AssertionSuccess();
//     return testing::AssertionFailure() << "the log is gone";
//   }
//   EXPECT_THAT(Crashes(AppendsTwice), SurvivesEveryCrash(HasWhatWasPromised));
//
// /data/dev0, a disk without a file system, loses its power together with the other. A ScopedFault in the scenario may
// make either lie about its flushes. A scenario that cuts the power itself is looked at up to there.
//
// A failure names the point, the writes that were lost and the fsync that would have kept them:
//
//   a power cut with 1 acknowledgement given leaves what the check refuses: the log is gone
//     crash point 9 of 9: after the client's end
//     lost: request 8, a write of 4096 bytes to the journal: all of it
//     not durable by then: the data of /data/log (3 of 3 bytes; the image has the file with 0 bytes): no fsync or
//       fdatasync of /data/log after they were written
//   after 12 distinct images at 9 of 9 crash points, all that there can be
//
// Crash points are the moments just before the disk completes a request, when the client has promised most, and the
// moment after the last. The disk's parameters say what a power cut can tear: see crash_state.h. A disk without losses
// at the end is among the images, so a check that is wrong fails there.
#ifndef TOOLS_TESTING_CRASHES_H_
#define TOOLS_TESTING_CRASHES_H_

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/drivers/block/write_log.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "tools/crash/crash_search.h"

namespace aiolab {

// What a scenario has to work with.
class ScenarioRun {
 public:
  ScenarioRun(Machine& machine, Syscalls& kernel) : machine_(machine), kernel_(kernel) {}

  Syscalls& kernel() { return kernel_; }
  Machine& machine() { return machine_; }
  // Somebody relies on what was done so far. How often this was called before the power went is what a check gets.
  void Acknowledge() { ++acknowledged_; }
  uint64_t acknowledged() const { return acknowledged_; }

 private:
  Machine& machine_;
  Syscalls& kernel_;
  uint64_t acknowledged_ = 0;
};

struct CrashOptions {
  SimfsOptions simfs = {.disk = "nvme,size=4M"};  // mounted on /data
  std::string profile = "retry";
  uint64_t seed = 1;  // of the scenario's run, and of what is drawn
  // Where there are more images than this, a sample of them is checked, and the failure message says so.
  uint64_t images_max = 2000;
};

// A scenario that has run.
class Crashes {
 public:
  explicit Crashes(const std::function<void(ScenarioRun&)>& scenario, CrashOptions options = {});

  const WriteLog& log() const { return log_; }
  absl::StatusOr<CrashSearchResult> Search(const CrashChecker& checker) const;

 private:
  CrashOptions options_;
  WriteLog log_;
};
void PrintTo(const Crashes& crashes, std::ostream* out);

// Success if the files in `kernel` are as they have to be after `acknowledged` acknowledgements; else what is wrong.
using CrashCheck = std::function<testing::AssertionResult(Syscalls& kernel, uint64_t acknowledged)>;

// Matches Crashes.
testing::Matcher<const Crashes&> SurvivesEveryCrash(CrashCheck check);

}  // namespace aiolab

#endif  // TOOLS_TESTING_CRASHES_H_
