#include "tools/testing/crashes.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "kernel_model/fs/namespace.h"
#include "kernel_model/profile.h"
#include "tools/crash/crash_recorder.h"

namespace aiolab {
namespace {

class Survives : public testing::MatcherInterface<const Crashes&> {
 public:
  explicit Survives(CrashCheck check) : check_(std::move(check)) {}

  bool MatchAndExplain(const Crashes& crashes, testing::MatchResultListener* listener) const override {
    const absl::StatusOr<CrashSearchResult> result = crashes.Search([this](const CrashedMachine& crashed) {
      const testing::AssertionResult checked = check_(crashed.kernel, crashed.acknowledged);
      if (checked) return std::string();
      const std::string message = checked.message();
      return message.empty() ? std::string("the check says no, and not why") : message;
    });
    if (!result.ok()) {
      *listener << std::string(result.status().message());
      return false;
    }
    if (!result->violation.has_value()) {
      *listener << "it survived " << result->Coverage();
      return true;
    }
    const CrashViolation& violation = *result->violation;
    *listener << "a power cut with " << violation.acknowledged
              << (violation.acknowledged == 1 ? " acknowledgement" : " acknowledgements")
              << " given leaves what the check refuses: " << violation.problem << "\n  "
              << absl::StrReplaceAll(violation.explanation, {{"\n", "\n  "}}) << "after " << result->Coverage();
    return false;
  }

  void DescribeTo(std::ostream* out) const override { *out << "survives every power cut"; }
  void DescribeNegationTo(std::ostream* out) const override { *out << "does not survive some power cut"; }

 private:
  const CrashCheck check_;
};

}  // namespace

Crashes::Crashes(const std::function<void(ScenarioRun&)>& scenario, CrashOptions options)
    : options_(std::move(options)) {
  SeededChooser chooser(options_.seed);
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(options_.simfs.disk);
  std::string text;
  ScenarioRun* run = nullptr;
  Machine* running = nullptr;
  CrashRecorder recorder({.append = [&text](absl::string_view piece) { absl::StrAppend(&text, piece); },
                          .acknowledged = [&run] { return run == nullptr ? 0 : run->acknowledged(); },
                          .file_system = [&running] { return running->fs().mounts.back()->mnt_sb.get(); },
                          .write_through = disk.ok() && disk->cache_bytes == 0});
  Machine machine({.chooser = &chooser, .profile = FindProfile(options_.profile)});
  options_.simfs.observer = &recorder;
  const absl::Status mounted = machine.MountSimfs(options_.simfs);
  if (!mounted.ok()) {
    ADD_FAILURE() << mounted;
    return;
  }
  EmulatedSyscalls kernel(machine);
  ScenarioRun scenario_run(machine, kernel);
  run = &scenario_run;
  running = &machine;
  recorder.Begin();
  scenario(scenario_run);
  recorder.Finish();
  recorder.Stop();
  absl::StatusOr<WriteLog> log = ParseWriteLog(text);
  EXPECT_TRUE(log.ok()) << log.status();
  if (log.ok()) log_ = *std::move(log);
}

absl::StatusOr<CrashSearchResult> Crashes::Search(const CrashChecker& checker) const {
  CrashSearchOptions search;
  search.simfs = options_.simfs;
  search.profile = options_.profile;
  search.seed = options_.seed;
  search.images_max = options_.images_max;
  return SearchCrashes(log_, search, checker);
}

void PrintTo(const Crashes& crashes, std::ostream* out) {
  *out << "a scenario of " << crashes.log().requests.size() - crashes.log().first_crash_point << " disk requests";
}

testing::Matcher<const Crashes&> SurvivesEveryCrash(CrashCheck check) {
  return testing::MakeMatcher(new Survives(std::move(check)));
}

}  // namespace aiolab
