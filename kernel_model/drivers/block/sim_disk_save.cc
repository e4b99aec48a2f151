// A disk's medium as bytes, for a process that goes on with it.
#include <cstring>
#include <type_traits>
#include <utility>

#include "kernel_model/drivers/block/sim_disk.h"

namespace aiolab {
namespace {

template <typename T>
void Put(std::string* saved, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  saved->append(reinterpret_cast<const char*>(&value), sizeof(T));
}

template <typename T>
void Put(std::string* saved, const std::vector<T>& values) {
  Put(saved, uint64_t{values.size()});
  for (const T& value : values) Put(saved, value);
}

template <typename T>
bool Take(absl::string_view* saved, T* value) {
  if (saved->size() < sizeof(T)) return false;
  memcpy(static_cast<void*>(value), saved->data(), sizeof(T));
  saved->remove_prefix(sizeof(T));
  return true;
}

template <typename T>
bool Take(absl::string_view* saved, std::vector<T>* values) {
  uint64_t count = 0;
  if (!Take(saved, &count)) return false;
  for (T value; count > 0; --count) {
    if (!Take(saved, &value)) return false;
    values->push_back(value);
  }
  return true;
}

constexpr uint64_t kChunkSectors = SectorStore::kChunkBytes / SECTOR_SIZE;

}  // namespace

void SimDisk::Save(std::string* saved) const {
  const std::vector<uint64_t> chunks = bytes_.ChunksIn(0, parameters_.size_bytes / SECTOR_SIZE);
  saved->reserve(saved->size() + chunks.size() * (sizeof(uint64_t) + SectorStore::kChunkBytes));
  Put(saved, chunks);
  for (const uint64_t chunk : chunks) {
    char bytes[SectorStore::kChunkBytes];
    bytes_.Read(chunk * kChunkSectors, absl::MakeSpan(bytes));
    saved->append(bytes, sizeof(bytes));
  }
  Put(saved, bad_sectors_);
  Put(saved, bit_rot_);
}

bool SimDisk::Restore(absl::string_view* saved) {
  std::vector<uint64_t> chunks;
  if (!Take(saved, &chunks) || saved->size() / SectorStore::kChunkBytes < chunks.size()) return false;
  for (const uint64_t chunk : chunks) {
    bytes_.Write(chunk * kChunkSectors, saved->substr(0, SectorStore::kChunkBytes));
    saved->remove_prefix(SectorStore::kChunkBytes);
  }
  return Take(saved, &bad_sectors_) && Take(saved, &bit_rot_);
}

}  // namespace aiolab
