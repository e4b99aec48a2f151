// One transfer between memory and a device.
//
// Mirrors: include/linux/blk_types.h, include/linux/bio.h.
#ifndef KERNEL_MODEL_BLOCK_BIO_H_
#define KERNEL_MODEL_BLOCK_BIO_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "kernel_model/kernel/list.h"

namespace aiolab {

struct block_device;
struct folio;
struct inode;

using sector_t = uint64_t;  // an address on a device, in units of 512 bytes
inline constexpr unsigned SECTOR_SHIFT = 9;
inline constexpr unsigned SECTOR_SIZE = 1 << SECTOR_SHIFT;

// What a bio does: the operation in the low bits, flags above.
using blk_opf_t = uint32_t;
inline constexpr blk_opf_t REQ_OP_MASK = 0xff;
inline constexpr blk_opf_t REQ_OP_READ = 0;
inline constexpr blk_opf_t REQ_OP_WRITE = 1;
inline constexpr blk_opf_t REQ_OP_FLUSH = 2;
inline constexpr blk_opf_t REQ_OP_DISCARD = 3;
inline constexpr blk_opf_t REQ_OP_WRITE_ZEROES = 9;
inline constexpr blk_opf_t REQ_SYNC = 1u << 11;      // somebody waits for it
inline constexpr blk_opf_t REQ_META = 1u << 12;      // the file system's own
inline constexpr blk_opf_t REQ_NOMERGE = 1u << 14;   // to be left alone
inline constexpr blk_opf_t REQ_FUA = 1u << 17;       // durable when it ends
inline constexpr blk_opf_t REQ_PREFLUSH = 1u << 18;  // what ended before is durable before it begins
inline constexpr blk_opf_t REQ_RAHEAD = 1u << 19;    // nobody waits for it
inline constexpr blk_opf_t REQ_NOWAIT = 1u << 21;    // fails with -EAGAIN instead of waiting for a request
inline constexpr blk_opf_t REQ_ATOMIC = 1u << 25;    // all of it, or nothing

// Whoever has one of these is not merged with anything.
inline constexpr blk_opf_t REQ_NOMERGE_FLAGS = REQ_NOMERGE | REQ_PREFLUSH | REQ_FUA;

inline constexpr blk_opf_t req_op(blk_opf_t opf) { return opf & REQ_OP_MASK; }
inline constexpr bool op_is_write(blk_opf_t opf) { return (opf & 1) != 0; }
inline constexpr bool op_is_flush(blk_opf_t opf) { return (opf & (REQ_PREFLUSH | REQ_FUA)) != 0; }

// A piece of memory that the device reads or fills.
struct bio_vec {
  // Null: it has none, and whoever made the bio moves the bytes when it has ended (hostfs).
  char* bv_base = nullptr;
  uint32_t bv_len = 0;  // bytes
  // The client's own memory, pinned: it may have gone away.
  bool bv_user = false;
  folio* bv_folio = nullptr;  // the page whose memory it is, if it is one's
};

struct bio {
  block_device* bi_bdev = nullptr;
  blk_opf_t bi_opf = REQ_OP_READ;
  sector_t bi_sector = 0;
  uint32_t bi_size = 0;  // bytes
  absl::InlinedVector<bio_vec, 1> bi_io_vec;
  // Called when the device is done, or has failed: in interrupt context, or inside submit_bio if that refuses it. Puts
  // the bio, in which everything but bi_status is as it was submitted.
  void (*bi_end_io)(bio* bio) = nullptr;
  void* bi_private = nullptr;  // what bi_end_io needs
  // Kept until the bio is put: whose pages or fsync it is. May be null.
  std::shared_ptr<inode> bi_inode;
  int bi_status = 0;       // 0 or -errno
  int64_t bi_id = 0;       // as traces name it
  int64_t bi_request = 0;  // the AIO request that it was made for, as traces name it; 0: none
  list_head bi_list;       // among those that wait for a request
  bio* bi_next = nullptr;  // the next one of the same request
  int __bi_remaining = 1;  // how many bio_endio() it takes to end it: one more for each piece that was split off
};

inline uint32_t bio_sectors(const bio* bio) { return bio->bi_size >> SECTOR_SHIFT; }
inline sector_t bio_end_sector(const bio* bio) { return bio->bi_sector + bio_sectors(bio); }

// A bio of `size` bytes that begins at `sector`. Its memory is reused: a bio costs no allocation once enough of them
// have been put.
bio* bio_alloc(block_device& bdev, blk_opf_t opf, sector_t sector, uint32_t size);
void bio_put(bio* bio);

// Sends it on its way. The current task's plug may hold it back; then nothing is sent before blk_finish_plug, the
// task's sleep or the plug's limits. May sleep for a free request, if the current task can; with REQ_NOWAIT it fails
// with -EAGAIN instead, and in a worker or an interrupt the bio goes on by itself when a request is free.
//
// Fails with -EIO beyond the device's end, for a start or length that is no multiple of the logical block (only if the
// bio has memory), and for PREFLUSH or FUA on anything but a write; with -EAGAIN for REQ_NOWAIT, and -EINVAL for
// REQ_ATOMIC, on a bio that is too large for one request. REQ_OP_FLUSH means an empty write with REQ_PREFLUSH.
void submit_bio(bio* bio);

// The same, and the current task sleeps until it has ended: 0 or -errno. Puts it. bi_private and bi_end_io are its own.
int submit_bio_wait(bio* bio);

// The device is done with it, or nobody will do it: bi_status says which.
void bio_endio(bio* bio);

// Takes a bio out of its owner's hands without ending it: bi_end_io is not called. For requests that are forgotten.
using DropBio = absl::FunctionRef<void(bio* bio)>;
// Puts `dropped`; of a split bio, the whole when its last piece is dropped.
void bio_drop(bio* dropped, DropBio drop);

// A piece of `whole` that ends when bio_endio(piece) is called, and with its last piece `whole` ends. The first piece's
// error becomes the whole's.
bio* bio_split(bio* whole, sector_t sector, uint32_t size);

// The letters that block tracepoints use: R, W, D (a discard), F (a flush); with F before and after for PREFLUSH and
// FUA, then A, S, M and U (atomic).
std::string Rwbs(blk_opf_t opf);

}  // namespace aiolab

#endif  // KERNEL_MODEL_BLOCK_BIO_H_
