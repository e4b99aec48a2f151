#include "kernel_model/drivers/block/write_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/types/span.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab {
namespace {

constexpr uint64_t kSectorsPerChunk = SectorStore::kChunkBytes / SECTOR_SIZE;
constexpr size_t kIdleMax = 64;

uint64_t SectorsOf(absl::string_view bytes) { return bytes.size() / SECTOR_SIZE; }

}  // namespace

absl::string_view WriteCache::Zeros(size_t length) {
  static constexpr char kZeros[SectorStore::kChunkBytes] = {};
  BUG_ON(length > sizeof(kZeros));
  return absl::string_view(kZeros, length);
}

// Null if the sector's newest bytes are durable.
char* WriteCache::BeforeOf(sector_t sector) {
  const auto found = befores_.find(sector / kSectorsPerChunk);
  const uint64_t index = sector % kSectorsPerChunk;
  if (found == befores_.end() || (found->second->sectors & (1u << index)) == 0) return nullptr;
  return found->second->bytes + index * SECTOR_SIZE;
}

bool WriteCache::Waiting(sector_t first, uint64_t sectors) const {
  if (befores_.empty()) return false;
  for (uint64_t chunk = first / kSectorsPerChunk; chunk <= (first + sectors - 1) / kSectorsPerChunk; ++chunk) {
    if (befores_.contains(chunk)) return true;
  }
  return false;
}

// Keeps the durable bytes of what is about to be overwritten.
void WriteCache::Remember(sector_t first, size_t length) {
  for (sector_t sector = first; sector < first + length / SECTOR_SIZE; ++sector) {
    std::unique_ptr<Before>& before = befores_[sector / kSectorsPerChunk];
    if (before == nullptr) before = std::make_unique<Before>();
    const uint64_t index = sector % kSectorsPerChunk;
    if ((before->sectors & (1u << index)) != 0) continue;
    store_.Read(sector, absl::MakeSpan(before->bytes + index * SECTOR_SIZE, SECTOR_SIZE));
    before->sectors = static_cast<uint8_t>(before->sectors | (1u << index));
  }
}

void WriteCache::Append(sector_t first, absl::string_view bytes) {
  Record record{next_sequence_++, first, {}};
  if (!idle_bytes_.empty()) {
    record.bytes = std::move(idle_bytes_.back());
    idle_bytes_.pop_back();
  }
  record.bytes.assign(bytes.data(), bytes.size());
  records_.push_back(std::move(record));
  bytes_waiting_ += bytes.size();
}

void WriteCache::Write(sector_t first, absl::string_view bytes) {
  Remember(first, bytes.size());
  Append(first, bytes);
  store_.Write(first, bytes);
}

void WriteCache::Evict() {
  if (bytes_waiting_ <= bytes_max_) return;
  while (bytes_waiting_ > bytes_max_) PopOldest();
  // Not after every write: finding out what is needed costs a walk over all that is waiting.
  if (befores_.size() > 2 * (bytes_max_ / SectorStore::kChunkBytes + 1)) DropUnneededBefores();
}

// Only what has memory can lose anything: the rest is zeros before and after.
void WriteCache::Zero(sector_t first, uint64_t sectors) {
  for (const uint64_t chunk : store_.ChunksIn(first, sectors)) {
    const sector_t from = std::max<sector_t>(first, chunk * kSectorsPerChunk);
    const sector_t to = std::min<sector_t>(first + sectors, (chunk + 1) * kSectorsPerChunk);
    Remember(from, (to - from) * SECTOR_SIZE);
    Append(from, Zeros((to - from) * SECTOR_SIZE));
  }
  store_.Zero(first, sectors);
}

// An older write of the same unit that is still recorded must not come back over it.
void WriteCache::Settle(sector_t first, uint64_t sectors) {
  for (uint64_t unit = first / unit_sectors_; unit <= (first + sectors - 1) / unit_sectors_; ++unit) {
    settled_[unit] = next_sequence_ - 1;
  }
}

void WriteCache::WriteDurably(sector_t first, absl::string_view bytes) {
  const sector_t unit_first = first / unit_sectors_ * unit_sectors_;
  const bool waiting = Waiting(unit_first, first + SectorsOf(bytes) - unit_first + unit_sectors_);
  if (waiting) {
    Remember(first, bytes.size());
    Append(first, bytes);
    Settle(first, SectorsOf(bytes));
  }
  store_.Write(first, bytes);
}

void WriteCache::ZeroDurably(sector_t first, uint64_t sectors) {
  // With something waiting, that becomes durable too: nobody is harmed, and a discard is rare.
  if (!records_.empty()) {
    Zero(first, sectors);
    Flushed(position());
  } else {
    store_.Zero(first, sectors);
  }
}

// The oldest write is durable now: it is what its sectors go back to, until their next write is durable too.
void WriteCache::PopOldest() {
  Record& record = records_.front();
  for (uint64_t i = 0; i < SectorsOf(record.bytes); ++i) {
    char* const before = BeforeOf(record.first + i);
    if (before != nullptr) memcpy(before, record.bytes.data() + i * SECTOR_SIZE, SECTOR_SIZE);
  }
  bytes_waiting_ -= record.bytes.size();
  if (idle_bytes_.size() < kIdleMax) idle_bytes_.push_back(std::move(record.bytes));
  records_.pop_front();
}

void WriteCache::DropUnneededBefores() {
  absl::flat_hash_map<uint64_t, std::unique_ptr<Before>> needed;
  for (const Record& record : records_) {
    for (uint64_t i = 0; i < SectorsOf(record.bytes); ++i) {
      const sector_t sector = record.first + i;
      std::unique_ptr<Before>& kept = needed[sector / kSectorsPerChunk];
      if (kept == nullptr) kept = std::make_unique<Before>();
      const uint64_t index = sector % kSectorsPerChunk;
      kept->sectors = static_cast<uint8_t>(kept->sectors | (1u << index));
      memcpy(kept->bytes + index * SECTOR_SIZE, BeforeOf(sector), SECTOR_SIZE);
    }
  }
  befores_ = std::move(needed);
  if (records_.empty()) settled_.clear();
}

void WriteCache::Flushed(uint64_t position) {
  bool popped = false;
  for (; !records_.empty() && records_.front().sequence < position; popped = true) PopOldest();
  if (popped) DropUnneededBefores();
}

void WriteCache::PowerCut(absl::FunctionRef<uint32_t(uint32_t versions)> choose) {
  // What happened to each unit, in order.
  std::map<uint64_t, std::vector<const Record*>> units;
  for (const Record& record : records_) {
    const sector_t end = record.first + SectorsOf(record.bytes);
    for (uint64_t unit = record.first / unit_sectors_; unit * unit_sectors_ < end; ++unit) {
      units[unit].push_back(&record);
    }
  }
  for (const auto& [unit, writes] : units) {
    const auto settled = settled_.find(unit);
    size_t durable = 0;
    while (durable < writes.size() && settled != settled_.end() && writes[durable]->sequence <= settled->second) {
      ++durable;
    }
    const size_t survived = durable + choose(static_cast<uint32_t>(writes.size() - durable) + 1);
    for (sector_t sector = unit * unit_sectors_; sector < (unit + 1) * unit_sectors_; ++sector) {
      const char* bytes = BeforeOf(sector);
      if (bytes == nullptr) continue;
      for (size_t i = 0; i < survived; ++i) {
        const Record& write = *writes[i];
        if (sector < write.first || sector >= write.first + SectorsOf(write.bytes)) continue;
        bytes = write.bytes.data() + (sector - write.first) * SECTOR_SIZE;
      }
      store_.Write(sector, absl::string_view(bytes, SECTOR_SIZE));
    }
  }
  records_.clear();
  befores_.clear();
  settled_.clear();
  bytes_waiting_ = 0;
}

}  // namespace aiolab
