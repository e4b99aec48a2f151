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

void WriteCache::Before::Set(uint64_t index, const char* sector) {
  sectors = static_cast<uint8_t>(sectors | (1u << index));
  if (bytes == nullptr) {
    if (memcmp(sector, Zeros(SECTOR_SIZE).data(), SECTOR_SIZE) == 0) return;
    bytes = std::make_unique<char[]>(SectorStore::kChunkBytes);
  }
  memcpy(bytes.get() + index * SECTOR_SIZE, sector, SECTOR_SIZE);
}

// Null if the sector's newest bytes are durable.
const char* WriteCache::BeforeOf(sector_t sector) const {
  const auto found = befores_.find(sector / kSectorsPerChunk);
  const uint64_t index = sector % kSectorsPerChunk;
  if (found == befores_.end() || (found->second.sectors & (1u << index)) == 0) return nullptr;
  if (found->second.bytes == nullptr) return Zeros(SECTOR_SIZE).data();
  return found->second.bytes.get() + index * SECTOR_SIZE;
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
    Before& before = befores_[sector / kSectorsPerChunk];
    const uint64_t index = sector % kSectorsPerChunk;
    if ((before.sectors & (1u << index)) != 0) continue;
    char durable[SECTOR_SIZE];
    store_.Read(sector, absl::MakeSpan(durable));
    before.Set(index, durable);
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
    const sector_t sector = record.first + i;
    if (BeforeOf(sector) == nullptr) continue;
    befores_[sector / kSectorsPerChunk].Set(sector % kSectorsPerChunk, record.bytes.data() + i * SECTOR_SIZE);
  }
  bytes_waiting_ -= record.bytes.size();
  if (idle_bytes_.size() < kIdleMax) idle_bytes_.push_back(std::move(record.bytes));
  records_.pop_front();
}

void WriteCache::DropUnneededBefores() {
  absl::flat_hash_map<uint64_t, Before> needed;
  for (const Record& record : records_) {
    for (uint64_t i = 0; i < SectorsOf(record.bytes); ++i) {
      const sector_t sector = record.first + i;
      needed[sector / kSectorsPerChunk].Set(sector % kSectorsPerChunk, BeforeOf(sector));
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

// The sequence up to which writes of some unit in the range are durable though recorded; 0: none is.
uint64_t WriteCache::DurableUpTo(sector_t first, uint64_t sectors) const {
  uint64_t sequence = 0;
  const auto end = settled_.upper_bound((first + sectors - 1) / unit_sectors_);
  for (auto at = settled_.lower_bound(first / unit_sectors_); at != end; ++at)
    sequence = std::max(sequence, at->second);
  return sequence;
}

void WriteCache::PowerCut(absl::FunctionRef<uint32_t(uint32_t versions)> choose, uint32_t tear_sectors) {
  const uint64_t unit_sectors = tear_sectors != 0 ? tear_sectors : unit_sectors_;
  // What happened to each unit, in order.
  std::map<uint64_t, std::vector<const Record*>> units;
  for (const Record& record : records_) {
    const sector_t end = record.first + SectorsOf(record.bytes);
    for (uint64_t unit = record.first / unit_sectors; unit * unit_sectors < end; ++unit) {
      units[unit].push_back(&record);
    }
  }
  for (const auto& [unit, writes] : units) {
    const uint64_t durable_up_to = DurableUpTo(unit * unit_sectors, unit_sectors);
    size_t durable = 0;
    while (durable < writes.size() && writes[durable]->sequence <= durable_up_to) ++durable;
    const size_t survived = durable + choose(static_cast<uint32_t>(writes.size() - durable) + 1);
    for (sector_t sector = unit * unit_sectors; sector < (unit + 1) * unit_sectors; ++sector) {
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
