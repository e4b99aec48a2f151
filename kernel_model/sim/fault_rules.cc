#include "kernel_model/sim/fault_rules.h"

#include <errno.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kernel_model/sim/exponential.h"
#include "kernel_model/sim/fault_table.h"
#include "uapi/aio_abi.h"

namespace aiolab {
namespace {

constexpr uint64_t kSectorSize = 512;  // bytes
constexpr uint64_t kHundredPercent = 10000;

bool Overlaps(int64_t off, uint64_t size, int64_t first, int64_t last) {
  // An empty transfer is at its position.
  const int64_t end = off + static_cast<int64_t>(std::max<uint64_t>(size, 1)) - 1;
  return off <= last && end >= first;
}

bool HasFilter(const FaultFilter& filter) {
  return filter.ops != 0 || filter.fd >= 0 || filter.open != 0 || filter.ctx != 0 || filter.rwf != 0 ||
         filter.has_off || filter.size_first != 0 || filter.size_last != std::numeric_limits<uint64_t>::max() ||
         !filter.path.empty() || !filter.task.empty();
}

// All but the globs.
bool NumbersMatch(const FaultFilter& filter, const FaultPoint& point) {
  if (filter.ops != 0 && (point.op >= 32 || (filter.ops >> point.op & 1) == 0)) return false;
  if (filter.fd >= 0 && filter.fd != point.fd) return false;
  if (filter.open != 0 && filter.open != point.open) return false;
  if (filter.ctx != 0 && filter.ctx != point.ctx) return false;
  if ((filter.rwf & point.rwf) != filter.rwf) return false;
  if (filter.has_off && !Overlaps(point.off, point.size, filter.off_first, filter.off_last)) return false;
  return point.size >= filter.size_first && point.size <= filter.size_last;
}

// A glob's last answer. A file and a task keep their names, and most occasions are the last one's.
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

bool IsFaultFsync(uint16_t op) { return op == IOCB_CMD_FSYNC || op == IOCB_CMD_FDSYNC; }

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

// Errors of a file that takes no more bytes: a read never meets them.
bool OnlyForWrites(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EROFS; }

// Whether `what` can happen to this very request or call.
bool Fits(const FaultWhat& what, FaultSite site, const FaultPoint& point) {
  const bool transfer = site == FaultSite::kComplete || site == FaultSite::kDevice;
  switch (what.kind) {
    case FaultKind::kShort:
      if (transfer && !IsFaultRead(point.op) && !IsFaultWrite(point.op)) return false;
      if (transfer && point.direct)
        return point.size > std::max(what.n, kSectorSize) && (what.n == 0 || what.n >= kSectorSize);
      return point.size > std::max<uint64_t>(what.n, 1);
    case FaultKind::kErrno:
      // A ring is full of something: a client that has nothing outstanding has all its slots.
      if ((site == FaultSite::kSubmitOne || site == FaultSite::kSubmit) && what.error == EAGAIN) return point.others;
      // A wait is interrupted where it begins, and the call ends with another error before that.
      if (site == FaultSite::kGetevents || site == FaultSite::kPgetevents) return point.waits == (what.error == EINTR);
      if (!what.model.empty()) return point.models;
      return !transfer || what.illegal || !OnlyForWrites(what.error) || IsFaultWrite(point.op) ||
             (site == FaultSite::kComplete && IsFaultFsync(point.op));
    case FaultKind::kNowaitBlock:
      return (point.rwf & RWF_NOWAIT) != 0;
    case FaultKind::kReorder:
      return point.others;
    case FaultKind::kTorn:
      return IsFaultWrite(point.op) && point.size > kSectorSize;
    case FaultKind::kLost:
      if (site == FaultSite::kDevice && IsFaultFsync(point.op)) return true;
      return !transfer || (IsFaultWrite(point.op) && point.size > 0);
    case FaultKind::kMisdirected:
      return IsFaultWrite(point.op) || IsFaultRead(point.op);
    case FaultKind::kBitrot:
      return IsFaultRead(point.op) && point.size > 0;
    case FaultKind::kBadSector:
      return (IsFaultWrite(point.op) || IsFaultRead(point.op)) && point.size > 0;
    default:
      return true;
  }
}

// Why Fits() may have said no, for the user.
absl::string_view WhyNot(const FaultStep& step) {
  const FaultWhat& what = step.what;
  switch (what.kind) {
    case FaultKind::kShort:
      return ": none was long enough";
    case FaultKind::kErrno:
      if (what.error == EAGAIN) return ": it needs another request that is not reaped yet (slab=...:enomem does not)";
      if (what.error == EINTR) return ": none had to wait";
      return OnlyForWrites(what.error) ? ": none was a write or an fsync" : "";
    case FaultKind::kNowaitBlock:
      return ": none had RWF_NOWAIT";
    case FaultKind::kReorder:
      return ": there was never another one";
    case FaultKind::kTorn:
    case FaultKind::kLost:
      return ": none was a write that is long enough";
    default:
      return "";
  }
}

}  // namespace

struct FaultEngine::Installed {
  int id = 0;
  FaultRule rule;
  std::string choice_site;  // "fault/submit", as the Chooser knows it; of an `any` there is one for each place
  size_t step = 0;          // of the chain
  bool over = false;        // a chain or an `any` that has nothing left to do

  uint64_t occasions = 0;  // in all
  uint64_t hits = 0;       // in all
  int64_t first_ns = -1;
  int64_t last_ns = -1;
  void NoteHit(int64_t now_ns) {
    if (first_ns < 0) first_ns = now_ns;
    last_ns = now_ns;
  }
  uint64_t near_misses = 0;  // that matched the filter, but to which it cannot happen
  // Of the current step.
  uint64_t matched = 0;
  uint64_t fired = 0;  // bursts begun
  uint64_t burst_left = 0;
  int64_t spike_until_ns = 0;
  GlobMemory path, task;

  struct BadSector {
    int64_t open;
    int64_t sector;
  };
  std::vector<BadSector> bad_sectors;
  bool TouchesBadSector(const FaultPoint& point) const {
    return std::any_of(bad_sectors.begin(), bad_sectors.end(), [&point](const BadSector& bad) {
      const int64_t first = bad.sector * static_cast<int64_t>(kSectorSize);
      return bad.open == point.open && Overlaps(point.off, point.size, first, first + kSectorSize - 1);
    });
  }
};

FaultEngine::FaultEngine(Chooser& chooser) : chooser_(chooser) {}
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
  rules_.erase(std::remove_if(rules_.begin(), rules_.end(), [rule](const auto& entry) { return entry->id == rule; }),
               rules_.end());
  Reindex();
}

void FaultEngine::Reindex() {
  armed_ = 0;
  for (auto& list : by_site_) list.clear();
  const auto put = [this](FaultSite site, const Slot& slot) {
    by_site_[static_cast<size_t>(site)].push_back(slot);
    armed_ |= uint32_t{1} << static_cast<int>(site);
  };
  for (const auto& installed : rules_) {
    Installed& rule = *installed;
    if (rule.over) continue;
    if (!rule.rule.steps.empty()) {
      const FaultStep& step = rule.rule.steps[rule.step];
      rule.choice_site = absl::StrCat("fault/", FaultSiteInfo(step.site).name);
      rule.path = rule.task = GlobMemory();
      put(step.site, {FaultKindBit(step.what.kind), HasFilter(step.filter), &step, &rule});
      continue;
    }
    for (const FaultSiteEntry& entry : FaultSites()) {
      if (!FaultsToPlace(entry.site, rule.rule.any_class).empty())
        put(entry.site, {kAllFaultKinds, false, nullptr, &rule});
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
                         const FaultPoint& point, Fault* fault) {
  ++rule.hits;
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
    const bool whole_sectors = transfer && (point.direct || what.kind == FaultKind::kTorn) && point.size > kSectorSize;
    const uint64_t unit = whole_sectors ? kSectorSize : 1;
    if (what.n == 0) {
      const uint64_t quantile = chooser_.Choose(Choice::kFault, kQuantiles, "fault/how-short");
      const uint64_t units = (point.size - 1) / unit;  // of which at least one is moved, and not all
      fault->n = unit * (1 + (units - 1) * quantile / (kQuantiles - 1));
    } else {
      fault->n = std::max(unit, what.n / unit * unit);
    }
  }
}

bool FaultEngine::AskAny(Installed& rule, FaultSite site, FaultKinds kinds, const FaultPoint& point, Fault* fault) {
  const FaultWhat* candidates[8];
  uint32_t count = 0;
  for (const FaultWhat& what : FaultsToPlace(site, rule.rule.any_class)) {
    if ((FaultKindBit(what.kind) & kinds) == 0 || !Fits(what, site, point)) continue;
    if (count < std::size(candidates)) candidates[count++] = &what;
  }
  if (count == 0) return false;
  ++rule.occasions;
  const std::string& choice_site = AnySiteNames()[static_cast<size_t>(site)];
  const uint32_t answer = chooser_.Choose(Choice::kPlace, count + 1, choice_site);
  if (answer == 0) return false;
  Strike(rule, *candidates[answer - 1], choice_site, site, point, fault);
  rule.over = rule.hits >= rule.rule.any_times;
  return true;
}

// True if the rule is not the same any more: it is over, or at its next step.
bool FaultEngine::AskSlot(const Slot& slot, FaultSite site, FaultKinds kinds, const FaultPoint& point, int64_t now_ns,
                          uint64_t trace_step, Fault* fault) {
  Installed& rule = *slot.rule;
  if (slot.step == nullptr) return !*fault && !rule.over && AskAny(rule, site, kinds, point, fault) && rule.over;
  const FaultStep& step = *slot.step;
  if (slot.filtered) {
    if (!NumbersMatch(step.filter, point)) return false;
    if (!rule.path.Matches(step.filter.path, point.path, point.open)) return false;
    if (!rule.task.Matches(step.filter.task, point.task, 0)) return false;
  }
  if (!Fits(step.what, site, point)) {
    ++rule.near_misses;
    return false;
  }
  const bool stays_bad = !rule.bad_sectors.empty() && rule.TouchesBadSector(point);
  const bool in_spike = step.what.kind == FaultKind::kSpike && now_ns < rule.spike_until_ns;
  ++rule.matched;
  ++rule.occasions;
  if (*fault) return false;
  // Of the request's sectors the first that the filter means.
  const int64_t sector = std::max(point.off, step.filter.off_first) / static_cast<int64_t>(kSectorSize);
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
  Strike(rule, step.what, rule.choice_site, site, point, fault);
  if (step.what.kind == FaultKind::kBadSector) fault->n = static_cast<uint64_t>(sector);
  const bool step_done = rule.burst_left == 0 && rule.fired >= std::max<uint64_t>(step.when.times_max, 1);
  if (!step_done || rule.step + 1 == rule.rule.steps.size()) return false;
  ++rule.step;
  rule.matched = rule.fired = 0;
  return true;
}

Fault FaultEngine::Ask(FaultSite site, FaultKinds kinds, const FaultPoint& point, int64_t now_ns, uint64_t trace_step) {
  Fault fault;
  bool changed = false;
  for (const Slot& slot : by_site_[static_cast<size_t>(site)]) {
    if ((slot.kinds & kinds) == 0) continue;
    const bool struck = static_cast<bool>(fault);
    changed |= AskSlot(slot, site, kinds, point, now_ns, trace_step, &fault);
    if (fault && !struck) slot.rule->NoteHit(now_ns);
  }
  if (changed) Reindex();
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

FaultRuleCounts FaultEngine::counts(int id) const {
  FaultRuleCounts counts;
  for (const auto& installed : rules_) {
    const Installed& rule = *installed;
    if (rule.id != id) continue;
    counts.text = rule.rule.text;
    counts.occasions = rule.occasions;
    counts.hits = rule.hits;
    counts.first_ns = rule.first_ns;
    counts.last_ns = rule.last_ns;
    if (rule.hits > 0) continue;
    if (rule.occasions > 0) {
      counts.unfired_because =
          absl::StrCat("its turn did not come in ", rule.occasions, rule.occasions == 1 ? " occasion" : " occasions");
    } else if (rule.near_misses > 0) {
      counts.unfired_because = absl::StrCat(rule.near_misses, " fitted its filter, but it can happen to none of them",
                                            WhyNot(rule.rule.steps[rule.step]));
    } else {
      counts.unfired_because = "nothing that fits it was there";
    }
  }
  return counts;
}

std::vector<FaultRuleCounts> FaultEngine::AllCounts() const {
  std::vector<FaultRuleCounts> all;
  for (const auto& installed : rules_) all.push_back(counts(installed->id));
  return all;
}

bool FaultGlobMatches(absl::string_view pattern, absl::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = absl::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] == text[t] && pattern[p] != '*'))) {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool IsFaultWrite(uint16_t op) { return op == IOCB_CMD_PWRITE || op == IOCB_CMD_PWRITEV; }
bool IsFaultRead(uint16_t op) { return op == IOCB_CMD_PREAD || op == IOCB_CMD_PREADV; }

}  // namespace aiolab
