// Writes a file block by block with several requests in flight, then reads it back; how events are found is the
// client's.
#ifndef TESTS_CLIENTS_PIPELINE_H_
#define TESTS_CLIENTS_PIPELINE_H_

#include <functional>
#include <string>
#include <vector>

#include "tests/clients/client.h"

namespace client {

// Called when something is in flight; calls `done` for at least one event.
using Reap = std::function<void(const std::function<void(const io_event&)>& done)>;

struct PipelineConfig {
  io_context_t ctx = nullptr;
  int fd = -1;
  long blocks = 0;
  long depth = 0;
  int eventfd = -1;                       // of every request; -1 for none
  uint64_t file = 0;                      // which file's pattern
  decltype(&io_submit) submit = nullptr;  // the client's, linked or looked up
};

// One pass over the file: every block once, `depth` in flight.
inline void Pass(const PipelineConfig& config, bool writes, const Reap& reap) {
  struct Slot {
    iocb request;
    long block;
    bool in_flight;
  };
  std::vector<Slot> slots(static_cast<size_t>(config.depth));
  const Blocks memory = NewBlocks(slots.size());
  std::vector<Slot*> free_slots;
  for (Slot& slot : slots) free_slots.push_back(&slot);
  const auto memory_of = [&](const Slot* slot) { return memory.get() + (slot - slots.data()) * kBlockSize; };

  long next = 0;
  long done = 0;
  long in_flight = 0;
  const auto complete = [&](const io_event& event) {
    Slot* slot = static_cast<Slot*>(event.data);
    if (slot < slots.data() || slot >= slots.data() + slots.size() || event.obj != &slot->request) {
      Fail("an event names no request of ours");
    }
    if (!slot->in_flight) Fail("block %ld completed twice", slot->block);
    CheckEvent(event);
    if (!writes) CheckBlock(memory_of(slot), config.file, static_cast<uint64_t>(slot->block));
    slot->in_flight = false;
    free_slots.push_back(slot);
    --in_flight;
    ++done;
  };
  while (done < config.blocks) {
    std::vector<iocb*> batch;
    for (; next < config.blocks && !free_slots.empty(); ++next) {
      Slot* slot = free_slots.back();
      free_slots.pop_back();
      slot->block = next;
      slot->in_flight = true;
      char* block = memory_of(slot);
      const long long offset = static_cast<long long>(next) * static_cast<long long>(kBlockSize);
      if (writes) {
        FillBlock(block, config.file, static_cast<uint64_t>(next));
        io_prep_pwrite(&slot->request, config.fd, block, kBlockSize, offset);
      } else {
        memset(block, 0, kBlockSize);
        io_prep_pread(&slot->request, config.fd, block, kBlockSize, offset);
      }
      if (config.eventfd >= 0) io_set_eventfd(&slot->request, config.eventfd);
      slot->request.data = slot;
      batch.push_back(&slot->request);
    }
    for (size_t taken = 0; taken < batch.size();) {
      const int ret = config.submit(config.ctx, static_cast<long>(batch.size() - taken), batch.data() + taken);
      if (ret == -EAGAIN && in_flight > 0) {
        reap(complete);
        continue;
      }
      if (ret == 0) Fail("io_submit took none and gave no error");
      taken += static_cast<size_t>(Check("io_submit", ret));
      in_flight += ret;
    }
    if (in_flight > 0) reap(complete);
  }
}

inline void WriteThenRead(const PipelineConfig& config, const Reap& reap) {
  Pass(config, /*writes=*/true, reap);
  Pass(config, /*writes=*/false, reap);
}

}  // namespace client

#endif  // TESTS_CLIENTS_PIPELINE_H_
