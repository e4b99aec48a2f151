#include "kernel_model/drivers/block/crash_state.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "absl/types/span.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab {
namespace {

constexpr char kZeroSector[SECTOR_SIZE] = {};
constexpr uint64_t kSectorsPerChunk = SectorStore::kChunkBytes / SECTOR_SIZE;

// Two writes under way at once can land in any combination; of many, in one unit, more than these are not told apart.
constexpr uint32_t kVersionsMax = 64;

// What a sector of these bytes adds to the digest of a disk. Zeros add nothing, as a disk begins with them.
uint64_t SectorHash(uint64_t sector, const char* bytes) {
  uint64_t hash = (sector + 1) * 0x9e3779b97f4a7c15u;
  uint64_t any = 0;
  for (size_t i = 0; i < SECTOR_SIZE; i += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, bytes + i, sizeof(word));
    any |= word;
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
  }
  return any == 0 ? 0 : hash * 0xc4ceb9fe1a85ec53u;
}

bool Writes(const LoggedRequest& request) { return request.kind != DiskObserver::Kind::kFlush && !request.lost; }

uint64_t DiskOf(uint64_t sector) { return sector / DiskObserver::kSectorsPerDisk; }

}  // namespace

CrashState::CrashState(const WriteLog& log, const SimDiskParameters& disk)
    : log_(log),
      unit_sectors_(std::max(disk.atomic_write_unit, disk.logical_block_size) >> SECTOR_SHIFT),
      cache_bytes_(disk.cache_bytes),
      by_beginning_(log.requests.size()),
      hashes_(log.requests.size()) {
  std::iota(by_beginning_.begin(), by_beginning_.end(), uint64_t{0});
  std::stable_sort(by_beginning_.begin(), by_beginning_.end(),
                   [this](uint64_t a, uint64_t b) { return log_.requests[a].began < log_.requests[b].began; });
  MoveTo(0);
}

void CrashState::MoveTo(uint64_t point) {
  BUG_ON(point < point_ || point > last_point());
  for (; point_ < point; ++point_) {
    in_flight_.erase(point_);
    Complete(point_);
  }
  for (; begun_ < by_beginning_.size() && log_.requests[by_beginning_[begun_]].began <= point_; ++begun_) {
    const uint64_t index = by_beginning_[begun_];
    if (index >= point_ && Writes(log_.requests[index])) in_flight_.insert(index);
  }
  Build();
}

// The ranges that it changes. A discard of what was never written changes nothing, however large it is.
std::vector<std::pair<uint64_t, uint64_t>> CrashState::PiecesOf(const LoggedRequest& request) const {
  if (request.kind == DiskObserver::Kind::kWrite) return {{request.sector, request.sectors}};
  const uint64_t end = request.sector + request.sectors;
  std::set<uint64_t> chunks;
  for (const uint64_t chunk : durable_.ChunksIn(request.sector, request.sectors)) chunks.insert(chunk);
  for (const Write& write : volatile_) {
    const uint64_t first = std::max(write.sector, request.sector);
    const uint64_t last = std::min(write.sector + write.sectors, end);
    for (uint64_t sector = first; sector < last; sector = (sector / kSectorsPerChunk + 1) * kSectorsPerChunk) {
      chunks.insert(sector / kSectorsPerChunk);
    }
  }
  std::vector<std::pair<uint64_t, uint64_t>> pieces;
  for (const uint64_t chunk : chunks) {
    const uint64_t first = std::max(request.sector, chunk * kSectorsPerChunk);
    pieces.emplace_back(first, std::min(end, (chunk + 1) * kSectorsPerChunk) - first);
  }
  return pieces;
}

void CrashState::Complete(uint64_t index) {
  const LoggedRequest& request = log_.requests[index];
  if (Writes(request)) {
    AddVolatile(index);
  } else if (!request.lost) {
    Flush(request);
  }
  if (volatile_.empty()) settled_.clear();
}

void CrashState::AddVolatile(uint64_t index) {
  const LoggedRequest& request = log_.requests[index];
  const bool durable = cache_bytes_ == 0 || request.fua;
  for (const auto& [sector, sectors] : PiecesOf(request)) {
    const Write write = {index, sector, sectors, /*in_flight=*/false};
    if (!durable) {
      volatile_.push_back(write);
      volatile_bytes_[request.disk()] += sectors * SECTOR_SIZE;
      continue;
    }
    // What its units got before cannot come back over it.
    const uint64_t first = sector / unit_sectors_;
    const uint64_t last = (sector + sectors - 1) / unit_sectors_;
    for (const Write& older : volatile_) Fold(older, first * unit_sectors_, (last + 1) * unit_sectors_);
    Fold(write, sector, sector + sectors);
    if (volatile_.empty()) continue;
    for (uint64_t unit = first; unit <= last; ++unit) settled_[unit] = index;
  }
  Evict(request.disk());
}

void CrashState::Flush(const LoggedRequest& flush) {
  const auto covers = [&](const Write& write) {
    return write.request < flush.began && DiskOf(write.sector) == flush.disk();
  };
  for (const Write& write : volatile_) {
    if (covers(write)) MakeDurable(write);
  }
  volatile_.erase(std::remove_if(volatile_.begin(), volatile_.end(), covers), volatile_.end());
}

void CrashState::Evict(uint64_t disk) {
  while (volatile_bytes_[disk] > cache_bytes_) {
    const auto oldest = std::find_if(volatile_.begin(), volatile_.end(),
                                     [disk](const Write& write) { return DiskOf(write.sector) == disk; });
    MakeDurable(*oldest);
    volatile_.erase(oldest);
  }
}

// Who calls this takes it out of volatile_.
void CrashState::MakeDurable(const Write& write) {
  Fold(write, write.sector, write.sector + write.sectors);
  volatile_bytes_[DiskOf(write.sector)] -= write.sectors * SECTOR_SIZE;
}

bool CrashState::IsSettled(uint64_t unit, const Write& write) const {
  const auto settled = settled_.find(unit);
  return settled != settled_.end() && write.request <= settled->second;
}

// Those sectors of [first, end) that `write` covers are durable as it left them.
void CrashState::Fold(const Write& write, uint64_t first, uint64_t end) {
  first = std::max(first, write.sector);
  end = std::min(end, write.sector + write.sectors);
  for (uint64_t sector = first; sector < end; ++sector) {
    if (!settled_.empty() && IsSettled(sector / unit_sectors_, write)) continue;
    SetDurable(sector, BytesOf(write, sector), HashOf(write, sector));
  }
}

void CrashState::SetDurable(uint64_t sector, const char* bytes, uint64_t hash) {
  durable_.Write(sector, absl::string_view(bytes, SECTOR_SIZE));
  uint64_t& known = durable_hashes_[sector];
  durable_digest_ += hash - known;
  known = hash;
}

const char* CrashState::BytesOf(const Write& write, uint64_t sector) const {
  const LoggedRequest& request = log_.requests[write.request];
  if (request.kind != DiskObserver::Kind::kWrite) return kZeroSector;
  return request.bytes.data() + (sector - request.sector) * SECTOR_SIZE;
}

uint64_t CrashState::HashOf(const Write& write, uint64_t sector) {
  const LoggedRequest& request = log_.requests[write.request];
  if (request.kind != DiskObserver::Kind::kWrite) return 0;
  std::vector<uint64_t>& hashes = hashes_[write.request];
  if (hashes.empty()) {
    hashes.reserve(request.sectors);
    for (uint64_t i = 0; i < request.sectors; ++i) {
      hashes.push_back(SectorHash(request.sector + i, request.bytes.data() + i * SECTOR_SIZE));
    }
  }
  return hashes[sector - request.sector];
}

uint64_t CrashState::DurableHash(uint64_t sector) const {
  const auto found = durable_hashes_.find(sector);
  return found == durable_hashes_.end() ? 0 : found->second;
}

void CrashState::Build() {
  writes_.assign(volatile_.begin(), volatile_.end());
  for (const uint64_t index : in_flight_) {
    for (const auto& [sector, sectors] : PiecesOf(log_.requests[index])) {
      writes_.push_back({index, sector, sectors, /*in_flight=*/true});
    }
  }
  units_.clear();
  versions_.clear();
  touches_.clear();
  std::vector<std::pair<uint64_t, uint32_t>> touched;  // unit, write
  for (uint32_t i = 0; i < writes_.size(); ++i) {
    const Write& write = writes_[i];
    for (uint64_t unit = write.sector / unit_sectors_; unit * unit_sectors_ < write.sector + write.sectors; ++unit) {
      if (settled_.empty() || !IsSettled(unit, write)) touched.emplace_back(unit, i);
    }
  }
  std::sort(touched.begin(), touched.end());
  for (size_t begin = 0, end; begin < touched.size(); begin = end) {
    for (end = begin; end < touched.size() && touched[end].first == touched[begin].first;) ++end;
    BuildUnit(touched[begin].first, &touched[begin], end - begin);
  }
}

// The hash of a sector as `version` has it.
uint64_t CrashState::HashIn(const Unit& unit, uint32_t version, uint64_t sector) {
  for (; version != 0; version = versions_[unit.first_version + version].parent) {
    const Write& write = writes_[versions_[unit.first_version + version].write];
    if (sector >= write.sector && sector < write.sector + write.sectors) return HashOf(write, sector);
  }
  return DurableHash(sector);
}

// The version that `write` makes of another one: a new one, or one that is there.
uint32_t CrashState::AddVersion(Unit* unit, uint32_t parent, uint32_t write) {
  const Write& by = writes_[write];
  const uint64_t first = std::max(by.sector, unit->number * unit_sectors_);
  const uint64_t end = std::min(by.sector + by.sectors, (unit->number + 1) * unit_sectors_);
  uint64_t digest = versions_[unit->first_version + parent].digest;
  for (uint64_t sector = first; sector < end; ++sector) digest += HashOf(by, sector) - HashIn(*unit, parent, sector);
  for (uint32_t i = 0; i < unit->versions; ++i) {
    if (versions_[unit->first_version + i].digest == digest) return i;
  }
  versions_.push_back({parent, write, digest});
  return unit->versions++;
}

void CrashState::BuildUnit(uint64_t number, const std::pair<uint64_t, uint32_t>* touches, size_t count) {
  Unit unit = {number, static_cast<uint32_t>(versions_.size()), 1, static_cast<uint32_t>(touches_.size()), 0};
  versions_.push_back({0, 0, 0});
  uint32_t newest = 0;
  std::vector<uint32_t> tops;  // what a write under way can land on
  for (size_t i = 0; i < count; ++i) {
    const uint32_t write = touches[i].second;
    if (!writes_[write].in_flight) {
      newest = AddVersion(&unit, newest, write);
      touches_.push_back({write, newest});
      continue;
    }
    if (tops.empty()) tops.push_back(newest);
    const uint32_t alone = AddVersion(&unit, newest, write);
    touches_.push_back({write, alone});
    const size_t below = tops.size();
    tops.push_back(alone);
    for (size_t top = 1; top < below && unit.versions < kVersionsMax; ++top) {
      tops.push_back(AddVersion(&unit, tops[top], write));
    }
  }
  if (unit.versions == 1) {
    versions_.resize(unit.first_version);
    touches_.resize(unit.first_touch);
    return;
  }
  unit.touches = static_cast<uint32_t>(touches_.size()) - unit.first_touch;
  units_.push_back(unit);
}

CrashState::Selection CrashState::Newest() const {
  std::vector<bool> completed(writes_.size());
  for (size_t i = 0; i < writes_.size(); ++i) completed[i] = !writes_[i].in_flight;
  return Of(completed);
}

CrashState::Selection CrashState::Of(const std::vector<bool>& there) const {
  Selection selection(units_.size(), 0);
  for (size_t i = 0; i < units_.size(); ++i) {
    const Unit& unit = units_[i];
    for (uint32_t touched = unit.touches; touched-- > 0;) {
      if (!there[touch(unit, touched).write]) continue;
      selection[i] = touch(unit, touched).version;
      break;
    }
  }
  return selection;
}

uint64_t CrashState::DigestOf(const Selection& selection) const {
  uint64_t digest = durable_digest_;
  for (size_t i = 0; i < units_.size(); ++i) digest += versions_[units_[i].first_version + selection[i]].digest;
  return digest;
}

void CrashState::CopyTo(const Selection& selection, SectorStore* to) const {
  to->CopyFrom(durable_);
  for (size_t i = 0; i < units_.size(); ++i) {
    const Unit& unit = units_[i];
    std::vector<uint32_t> on_top;  // the newest first
    for (uint32_t at = selection[i]; at != 0; at = version(unit, at).parent) on_top.push_back(version(unit, at).write);
    for (; !on_top.empty(); on_top.pop_back()) {
      const Write& write = writes_[on_top.back()];
      const uint64_t first = std::max(write.sector, unit.number * unit_sectors_);
      const uint64_t end = std::min(write.sector + write.sectors, (unit.number + 1) * unit_sectors_);
      for (uint64_t sector = first; sector < end; ++sector) {
        to->Write(sector, absl::string_view(BytesOf(write, sector), SECTOR_SIZE));
      }
    }
  }
}

double CrashState::images_log10() const {
  double sum = 0;
  for (const Unit& unit : units_) sum += std::log10(unit.versions);
  return sum;
}

uint64_t CrashState::CountImages(uint64_t max) const {
  uint64_t count = 1;
  for (const Unit& unit : units_) {
    if (count > max / unit.versions) return max + 1;
    count *= unit.versions;
  }
  return count;
}

}  // namespace aiolab
