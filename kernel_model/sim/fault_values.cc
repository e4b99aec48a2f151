#include "kernel_model/sim/fault_values.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace aiolab {

const std::vector<std::string>& FaultWhenWords() {
  static const auto& words =
      *new std::vector<std::string>{"always", "nth", "1in", "pct", "every", "after", "between", "at"};
  return words;
}

const std::vector<std::string>& FaultModelWords() {
  static const auto& words = *new std::vector<std::string>{"ext4-ordered", "ext4-data", "xfs", "btrfs"};
  return words;
}

bool ParseFaultSize(absl::string_view text, uint64_t* value) {
  uint64_t unit = 1;
  if (absl::ConsumeSuffix(&text, "k")) unit = uint64_t{1} << 10;
  if (absl::ConsumeSuffix(&text, "m")) unit = uint64_t{1} << 20;
  if (absl::ConsumeSuffix(&text, "g")) unit = uint64_t{1} << 30;
  if (text.empty() || !absl::ascii_isdigit(static_cast<unsigned char>(text[0])) || !absl::SimpleAtoi(text, value)) {
    return false;
  }
  if (*value > (uint64_t{1} << 62) / unit) return false;
  *value *= unit;
  return true;
}

bool ParseFaultTime(absl::string_view text, int64_t* time_ns) {
  int64_t unit_ns = 0;
  if (absl::ConsumeSuffix(&text, "ns")) {
    unit_ns = 1;
  } else if (absl::ConsumeSuffix(&text, "us")) {
    unit_ns = 1'000;
  } else if (absl::ConsumeSuffix(&text, "ms")) {
    unit_ns = 1'000'000;
  } else if (absl::ConsumeSuffix(&text, "s")) {
    unit_ns = 1'000'000'000;
  }
  double number = 0;
  constexpr double kDayNs = 86'400e9;
  if (unit_ns == 0 || !absl::SimpleAtod(text, &number) || !(number >= 0) ||
      number * static_cast<double>(unit_ns) > kDayNs) {
    return false;
  }
  *time_ns = static_cast<int64_t>(number * static_cast<double>(unit_ns));
  return true;
}

bool ParseFaultDelay(absl::string_view text, FaultDelay* delay) {
  using Distribution = FaultDelay::Distribution;
  if (absl::ConsumePrefix(&text, "exp ")) {
    delay->distribution = Distribution::kExponential;
    return ParseFaultTime(absl::StripAsciiWhitespace(text), &delay->first_ns);
  }
  if (absl::ConsumePrefix(&text, "uniform ")) {
    delay->distribution = Distribution::kUniform;
    text = absl::StripAsciiWhitespace(text);
    const size_t blank = text.find(' ');
    return blank != absl::string_view::npos && ParseFaultTime(text.substr(0, blank), &delay->first_ns) &&
           ParseFaultTime(absl::StripAsciiWhitespace(text.substr(blank)), &delay->last_ns);
  }
  return ParseFaultTime(text, &delay->first_ns);
}

bool IsFaultTag(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
}

bool ParseFaultTear(absl::string_view text, uint64_t* bytes) {
  constexpr uint64_t kTearMax = 1 << 20;
  return absl::ConsumePrefix(&text, "tear=") && ParseFaultSize(text, bytes) && *bytes >= 512 && *bytes <= kTearMax &&
         (*bytes & (*bytes - 1)) == 0;
}

absl::string_view FaultWhenExample(absl::string_view word) {
  if (word == "always") return "always";
  if (word == "nth") return "nth(3)";
  if (word == "1in") return "1in(50)";
  if (word == "every") return "every(10)";
  if (word == "after") return "after(100)";
  if (word == "between") return "between(3,5)";
  return "at(step 41) or at(10ms)";
}

std::string FaultArgumentHelp(FaultKind kind) {
  switch (kind) {
    case FaultKind::kShort:
      return "how much is left, 1 or more, as in short(512), or nothing, and the Chooser says";
    case FaultKind::kDelay:
      return "a time, as in delay(2ms), delay(uniform 1ms 5ms) or delay(exp 2ms)";
    case FaultKind::kSpike:
      return "how long it lasts, as in spike(20ms)";
    case FaultKind::kHold:
    case FaultKind::kRelease:
      return "a name, as in hold(a) and release(a)";
    case FaultKind::kMisdirected:
      return "by how many bytes, as in misdirected(4096)";
    case FaultKind::kPowerCut:
      return "what stays whole, a power of two from 512 to 1m, as in powercut(tear=4k), or nothing, and the disk says";
    case FaultKind::kReboot:
      return "what stays whole, a power of two from 512 to 1m, as in reboot(tear=4k), or nothing, and the disk says";
    case FaultKind::kErrno:
      return "how often in a row, as in eagain(x5), and at fsync what it leaves behind, as in eio(model=xfs)";
    default:
      return "how often in a row, as in (x5)";
  }
}

}  // namespace aiolab
