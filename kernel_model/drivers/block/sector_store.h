// The bytes of a disk: sparse, so that a disk of 16 TiB costs no more than what was written to it.
//
//   SectorStore store;
//   store.Write(8, bytes);            // bytes.size() is a multiple of 512
//   store.Read(0, absl::MakeSpan(buffer));   // what was never written reads as zeros
#ifndef KERNEL_MODEL_DRIVERS_BLOCK_SECTOR_STORE_H_
#define KERNEL_MODEL_DRIVERS_BLOCK_SECTOR_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernel_model/block/bio.h"

namespace aiolab {

// Lengths are multiples of SECTOR_SIZE. Memory is used by 4 KiB chunks that were written and not zeroed as a whole
// since.
class SectorStore {
 public:
  static constexpr size_t kChunkBytes = 4096;

  void Read(sector_t first, absl::Span<char> to) const;
  void Write(sector_t first, absl::string_view from);
  // Frees the chunks that lie wholly inside.
  void Zero(sector_t first, uint64_t sectors);

  // Becomes a copy of `other`, or of those of its sectors that begin at `first`, a chunk's: that one is 0 here.
  void CopyFrom(const SectorStore& other, sector_t first = 0, uint64_t sectors = ~uint64_t{0});

  // Those among the chunks of a range that have memory, by index (sector / 8), in order.
  std::vector<uint64_t> ChunksIn(sector_t first, uint64_t sectors) const;

  // How many chunks have memory.
  size_t chunks() const { return chunks_.size(); }

 private:
  struct Chunk {
    char bytes[kChunkBytes];
  };
  absl::flat_hash_map<uint64_t, std::unique_ptr<Chunk>> chunks_;  // by sector / 8
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_BLOCK_SECTOR_STORE_H_
