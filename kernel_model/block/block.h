// From a file's I/O to a device: bios, and the plug that holds them back until a batch is complete.
//
// Mirrors: include/linux/bio.h, include/linux/blkdev.h, block/blk-core.c.
// Differs: a bio is its own request: nothing is merged yet, and there is no request queue between plug and device.
#ifndef KERNEL_MODEL_BLOCK_BLOCK_H_
#define KERNEL_MODEL_BLOCK_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "kernel_model/fs/fs.h"
#include "kernel_model/kernel/list.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab {

enum class BioOp { kRead, kReadMeta, kWrite, kFlush };

struct bio {
  BioOp op = BioOp::kRead;
  file* bi_file = nullptr;  // a reference of the bio's own
  loff_t bi_pos = 0;        // in the file, bytes
  size_t bi_size = 0;       // bytes
  // Called in interrupt context when the device is done, or has failed (bi_status: 0 or -errno). Frees the bio.
  void (*bi_end_io)(bio* bio) = nullptr;
  void* bi_private = nullptr;  // what bi_end_io needs
  // Room for that in the bio itself: see SetBioPrivate.
  alignas(void*) std::byte bi_storage[48];
  int bi_status = 0;
  int64_t bi_id = 0;       // as traces name it
  int64_t bi_request = 0;  // the AIO request that it was made for, as traces name it; 0: none
  list_head bi_plug_entry;
  struct Completion : Executor::Event {
    bio* owner;
    kernel_state* kernel;
  } bi_completion;
};

// Makes a copy of `value` that goes with the bio its bi_private.
template <typename T>
void SetBioPrivate(bio* bio, const T& value) {
  static_assert(sizeof(T) <= sizeof(bio->bi_storage) && std::is_trivially_destructible_v<T>);
  bio->bi_private = new (bio->bi_storage) T(value);
}

// Something that bios can be sent to.
struct block_device {
  virtual ~block_device();
  // Takes the bio; its bi_end_io will be called once.
  virtual void submit(bio* bio) = 0;

  list_head free_bios;  // to be used again
  list_head lost_bios;  // by the seeded bug kPlugNeverFlushed: nobody will submit them
};

// Bios that a task holds back. Lives on the stack of whoever starts it.
struct blk_plug {
  list_head bios;
  int count = 0;
};

// Takes a reference to `filp`.
bio* bio_alloc(BioOp op, file* filp, loff_t pos, size_t size);
void bio_put(bio* bio);

// Puts the bio into the current task's plug, or sends it on if there is none.
void submit_bio(bio* bio);

// Until blk_finish_plug, submit_bio holds the current task's bios back. A plug inside a plug does nothing.
void blk_start_plug(blk_plug* plug);
void blk_finish_plug(blk_plug* plug);

// Sends on what the task holds back. Called when it sleeps, too.
void blk_flush_plug(task_struct& task);

// Frees the lost bios of a device whose machine goes away. Their bi_end_io is not called. Requires: no request that
// waits for one is left.
void blk_free_lost_bios(block_device& disk);

// The letters that block tracepoints use: R, RM, W, F.
const char* Rwbs(const bio& bio);

}  // namespace aiolab

#endif  // KERNEL_MODEL_BLOCK_BLOCK_H_
