#include "kernel_model/drivers/block/sector_store.h"

#include <algorithm>
#include <cstring>

#include "kernel_model/kernel/sched.h"

namespace aiolab {
namespace {

constexpr uint64_t kSectorsPerChunk = SectorStore::kChunkBytes / SECTOR_SIZE;

// Calls `piece(chunk index, offset in the chunk, offset in the range, bytes)` for each chunk of a range.
template <typename Piece>
void ForEachChunk(sector_t first, uint64_t bytes, const Piece& piece) {
  BUG_ON(bytes % SECTOR_SIZE != 0);
  uint64_t done = 0;
  while (done < bytes) {
    const sector_t sector = first + done / SECTOR_SIZE;
    const uint64_t offset = sector % kSectorsPerChunk * SECTOR_SIZE;
    const uint64_t length = std::min<uint64_t>(bytes - done, SectorStore::kChunkBytes - offset);
    piece(sector / kSectorsPerChunk, offset, done, length);
    done += length;
  }
}

}  // namespace

void SectorStore::Read(sector_t first, absl::Span<char> to) const {
  ForEachChunk(first, to.size(), [&](uint64_t index, uint64_t offset, uint64_t done, uint64_t length) {
    const auto found = chunks_.find(index);
    if (found == chunks_.end()) {
      memset(to.data() + done, 0, length);
    } else {
      memcpy(to.data() + done, found->second->bytes + offset, length);
    }
  });
}

void SectorStore::Write(sector_t first, absl::string_view from) {
  ForEachChunk(first, from.size(), [&](uint64_t index, uint64_t offset, uint64_t done, uint64_t length) {
    std::unique_ptr<Chunk>& chunk = chunks_[index];
    if (chunk == nullptr) chunk = std::make_unique<Chunk>();
    memcpy(chunk->bytes + offset, from.data() + done, length);
  });
}

void SectorStore::CopyFrom(const SectorStore& other, sector_t first, uint64_t sectors) {
  BUG_ON(first % kSectorsPerChunk != 0);
  const uint64_t begin = first / kSectorsPerChunk;
  chunks_.clear();
  chunks_.reserve(other.chunks_.size());
  // tidy: allow hash-order: each goes to its own place
  for (const auto& [index, chunk] : other.chunks_) {
    if (index < begin || index - begin > (sectors - 1) / kSectorsPerChunk) continue;
    chunks_.emplace(index - begin, std::make_unique<Chunk>(*chunk));
  }
}

std::vector<uint64_t> SectorStore::ChunksIn(sector_t first, uint64_t sectors) const {
  std::vector<uint64_t> found;
  if (sectors == 0) return found;
  const uint64_t begin = first / kSectorsPerChunk;
  const uint64_t last = (first + sectors - 1) / kSectorsPerChunk;
  if (last - begin >= chunks_.size()) {
    // tidy: allow hash-order: sorted below
    for (const auto& [index, chunk] : chunks_) {
      if (index >= begin && index <= last) found.push_back(index);
    }
    std::sort(found.begin(), found.end());
  } else {
    for (uint64_t index = begin; index <= last; ++index) {
      if (chunks_.contains(index)) found.push_back(index);
    }
  }
  return found;
}

void SectorStore::Zero(sector_t first, uint64_t sectors) {
  const sector_t end = first + sectors;
  const uint64_t first_whole = (first + kSectorsPerChunk - 1) / kSectorsPerChunk;
  const uint64_t end_whole = end / kSectorsPerChunk;
  if (end_whole > first_whole) {
    if (end_whole - first_whole > chunks_.size()) {
      absl::erase_if(chunks_, [&](const auto& chunk) { return chunk.first >= first_whole && chunk.first < end_whole; });
    } else {
      for (uint64_t index = first_whole; index < end_whole; ++index) chunks_.erase(index);
    }
  }
  // What is left are the ends, or a range inside one chunk.
  const auto zero_part = [&](sector_t from, sector_t to) {
    if (from >= to) return;
    const auto found = chunks_.find(from / kSectorsPerChunk);
    if (found == chunks_.end()) return;
    memset(found->second->bytes + from % kSectorsPerChunk * SECTOR_SIZE, 0, (to - from) * SECTOR_SIZE);
  };
  if (first / kSectorsPerChunk == end / kSectorsPerChunk) {
    zero_part(first, end);
  } else {
    zero_part(first, first_whole * kSectorsPerChunk);
    zero_part(end_whole * kSectorsPerChunk, end);
  }
}

}  // namespace aiolab
