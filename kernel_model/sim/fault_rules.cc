#include "kernel_model/sim/fault_rules.h"

#include <errno.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "kernel_model/sim/exponential.h"
#include "kernel_model/sim/fault_match.h"
#include "kernel_model/sim/fault_place.h"
#include "kernel_model/sim/fault_table.h"
#include "kernel_model/sim/geometric.h"

namespace aiolab {
namespace {

constexpr uint64_t kHundredPercent = 10000;

// "fault/any/submit", as the Chooser knows them.
const std::array<std::string, kFaultSites>& AnySiteNames() {
  static const auto& names = *new std::array<std::string, kFaultSites>([] {
    std::array<std::string, kFaultSites> made;
    for (const FaultSiteEntry& entry : FaultSites()) {
      made[static_cast<size_t>(entry.site)] = absl::StrCat("fault/any/", entry.name);
    }
    return made;
  }());
  return names;
}

}  // namespace

struct FaultEngine::Places {
  void TellNoted() {
    for (FaultPlace& place : at) place.TellNoted();
  }

  std::array<FaultPlace, kFaultSites> at;
};

FaultEngine::FaultEngine(Chooser& chooser) : chooser_(chooser), places_(std::make_unique<Places>()) {}
FaultEngine::~FaultEngine() = default;

int FaultEngine::Add(FaultRule rule) {
  auto installed = std::make_unique<InstalledFaultRule>();
  installed->id = next_id_++;
  installed->rule = std::move(rule);
  rules_.push_back(std::move(installed));
  Reindex();
  return rules_.back()->id;
}

void FaultEngine::Remove(int rule) {
  places_->TellNoted();
  rules_.erase(std::remove_if(rules_.begin(), rules_.end(), [rule](const auto& entry) { return entry->id == rule; }),
               rules_.end());
  Reindex();
}

void FaultEngine::Reindex() {
  places_->TellNoted();
  armed_ = {};
  for (FaultPlace& place : places_->at) place = FaultPlace();
  const auto put = [this](FaultSite site, const FaultSlot& slot) {
    places_->at[static_cast<size_t>(site)].Add(slot);
    if (!paused_) armed_[static_cast<size_t>(site)] |= slot.kinds;
  };
  for (const auto& installed : rules_) {
    InstalledFaultRule& rule = *installed;
    if (rule.over) continue;
    if (!rule.rule.steps.empty()) {
      const FaultStep& step = rule.current();
      rule.choice_site = absl::StrCat("fault/", FaultSiteInfo(step.site).name);
      rule.path = rule.task = FaultGlobMemory();
      FaultSlot slot = {.kinds = FaultKindBit(step.what.kind), .step = &step, .rule = &rule};
      if (step.filter.ops != 0) slot.ops = step.filter.ops;
      if (step.filter.has_off) {
        slot.off_first = step.filter.off_first;
        slot.off_last = step.filter.off_last;
      }
      if (step.when.kind == FaultWhen::Kind::kAtTime) slot.not_before_ns = static_cast<int64_t>(step.when.first);
      put(step.site, slot);
      continue;
    }
    for (const FaultSiteEntry& entry : FaultSites()) {
      if (!FaultsToPlace(entry.site, rule.rule.any_class).empty()) put(entry.site, {.rule = &rule});
    }
  }
}

void FaultEngine::Pause() {
  paused_ = true;
  Reindex();
}

void FaultEngine::Resume() {
  paused_ = false;
  Reindex();
}

// Chance is asked once a hit: for how many occasions there is none.
bool FaultEngine::ChanceIsDue(InstalledFaultRule& rule, uint64_t chances, uint64_t of) {
  if (chances >= of) return true;
  if (rule.chance_turn == 0) {
    const uint32_t answer = chooser_.Choose(Choice::kFault, kGeometricAnswers, rule.choice_site);
    rule.chance_turn = rule.matched + GeometricWait(chances, of, answer);
  }
  if (rule.matched < rule.chance_turn) return false;
  rule.chance_turn = 0;
  return true;
}

bool FaultEngine::IsDue(InstalledFaultRule& rule, const FaultStep& step, const FaultMoment& moment) {
  if (rule.burst_left > 0) return true;
  const FaultWhen& when = step.when;
  if (when.times_max != 0 && rule.fired >= when.times_max) return false;
  // What is due at one occasion and cannot strike there, because another rule did, strikes at the next.
  const uint64_t once_max = std::max<uint64_t>(when.times_max, 1);
  switch (when.kind) {
    case FaultWhen::Kind::kAlways:
      return true;
    case FaultWhen::Kind::kNth:
      return rule.matched >= when.first && rule.fired < once_max;
    case FaultWhen::Kind::kOneIn:
      return ChanceIsDue(rule, 1, when.first);
    case FaultWhen::Kind::kPct:
      return ChanceIsDue(rule, when.first, kHundredPercent);
    case FaultWhen::Kind::kEvery:
      return rule.matched % when.first == 0;
    case FaultWhen::Kind::kAfter:
      return rule.matched > when.first;
    case FaultWhen::Kind::kBetween:
      return rule.matched >= when.first && rule.matched <= when.last;
    case FaultWhen::Kind::kAtStep:
      return moment.step >= when.first && rule.fired < once_max;
    case FaultWhen::Kind::kAtTime:
      return moment.now_ns >= static_cast<int64_t>(when.first) && rule.fired < once_max;
  }
  return false;
}

void FaultEngine::Strike(InstalledFaultRule& rule, const FaultWhat& what, absl::string_view choice_site,
                         const FaultOccasion& occasion, const FaultMoment& moment, Fault* fault) {
  const FaultPoint& point = occasion.point;
  if (rule.hits++ == 0) rule.first_ns = moment.now_ns;
  rule.last_ns = moment.now_ns;
  fault->kind = what.kind;
  fault->error = what.error;
  fault->n = what.n;
  fault->what = &what;
  fault->rule = rule.rule.text;
  fault->hit = rule.hits;
  if (what.kind == FaultKind::kDelay) fault->delay_ns = DrawDelayNs(what.delay, choice_site);
  if (what.kind == FaultKind::kSpike) fault->until_ns = rule.spike_until_ns;
  if (what.kind == FaultKind::kQueueFull || what.kind == FaultKind::kNowaitBlock) fault->error = EAGAIN;
  if (what.kind == FaultKind::kBadSector) fault->error = EIO;
  if (what.kind == FaultKind::kShort || what.kind == FaultKind::kTorn) {
    const bool transfer = occasion.site == FaultSite::kComplete || occasion.site == FaultSite::kDevice;
    const bool whole_sectors =
        transfer && (point.direct || what.kind == FaultKind::kTorn) && point.size > kFaultSectorSize;
    const uint64_t unit = whole_sectors ? kFaultSectorSize : 1;
    if (what.n == 0) {
      const uint64_t quantile = chooser_.Choose(Choice::kFault, kQuantiles, "fault/how-short");
      const uint64_t units = (point.size - 1) / unit;  // of which at least one is moved, and not all
      fault->n = unit * (1 + (units - 1) * quantile / (kQuantiles - 1));
    } else {
      fault->n = std::max(unit, what.n / unit * unit);
    }
  }
}

bool FaultEngine::AskAny(InstalledFaultRule& rule, const FaultOccasion& occasion, const FaultMoment& moment,
                         Fault* fault) {
  const FaultSite site = occasion.site;
  const FaultWhat* candidates[8];
  uint32_t count = 0;
  for (const FaultWhat& what : FaultsToPlace(site, rule.rule.any_class)) {
    if ((FaultKindBit(what.kind) & occasion.kinds) == 0 || !FaultFits(what, site, occasion.point)) continue;
    if (count < std::size(candidates)) candidates[count++] = &what;
  }
  if (count == 0) return false;
  ++rule.occasions;
  const std::string& choice_site = AnySiteNames()[static_cast<size_t>(site)];
  const uint32_t answer = chooser_.Choose(Choice::kPlace, count + 1, choice_site);
  if (answer == 0) return false;
  Strike(rule, *candidates[answer - 1], choice_site, occasion, moment, fault);
  rule.over = rule.hits >= rule.rule.any_times;
  return true;
}

// A rule that is about the occasion. True if it is not the same any more: it is over, or at its next step.
bool FaultEngine::AskSlot(const FaultSlot& slot, const FaultOccasion& occasion, const FaultMoment& moment,
                          Fault* fault) {
  InstalledFaultRule& rule = *slot.rule;
  if (slot.step == nullptr) return !*fault && !rule.over && AskAny(rule, occasion, moment, fault) && rule.over;
  const FaultStep& step = *slot.step;
  const FaultPoint& point = occasion.point;
  const int64_t now_ns = moment.now_ns;
  if (!slot.Touches(point)) return false;
  if (!slot.fits) {
    ++rule.near_misses;
    return false;
  }
  ++rule.matched;
  if (*fault || now_ns < slot.not_before_ns) return false;
  const bool stays_bad = !rule.bad_sectors.empty() && rule.TouchesBadSector(point);
  const bool in_spike = step.what.kind == FaultKind::kSpike && now_ns < rule.spike_until_ns;
  // Of the request's sectors the first that the filter means.
  const int64_t sector = std::max(point.off, step.filter.off_first) / static_cast<int64_t>(kFaultSectorSize);
  if (!stays_bad && !in_spike) {
    if (!IsDue(rule, step, moment)) return false;
    if (rule.burst_left == 0) {
      ++rule.fired;
      rule.burst_left = step.what.burst;
    }
    --rule.burst_left;
    if (step.what.kind == FaultKind::kSpike) {
      rule.spike_until_ns = now_ns + DrawDelayNs(step.what.delay, rule.choice_site);
    }
    // A device remembers its own.
    if (step.what.kind == FaultKind::kBadSector && occasion.site == FaultSite::kComplete) {
      rule.bad_sectors.push_back({point.open, sector});
    }
  }
  Strike(rule, step.what, rule.choice_site, occasion, moment, fault);
  if (step.what.kind == FaultKind::kBadSector) fault->n = static_cast<uint64_t>(sector);
  const bool step_done = rule.burst_left == 0 && rule.fired >= std::max<uint64_t>(step.when.times_max, 1);
  if (!step_done || rule.step + 1 == rule.rule.steps.size()) return false;
  ++rule.step;
  rule.occasions += rule.matched;
  rule.matched = rule.fired = rule.chance_turn = rule.near_misses = 0;
  return true;
}

bool FaultEngine::Passes(const FaultOccasion& occasion) {
  return !armed(occasion.site, occasion.kinds) || places_->at[static_cast<size_t>(occasion.site)].NotePassing(occasion);
}

Fault FaultEngine::Ask(const FaultOccasion& occasion, const FaultMoment& moment) {
  FaultPlace& place = places_->at[static_cast<size_t>(occasion.site)];
  Fault fault;
  bool changed = false;
  if (const std::vector<FaultSlot>* const live = place.Note(occasion); live != nullptr) {
    for (const FaultSlot& slot : *live) {
      if (slot.Touches(occasion.point)) changed |= AskSlot(slot, occasion, moment, &fault);
    }
    if (changed) Reindex();
    return fault;
  }
  place.TellNoted();
  for (FaultSlot& slot : place.slots()) {
    if (!slot.IsAbout(occasion)) continue;
    slot.fits = slot.Fits(occasion);
    changed |= AskSlot(slot, occasion, moment, &fault);
  }
  if (changed) {
    Reindex();
  } else {
    place.Learn(occasion);
  }
  return fault;
}

int64_t FaultEngine::DrawDelayNs(const FaultDelay& delay, absl::string_view site) {
  if (delay.distribution == FaultDelay::Distribution::kFixed) return delay.first_ns;
  const int64_t quantile = chooser_.Choose(Choice::kLatency, kQuantiles, site);
  if (delay.distribution == FaultDelay::Distribution::kUniform) {
    return delay.first_ns + (delay.last_ns - delay.first_ns) / (kQuantiles - 1) * quantile;
  }
  return delay.first_ns / 1000 * kExponential[quantile] + delay.first_ns % 1000 * kExponential[quantile] / 1000;
}

FaultRuleCounts FaultEngine::CountsOf(const InstalledFaultRule& rule) {
  FaultRuleCounts counts = {.text = rule.rule.text,
                            .occasions = rule.occasions + rule.matched,
                            .hits = rule.hits,
                            .first_ns = rule.first_ns,
                            .last_ns = rule.last_ns};
  const size_t steps = rule.rule.steps.size();
  const bool struck = steps == 0 ? rule.hits > 0 : rule.step + 1 == steps && rule.fired > 0;
  if (struck) return counts;
  if (rule.step > 0 || rule.fired > 0) {
    counts.unfired_because = absl::StrCat("its step ", rule.step + 1, ", ", rule.current().what.text, ": ");
  }
  if (rule.fired > 0) {
    const uint64_t burst = rule.current().what.burst;
    const uint64_t times = std::max<uint64_t>(rule.current().when.times_max, 1) * burst;
    absl::StrAppend(&counts.unfired_because, "it struck ", rule.fired * burst - rule.burst_left, " of ", times,
                    " times");
    return counts;
  }
  if (rule.matched > 0) {
    absl::StrAppend(&counts.unfired_because, "its turn did not come in ", rule.matched,
                    rule.matched == 1 ? " occasion" : " occasions");
  } else if (rule.near_misses > 0) {
    absl::StrAppend(&counts.unfired_because, rule.near_misses, " fitted its filter, but it can happen to none of them",
                    WhyItDoesNotFit(rule.current().what));
  } else {
    absl::StrAppend(&counts.unfired_because, "nothing that fits it was there");
  }
  return counts;
}

FaultRuleCounts FaultEngine::counts(int id) const {
  places_->TellNoted();
  const auto found = std::find_if(rules_.begin(), rules_.end(), [id](const auto& entry) { return entry->id == id; });
  return found == rules_.end() ? FaultRuleCounts() : CountsOf(**found);
}

std::vector<FaultRuleCounts> FaultEngine::AllCounts() const {
  places_->TellNoted();
  std::vector<FaultRuleCounts> all;
  for (const auto& installed : rules_) all.push_back(CountsOf(*installed));
  return all;
}

}  // namespace aiolab
