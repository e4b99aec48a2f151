#include "tools/crash/crash_search.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "kernel_model/profile.h"
#include "tools/crash/crash_explanation.h"

namespace aiolab {
namespace {

// `count` of the numbers from `first` to `last`, in order; all of them for 0.
std::vector<uint64_t> ChoosePoints(uint64_t first, uint64_t last, uint64_t count, Chooser& chooser) {
  std::vector<uint64_t> points;
  uint64_t left = last - first + 1;
  uint64_t wanted = count == 0 ? left : std::min(count, left);
  // Each number is taken with the chance that fills what is wanted: every choice of that many is as likely.
  for (uint64_t point = first; wanted > 0; ++point, --left) {
    if (wanted < left &&
        chooser.Choose(Choice::kSurvival, static_cast<uint32_t>(left), "crash_search/point") >= wanted) {
      continue;
    }
    points.push_back(point);
    --wanted;
  }
  return points;
}

uint64_t AcknowledgedAt(const WriteLog& log, uint64_t point) {
  const LogMark* const mark = log.MarkAt(point);
  return mark == nullptr ? 0 : mark->acknowledged;
}

absl::StatusOr<std::string> CheckImage(const SectorStore& contents, uint64_t acknowledged,
                                       const CrashSearchOptions& options, const CrashChecker& checker) {
  const absl::StatusOr<std::unique_ptr<RebootedMachine>> machine =
      RebootedMachine::Boot(contents, options.simfs, options.profile);
  if (!machine.ok()) return std::string(machine.status().message());
  return checker({(*machine)->kernel(), acknowledged, contents});
}

}  // namespace

RebootedMachine::RebootedMachine(const std::string& profile)
    : chooser_(/*seed=*/1), machine_({.chooser = &chooser_, .profile = FindProfile(profile)}), kernel_(machine_) {}

absl::StatusOr<std::unique_ptr<RebootedMachine>> RebootedMachine::Boot(const SectorStore& contents, SimfsOptions simfs,
                                                                       const std::string& profile) {
  auto rebooted = std::unique_ptr<RebootedMachine>(new RebootedMachine(profile));
  simfs.contents = &contents;
  simfs.observer = nullptr;
  const absl::Status mounted = rebooted->machine_.MountSimfs(simfs);
  if (!mounted.ok()) return mounted;
  return rebooted;
}

std::string CrashSearchResult::Coverage() const {
  std::string text = absl::StrCat(images, images == 1 ? " distinct image" : " distinct images", " at ", points, " of ",
                                  points_of_log, " crash points");
  if (points_sampled == 0) return absl::StrCat(text, points == points_of_log ? ", all that there can be" : "");
  return absl::StrCat(text, "; at ", points_sampled, " of them a sample, of up to 10^",
                      static_cast<uint64_t>(std::ceil(images_of_a_point_log10)), " images");
}

absl::StatusOr<CrashSearchResult> SearchCrashes(const WriteLog& log, const CrashSearchOptions& options,
                                                const CrashChecker& checker) {
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(options.simfs.disk);
  if (!disk.ok()) return disk.status();
  if (log.requests.empty() || log.first_crash_point == 0) {
    return absl::InvalidArgumentError("nothing was written to a simulated file system");
  }
  SeededChooser chooser(options.seed);
  CrashImages images(chooser);
  CrashState state(log, *disk);
  CrashSearchResult result;
  result.points_of_log = log.last_crash_point - log.first_crash_point + 1;
  // With fewer images than points, some points would get none.
  uint64_t points_max = options.images_max < result.points_of_log ? options.images_max : 0;
  if (options.points_max != 0 && (points_max == 0 || options.points_max < points_max)) points_max = options.points_max;
  const std::vector<uint64_t> points = ChoosePoints(log.first_crash_point, log.last_crash_point, points_max, chooser);
  absl::Status error;
  for (size_t i = 0; i < points.size() && error.ok() && !result.violation.has_value(); ++i) {
    state.MoveTo(points[i]);
    const uint64_t acknowledged = AcknowledgedAt(log, points[i]);
    // What a point leaves over, those after it have.
    const uint64_t share = (options.images_max - result.images + points.size() - i - 1) / (points.size() - i);
    images.Visit(state, acknowledged, share, [&](const CrashState::Selection& image) {
      ++result.images;
      if (options.progress != nullptr) options.progress(i, points.size(), result.images);
      SectorStore contents;
      state.CopyTo(image, &contents);
      absl::StatusOr<std::string> problem = CheckImage(contents, acknowledged, options, checker);
      if (!problem.ok()) {
        error = problem.status();
        return false;
      }
      if (problem->empty()) return true;
      result.violation = {acknowledged, *std::move(problem), ExplainCrash(state, image, options.simfs.path),
                          std::move(contents)};
      return false;
    });
    ++result.points;
  }
  if (!error.ok()) return error;
  result.points_sampled = images.points_sampled();
  result.images_of_a_point_log10 = images.images_of_a_point_log10();
  return result;
}

absl::StatusOr<std::string> CheckWithoutCrash(const WriteLog& log, const CrashSearchOptions& options,
                                              const CrashChecker& checker) {
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(options.simfs.disk);
  if (!disk.ok()) return disk.status();
  CrashState state(log, *disk);
  state.MoveTo(state.last_point());
  SectorStore contents;
  state.CopyTo(state.Newest(), &contents);
  return CheckImage(contents, AcknowledgedAt(log, state.last_point()), options, checker);
}

}  // namespace aiolab
