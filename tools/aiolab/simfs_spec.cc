#include "tools/aiolab/simfs_spec.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "kernel_model/fs/simfs/format.h"
#include "kernel_model/fs/simfs/simfs.h"
#include "kernel_model/sim/nearest_word.h"

namespace aiolab {
namespace {

absl::StatusOr<std::string> ParsePrefix(absl::string_view text) {
  if (text.empty() || text[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("the prefix has to be an absolute path, as in /data, and '", text, "' is none"));
  }
  std::string prefix;
  for (const absl::string_view name : absl::StrSplit(text, '/', absl::SkipEmpty())) {
    if (name == ".") continue;
    if (name == "..") return absl::InvalidArgumentError(absl::StrCat("the prefix ", text, " has '..' in it"));
    absl::StrAppend(&prefix, "/", name);
  }
  if (prefix.empty()) {
    return absl::InvalidArgumentError("the prefix has to be a directory below /: the client needs its own files too");
  }
  return prefix;
}

absl::Status ErrorAt(size_t at, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("column ", at + 1, ": ", what));
}

// Looks at a part of a disk's text that was typed `at`; `before` makes it a whole one.
absl::Status CheckDisk(absl::string_view before, absl::string_view typed, size_t at) {
  SimDiskParameters disk;
  const std::optional<SimDiskMistake> mistake = FindSimDiskMistake(absl::StrCat(before, typed), &disk);
  return mistake ? ErrorAt(at + mistake->at - before.size(), mistake->what) : absl::OkStatus();
}

absl::Status CheckErrorModel(absl::string_view name) {
  simfs::ErrorModel model;
  if (simfs::FindErrorModel(name, &model)) return absl::OkStatus();
  return absl::InvalidArgumentError(NoSuchWord("error model", name, {"ext4-ordered", "ext4-data", "xfs", "btrfs"}));
}

bool IsDiskSetting(absl::string_view key) {
  const std::vector<std::string> names = SimDiskSettingNames();
  return std::find(names.begin(), names.end(), key) != names.end();
}

std::string NoSuchOption(absl::string_view key) {
  std::vector<std::string> names = SimDiskSettingNames();
  names.insert(names.begin(), {"from", "to", "disk", "error-model"});
  return NoSuchWord("option", key, names);
}

// Fills in the rest from `text`, which has options from `begin` on. What is no key of ours goes to the disk, whose kind
// has to come first.
absl::Status ParseOptions(absl::string_view text, size_t begin, SimfsSpec* spec) {
  std::string preset = "nvme";
  std::string settings;
  bool has_size = false;
  size_t end = 0;
  for (size_t at = begin; at < text.size(); at = end + 1) {
    end = std::min(text.find(',', at), text.size());
    const absl::string_view option = text.substr(at, end - at);
    const size_t equals = std::min(option.find('='), option.size());
    const absl::string_view key = option.substr(0, equals);
    const absl::string_view value = option.substr(std::min(equals + 1, option.size()));
    absl::Status status;
    if (option.empty()) continue;
    if (key == "disk") {
      preset = std::string(value);
      status = CheckDisk("", value, end - value.size());
    } else if (key == "from" || key == "to") {
      (key == "from" ? spec->from : spec->to) = std::string(value);
      if (value.empty()) status = ErrorAt(end, absl::StrCat(key, "= names no directory"));
    } else if (key == "error-model") {
      spec->error_model = std::string(value);
      status = CheckErrorModel(value);
    } else if (IsDiskSetting(key)) {
      has_size |= key == "size";
      absl::StrAppend(&settings, ",", option);
      status = CheckDisk("nvme,", option, at);
    } else {
      status = ErrorAt(at, NoSuchOption(key));
    }
    if (!status.ok()) return status;
  }
  spec->disk = absl::StrCat(preset, has_size ? "" : ",size=1G", settings);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SimfsSpec> ParseSimfsSpec(absl::string_view text) {
  const size_t colon = text.find(':');
  absl::StatusOr<std::string> prefix = ParsePrefix(text.substr(0, colon));
  if (!prefix.ok()) return prefix.status();
  SimfsSpec spec;
  spec.prefix = *std::move(prefix);
  if (colon != absl::string_view::npos) {
    const absl::Status parsed = ParseOptions(text, colon + 1, &spec);
    if (!parsed.ok()) return parsed;
  }
  // Only what does not go together is left to be found.
  SimDiskParameters disk;
  const std::optional<SimDiskMistake> mistake = FindSimDiskMistake(spec.disk, &disk);
  if (mistake) return absl::InvalidArgumentError(mistake->what);
  if (disk.size_bytes < simfs::kDiskBytesMin) {
    return absl::InvalidArgumentError(
        absl::StrCat("a disk of ", disk.size_bytes, " bytes is too small for a file system, which takes at least 1M"));
  }
  return spec;
}

std::string SimfsSpecText(const SimfsSpec& spec) {
  std::string text = absl::StrCat(spec.prefix, ":disk=", spec.disk);
  if (!spec.from.empty()) absl::StrAppend(&text, ",from=", spec.from);
  if (!spec.to.empty()) absl::StrAppend(&text, ",to=", spec.to);
  if (spec.error_model != SimfsSpec().error_model) absl::StrAppend(&text, ",error-model=", spec.error_model);
  return text;
}

}  // namespace aiolab
