#include <memory>

#include "kernel_model/block/block.h"

namespace aiolab {

block_device::~block_device() {
  while (!list_empty(&free_bios)) {
    bio* const freed = list_entry(free_bios.next, bio, bi_plug_entry);
    list_del_init(&freed->bi_plug_entry);
    delete freed;
  }
}

bio* bio_alloc(BioOp op, file* filp, loff_t pos, size_t size) {
  list_head& free_bios = current_kernel().disk->free_bios;
  bio* made;
  if (list_empty(&free_bios)) {
    made = new bio;
  } else {
    made = list_entry(free_bios.next, bio, bi_plug_entry);
    list_del_init(&made->bi_plug_entry);
    std::destroy_at(made);
    new (made) bio;
  }
  made->op = op;
  made->bi_file = get_file(filp);
  made->bi_pos = pos;
  made->bi_size = size;
  made->bi_id = static_cast<int64_t>(++current_kernel().stats.bios);
  made->bi_completion.owner = made;
  made->bi_completion.kernel = &current_kernel();
  return made;
}

void bio_put(bio* bio) {
  fput(bio->bi_file);
  list_add(&bio->bi_plug_entry, &bio->bi_completion.kernel->disk->free_bios);
}

const char* Rwbs(const bio& bio) {
  switch (bio.op) {
    case BioOp::kRead:
      return "R";
    case BioOp::kReadMeta:
      return "RM";
    case BioOp::kWrite:
      return "W";
    case BioOp::kFlush:
      return "F";
  }
  return "?";
}

void submit_bio(bio* bio) {
  TRACE_EVENT("block_bio_queue", {{"bio", bio->bi_id},
                                  {"req", bio->bi_request},
                                  {"rwbs", Rwbs(*bio)},
                                  {"file", bio->bi_file->f_id},
                                  {"pos", bio->bi_pos},
                                  {"bytes", bio->bi_size}});
  blk_plug* const plug = current().plug;
  if (plug == nullptr) {
    current_kernel().disk->submit(bio);
    return;
  }
  if (plug->count++ == 0) TRACE_EVENT("block_plug", {{"comm", current().comm}});
  list_add_tail(&bio->bi_plug_entry, &plug->bios);
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
    bio* const next = list_entry(bios.next, bio, bi_plug_entry);
    list_del_init(&next->bi_plug_entry);
    task.kernel->disk->submit(next);
  }
}

void blk_free_lost_bios(block_device& disk) {
  while (!list_empty(&disk.lost_bios)) {
    bio* const lost = list_entry(disk.lost_bios.next, bio, bi_plug_entry);
    list_del_init(&lost->bi_plug_entry);
    bio_put(lost);
  }
}

}  // namespace aiolab
