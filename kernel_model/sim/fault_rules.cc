#include "kernel_model/sim/fault_rules.h"

#include <errno.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "kernel_model/sim/exponential.h"
#include "kernel_model/sim/fault_match.h"
#include "kernel_model/sim/fault_table.h"

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

constexpr uint64_t kForEver = std::numeric_limits<uint64_t>::max();

// Operations as bits; those that are none of io_submit's share one.
constexpr uint32_t kAllOps = ~uint32_t{0};
uint32_t OpBit(uint16_t op) { return uint32_t{1} << std::min<uint16_t>(op, 31); }

// A glob's last answer: a file keeps its name.
class GlobMemory {
 public:
  bool Matches(absl::string_view pattern, absl::string_view text, int64_t owner) {
    if (pattern.empty()) return true;
    if (text.data() == data_ && text.size() == size_ && owner == owner_) return answer_;
    data_ = text.data();
    size_ = text.size();
    owner_ = owner;
    return answer_ = FaultGlobMatches(pattern, text);
  }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
  int64_t owner_ = -1;
  bool answer_ = false;
};

// What many occasions have in common: all that a filter or a fault looks at, but for the position.
struct Likeness {
  Likeness() = default;
  Likeness(FaultKinds kinds, const FaultPoint& point)
      : kinds(kinds),
        op(point.op),
        fd(point.fd),
        rwf(point.rwf),
        flags(point.direct | point.others << 1 | point.waits << 2 | point.bytes << 3 | point.models << 4),
        open(point.open),
        ctx(point.ctx),
        size(point.size),
        path(point.path.data()),
        path_size(point.path.size()),
        task(point.task.data()),
        task_size(point.task.size()) {}
  friend bool operator==(const Likeness&, const Likeness&) = default;

  FaultKinds kinds = 0;
  uint16_t op = 0;
  int fd = 0;
  int rwf = 0;
  int flags = 0;
  int64_t open = 0;
  int64_t ctx = 0;
  uint64_t size = 0;
  const char* path = nullptr;
  size_t path_size = 0;
  const char* task = nullptr;
  size_t task_size = 0;
};

// How many of them are remembered at a place.
constexpr size_t kMemories = 8;

}  // namespace

struct FaultEngine::Installed {
  // Of the current step, up to `task`.
  uint64_t matched = 0;
  uint64_t fired = 0;  // bursts begun
  uint64_t burst_left = 0;
  GlobMemory path, task;

  int id = 0;
  FaultRule rule;
  std::string choice_site;  // "fault/submit", as the Chooser knows it; of an `any` there is one for each place
  size_t step = 0;          // of the chain
  bool over = false;        // a chain or an `any` that has nothing left to do

  uint64_t occasions = 0;  // in all, but for those of the current step
  uint64_t hits = 0;       // in all
  int64_t first_ns = -1;
  int64_t last_ns = -1;
  uint64_t near_misses = 0;  // that matched the filter, but to which it cannot happen
  int64_t spike_until_ns = 0;

  struct BadSector {
    int64_t open;
    int64_t sector;
  };
  std::vector<BadSector> bad_sectors;
  bool TouchesBadSector(const FaultPoint& point) const {
    return std::any_of(bad_sectors.begin(), bad_sectors.end(), [&point](const BadSector& bad) {
      const int64_t first = bad.sector * static_cast<int64_t>(kFaultSectorSize);
      return bad.open == point.open && FaultRangesOverlap(point.off, point.size, first, first + kFaultSectorSize - 1);
    });
  }

  const FaultStep& current() const { return rule.steps[step]; }

  // How many more occasions may pass before it can be the rule's turn; 0 if each has to be looked at.
  uint64_t Quiet() const {
    const uint64_t turn = Turn();
    return turn == kForEver ? kForEver : turn > matched + 1 ? turn - matched - 1 : 0;
  }

 private:
  // The occasion by whose number alone the rule is not due before; 0: numbers are not all.
  uint64_t Turn() const {
    const FaultWhen& when = current().when;
    if (burst_left > 0 || !bad_sectors.empty() || current().what.kind == FaultKind::kSpike) return 0;
    if (when.times_max != 0 && fired >= when.times_max) return kForEver;
    switch (when.kind) {
      case FaultWhen::Kind::kNth:
        return fired >= std::max<uint64_t>(when.times_max, 1) ? kForEver : when.first;
      case FaultWhen::Kind::kEvery:
        return (matched / when.first + 1) * when.first;
      case FaultWhen::Kind::kAfter:
        return when.first + 1;
      case FaultWhen::Kind::kBetween:
        return matched >= when.last ? kForEver : when.first;
      default:
        return 0;
    }
  }
};

// A rule at one place.
struct FaultEngine::Slot {
  FaultKinds kinds = kAllFaultKinds;  // that it may strike with
  uint32_t ops = kAllOps;             // that it is about, as OpBit()
  bool fits = true;                   // the occasion at hand
  int64_t off_first = std::numeric_limits<int64_t>::min();
  int64_t off_last = std::numeric_limits<int64_t>::max();
  int64_t not_before_ns = 0;        // it is not due
  const FaultStep* step = nullptr;  // null: an `any`
  Installed* rule = nullptr;

  bool Touches(const FaultPoint& point) const { return FaultRangesOverlap(point.off, point.size, off_first, off_last); }
  // But for the position.
  bool IsAbout(FaultKinds asked, const FaultPoint& point) const {
    if ((kinds & asked) == 0 || (ops & OpBit(point.op)) == 0) return false;
    if (step == nullptr) return true;
    const FaultFilter& filter = step->filter;
    return FaultNumbersMatch(filter, point) && rule->path.Matches(filter.path, point.path, point.open) &&
           rule->task.Matches(filter.task, point.task, 0);
  }
};

// Most occasions are like one of the last few, and most rules only count them. So for each likeness it is remembered
// which rules have to be looked at; for the others, how many occasions there were is noted once, and each is told of
// them when that is needed: at the latest before it can be its turn. No memory may let more pass than its share of
// that, as a rule may be in all of them.
struct FaultEngine::Slots {
  struct Memory {
    Likeness like;
    std::vector<Slot> live;            // have to be looked at
    std::vector<Installed*> counting;  // fit, and have time
    std::vector<Installed*> missing;   // do not fit
    uint64_t credit = 0;               // so many occasions may be noted
    uint64_t noted = 0;
  };
  struct Place {
    std::vector<Slot> slots;
    std::array<Memory, kMemories> memories;
    size_t next_memory = 0;
    FaultKinds kinds = 0;  // of all slots
    // What came without being remembered: it is when it comes again soon.
    std::array<Likeness, kMemories> unknown;
    size_t next_unknown = 0;

    Memory* Find(const Likeness& like) {
      for (Memory& memory : memories) {
        if (memory.like == like) return &memory;
      }
      return nullptr;
    }

    // Where to remember what Find() has not found; null: nowhere yet.
    Memory* MakeRoom(const Likeness& like) {
      if (std::find(unknown.begin(), unknown.end(), like) != unknown.end()) {
        return &memories[next_memory++ % kMemories];
      }
      unknown[next_unknown++ % kMemories] = like;
      return nullptr;
    }

    void TellNoted() {
      for (Memory& memory : memories) {
        if (memory.noted == 0) continue;
        for (Installed* const rule : memory.counting) rule->matched += memory.noted;
        for (Installed* const rule : memory.missing) rule->near_misses += memory.noted;
        memory.noted = 0;
      }
    }

    void GiveCredit() {
      for (Memory& memory : memories) {
        memory.credit = memory.like.kinds == 0 ? 0 : kForEver;
        for (const Installed* const rule : memory.counting) {
          memory.credit = std::min(memory.credit, rule->Quiet() / kMemories);
        }
      }
    }

    void Learn(Memory& memory, const Likeness& like, FaultSite site, const FaultPoint& point) {
      memory = Memory();
      memory.like = like;
      for (Slot slot : slots) {
        if (!slot.IsAbout(like.kinds, point)) continue;
        slot.fits = slot.step == nullptr || FaultFits(slot.step->what, site, point);
        if (slot.step == nullptr || slot.step->filter.has_off || (slot.fits && slot.rule->Quiet() < kMemories)) {
          memory.live.push_back(slot);
        } else {
          (slot.fits ? memory.counting : memory.missing).push_back(slot.rule);
        }
      }
    }
  };

  void TellNoted() {
    for (Place& place : at) place.TellNoted();
  }

  std::array<Place, kFaultSites> at;
};

FaultEngine::FaultEngine(Chooser& chooser) : chooser_(chooser), slots_(std::make_unique<Slots>()) {}
FaultEngine::~FaultEngine() = default;

int FaultEngine::Add(FaultRule rule) {
  auto installed = std::make_unique<Installed>();
  installed->id = next_id_++;
  installed->rule = std::move(rule);
  rules_.push_back(std::move(installed));
  Reindex();
  return rules_.back()->id;
}

void FaultEngine::Remove(int rule) {
  slots_->TellNoted();
  rules_.erase(std::remove_if(rules_.begin(), rules_.end(), [rule](const auto& entry) { return entry->id == rule; }),
               rules_.end());
  Reindex();
}

void FaultEngine::Reindex() {
  slots_->TellNoted();
  armed_ = 0;
  for (Slots::Place& place : slots_->at) place = Slots::Place();
  const auto put = [this](FaultSite site, const Slot& slot) {
    Slots::Place& place = slots_->at[static_cast<size_t>(site)];
    place.slots.push_back(slot);
    place.kinds |= slot.kinds;
    armed_ |= uint32_t{1} << static_cast<int>(site);
  };
  for (const auto& installed : rules_) {
    Installed& rule = *installed;
    if (rule.over) continue;
    if (!rule.rule.steps.empty()) {
      const FaultStep& step = rule.current();
      rule.choice_site = absl::StrCat("fault/", FaultSiteInfo(step.site).name);
      rule.path = rule.task = GlobMemory();
      Slot slot = {.kinds = FaultKindBit(step.what.kind), .step = &step, .rule = &rule};
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

bool FaultEngine::IsDue(Installed& rule, const FaultStep& step, int64_t now_ns, uint64_t trace_step) {
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
      return when.first <= 1 ||
             chooser_.Choose(Choice::kFault, static_cast<uint32_t>(when.first), rule.choice_site) == 1;
    case FaultWhen::Kind::kPct: {
      if (when.first >= kHundredPercent) return true;
      const uint32_t answer = chooser_.Choose(Choice::kFault, kHundredPercent, rule.choice_site);
      return answer >= kHundredPercent - when.first;
    }
    case FaultWhen::Kind::kEvery:
      return rule.matched % when.first == 0;
    case FaultWhen::Kind::kAfter:
      return rule.matched > when.first;
    case FaultWhen::Kind::kBetween:
      return rule.matched >= when.first && rule.matched <= when.last;
    case FaultWhen::Kind::kAtStep:
      return trace_step >= when.first && rule.fired < once_max;
    case FaultWhen::Kind::kAtTime:
      return now_ns >= static_cast<int64_t>(when.first) && rule.fired < once_max;
  }
  return false;
}

void FaultEngine::Strike(Installed& rule, const FaultWhat& what, absl::string_view choice_site, FaultSite site,
                         const FaultPoint& point, int64_t now_ns, Fault* fault) {
  if (rule.hits++ == 0) rule.first_ns = now_ns;
  rule.last_ns = now_ns;
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
    const bool transfer = site == FaultSite::kComplete || site == FaultSite::kDevice;
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

bool FaultEngine::AskAny(Installed& rule, FaultSite site, FaultKinds kinds, const FaultPoint& point, int64_t now_ns,
                         Fault* fault) {
  const FaultWhat* candidates[8];
  uint32_t count = 0;
  for (const FaultWhat& what : FaultsToPlace(site, rule.rule.any_class)) {
    if ((FaultKindBit(what.kind) & kinds) == 0 || !FaultFits(what, site, point)) continue;
    if (count < std::size(candidates)) candidates[count++] = &what;
  }
  if (count == 0) return false;
  ++rule.occasions;
  const std::string& choice_site = AnySiteNames()[static_cast<size_t>(site)];
  const uint32_t answer = chooser_.Choose(Choice::kPlace, count + 1, choice_site);
  if (answer == 0) return false;
  Strike(rule, *candidates[answer - 1], choice_site, site, point, now_ns, fault);
  rule.over = rule.hits >= rule.rule.any_times;
  return true;
}

// A rule that is about the occasion. True if it is not the same any more: it is over, or at its next step.
bool FaultEngine::AskSlot(const Slot& slot, FaultSite site, FaultKinds kinds, const FaultPoint& point, int64_t now_ns,
                          uint64_t trace_step, Fault* fault) {
  Installed& rule = *slot.rule;
  if (slot.step == nullptr)
    return !*fault && !rule.over && AskAny(rule, site, kinds, point, now_ns, fault) && rule.over;
  const FaultStep& step = *slot.step;
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
    if (!IsDue(rule, step, now_ns, trace_step)) return false;
    if (rule.burst_left == 0) {
      ++rule.fired;
      rule.burst_left = step.what.burst;
    }
    --rule.burst_left;
    if (step.what.kind == FaultKind::kSpike) {
      rule.spike_until_ns = now_ns + DrawDelayNs(step.what.delay, rule.choice_site);
    }
    // A device remembers its own.
    if (step.what.kind == FaultKind::kBadSector && site == FaultSite::kComplete) {
      rule.bad_sectors.push_back({point.open, sector});
    }
  }
  Strike(rule, step.what, rule.choice_site, site, point, now_ns, fault);
  if (step.what.kind == FaultKind::kBadSector) fault->n = static_cast<uint64_t>(sector);
  const bool step_done = rule.burst_left == 0 && rule.fired >= std::max<uint64_t>(step.when.times_max, 1);
  if (!step_done || rule.step + 1 == rule.rule.steps.size()) return false;
  ++rule.step;
  rule.occasions += rule.matched;
  rule.matched = rule.fired = 0;
  return true;
}

Fault FaultEngine::Ask(FaultSite site, FaultKinds kinds, const FaultPoint& point, int64_t now_ns, uint64_t trace_step) {
  Slots::Place& place = slots_->at[static_cast<size_t>(site)];
  Fault fault;
  if ((place.kinds & kinds) == 0) return fault;
  const Likeness like(kinds, point);
  Slots::Memory* memory = place.Find(like);
  bool changed = false;
  if (memory != nullptr && memory->noted < memory->credit) {
    ++memory->noted;
    for (const Slot& slot : memory->live) {
      if (slot.Touches(point)) changed |= AskSlot(slot, site, kinds, point, now_ns, trace_step, &fault);
    }
    if (changed) Reindex();
    return fault;
  }
  place.TellNoted();
  for (Slot& slot : place.slots) {
    if (!slot.IsAbout(kinds, point)) continue;
    slot.fits = slot.step == nullptr || FaultFits(slot.step->what, site, point);
    changed |= AskSlot(slot, site, kinds, point, now_ns, trace_step, &fault);
  }
  if (changed) {
    Reindex();
    return fault;
  }
  if (memory == nullptr) memory = place.MakeRoom(like);
  if (memory != nullptr) place.Learn(*memory, like, site, point);
  place.GiveCredit();
  return fault;
}

FaultRuleCounts FaultEngine::CountsOf(const Installed& rule) {
  FaultRuleCounts counts = {.text = rule.rule.text,
                            .occasions = rule.occasions + rule.matched,
                            .hits = rule.hits,
                            .first_ns = rule.first_ns,
                            .last_ns = rule.last_ns};
  if (rule.hits > 0) return counts;
  if (counts.occasions > 0) {
    counts.unfired_because =
        absl::StrCat("its turn did not come in ", counts.occasions, counts.occasions == 1 ? " occasion" : " occasions");
  } else if (rule.near_misses > 0) {
    counts.unfired_because = absl::StrCat(rule.near_misses, " fitted its filter, but it can happen to none of them",
                                          WhyItDoesNotFit(rule.rule.steps[rule.step].what));
  } else {
    counts.unfired_because = "nothing that fits it was there";
  }
  return counts;
}

FaultRuleCounts FaultEngine::counts(int id) const {
  slots_->TellNoted();
  const auto found = std::find_if(rules_.begin(), rules_.end(), [id](const auto& entry) { return entry->id == id; });
  return found == rules_.end() ? FaultRuleCounts() : CountsOf(**found);
}

std::vector<FaultRuleCounts> FaultEngine::AllCounts() const {
  slots_->TellNoted();
  std::vector<FaultRuleCounts> all;
  for (const auto& installed : rules_) all.push_back(CountsOf(*installed));
  return all;
}

void FaultEngine::ReplaceProgress(absl::FunctionRef<FaultProgress(const FaultProgress& now)> replacement) {
  slots_->TellNoted();
  for (const auto& r : rules_) {
    auto counts = std::tie(r->step, r->over, r->matched, r->fired, r->burst_left, r->occasions, r->hits, r->first_ns,
                           r->last_ns, r->near_misses, r->spike_until_ns);
    counts = replacement(counts);
  }
}

}  // namespace aiolab
