#include "kernel_model/fs/simfs/extents.h"

#include <algorithm>
#include <iterator>

namespace aiolab::simfs {
namespace {

// How many runs are looked at for one that is long enough. Behind it the longest seen will do.
constexpr int kRunsLookedAtMax = 64;

bool Continues(uint64_t logical, const Extent& first, uint64_t next_logical, const Extent& next) {
  return logical + first.length == next_logical && first.physical + first.length == next.physical &&
         first.unwritten == next.unwritten;
}

}  // namespace

ExtentMap::Run ExtentMap::Find(uint64_t logical) const {
  const auto next = extents_.upper_bound(logical);
  if (next != extents_.begin()) {
    const auto& [first, extent] = *std::prev(next);
    if (logical < first + extent.length) {
      const uint64_t into = logical - first;
      return {logical, extent.length - into, true, extent.unwritten, extent.physical + into};
    }
  }
  const uint64_t end = next == extents_.end() ? std::max(kFileBlocksMax, logical + 1) : next->first;
  return {logical, end - logical, false, false, 0};
}

ExtentMap::Position ExtentMap::SplitAt(uint64_t logical) {
  const Position next = extents_.lower_bound(logical);
  if (next == extents_.begin()) return next;
  const Position before = std::prev(next);
  Extent& extent = before->second;
  if (before->first + extent.length <= logical) return next;
  const uint64_t kept = logical - before->first;
  const Extent tail = {extent.length - kept, extent.physical + kept, extent.unwritten};
  extent.length = kept;
  return extents_.emplace_hint(next, logical, tail);
}

void ExtentMap::MergeWithNext(Position at) {
  const Position next = std::next(at);
  if (next == extents_.end() || !Continues(at->first, at->second, next->first, next->second)) return;
  at->second.length += next->second.length;
  extents_.erase(next);
}

void ExtentMap::Insert(uint64_t logical, const Extent& extent, std::vector<Blocks>* freed) {
  std::vector<Blocks> replaced;
  Erase(logical, extent.length, &replaced);
  const Position at = extents_.emplace(logical, extent).first;
  blocks_ += extent.length;
  MergeWithNext(at);
  if (at != extents_.begin()) MergeWithNext(std::prev(at));
  // What stays under another state (an unwritten extent that was written) is not freed.
  for (const Blocks& old : replaced) {
    const uint64_t kept_first = std::max(old.first, extent.physical);
    const uint64_t kept_end = std::min(old.end(), extent.physical + extent.length);
    if (kept_first >= kept_end) {
      freed->push_back(old);
      continue;
    }
    if (old.first < kept_first) freed->push_back({old.first, kept_first - old.first});
    if (kept_end < old.end()) freed->push_back({kept_end, old.end() - kept_end});
  }
}

void ExtentMap::Erase(uint64_t logical, uint64_t length, std::vector<Blocks>* freed) {
  SplitAt(logical);
  const Position end = SplitAt(logical + length);
  for (Position at = extents_.lower_bound(logical); at != end;) {
    freed->push_back({at->second.physical, at->second.length});
    blocks_ -= at->second.length;
    at = extents_.erase(at);
  }
}

Blocks FreeSpace::Allocate(uint64_t goal, uint64_t want) {
  if (runs_.empty() || want == 0) return {};
  // The run that has the goal, or the next behind it, or the first of all.
  auto at = runs_.upper_bound(goal);
  if (at != runs_.begin() && std::prev(at)->first + std::prev(at)->second > goal) {
    const Blocks taken = {goal, std::min(want, std::prev(at)->first + std::prev(at)->second - goal)};
    Take(taken);
    return taken;
  }
  Blocks best;
  for (int looked_at = 0; looked_at < kRunsLookedAtMax && looked_at < static_cast<int>(runs_.size()); ++looked_at) {
    if (at == runs_.end()) at = runs_.begin();
    if (at->second > best.length) best = {at->first, at->second};
    if (best.length >= want) break;
    ++at;
  }
  best.length = std::min(best.length, want);
  Take(best);
  return best;
}

bool FreeSpace::Take(const Blocks& blocks) {
  auto at = runs_.upper_bound(blocks.first);
  if (at == runs_.begin()) return false;
  --at;
  const Blocks run = {at->first, at->second};
  if (run.end() < blocks.end()) return false;
  runs_.erase(at);
  if (run.first < blocks.first) runs_.emplace(run.first, blocks.first - run.first);
  if (blocks.end() < run.end()) runs_.emplace(blocks.end(), run.end() - blocks.end());
  free_blocks_ -= blocks.length;
  return true;
}

bool FreeSpace::Release(const Blocks& blocks) {
  if (blocks.length == 0) return true;
  auto next = runs_.upper_bound(blocks.first);
  if (next != runs_.end() && next->first < blocks.end()) return false;
  if (next != runs_.begin() && std::prev(next)->first + std::prev(next)->second > blocks.first) return false;
  Blocks run = blocks;
  if (next != runs_.end() && next->first == run.end()) {
    run.length += next->second;
    next = runs_.erase(next);
  }
  if (next != runs_.begin() && std::prev(next)->first + std::prev(next)->second == run.first) {
    const auto before = std::prev(next);
    before->second += run.length;
  } else {
    runs_.emplace(run.first, run.length);
  }
  free_blocks_ += blocks.length;
  return true;
}

}  // namespace aiolab::simfs
