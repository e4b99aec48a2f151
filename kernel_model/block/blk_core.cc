#include "kernel_model/block/bio_fault.h"
#include "kernel_model/block/blkdev.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/kernel/fault_inject.h"

namespace aiolab {

bio* bio_alloc(block_device& bdev, blk_opf_t opf, sector_t sector, uint32_t size) {
  bio* made = new bio;
  made->bi_bdev = &bdev;
  made->bi_opf = opf;
  made->bi_sector = sector;
  made->bi_size = size;
  made->bi_id = static_cast<int64_t>(++current_kernel().stats.bios);
  return made;
}

void bio_put(bio* bio) { delete bio; }

std::string Rwbs(blk_opf_t opf) {
  std::string letters;
  if ((opf & REQ_PREFLUSH) != 0) letters += 'F';
  switch (req_op(opf)) {
    case REQ_OP_READ:
      letters += 'R';
      break;
    case REQ_OP_WRITE:
    case REQ_OP_WRITE_ZEROES:
      letters += 'W';
      break;
    case REQ_OP_FLUSH:
      letters += 'F';
      break;
    case REQ_OP_DISCARD:
      letters += 'D';
      break;
    default:
      letters += 'N';
  }
  if ((opf & REQ_FUA) != 0) letters += 'F';
  if ((opf & REQ_RAHEAD) != 0) letters += 'A';
  if ((opf & REQ_SYNC) != 0) letters += 'S';
  if ((opf & REQ_META) != 0) letters += 'M';
  return letters;
}

void submit_bio(bio* bio) {
  TRACE_EVENT("block_bio_queue", {{"bio", bio->bi_id},
                                  {"req", bio->bi_request},
                                  {"rwbs", Rwbs(bio->bi_opf)},
                                  {"sector", bio->bi_sector},
                                  {"bytes", bio->bi_size}});
  if (fault_armed(FaultSite::kBio) && fault_bio(bio)) [[unlikely]]
    return;
  blk_plug* const plug = current().plug;
  if (plug == nullptr) {
    bio->bi_bdev->submit(bio);
    return;
  }
  if (plug->count++ == 0) TRACE_EVENT("block_plug", {{"comm", current().comm}});
  list_add_tail(&bio->bi_list, &plug->bios);
}

void blk_start_plug(blk_plug* plug) {
  if (current().plug != nullptr) return;
  current().plug = plug;
  ++current_kernel().stats.plugs;
}

void blk_finish_plug(blk_plug* plug) {
  task_struct& task = current();
  if (task.plug != plug) return;
  if (task.kernel->bug != SeededBug::kPlugNeverFlushed) blk_flush_plug(task);
  // The seeded bug leaves bios behind; the plug itself is about to go.
  while (!list_empty(&plug->bios)) {
    list_head* const lost = plug->bios.next;
    list_del_init(lost);
    list_add_tail(lost, &task.kernel->disk->lost_bios);
  }
  task.plug = nullptr;
}

void blk_flush_plug(task_struct& task) {
  blk_plug* const plug = task.plug;
  if (plug == nullptr || plug->count == 0) return;
  TRACE_EVENT("block_unplug", {{"comm", task.comm}, {"nr", plug->count}});
  plug->count = 0;
  list_head bios;
  list_replace_init(&plug->bios, &bios);
  while (!list_empty(&bios)) {
    bio* const next = list_entry(bios.next, bio, bi_list);
    list_del_init(&next->bi_list);
    next->bi_bdev->submit(next);
  }
}

void blk_free_lost_bios(block_device& disk) {
  while (!list_empty(&disk.lost_bios)) {
    bio* const lost = list_entry(disk.lost_bios.next, bio, bi_list);
    list_del_init(&lost->bi_list);
    bio_put(lost);
  }
}

}  // namespace aiolab
