// "nvme,size=1G,depth=64" as parameters.
#include <algorithm>
#include <functional>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernel_model/block/blk_mq.h"
#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "kernel_model/sim/nearest_word.h"

namespace aiolab {
namespace {

// What a value has to be, for the message; empty if it is that.
using Problem = std::string;

constexpr uint64_t kSizeMin = 4096;
constexpr uint64_t kSizeMax = uint64_t{16} << 40;
constexpr uint32_t kAtomicMax = 1 << 20;

bool ParseBytes(absl::string_view text, uint64_t& bytes) {
  static constexpr absl::string_view kUnits = "KMGT";
  unsigned shift = 0;
  if (!text.empty()) {
    const size_t unit = kUnits.find(absl::ascii_toupper(static_cast<unsigned char>(text.back())));
    if (unit != kUnits.npos) {
      shift = 10 * static_cast<unsigned>(unit + 1);
      text.remove_suffix(1);
    }
  }
  uint64_t number;
  if (!absl::SimpleAtoi(text, &number) || number > UINT64_MAX >> shift) return false;
  bytes = number << shift;
  return true;
}

bool ParseDuration(absl::string_view text, int64_t& ns) {
  constexpr struct {
    absl::string_view unit;
    int64_t ns;
  } kUnits[] = {{"ns", 1}, {"us", 1000}, {"ms", 1'000'000}, {"s", 1'000'000'000}};
  for (const auto& unit : kUnits) {
    if (!absl::EndsWith(text, unit.unit)) continue;
    double number;
    if (!absl::SimpleAtod(text.substr(0, text.size() - unit.unit.size()), &number)) continue;
    if (!(number >= 0) || number * static_cast<double>(unit.ns) > 60e9) return false;
    ns = static_cast<int64_t>(number * static_cast<double>(unit.ns));
    return true;
  }
  return false;
}

Problem SetNumber(absl::string_view text, unsigned min, unsigned max, unsigned& number) {
  unsigned parsed;
  if (!absl::SimpleAtoi(text, &parsed) || parsed < min || parsed > max) {
    return absl::StrCat("a number from ", min, " to ", max);
  }
  number = parsed;
  return "";
}

// The mean becomes that of `text`; both parts grow or shrink alike.
Problem SetLatency(absl::string_view text, SimDiskLatency& latency) {
  int64_t mean_ns;
  if (!ParseDuration(text, mean_ns)) return "a time such as 80us or 2ms, at most 60s";
  const int64_t before_ns = latency.fixed_ns + latency.mean_ns;
  if (before_ns == 0) {
    latency.fixed_ns = mean_ns;
  } else {
    latency.mean_ns = static_cast<int64_t>(static_cast<double>(latency.mean_ns) * static_cast<double>(mean_ns) /
                                           static_cast<double>(before_ns));
    latency.fixed_ns = mean_ns - latency.mean_ns;
  }
  return "";
}

Problem SetSize(SimDiskParameters& disk, absl::string_view text) {
  uint64_t bytes;
  if (!ParseBytes(text, bytes) || bytes < kSizeMin || bytes > kSizeMax) {
    return "a size from 4K to 16T, such as 512M or 1G";
  }
  disk.size_bytes = bytes;
  return "";
}

Problem SetCache(SimDiskParameters& disk, absl::string_view text) {
  uint64_t bytes;
  if (text == "off") {
    disk.cache_bytes = 0;
  } else if (ParseBytes(text, bytes) && bytes >= kSizeMin && bytes <= kSizeMax) {
    disk.cache_bytes = bytes;
  } else {
    return "off, or a size from 4K, such as 64M";
  }
  return "";
}

Problem SetFua(SimDiskParameters& disk, absl::string_view text) {
  if (text != "on" && text != "off") return "on or off";
  disk.fua = text == "on";
  return "";
}

Problem SetLogicalBlock(SimDiskParameters& disk, absl::string_view text) {
  uint64_t bytes;
  if (!ParseBytes(text, bytes) || (bytes != 512 && bytes != 4096)) return "512 or 4096";
  disk.logical_block_size = static_cast<uint32_t>(bytes);
  return "";
}

Problem SetAtomic(SimDiskParameters& disk, absl::string_view text) {
  uint64_t bytes;
  if (!ParseBytes(text, bytes) || bytes < 512 || bytes > kAtomicMax || (bytes & (bytes - 1)) != 0) {
    return "a power of two from 512 to 1M, such as 16K";
  }
  disk.atomic_write_unit = static_cast<uint32_t>(bytes);
  return "";
}

Problem SetElevator(SimDiskParameters& disk, absl::string_view text) {
  const std::vector<std::string> names = ElevatorNames();
  if (std::find(names.begin(), names.end(), std::string(text)) == names.end()) {
    const std::string nearest = NearestWord(text, names);
    return absl::StrCat(absl::StrJoin(names, " or "), nearest.empty() ? "" : "; did you mean ", nearest,
                        nearest.empty() ? "" : "?");
  }
  disk.elevator = std::string(text);
  return "";
}

struct Key {
  const char* name;
  Problem (*set)(SimDiskParameters& disk, absl::string_view text);
};

const Key kKeys[] = {
    {"size", SetSize},
    {"depth",
     [](SimDiskParameters& disk, absl::string_view text) { return SetNumber(text, 1, 1023, disk.queue_depth); }},
    {"cache", SetCache},
    {"fua", SetFua},
    {"lbs", SetLogicalBlock},
    {"atomic", SetAtomic},
    {"elevator", SetElevator},
    {"requests",
     [](SimDiskParameters& disk, absl::string_view text) { return SetNumber(text, 1, 4096, disk.nr_requests); }},
    {"channels",
     [](SimDiskParameters& disk, absl::string_view text) { return SetNumber(text, 1, 4096, disk.channels); }},
    {"read", [](SimDiskParameters& disk, absl::string_view text) { return SetLatency(text, disk.read); }},
    {"write", [](SimDiskParameters& disk, absl::string_view text) { return SetLatency(text, disk.write); }},
    {"media_write", [](SimDiskParameters& disk, absl::string_view text) { return SetLatency(text, disk.media_write); }},
    {"flush", [](SimDiskParameters& disk, absl::string_view text) { return SetLatency(text, disk.flush); }},
    {"discard", [](SimDiskParameters& disk, absl::string_view text) { return SetLatency(text, disk.discard); }},
};

}  // namespace

std::vector<std::string> SimDiskSettingNames() {
  std::vector<std::string> names;
  for (const Key& key : kKeys) names.push_back(key.name);
  return names;
}

absl::StatusOr<SimDiskParameters> ParseSimDisk(absl::string_view spec) {
  SimDiskParameters disk;
  const std::optional<SimDiskMistake> mistake = FindSimDiskMistake(spec, &disk);
  if (!mistake) return disk;
  return absl::InvalidArgumentError(absl::StrCat("disk \"", spec, "\", column ", mistake->at + 1, ": ", mistake->what));
}

std::optional<SimDiskMistake> FindSimDiskMistake(absl::string_view spec, SimDiskParameters* disk) {
  const size_t preset_end = std::min(spec.find(','), spec.size());
  const absl::string_view preset = spec.substr(0, preset_end);
  if (absl::StrContains(preset, "=")) {
    return SimDiskMistake{
        0, absl::StrCat("the disk's kind comes first, one of ", absl::StrJoin(SimDiskPresetNames(), ", "),
                        ", then what differs: \"nvme,", preset, "\"")};
  }
  const SimDiskParameters* const found = FindSimDiskPreset(preset);
  if (found == nullptr) return SimDiskMistake{0, NoSuchWord("disk", preset, SimDiskPresetNames())};
  *disk = *found;

  size_t size_position = 0;
  size_t atomic_position = 0;
  for (size_t position = preset_end; position < spec.size();) {
    ++position;  // the comma
    const size_t end = std::min(spec.find(',', position), spec.size());
    const absl::string_view item = spec.substr(position, end - position);
    const size_t equals = item.find('=');
    const absl::string_view name = item.substr(0, equals);
    const Key* const key =
        std::find_if(std::begin(kKeys), std::end(kKeys), [name](const Key& known) { return name == known.name; });
    if (key == std::end(kKeys)) return SimDiskMistake{position, NoSuchWord("setting", name, SimDiskSettingNames())};
    const size_t value_position = equals == item.npos ? end : position + equals + 1;
    const absl::string_view value = spec.substr(value_position, end - value_position);
    const Problem problem = key->set(*disk, value);
    if (!problem.empty()) {
      return SimDiskMistake{value_position, absl::StrCat(name, "=", value, ": it has to be ", problem)};
    }
    if (name == "size") size_position = value_position;
    if (name == "atomic") atomic_position = value_position;
    position = end;
  }
  if (disk->size_bytes % disk->logical_block_size != 0) {
    return SimDiskMistake{
        size_position, absl::StrCat("the size has to be a multiple of the logical block, ", disk->logical_block_size)};
  }
  if (disk->atomic_write_unit != 0 && disk->atomic_write_unit < disk->logical_block_size) {
    return SimDiskMistake{atomic_position,
                          absl::StrCat("atomic has to be at least the logical block, ", disk->logical_block_size)};
  }
  return std::nullopt;
}

}  // namespace aiolab
