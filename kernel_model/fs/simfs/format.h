// What simfs writes on its disk, for those who read an image or write another reader.
//
// Blocks are 4096 bytes, numbers little-endian, every structure carries a CRC-32C of itself. A disk of simfs is
//
//   block 0        the superblock: uuid and where the rest lies. Written by mkfs, never again.
//   journal        a ring of blocks: transactions, one behind the other
//   checkpoint A   all metadata as it was after some transaction
//   checkpoint B   the same after another; the two are written in turn
//   data           what the files hold, from first_data_block to the end
//
// Metadata are records (RecordType): what an inode is, where a piece of it lies, which name leads to it. A record says
// how a thing is from now on, so the same records replayed in order give the same file system. A checkpoint is as many
// records as describe everything; a transaction has those of what changed.
//
// A transaction numbered `seq` is
//
//   TransactionHeader and the records, in as many blocks as they need; the ring may wrap anywhere
//   CommitBlock      one block, written with PREFLUSH and FUA when the others have ended
//
// and complete if the commit block names its seq and the records have the checksum that both blocks name. A checkpoint
// is a body of records, then its CheckpointHeader with PREFLUSH and FUA into the area's first block. Whatever a commit
// covers is there if the commit is; sectors of 512 bytes may be torn off or come in any order, since a structure that
// counts by itself (superblock, headers, commit block) lies within one sector.
//
// To recover: take the checkpoint whose header is valid and has the higher seq, replay the transactions seq + 1,
// seq + 2, ... from its journal_head on, and stop at the first that is not complete. There is nothing behind that one:
// a transaction begins when the one before it has ended.
#ifndef KERNEL_MODEL_FS_SIMFS_FORMAT_H_
#define KERNEL_MODEL_FS_SIMFS_FORMAT_H_

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace aiolab::simfs {

inline constexpr uint32_t kBlockSize = 4096;
inline constexpr unsigned kBlockShift = 12;
inline constexpr uint64_t kSectorsPerBlock = kBlockSize / 512;
inline constexpr uint64_t kDiskBytesMin = uint64_t{1} << 20;
inline constexpr uint64_t kDiskBytesMax = uint64_t{1} << 44;
inline constexpr uint64_t kRootIno = 1;
// A file's blocks have numbers of 32 bits, as ext4's: 16 TiB less one block.
inline constexpr uint64_t kFileBlocksMax = 0xffffffff;
inline constexpr size_t kNameMax = 255;

struct Superblock {
  static constexpr uint64_t kMagic = 0x31736673'6d697361;  // "asimfs1" and a version
  uint64_t magic;
  uint8_t uuid[16];
  uint64_t blocks;  // of the file system
  uint64_t journal_block;
  uint64_t journal_blocks;
  uint64_t checkpoint_block[2];
  uint64_t checkpoint_blocks;  // of one area, header included
  uint64_t first_data_block;
  uint32_t padding;
  uint32_t crc;  // of everything before it
};

struct TransactionHeader {
  static constexpr uint64_t kMagic = 0x6e617274'736d6973;  // "simstran"
  uint64_t magic;
  uint8_t uuid[16];
  uint64_t seq;
  uint64_t bytes;  // of records, which begin behind this header
  uint32_t records_crc;
  uint32_t crc;
};

struct CommitBlock {
  static constexpr uint64_t kMagic = 0x6d6d6f63'736d6973;  // "simscomm"
  uint64_t magic;
  uint8_t uuid[16];
  uint64_t seq;
  uint32_t records_crc;
  uint32_t crc;
};

struct CheckpointHeader {
  static constexpr uint64_t kMagic = 0x6b706863'736d6973;  // "simschpk"
  uint64_t magic;
  uint8_t uuid[16];
  uint64_t seq;           // the last transaction that it has
  uint64_t journal_head;  // the block of the ring, counted from its first, where transaction seq + 1 begins
  uint64_t bytes;         // of records, which begin in the area's next block
  uint64_t next_ino;
  uint32_t records_crc;
  uint32_t crc;
};

enum class RecordType : uint8_t {
  kInode = 1,    // ino, mode, nlink, rdev, size, four times, target of a symbolic link
  kForget = 2,   // ino: it is gone, with its extents and names
  kExtent = 3,   // ino, logical, length, physical, unwritten: lies there, whatever was mapped before
  kHole = 4,     // ino, logical, length: lies nowhere
  kEntry = 5,    // dir, ino, name
  kNoEntry = 6,  // dir, name
};

// An inode without what belongs to it.
struct InodeRecord {
  uint64_t ino = 0;
  uint32_t mode = 0;
  uint32_t nlink = 0;
  uint64_t rdev = 0;
  uint64_t size = 0;
  timespec atime = {};
  timespec mtime = {};
  timespec ctime = {};
  timespec btime = {};
  std::string target;  // of a symbolic link
};

// A run of a file's blocks. Behind a map's key, its first block in the file.
struct Extent {
  uint64_t length = 0;     // blocks
  uint64_t physical = 0;   // the first one on the disk
  bool unwritten = false;  // reserved, and reads as zeros

  friend bool operator==(const Extent&, const Extent&) = default;
};

// How many bytes each record takes.
inline constexpr size_t kExtentRecordBytes = 1 + 8 * 4 + 1;
size_t InodeRecordBytes(const InodeRecord& inode);
inline size_t EntryRecordBytes(size_t name_bytes) { return 1 + 8 * 2 + 2 + name_bytes; }

// Append one record.
void PutInode(const InodeRecord& inode, std::string* records);
void PutForget(uint64_t ino, std::string* records);
void PutExtent(uint64_t ino, uint64_t logical, const Extent& extent, std::string* records);
void PutHole(uint64_t ino, uint64_t logical, uint64_t length, std::string* records);
void PutEntry(uint64_t dir, absl::string_view name, uint64_t ino, std::string* records);
void PutNoEntry(uint64_t dir, absl::string_view name, std::string* records);

// Takes numbers and strings off the front of records. A read behind the end clears ok() and gives zeros.
class RecordReader {
 public:
  explicit RecordReader(absl::string_view records) : rest_(records) {}

  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }
  RecordType Type() { return static_cast<RecordType>(Number(1)); }
  uint64_t U64() { return Number(8); }
  uint32_t U32() { return static_cast<uint32_t>(Number(4)); }
  bool Bool() { return Number(1) != 0; }
  absl::string_view String();
  // What follows the type.
  InodeRecord Inode();

 private:
  uint64_t Number(size_t bytes);
  timespec Time();

  absl::string_view rest_;
  bool ok_ = true;
};

// CRC-32C (Castagnoli), as iSCSI and ext4 use it.
uint32_t Crc32c(absl::string_view bytes);

// Fills in the crc of a structure above, and tells whether it is right.
template <typename T>
void Seal(T* structure) {
  structure->crc = Crc32c({reinterpret_cast<const char*>(structure), offsetof(T, crc)});
}
template <typename T>
bool IsSealed(const T& structure) {
  return structure.magic == T::kMagic &&
         structure.crc == Crc32c({reinterpret_cast<const char*>(&structure), offsetof(T, crc)});
}

// Blocks that a transaction with `record_bytes` of records takes in the ring, the commit block included.
inline uint64_t TransactionBlocks(size_t record_bytes) {
  return (sizeof(TransactionHeader) + record_bytes + kBlockSize - 1) / kBlockSize + 1;
}

struct MkfsOptions {
  uint64_t disk_bytes = 0;
  std::string label = "";       // two file systems of one size and another label have another uuid
  uint64_t journal_blocks = 0;  // 0: as the size has it
};

// "" or why there can be no file system of that kind.
std::string CheckMkfsOptions(const MkfsOptions& options);
// Requires: CheckMkfsOptions said "".
Superblock LayOut(const MkfsOptions& options);

}  // namespace aiolab::simfs

#endif  // KERNEL_MODEL_FS_SIMFS_FORMAT_H_
