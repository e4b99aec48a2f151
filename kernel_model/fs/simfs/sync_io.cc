#include "kernel_model/fs/simfs/sync_io.h"

#include <algorithm>

namespace aiolab::simfs {
namespace {

constexpr size_t kPieceBytesMax = size_t{512} << 10;

}  // namespace

int SyncIo(block_device& bdev, blk_opf_t opf, sector_t sector, char* buffer, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const auto piece = static_cast<uint32_t>(std::min(bytes - done, kPieceBytesMax));
    bio* const bio = bio_alloc(bdev, opf | REQ_SYNC, sector + done / SECTOR_SIZE, piece);
    bio->bi_io_vec.push_back({.bv_base = buffer + done, .bv_len = piece});
    if (const int error = submit_bio_wait(bio); error != 0) return error;
    done += piece;
  }
  return 0;
}

}  // namespace aiolab::simfs
