#include "kernel_model/drivers/block/crash_images.h"

#include <algorithm>

namespace aiolab {
namespace {

// Where images are drawn, the same one may come again: after so many in a row the visit ends.
constexpr uint64_t kRepeatedMax = 64;

// SplitMix64's step: what the Chooser's answer stands for is spread over all units by it.
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace

// Draws images of one point.
class CrashImages::Sampler {
 public:
  Sampler(const CrashState& state, Chooser& chooser)
      : state_(state), chooser_(chooser), selection_(state.Durable()), there_(state.writes().size()) {}

  const CrashState::Selection& Next() {
    seed_ = Mix(chooser_.Choose(Choice::kSurvival, 1u << 31, "crash_images/sample"));
    switch (Draw(8)) {
      case 0:
        return AllBut(Draw(there_.size()));
      case 1:
        return OneOnly(Draw(there_.size()));
      case 2:
        return UpTo(Draw(there_.size() + 1));
      case 3:
        return Torn(Draw(there_.size()));
      case 4:
      case 5:
        return SomeWrites();
      default:
        return SomeUnits();
    }
  }

  const CrashState::Selection& AllBut(size_t write) {
    there_.assign(there_.size(), true);
    there_[write] = false;
    return selection_ = state_.Of(there_);
  }
  const CrashState::Selection& OneOnly(size_t write) {
    there_.assign(there_.size(), false);
    there_[write] = true;
    return selection_ = state_.Of(there_);
  }
  // The first ones, in the order in which they completed.
  const CrashState::Selection& UpTo(size_t count) {
    there_.assign(there_.size(), false);
    std::fill_n(there_.begin(), count, true);
    return selection_ = state_.Of(there_);
  }

 private:
  uint64_t Draw(uint64_t count) {
    seed_ = Mix(seed_);
    return count == 0 ? 0 : (seed_ >> 32) % count;
  }

  // What UpTo() gives, and the next write in a part of its units.
  const CrashState::Selection& Torn(size_t write) {
    UpTo(write);
    for (size_t i = 0; i < state_.units().size(); ++i) {
      const CrashState::Unit& unit = state_.units()[i];
      for (uint32_t touched = 0; touched < unit.touches; ++touched) {
        const CrashState::Touch& touch = state_.touch(unit, touched);
        if (touch.write == write && Draw(2) == 0) selection_[i] = touch.version;
      }
    }
    return selection_;
  }

  const CrashState::Selection& SomeWrites() {
    const uint64_t quarters = 1 + Draw(3);
    for (size_t i = 0; i < there_.size(); ++i) there_[i] = Draw(4) < quarters;
    return selection_ = state_.Of(there_);
  }

  const CrashState::Selection& SomeUnits() {
    const std::vector<CrashState::Unit>& units = state_.units();
    uint64_t bits = 0;
    for (size_t i = 0; i < units.size(); ++i) {
      // Sixteen bits of each number will do for four units.
      bits = i % 4 == 0 ? (seed_ = Mix(seed_)) : bits >> 16;
      selection_[i] = static_cast<uint32_t>((bits & 0xffff) * units[i].versions >> 16);
    }
    return selection_;
  }

  const CrashState& state_;
  Chooser& chooser_;
  uint64_t seed_ = 0;
  CrashState::Selection selection_;
  std::vector<bool> there_;  // by write
};

bool CrashImages::IsNew(uint64_t digest) {
  ++generated_;
  if (!seen_.insert(digest ^ Mix(acknowledged_)).second) return false;
  ++distinct_;
  return true;
}

bool CrashImages::Visit(const CrashState& state, uint64_t acknowledged, uint64_t images_max, Visitor visitor) {
  acknowledged_ = acknowledged;
  return state.CountImages(images_max) <= images_max ? VisitAll(state, visitor)
                                                     : VisitSample(state, images_max, visitor);
}

bool CrashImages::VisitAll(const CrashState& state, Visitor visitor) {
  const std::vector<CrashState::Unit>& units = state.units();
  CrashState::Selection selection = state.Durable();
  uint64_t digest = state.durable_digest();
  for (;;) {
    if (IsNew(digest) && !visitor(selection)) return false;
    size_t i = 0;
    // Counts up, one digit a unit.
    for (; i < units.size(); ++i) {
      digest -= state.version(units[i], selection[i]).digest;
      selection[i] = selection[i] + 1 == units[i].versions ? 0 : selection[i] + 1;
      digest += state.version(units[i], selection[i]).digest;
      if (selection[i] != 0) break;
    }
    if (i == units.size()) break;
  }
  ++points_complete_;
  return true;
}

bool CrashImages::VisitSample(const CrashState& state, uint64_t images_max, Visitor visitor) {
  ++points_sampled_;
  images_log10_max_ = std::max(images_log10_max_, state.images_log10());
  uint64_t visited = 0;
  const auto offer = [&](const CrashState::Selection& image) {
    if (visited == images_max || !IsNew(state.DigestOf(image))) return true;
    ++visited;
    return visitor(image);
  };
  const size_t writes = state.writes().size();
  Sampler sampler(state, chooser_);
  if (!offer(state.Newest()) || !offer(state.Durable()) || !offer(sampler.UpTo(writes))) return false;
  for (size_t i = 0; i < writes && 4 * writes <= images_max; ++i) {
    if (!offer(sampler.AllBut(i)) || !offer(sampler.OneOnly(i)) || !offer(sampler.UpTo(i))) return false;
  }
  for (uint64_t repeated = 0; visited < images_max && repeated < kRepeatedMax; ++repeated) {
    const uint64_t before = visited;
    if (!offer(sampler.Next())) return false;
    if (visited > before) repeated = 0;
  }
  return true;
}

}  // namespace aiolab
