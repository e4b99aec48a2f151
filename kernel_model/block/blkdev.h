// Devices, and the plug that holds bios back until a batch is complete.
//
// Mirrors: include/linux/blkdev.h, block/blk-core.c.
// Differs: a bio is its own request: nothing is merged yet, and there is no request queue between plug and device.
#ifndef KERNEL_MODEL_BLOCK_BLKDEV_H_
#define KERNEL_MODEL_BLOCK_BLKDEV_H_

#include "kernel_model/block/bio.h"
#include "kernel_model/kernel/list.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab {

// Something that bios can be sent to.
struct block_device {
  virtual ~block_device() = default;
  // Takes the bio; its bi_end_io will be called once.
  virtual void submit(bio* bio) = 0;

  list_head lost_bios;  // by the seeded bug kPlugNeverFlushed: nobody will submit them
};

// Bios that a task holds back. Lives on the stack of whoever starts it.
struct blk_plug {
  list_head bios;
  int count = 0;
};

// Until blk_finish_plug, submit_bio holds the current task's bios back. A plug inside a plug does nothing.
void blk_start_plug(blk_plug* plug);
void blk_finish_plug(blk_plug* plug);

// Sends on what the task holds back. Called when it sleeps, too.
void blk_flush_plug(task_struct& task);

// Frees the lost bios of a device whose machine goes away. Their bi_end_io is not called. Requires: no request that
// waits for one is left.
void blk_free_lost_bios(block_device& disk);

}  // namespace aiolab

#endif  // KERNEL_MODEL_BLOCK_BLKDEV_H_
