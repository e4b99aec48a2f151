#include "kernel_model/sim/fault_place.h"

#include <algorithm>

namespace aiolab {

bool FaultGlobMemory::Matches(absl::string_view pattern, absl::string_view text, int64_t owner) {
  if (pattern.empty()) return true;
  if (SameText(text, text_) && owner == owner_) return answer_;
  text_ = text;
  owner_ = owner;
  return answer_ = FaultGlobMatches(pattern, text);
}

// The occasion by whose number alone the rule is not due before; 0: numbers are not all.
uint64_t InstalledFaultRule::Turn() const {
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
    case FaultWhen::Kind::kOneIn:
    case FaultWhen::Kind::kPct:
      return chance_turn;
    default:
      return 0;
  }
}

uint64_t InstalledFaultRule::Quiet() const {
  const uint64_t turn = Turn();
  return turn == kForEver ? kForEver : turn > matched + 1 ? turn - matched - 1 : 0;
}

bool InstalledFaultRule::TouchesBadSector(const FaultPoint& point) const {
  return std::any_of(bad_sectors.begin(), bad_sectors.end(), [&point](const BadSector& bad) {
    const int64_t first = bad.sector * static_cast<int64_t>(kFaultSectorSize);
    return bad.open == point.open && FaultRangesOverlap(point.off, point.size, first, first + kFaultSectorSize - 1);
  });
}

namespace {

// Whether more than the occasion's number decides. It must not depend on how far the rule has come: one that counts in
// one memory, and is looked at in another, would not know its own number there.
bool HasToLook(const FaultSlot& slot) {
  if (slot.step == nullptr || slot.step->filter.has_off) return true;
  if (!slot.fits) return false;
  const FaultWhen::Kind when = slot.step->when.kind;
  const FaultKind what = slot.step->what.kind;
  return when == FaultWhen::Kind::kAlways || when == FaultWhen::Kind::kAtStep || when == FaultWhen::Kind::kAtTime ||
         what == FaultKind::kSpike || what == FaultKind::kBadSector;
}

}  // namespace

bool FaultSlot::IsAbout(const FaultOccasion& occasion) const {
  const FaultPoint& point = occasion.point;
  if ((kinds & occasion.kinds) == 0 || (ops & OpBit(point.op)) == 0) return false;
  if (step == nullptr) return true;
  const FaultFilter& filter = step->filter;
  return FaultNumbersMatch(filter, point) && rule->path.Matches(filter.path, point.path, point.open) &&
         rule->task.Matches(filter.task, occasion.task, 0);
}

void FaultPlace::TellNoted() {
  for (Memory& memory : memories_) {
    if (memory.noted == 0) continue;
    for (InstalledFaultRule* const rule : memory.counting) rule->matched += memory.noted;
    for (InstalledFaultRule* const rule : memory.missing) rule->near_misses += memory.noted;
    memory.noted = 0;
  }
}

// Where to remember what Find() has not found; null: nowhere yet.
FaultPlace::Memory* FaultPlace::MakeRoom(const FaultOccasion& occasion) {
  const bool is_back =
      std::any_of(unknown_.begin(), unknown_.end(), [&occasion](const Likeness& like) { return like.Is(occasion); });
  if (is_back) return &memories_[next_memory_++ % kMemories];
  unknown_[next_unknown_++ % kMemories] = {occasion.kinds, occasion.point, occasion.task};
  return nullptr;
}

void FaultPlace::Remember(Memory& memory, const FaultOccasion& occasion) {
  memory = Memory();
  memory.like = {occasion.kinds, occasion.point, occasion.task};
  for (FaultSlot slot : slots_) {
    if (!slot.IsAbout(occasion)) continue;
    slot.fits = slot.Fits(occasion);
    if (HasToLook(slot)) {
      memory.live.push_back(slot);
      memory.live_first = std::min(memory.live_first, slot.off_first);
      memory.live_last = std::max(memory.live_last, slot.off_last);
    } else {
      (slot.fits ? memory.counting : memory.missing).push_back(slot.rule);
    }
  }
}

void FaultPlace::Learn(const FaultOccasion& occasion) {
  Memory* memory = Find(occasion);
  if (memory == nullptr) memory = MakeRoom(occasion);
  if (memory != nullptr) Remember(*memory, occasion);
  for (Memory& each : memories_) {
    each.credit = each.like.kinds == 0 ? 0 : InstalledFaultRule::kForEver;
    for (const InstalledFaultRule* const rule : each.counting) {
      each.credit = std::min(each.credit, rule->Quiet() / kMemories);
    }
  }
}

}  // namespace aiolab
