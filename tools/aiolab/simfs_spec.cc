#include "tools/aiolab/simfs_spec.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "kernel_model/fs/simfs/format.h"
#include "kernel_model/fs/simfs/simfs.h"
#include "kernel_model/sim/nearest_word.h"

namespace aiolab {
namespace {

const std::vector<std::string>& kErrorModels =
    *new std::vector<std::string>{"ext4-ordered", "ext4-data", "xfs", "btrfs"};

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

// The disk as ParseSimDisk() takes it: its kind comes first.
std::string DiskText(absl::string_view options, std::string* error_model) {
  std::string preset = "nvme";
  std::string settings;
  bool has_size = false;
  for (const absl::string_view option : absl::StrSplit(options, ',', absl::SkipEmpty())) {
    if (absl::StartsWith(option, "disk=")) {
      preset = std::string(absl::StripPrefix(option, "disk="));
      continue;
    }
    if (absl::StartsWith(option, "model=")) {
      *error_model = std::string(absl::StripPrefix(option, "model="));
      continue;
    }
    has_size |= absl::StartsWith(option, "size=");
    absl::StrAppend(&settings, ",", option);
  }
  return absl::StrCat(preset, has_size ? "" : ",size=1G", settings);
}

}  // namespace

absl::StatusOr<SimfsSpec> ParseSimfsSpec(absl::string_view text) {
  const size_t colon = text.find(':');
  absl::StatusOr<std::string> prefix = ParsePrefix(text.substr(0, colon));
  if (!prefix.ok()) return prefix.status();
  SimfsSpec spec;
  spec.prefix = *std::move(prefix);
  if (colon != absl::string_view::npos) spec.disk = DiskText(text.substr(colon + 1), &spec.error_model);
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(spec.disk);
  if (!disk.ok()) return disk.status();
  if (disk->size_bytes < simfs::kDiskBytesMin) {
    return absl::InvalidArgumentError(
        absl::StrCat("a disk of ", disk->size_bytes, " bytes is too small for a file system, which takes at least 1M"));
  }
  simfs::ErrorModel model;
  if (!simfs::FindErrorModel(spec.error_model, &model)) {
    const std::string nearest = NearestWord(spec.error_model, kErrorModels);
    return absl::InvalidArgumentError(
        absl::StrCat("there is no model '", spec.error_model, "'",
                     nearest.empty() ? "; there are " : absl::StrCat("; did you mean ", nearest, "? There are "),
                     absl::StrJoin(kErrorModels, ", ")));
  }
  return spec;
}

std::string SimfsSpecText(const SimfsSpec& spec) {
  return absl::StrCat(spec.prefix, ":disk=", spec.disk,
                      spec.error_model == SimfsSpec().error_model ? "" : absl::StrCat(",model=", spec.error_model));
}

}  // namespace aiolab
