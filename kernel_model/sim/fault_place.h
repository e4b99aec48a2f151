// The fault rules about one place, and how it counts what comes there. For FaultEngine.
#ifndef KERNEL_MODEL_SIM_FAULT_PLACE_H_
#define KERNEL_MODEL_SIM_FAULT_PLACE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel_model/sim/fault_match.h"
#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

// Whether two views are of the very same characters.
inline bool SameText(absl::string_view a, absl::string_view b) { return a.data() == b.data() && a.size() == b.size(); }

// A glob's last answer: a file keeps its name.
class FaultGlobMemory {
 public:
  bool Matches(absl::string_view pattern, absl::string_view text, int64_t owner);

 private:
  absl::string_view text_;
  int64_t owner_ = -1;
  bool answer_ = false;
};

// A rule, and how far it has come.
struct InstalledFaultRule {
  static constexpr uint64_t kForEver = std::numeric_limits<uint64_t>::max();

  const FaultStep& current() const { return rule.steps[step]; }

  // How many more occasions may pass before it can be the rule's turn; 0 if each has to be looked at.
  uint64_t Quiet() const;

  bool TouchesBadSector(const FaultPoint& point) const;

  int id = 0;
  FaultRule rule;
  std::string choice_site;  // "fault/submit", as the Chooser knows it; of an `any` there is one for each place
  size_t step = 0;          // of the chain
  bool over = false;        // a chain or an `any` that has nothing left to do

  // Of the current step.
  uint64_t matched = 0;
  uint64_t fired = 0;  // bursts begun
  uint64_t burst_left = 0;
  uint64_t chance_turn = 0;  // the occasion at which chance lets it strike; 0: not drawn yet
  uint64_t near_misses = 0;  // that matched the filter, but to which it cannot happen
  FaultGlobMemory path, task;

  uint64_t occasions = 0;  // in all, but for those of the current step
  uint64_t hits = 0;       // in all
  int64_t first_ns = -1;
  int64_t last_ns = -1;
  int64_t spike_until_ns = 0;

  struct BadSector {
    int64_t open;
    int64_t sector;
  };
  std::vector<BadSector> bad_sectors;

 private:
  uint64_t Turn() const;
};

// A rule at one place.
struct FaultSlot {
  static constexpr uint32_t kAllOps = ~uint32_t{0};
  // Operations as bits; those that are none of io_submit's share one.
  static uint32_t OpBit(uint16_t op) { return uint32_t{1} << (op < 31 ? op : 31); }

  // Whether it is about the occasion, but for the position.
  bool IsAbout(const FaultOccasion& occasion) const;
  bool Touches(const FaultPoint& point) const { return FaultRangesOverlap(point.off, point.size, off_first, off_last); }
  // Whether it can happen to what it is about.
  bool Fits(const FaultOccasion& occasion) const {
    return step == nullptr || FaultFits(step->what, occasion.site, occasion.point);
  }

  FaultKinds kinds = kAllFaultKinds;  // that it may strike with
  uint32_t ops = kAllOps;             // that it is about, as OpBit()
  bool fits = true;                   // the occasion at hand
  int64_t off_first = std::numeric_limits<int64_t>::min();
  int64_t off_last = std::numeric_limits<int64_t>::max();
  int64_t not_before_ns = 0;        // it is not due
  const FaultStep* step = nullptr;  // null: an `any`
  InstalledFaultRule* rule = nullptr;
};

// Most occasions are like one of the last few, and most rules only count them. So for each likeness it is remembered
// which rules have to be looked at; for the others, how many occasions there were is noted once, and each is told of
// them when that is needed: at the latest before it can be its turn. No memory may let more pass than its share of
// that, as a rule may be in all of them.
class FaultPlace {
 public:
  void Add(const FaultSlot& slot) {
    slots_.push_back(slot);
    ops_ |= slot.ops;
  }
  std::vector<FaultSlot>& slots() { return slots_; }

  // Notes an occasion that is like one before, and returns the rules that have to be looked at. Null: all have to be,
  // and nothing is noted.
  const std::vector<FaultSlot>* Note(const FaultOccasion& occasion) {
    Memory* const memory = FindWithCredit(occasion);
    if (memory == nullptr) return nullptr;
    ++memory->noted;
    return &memory->live;
  }
  // The same if no rule has to be looked at. False: nothing is noted.
  bool NotePassing(const FaultOccasion& occasion) {
    if ((ops_ & FaultSlot::OpBit(occasion.point.op)) == 0) return true;
    Memory* const memory = FindWithCredit(occasion);
    if (memory == nullptr) return false;
    const FaultPoint& point = occasion.point;
    if (FaultRangesOverlap(point.off, point.size, memory->live_first, memory->live_last)) return false;
    ++memory->noted;
    return true;
  }
  // Tells the rules what was noted for them.
  void TellNoted();
  // An occasion has been, at which every rule was looked at and none has changed its step.
  void Learn(const FaultOccasion& occasion);

 private:
  // What many occasions have in common: all that a filter or a fault looks at, but for the position.
  struct Likeness {
    // Small fields stand apart: of two in a row the compiler makes one word, which the CPU's store buffer, where the
    // point still is, has only in pieces. That costs as much as all the rest.
    bool Is(const FaultOccasion& occasion) const {
      const FaultPoint& other = occasion.point;
      return kinds == occasion.kinds && point.size == other.size && point.op == other.op && point.ctx == other.ctx &&
             point.fd == other.fd && point.open == other.open && point.rwf == other.rwf &&
             SameText(point.path, other.path) && point.direct == other.direct && point.others == other.others &&
             point.waits == other.waits && point.reads == other.reads && point.bytes == other.bytes &&
             point.models == other.models && SameText(task, occasion.task);
    }

    FaultKinds kinds = 0;  // 0: nothing is like it
    FaultPoint point;
    absl::string_view task;
  };
  struct Memory {
    Likeness like;
    std::vector<FaultSlot> live;  // have to be looked at
    // The positions that they are about, and those between.
    int64_t live_first = std::numeric_limits<int64_t>::max();
    int64_t live_last = std::numeric_limits<int64_t>::min();
    std::vector<InstalledFaultRule*> counting;  // fit, and have time
    std::vector<InstalledFaultRule*> missing;   // do not fit
    uint64_t credit = 0;                        // so many occasions may be noted
    uint64_t noted = 0;
  };
  static constexpr size_t kMemories = 8;

  Memory* Find(const FaultOccasion& occasion) {
    if (memories_[latest_].like.Is(occasion)) return &memories_[latest_];
    for (size_t i = 0; i < kMemories; ++i) {
      if (memories_[i].like.Is(occasion)) return &memories_[latest_ = i];
    }
    return nullptr;
  }
  Memory* FindWithCredit(const FaultOccasion& occasion) {
    Memory* const memory = Find(occasion);
    return memory != nullptr && memory->noted < memory->credit ? memory : nullptr;
  }
  Memory* MakeRoom(const FaultOccasion& occasion);
  void Remember(Memory& memory, const FaultOccasion& occasion);

  std::vector<FaultSlot> slots_;
  uint32_t ops_ = 0;  // of all slots
  std::array<Memory, kMemories> memories_;
  size_t latest_ = 0;
  size_t next_memory_ = 0;
  // What came without being remembered: it is when it comes again soon.
  std::array<Likeness, kMemories> unknown_;
  size_t next_unknown_ = 0;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_FAULT_PLACE_H_
