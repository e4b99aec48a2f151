// CRC-32C (Castagnoli), the checksum of most write-ahead logs.
#ifndef TOOLS_AIOLAB_WAL_CRC32C_H_
#define TOOLS_AIOLAB_WAL_CRC32C_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace wal {

constexpr std::array<uint32_t, 256> MakeCrc32cTable() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    table[byte] = crc;
  }
  return table;
}

inline constexpr std::array<uint32_t, 256> kCrc32cTable = MakeCrc32cTable();

// The checksum of `size` bytes at `data`; pass the checksum of what precedes them as `crc`, 0 for nothing.
inline uint32_t Crc32c(const void* data, size_t size, uint32_t crc = 0) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (size_t i = 0; i < size; ++i) crc = (crc >> 8) ^ kCrc32cTable[(crc ^ bytes[i]) & 0xff];
  return ~crc;
}

}  // namespace wal

#endif  // TOOLS_AIOLAB_WAL_CRC32C_H_
