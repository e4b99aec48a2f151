#include "tools/aiolab/simfs_spec.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

absl::Status CheckErrorModel(const std::string& name) {
  simfs::ErrorModel model;
  if (simfs::FindErrorModel(name, &model)) return absl::OkStatus();
  const std::vector<std::string> names = {"ext4-ordered", "ext4-data", "xfs", "btrfs"};
  const std::string nearest = NearestWord(name, names);
  return absl::InvalidArgumentError(absl::StrCat("there is no error model \"", name, "\"; ",
                                                 nearest.empty()
                                                     ? absl::StrCat("there are ", absl::StrJoin(names, ", "))
                                                     : absl::StrCat("did you mean ", nearest, "?")));
}

// Fills in the rest. What is no key of ours goes to the disk, whose kind has to come first.
absl::Status ParseOptions(absl::string_view options, SimfsSpec* spec) {
  std::string preset = "nvme";
  std::string settings;
  bool has_size = false;
  for (const absl::string_view option : absl::StrSplit(options, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, std::string> parts = absl::StrSplit(option, absl::MaxSplits('=', 1));
    const auto& [key, value] = parts;
    if (key == "disk") {
      preset = value;
    } else if (key == "from" || key == "to") {
      if (value.empty()) return absl::InvalidArgumentError(absl::StrCat(key, "= names no directory"));
      (key == "from" ? spec->from : spec->to) = value;
    } else if (key == "error-model") {
      if (absl::Status status = CheckErrorModel(value); !status.ok()) return status;
      spec->error_model = value;
    } else {
      has_size |= key == "size";
      absl::StrAppend(&settings, ",", option);
    }
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
    const absl::Status parsed = ParseOptions(text.substr(colon + 1), &spec);
    if (!parsed.ok()) return parsed;
  }
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(spec.disk);
  if (!disk.ok()) return disk.status();
  if (disk->size_bytes < simfs::kDiskBytesMin) {
    return absl::InvalidArgumentError(
        absl::StrCat("a disk of ", disk->size_bytes, " bytes is too small for a file system, which takes at least 1M"));
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
