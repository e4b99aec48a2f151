// One transfer between memory and a device.
//
// Mirrors: include/linux/blk_types.h, include/linux/bio.h.
#ifndef KERNEL_MODEL_BLOCK_BIO_H_
#define KERNEL_MODEL_BLOCK_BIO_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/inlined_vector.h"
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

inline constexpr blk_opf_t req_op(blk_opf_t opf) { return opf & REQ_OP_MASK; }
inline constexpr bool op_is_write(blk_opf_t opf) { return (opf & 1) != 0; }

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
  // Called in interrupt context when the device is done, or has failed. Puts the bio.
  void (*bi_end_io)(bio* bio) = nullptr;
  void* bi_private = nullptr;  // what bi_end_io needs
  // Kept until the bio is put: whose pages or fsync it is. May be null.
  std::shared_ptr<inode> bi_inode;
  int bi_status = 0;       // 0 or -errno
  int64_t bi_id = 0;       // as traces name it
  int64_t bi_request = 0;  // the AIO request that it was made for, as traces name it; 0: none
  list_head bi_list;       // in a plug or a request
};

// A bio of `size` bytes that begins at `sector`.
bio* bio_alloc(block_device& bdev, blk_opf_t opf, sector_t sector, uint32_t size);
void bio_put(bio* bio);

// Sends it on its way. The current task's plug may hold it back; then nothing is sent before blk_finish_plug or the
// task's sleep.
void submit_bio(bio* bio);

// The letters that block tracepoints use: R, W, F, D; with F before and after for PREFLUSH and FUA, S, M and A.
std::string Rwbs(blk_opf_t opf);

}  // namespace aiolab

#endif  // KERNEL_MODEL_BLOCK_BIO_H_
