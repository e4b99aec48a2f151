// What a power cut may take back: the writes since the last flush, in the order in which they were completed.
//
// Each atomic unit of the disk is decided by itself: it is what it was when last durable, or what it was after one of
// the writes since. Writes of several units are therefore torn now and then, one unit never.
#ifndef KERNEL_MODEL_DRIVERS_BLOCK_WRITE_CACHE_H_
#define KERNEL_MODEL_DRIVERS_BLOCK_WRITE_CACHE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "kernel_model/drivers/block/sector_store.h"

namespace aiolab {

class WriteCache {
 public:
  // `store` has the newest bytes of all sectors, these writes among them. `unit_sectors` is the atomic unit.
  // `bytes_max`: how much Evict leaves waiting.
  WriteCache(SectorStore& store, uint32_t unit_sectors, uint64_t bytes_max)
      : store_(store), unit_sectors_(unit_sectors), bytes_max_(bytes_max) {}

  // Writes to the store, and may lose it.
  void Write(sector_t first, absl::string_view bytes);
  void Zero(sector_t first, uint64_t sectors);
  // Makes the oldest writes durable until no more than `bytes_max` is waiting.
  void Evict();
  // Writes to the store, and does not lose it, nor what its units got before.
  void WriteDurably(sector_t first, absl::string_view bytes);
  void ZeroDurably(sector_t first, uint64_t sectors);

  // What was written before the flush began, which was when position() gave `position`, is durable.
  uint64_t position() const { return next_sequence_; }
  void Flushed(uint64_t position);

  // The power is gone: `choose(n)` says for each unit which of its n versions is left, 0 being the oldest, in the order
  // of their sectors. Nothing is waiting after that. `tear_sectors` is the size of a unit this time, 0: as ever; what
  // is durable of one in part is durable as a whole.
  void PowerCut(absl::FunctionRef<uint32_t(uint32_t versions)> choose, uint32_t tear_sectors = 0);

  uint64_t bytes_waiting() const { return bytes_waiting_; }

 private:
  struct Record {
    uint64_t sequence;
    sector_t first;
    std::string bytes;
  };
  // The durable bytes of the sectors of a chunk whose newest ones are not.
  struct Before {
    uint8_t sectors = 0;            // a bit for each that is here
    std::unique_ptr<char[]> bytes;  // of the whole chunk; null: zeros
    void Set(uint64_t index, const char* sector);
  };

  void Remember(sector_t first, size_t length);
  void Append(sector_t first, absl::string_view bytes);
  void PopOldest();
  void DropUnneededBefores();
  bool Waiting(sector_t first, uint64_t sectors) const;
  const char* BeforeOf(sector_t sector) const;
  uint64_t DurableUpTo(sector_t first, uint64_t sectors) const;
  void Settle(sector_t first, uint64_t sectors);
  static absl::string_view Zeros(size_t length);

  SectorStore& store_;
  const uint32_t unit_sectors_;
  const uint64_t bytes_max_;
  uint64_t next_sequence_ = 1;
  uint64_t bytes_waiting_ = 0;
  std::deque<Record> records_;
  absl::flat_hash_map<uint64_t, Before> befores_;  // by chunk
  std::map<uint64_t, uint64_t> settled_;  // by unit: up to this sequence its writes are durable, though still recorded
  std::vector<std::string> idle_bytes_;   // their memory is reused
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_BLOCK_WRITE_CACHE_H_
