#include "kernel_model/fs/simfs/format.h"

#include <string.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace aiolab::simfs {
namespace {

static_assert(sizeof(Superblock) <= 512 && sizeof(CommitBlock) <= 512 && sizeof(CheckpointHeader) <= 512);

constexpr uint64_t kJournalBlocksMin = 8;
constexpr uint64_t kJournalBlocksMax = 8192;
constexpr uint64_t kCheckpointBlocksMin = 8;
constexpr uint64_t kCheckpointBlocksMax = 65536;
constexpr uint64_t kBlocksPerMetadataBlock = 32;

// Plain arrays: an unoptimized build calls a function for each look into a std::array.
struct CrcTables {
  constexpr CrcTables() {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
      slices[0][i] = crc;
    }
    for (size_t slice = 1; slice < 8; ++slice) {
      for (size_t i = 0; i < 256; ++i) {
        const uint32_t below = slices[slice - 1][i];
        slices[slice][i] = (below >> 8) ^ slices[0][below & 0xff];
      }
    }
  }
  uint32_t slices[8][256] = {};
};
constexpr CrcTables kCrcTables;

void PutNumber(uint64_t number, size_t bytes, std::string* out) {
  char little_endian[8];
  for (size_t i = 0; i < bytes; ++i) little_endian[i] = static_cast<char>(number >> (8 * i));
  out->append(little_endian, bytes);
}

void PutType(RecordType type, std::string* out) { out->push_back(static_cast<char>(type)); }

void PutString(absl::string_view text, std::string* out) {
  PutNumber(text.size(), 2, out);
  out->append(text.data(), text.size());
}

void PutTime(const timespec& time, std::string* out) {
  PutNumber(static_cast<uint64_t>(time.tv_sec), 8, out);
  PutNumber(static_cast<uint64_t>(time.tv_nsec), 4, out);
}

}  // namespace

uint32_t Crc32c(absl::string_view bytes) {
  uint32_t crc = 0xffffffff;
  const char* at = bytes.data();
  size_t left = bytes.size();
  // Eight bytes a round: a checkpoint is megabytes.
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    word ^= crc;
    crc = 0;
    for (size_t i = 0; i < 8; ++i) crc ^= kCrcTables.slices[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; left > 0; --left, ++at) crc = (crc >> 8) ^ kCrcTables.slices[0][(crc ^ static_cast<uint8_t>(*at)) & 0xff];
  return ~crc;
}

size_t InodeRecordBytes(const InodeRecord& inode) { return 1 + 8 + 4 + 4 + 8 + 8 + 4 * 12 + 2 + inode.target.size(); }

void PutInode(const InodeRecord& inode, std::string* records) {
  PutType(RecordType::kInode, records);
  PutNumber(inode.ino, 8, records);
  PutNumber(inode.mode, 4, records);
  PutNumber(inode.nlink, 4, records);
  PutNumber(inode.rdev, 8, records);
  PutNumber(inode.size, 8, records);
  for (const timespec* time : {&inode.atime, &inode.mtime, &inode.ctime, &inode.btime}) PutTime(*time, records);
  PutString(inode.target, records);
}

void PutForget(uint64_t ino, std::string* records) {
  PutType(RecordType::kForget, records);
  PutNumber(ino, 8, records);
}

void PutExtent(uint64_t ino, uint64_t logical, const Extent& extent, std::string* records) {
  PutType(RecordType::kExtent, records);
  PutNumber(ino, 8, records);
  PutNumber(logical, 8, records);
  PutNumber(extent.length, 8, records);
  PutNumber(extent.physical, 8, records);
  PutNumber(extent.unwritten ? 1 : 0, 1, records);
}

void PutHole(uint64_t ino, uint64_t logical, uint64_t length, std::string* records) {
  PutType(RecordType::kHole, records);
  PutNumber(ino, 8, records);
  PutNumber(logical, 8, records);
  PutNumber(length, 8, records);
}

void PutEntry(uint64_t dir, absl::string_view name, uint64_t ino, std::string* records) {
  PutType(RecordType::kEntry, records);
  PutNumber(dir, 8, records);
  PutNumber(ino, 8, records);
  PutString(name, records);
}

void PutNoEntry(uint64_t dir, absl::string_view name, std::string* records) {
  PutType(RecordType::kNoEntry, records);
  PutNumber(dir, 8, records);
  PutString(name, records);
}

uint64_t RecordReader::Number(size_t bytes) {
  if (rest_.size() < bytes) {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  uint64_t number = 0;
  for (size_t i = 0; i < bytes; ++i) number |= uint64_t{static_cast<uint8_t>(rest_[i])} << (8 * i);
  rest_.remove_prefix(bytes);
  return number;
}

absl::string_view RecordReader::String() {
  const uint64_t bytes = Number(2);
  if (rest_.size() < bytes) {
    ok_ = false;
    rest_ = {};
    return "";
  }
  const absl::string_view text = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return text;
}

timespec RecordReader::Time() {
  timespec time = {};
  time.tv_sec = static_cast<time_t>(U64());
  time.tv_nsec = static_cast<long>(U32());
  return time;
}

InodeRecord RecordReader::Inode() {
  InodeRecord inode;
  inode.ino = U64();
  inode.mode = U32();
  inode.nlink = U32();
  inode.rdev = U64();
  inode.size = U64();
  for (timespec* time : {&inode.atime, &inode.mtime, &inode.ctime, &inode.btime}) *time = Time();
  inode.target = std::string(String());
  return inode;
}

std::string CheckMkfsOptions(const MkfsOptions& options) {
  if (options.disk_bytes < kDiskBytesMin || options.disk_bytes > kDiskBytesMax) {
    return absl::StrCat("a simfs of ", options.disk_bytes, " bytes: it has to be ", kDiskBytesMin, " (1 MiB) to ",
                        kDiskBytesMax, " (16 TiB)");
  }
  const uint64_t journal_max = options.disk_bytes / kBlockSize / 4;
  if (options.journal_blocks != 0 && (options.journal_blocks < 3 || options.journal_blocks > journal_max)) {
    return absl::StrCat("a journal of ", options.journal_blocks, " blocks: it has to be 3 to ", journal_max,
                        ", a quarter of the disk");
  }
  return "";
}

Superblock LayOut(const MkfsOptions& options) {
  Superblock super = {};
  super.magic = Superblock::kMagic;
  super.blocks = options.disk_bytes / kBlockSize;
  const uint64_t share = super.blocks / kBlocksPerMetadataBlock;
  super.journal_block = 1;
  super.journal_blocks =
      options.journal_blocks != 0 ? options.journal_blocks : std::clamp(share, kJournalBlocksMin, kJournalBlocksMax);
  super.checkpoint_blocks = std::clamp(share, kCheckpointBlocksMin, kCheckpointBlocksMax);
  super.checkpoint_block[0] = super.journal_block + super.journal_blocks;
  super.checkpoint_block[1] = super.checkpoint_block[0] + super.checkpoint_blocks;
  super.first_data_block = super.checkpoint_block[1] + super.checkpoint_blocks;
  // No random numbers: the same parameters make the same file system.
  const std::string parameters = absl::StrCat(super.blocks, "/", super.journal_blocks, "/", options.label);
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t word = Crc32c(absl::StrCat(i, "/", parameters));
    memcpy(super.uuid + 4 * i, &word, sizeof(word));
  }
  Seal(&super);
  return super;
}

}  // namespace aiolab::simfs
