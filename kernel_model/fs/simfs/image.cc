#include "kernel_model/fs/simfs/image.h"

#include <errno.h>
#include <string.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace aiolab::simfs {
namespace {

bool SameUuid(const uint8_t (&a)[16], const uint8_t (&b)[16]) { return memcmp(a, b, sizeof(a)) == 0; }

template <typename T>
int ReadStructure(BlockReader read, uint64_t block, T* structure) {
  char bytes[kBlockSize];
  if (const int error = read(block, 1, bytes); error != 0) return error;
  memcpy(structure, bytes, sizeof(T));
  return 0;
}

int ReadCheckpoint(BlockReader read, Image* image, std::string* problem) {
  const Superblock& super = image->super;
  CheckpointHeader newest = {};
  bool found = false;
  for (int area = 0; area < 2; ++area) {
    CheckpointHeader header;
    if (const int error = ReadStructure(read, super.checkpoint_block[area], &header); error != 0) return error;
    if (!IsSealed(header) || !SameUuid(header.uuid, super.uuid) || (found && header.seq < newest.seq)) continue;
    found = true;
    newest = header;
    image->checkpoint_area = area;
  }
  if (!found) {
    *problem = "neither checkpoint has a header";
    return -EUCLEAN;
  }
  const uint64_t blocks = (newest.bytes + kBlockSize - 1) / kBlockSize;
  if (blocks + 1 > super.checkpoint_blocks || newest.journal_head >= super.journal_blocks) {
    *problem = absl::StrCat("the header of checkpoint ", newest.seq, " points outside its area");
    return -EUCLEAN;
  }
  std::string records(blocks * kBlockSize, '\0');
  if (blocks > 0) {
    const uint64_t first = super.checkpoint_block[image->checkpoint_area] + 1;
    if (const int error = read(first, blocks, records.data()); error != 0) return error;
  }
  records.resize(newest.bytes);
  // The header was written behind its records: power cannot have been lost between the two.
  if (Crc32c(records) != newest.records_crc || !ApplyRecords(records, image)) {
    *problem = absl::StrCat("the records of checkpoint ", newest.seq, " are not those that its header was written for");
    return -EUCLEAN;
  }
  image->next_ino = std::max(image->next_ino, newest.next_ino);
  image->checkpoint_seq = image->seq = newest.seq;
  image->journal_tail = image->journal_head = newest.journal_head;
  return 0;
}

// Reads from the ring, which may wrap on the way.
int ReadRing(BlockReader read, const Superblock& super, uint64_t position, uint64_t blocks, char* to) {
  while (blocks > 0) {
    position %= super.journal_blocks;
    const uint64_t piece = std::min(blocks, super.journal_blocks - position);
    if (const int error = read(super.journal_block + position, piece, to); error != 0) return error;
    position += piece;
    blocks -= piece;
    to += piece * kBlockSize;
  }
  return 0;
}

enum class Found { kComplete, kTorn, kNothing };

// Looks for transaction image->seq + 1 at the journal's head.
int ReadTransaction(BlockReader read, const Image& image, uint64_t room, Found* found, std::string* records) {
  *found = Found::kNothing;
  const Superblock& super = image.super;
  char first[kBlockSize];
  if (const int error = ReadRing(read, super, image.journal_head, 1, first); error != 0) return error;
  TransactionHeader header;
  memcpy(&header, first, sizeof(header));
  if (!IsSealed(header) || !SameUuid(header.uuid, super.uuid) || header.seq != image.seq + 1) return 0;
  *found = Found::kTorn;
  const uint64_t blocks = TransactionBlocks(header.bytes);
  if (header.bytes > super.journal_blocks * kBlockSize || blocks > room) return 0;
  records->assign(blocks * kBlockSize, '\0');
  if (const int error = ReadRing(read, super, image.journal_head, blocks, records->data()); error != 0) return error;
  CommitBlock commit;
  memcpy(&commit, records->data() + (blocks - 1) * kBlockSize, sizeof(commit));
  *records = records->substr(sizeof(header), header.bytes);
  if (!IsSealed(commit) || !SameUuid(commit.uuid, super.uuid) || commit.seq != header.seq) return 0;
  if (commit.records_crc != header.records_crc || Crc32c(*records) != header.records_crc) return 0;
  *found = Found::kComplete;
  return 0;
}

int ReplayJournal(BlockReader read, Image* image, std::string* problem) {
  uint64_t room = image->super.journal_blocks;
  for (;;) {
    Found found;
    std::string records;
    if (const int error = ReadTransaction(read, *image, room, &found, &records); error != 0) return error;
    image->torn_tail = found == Found::kTorn;
    if (found != Found::kComplete) return 0;
    ++image->seq;
    if (!ApplyRecords(records, image)) {
      *problem = absl::StrCat("transaction ", image->seq, " is complete and does not fit to what was before it");
      return -EUCLEAN;
    }
    const uint64_t blocks = TransactionBlocks(records.size());
    room -= blocks;
    image->journal_head = (image->journal_head + blocks) % image->super.journal_blocks;
    ++image->transactions_replayed;
  }
}

bool ApplyRecord(RecordType type, RecordReader* reader, Image* image) {
  std::vector<Blocks> freed;  // nobody asks: what is free is what no extent has
  if (type == RecordType::kInode) {
    const InodeRecord attributes = reader->Inode();
    if (!reader->ok()) return false;
    image->next_ino = std::max(image->next_ino, attributes.ino + 1);
    image->inodes[attributes.ino].attributes = attributes;
    return true;
  }
  const uint64_t ino = reader->U64();
  if (type == RecordType::kForget) {
    image->inodes.erase(ino);  // one that was made and removed in one transaction is not there
    return reader->ok();
  }
  // A record may come before its inode's: attributes are written at the end of a transaction.
  ImageInode& inode = image->inodes[ino];
  inode.attributes.ino = ino;
  switch (type) {
    case RecordType::kExtent: {
      const uint64_t logical = reader->U64();
      Extent extent;
      extent.length = reader->U64();
      extent.physical = reader->U64();
      extent.unwritten = reader->Bool();
      if (!reader->ok() || extent.length == 0 || extent.length > kFileBlocksMax || logical > kFileBlocksMax) {
        return false;
      }
      inode.extents.Insert(logical, extent, &freed);
      return true;
    }
    case RecordType::kHole: {
      const uint64_t logical = reader->U64();
      const uint64_t length = reader->U64();
      if (!reader->ok()) return false;
      inode.extents.Erase(logical, length, &freed);
      return true;
    }
    case RecordType::kEntry: {
      const uint64_t target = reader->U64();
      const absl::string_view name = reader->String();
      if (!reader->ok() || name.empty()) return false;
      inode.entries[std::string(name)] = target;
      return true;
    }
    case RecordType::kNoEntry: {
      const auto entry = inode.entries.find(reader->String());
      if (!reader->ok() || entry == inode.entries.end()) return false;
      inode.entries.erase(entry);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

bool ApplyRecords(absl::string_view records, Image* image) {
  RecordReader reader(records);
  while (!reader.empty()) {
    const RecordType type = reader.Type();
    if (!ApplyRecord(type, &reader, image)) return false;
  }
  return true;
}

int ReadImage(BlockReader read, Image* image, std::string* problem) {
  *image = {};
  if (const int error = ReadStructure(read, 0, &image->super); error != 0) return error;
  if (!IsSealed(image->super)) {
    *problem = "block 0 is no superblock of simfs";
    return -EINVAL;
  }
  if (const int error = ReadCheckpoint(read, image, problem); error != 0) return error;
  return ReplayJournal(read, image, problem);
}

}  // namespace aiolab::simfs
