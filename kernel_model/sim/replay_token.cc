#include "kernel_model/sim/replay_token.h"

#include <bit>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace aiolab {
namespace {

constexpr absl::string_view kName = "aiolab";
constexpr absl::string_view kPrefix = "aiolab1";
constexpr absl::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";

// More than a machine has memory for is a damaged token, not a long run.
constexpr uint64_t kAnswersMax = uint64_t{1} << 32;

// CRC-32 as in IEEE 802.3, bit by bit: a token is small.
uint32_t Crc32(const std::vector<uint8_t>& bytes, size_t size) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

int BitsFor(uint64_t count) { return count <= 1 ? 0 : 64 - std::countl_zero(count - 1); }

class BitWriter {
 public:
  void Bits(uint64_t value, int bits) {
    for (int i = bits - 1; i >= 0; --i) {
      if (used_ % 8 == 0) bytes_.push_back(0);
      if (((value >> i) & 1) != 0) bytes_.back() |= static_cast<uint8_t>(0x80 >> (used_ % 8));
      ++used_;
    }
  }
  // Elias gamma: `value` >= 1 in 2 log2(value) + 1 bits.
  void Gamma(uint64_t value) {
    const int bits = 64 - std::countl_zero(value);
    Bits(0, bits - 1);
    Bits(value, bits);
  }
  void Text(absl::string_view text) {
    Gamma(text.size() + 1);
    for (const char c : text) Bits(static_cast<uint8_t>(c), 8);
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
  size_t used_ = 0;
};

// Past the end it reads zeros and says so.
class BitReader {
 public:
  explicit BitReader(const std::vector<uint8_t>& bytes, size_t size) : bytes_(bytes), bits_(size * 8) {}

  uint64_t Bits(int bits) {
    uint64_t value = 0;
    for (int i = 0; i < bits; ++i) {
      value <<= 1;
      if (at_ >= bits_) {
        overrun_ = true;
      } else {
        value |= (bytes_[at_ / 8] >> (7 - at_ % 8)) & 1;
      }
      ++at_;
    }
    return value;
  }
  uint64_t Gamma() {
    int zeros = 0;
    while (!overrun_ && Bits(1) == 0) ++zeros;
    if (overrun_ || zeros > 62) {
      overrun_ = true;
      return 1;
    }
    return (uint64_t{1} << zeros) | Bits(zeros);
  }
  std::string Text() {
    const uint64_t size = Gamma() - 1;
    std::string text;
    for (uint64_t i = 0; i < size && !overrun_; ++i) text += static_cast<char>(Bits(8));
    return text;
  }
  bool overrun() const { return overrun_; }

 private:
  const std::vector<uint8_t>& bytes_;
  const size_t bits_;
  size_t at_ = 0;
  bool overrun_ = false;
};

std::string Base32(const std::vector<uint8_t>& bytes) {
  std::string text;
  uint32_t pending = 0;
  int bits = 0;
  for (const uint8_t byte : bytes) {
    pending = (pending << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += kAlphabet[(pending >> bits) & 31];
    }
  }
  if (bits > 0) text += kAlphabet[(pending << (5 - bits)) & 31];
  return text;
}

absl::Status Damaged() {
  return absl::InvalidArgumentError("the replay token is damaged: its checksum is wrong (was it copied whole?)");
}

absl::StatusOr<std::vector<uint8_t>> FromBase32(absl::string_view text, size_t column) {
  std::vector<uint8_t> bytes;
  uint32_t pending = 0;
  int bits = 0;
  for (const char c : text) {
    ++column;
    const size_t value = kAlphabet.find(absl::ascii_tolower(static_cast<unsigned char>(c)));
    if (value == absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("not a replay token: column ", column, " is '",
                                                     absl::string_view(&c, 1),
                                                     "', where only letters and the digits 2 to 7 may stand"));
    }
    pending = (pending << 5) | static_cast<uint32_t>(value);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<uint8_t>(pending >> bits));
    }
  }
  // What the last letter has over is zeros, and is no letter of its own.
  if (bits >= 5 || (pending & ((1u << bits) - 1)) != 0) return Damaged();
  return bytes;
}

absl::Status Refuse(absl::string_view what, absl::string_view theirs, absl::string_view ours) {
  return absl::FailedPreconditionError(
      absl::StrCat("the replay token was made with ", what, " '", theirs, "', but this run has '", ours, "'"));
}

}  // namespace

std::string EncodeReplayToken(const RunIdentity& identity, const Chooser::Recording& recording) {
  BitWriter out;
  out.Text(identity.profile);
  out.Gamma(static_cast<uint64_t>(identity.cpus) + 1);
  out.Text(identity.rules);
  out.Gamma(recording.sites.size() + 1);
  for (const Chooser::Site& site : recording.sites) {
    out.Bits(static_cast<uint8_t>(site.kind), 8);
    out.Gamma(site.count);
    out.Bits(site.name_hash, 16);
  }
  out.Gamma(recording.answers.size() + 1);
  const int site_bits = BitsFor(recording.sites.size());
  for (size_t i = 0; i < recording.answers.size();) {
    size_t end = i + 1;
    while (end < recording.answers.size() && recording.answers[end] == recording.answers[i]) ++end;
    out.Bits(recording.answers[i].site, site_bits);
    out.Bits(recording.answers[i].value, BitsFor(recording.sites[recording.answers[i].site].count));
    out.Gamma(end - i);
    i = end;
  }
  std::vector<uint8_t> bytes = out.Take();
  const uint32_t crc = Crc32(bytes, bytes.size());
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<uint8_t>(crc >> shift));
  return absl::StrCat(kPrefix, Base32(bytes));
}

absl::StatusOr<Chooser::Recording> DecodeReplayToken(absl::string_view token, const RunIdentity& identity) {
  token = absl::StripAsciiWhitespace(token);
  if (!absl::StartsWithIgnoreCase(token, kName)) {
    return absl::InvalidArgumentError(absl::StrCat("not a replay token: it begins with '",
                                                   token.substr(0, kPrefix.size()), "', not with '", kPrefix, "'"));
  }
  if (!absl::StartsWithIgnoreCase(token, kPrefix)) {
    return absl::FailedPreconditionError(absl::StrCat("the replay token has format '", token.substr(0, kPrefix.size()),
                                                      "', but this build reads '", kPrefix, "' only"));
  }
  absl::StatusOr<std::vector<uint8_t>> bytes = FromBase32(token.substr(kPrefix.size()), kPrefix.size());
  if (!bytes.ok()) return bytes.status();
  if (bytes->size() < 4) return Damaged();
  const size_t size = bytes->size() - 4;
  uint32_t crc = 0;
  for (size_t i = size; i < bytes->size(); ++i) crc = (crc << 8) | (*bytes)[i];
  if (crc != Crc32(*bytes, size)) return Damaged();

  BitReader in(*bytes, size);
  const std::string profile = in.Text();
  const uint64_t cpus = in.Gamma() - 1;
  const std::string rules = in.Text();
  if (in.overrun()) return Damaged();
  if (profile != identity.profile) return Refuse("profile", profile, identity.profile);
  if (cpus != static_cast<uint64_t>(identity.cpus))
    return Refuse("CPU count", absl::StrCat(cpus), absl::StrCat(identity.cpus));
  if (rules != identity.rules) return Refuse("fault rules", rules, identity.rules);

  Chooser::Recording recording;
  const uint64_t sites = in.Gamma() - 1;
  for (uint64_t i = 0; i < sites && !in.overrun(); ++i) {
    const auto kind = static_cast<Choice>(in.Bits(8));
    const auto count = static_cast<uint32_t>(in.Gamma());
    recording.sites.push_back({kind, count, static_cast<uint16_t>(in.Bits(16))});
  }
  const uint64_t answers = in.Gamma() - 1;
  if (in.overrun() || answers > kAnswersMax || (answers > 0 && sites == 0)) return Damaged();
  const int site_bits = BitsFor(sites);
  while (recording.answers.size() < answers) {
    const auto site = static_cast<uint32_t>(in.Bits(site_bits));
    if (site >= sites) return Damaged();
    const auto value = static_cast<uint32_t>(in.Bits(BitsFor(recording.sites[site].count)));
    const uint64_t repeats = in.Gamma();
    if (in.overrun() || value >= recording.sites[site].count || repeats > answers - recording.answers.size())
      return Damaged();
    recording.answers.insert(recording.answers.end(), repeats, {site, value});
  }
  return recording;
}

}  // namespace aiolab
