#include "kernel_model/sim/chooser.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace aiolab {
namespace {

// SplitMix64: 64 bits of state, the same numbers everywhere. The standard library's distributions differ between
// implementations.
uint64_t NextRandom(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

uint32_t Chooser::Choose(Choice kind, uint32_t count, absl::string_view site) {
  if (count < 1) abort();
  if (count == 1) return 0;
  const Site asked{kind, count, HashSiteName(site)};
  const uint32_t value = Pick(asked, site);
  if (value >= count) abort();
  recording_.answers.push_back({SiteIndex(asked), value});
  return value;
}

// A run has a few dozen sites at most, and the last one asks again most of the time.
uint32_t Chooser::SiteIndex(const Site& site) {
  if (!recording_.answers.empty()) {
    const uint32_t last = recording_.answers.back().site;
    if (recording_.sites[last] == site) return last;
  }
  for (uint32_t i = 0; i < recording_.sites.size(); ++i) {
    if (recording_.sites[i] == site) return i;
  }
  recording_.sites.push_back(site);
  return static_cast<uint32_t>(recording_.sites.size() - 1);
}

// FNV-1a, folded.
uint16_t Chooser::HashSiteName(absl::string_view site) {
  uint32_t hash = 2166136261;
  for (const char c : site) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
  return static_cast<uint16_t>(hash ^ (hash >> 16));
}

uint32_t SeededChooser::Pick(const Site& site, absl::string_view) {
  // A fault that may be anywhere would otherwise always be at the first place.
  constexpr uint64_t kPlacesPerFault = 32;
  if (site.kind == Choice::kPlace && NextRandom(state_) % kPlacesPerFault != 0) return 0;
  // The high half of a product spreads a 32-bit random number over [0, count) without a division.
  return static_cast<uint32_t>(((NextRandom(state_) >> 32) * site.count) >> 32);
}

uint32_t ReplayChooser::Pick(const Site& site, absl::string_view name) {
  if (diverged_) return 0;
  const std::string asked = absl::StrCat(ChoiceName(site.kind), " of ", site.count, " at ", name);
  if (position_ == recorded_.answers.size()) {
    diverged_ = true;
    on_divergence_(absl::StrCat("the replay token ends after ", position_,
                                " answers, but the run asks one more question: ", asked));
    return 0;
  }
  const Answer& answer = recorded_.answers[position_];
  const Site& expected = recorded_.sites[answer.site];
  if (!(expected == site)) {
    diverged_ = true;
    on_divergence_(absl::StrCat("question ", position_ + 1, " differs from the replay token's: the run asks ", asked,
                                ", the token answers ", ChoiceName(expected.kind), " of ", expected.count,
                                expected.name_hash == site.name_hash ? " there" : " at another place"));
    return 0;
  }
  ++position_;
  return answer.value;
}

absl::string_view ChoiceName(Choice kind) {
  switch (kind) {
    case Choice::kOrder:
      return "order";
    case Choice::kLatency:
      return "latency";
    case Choice::kFault:
      return "fault";
    case Choice::kPlace:
      return "place";
    case Choice::kSurvival:
      return "survival";
  }
  return "unknown";
}

}  // namespace aiolab
