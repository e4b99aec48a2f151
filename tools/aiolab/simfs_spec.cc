#include "tools/aiolab/simfs_spec.h"

#include <algorithm>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tools/aiolab/nearest_word.h"

namespace aiolab {
namespace {

constexpr uint64_t kPageBytes = 4096;

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

absl::StatusOr<uint64_t> ParseSize(absl::string_view text) {
  absl::string_view digits = text;
  int shift = 0;
  if (!digits.empty()) {
    const size_t unit = absl::string_view("KMGT").find(digits.back());
    if (unit != absl::string_view::npos) {
      shift = 10 * static_cast<int>(unit + 1);
      digits.remove_suffix(1);
    }
  }
  uint64_t count = 0;
  if (!absl::SimpleAtoi(digits, &count) || count > (std::numeric_limits<uint64_t>::max() >> 1) >> shift) {
    return absl::InvalidArgumentError(
        absl::StrCat("size=", text, " has to be a number of bytes, or one with K, M, G or T behind it, as in 1G"));
  }
  if (count << shift < kPageBytes) {
    return absl::InvalidArgumentError(absl::StrCat("size=", text, " is below one page, ", kPageBytes, " bytes"));
  }
  return count << shift;
}

std::string DidYouMean(absl::string_view word, const std::vector<std::string>& words) {
  const std::string nearest = NearestWord(word, words);
  return nearest.empty() ? absl::StrCat("there are ", absl::StrJoin(words, ", "))
                         : absl::StrCat("did you mean ", nearest, "? There are ", absl::StrJoin(words, ", "));
}

absl::Status ParseOption(absl::string_view option, SimfsSpec* spec) {
  const size_t equals = option.find('=');
  const absl::string_view key = option.substr(0, equals);
  const absl::string_view value = equals == absl::string_view::npos ? "" : option.substr(equals + 1);
  if (key == "size") {
    const absl::StatusOr<uint64_t> size = ParseSize(value);
    if (!size.ok()) return size.status();
    spec->size_bytes = *size;
    return absl::OkStatus();
  }
  if (key == "disk") {
    const std::vector<std::string>& presets = DiskPresetNames();
    if (std::find(presets.begin(), presets.end(), value) == presets.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("there is no disk preset '", value, "'; ", DidYouMean(value, presets)));
    }
    spec->disk = std::string(value);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no option '", key, "'; ", DidYouMean(key, {"size", "disk"})));
}

}  // namespace

const std::vector<std::string>& DiskPresetNames() {
  static const auto& names = *new std::vector<std::string>{"nvme", "ssd", "hdd", "ram"};
  return names;
}

absl::StatusOr<SimfsSpec> ParseSimfsSpec(absl::string_view text) {
  const size_t colon = text.find(':');
  absl::StatusOr<std::string> prefix = ParsePrefix(text.substr(0, colon));
  if (!prefix.ok()) return prefix.status();
  SimfsSpec spec;
  spec.prefix = *std::move(prefix);
  if (colon == absl::string_view::npos) return spec;
  for (const absl::string_view option : absl::StrSplit(text.substr(colon + 1), ',')) {
    const absl::Status status = ParseOption(option, &spec);
    if (!status.ok()) return status;
  }
  return spec;
}

std::string SimfsSpecText(const SimfsSpec& spec) {
  return absl::StrCat(spec.prefix, ":size=", spec.size_bytes, ",disk=", spec.disk);
}

}  // namespace aiolab
