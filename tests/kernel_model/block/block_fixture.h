// A machine with a client inside it, and devices that hold their requests until the test ends them.
//
//   HeldDevice disk(kernel(), {.max_sectors = 64}, /*queue_depth=*/4);
//   Bio a = Send(disk, REQ_OP_WRITE, /*sector=*/0, /*sectors=*/8);
//   EXPECT_THAT(disk.Held(), ElementsAre("W 0+8"));
//   disk.End(0);
//   EXPECT_EQ(a->status, 0);
#ifndef TESTS_KERNEL_MODEL_BLOCK_BLOCK_FIXTURE_H_
#define TESTS_KERNEL_MODEL_BLOCK_BLOCK_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/block/blk_mq.h"
#include "kernel_model/machine.h"

namespace aiolab {

class HeldDevice : public block_device {
 public:
  HeldDevice(kernel_state& kernel, const queue_limits& limits, unsigned queue_depth, const char* elevator = "none",
             unsigned nr_requests = 0)
      : kernel_(kernel), queue_(kernel, *this, limits, queue_depth, elevator, nr_requests) {
    bd_queue = &queue_;
    bd_nr_sectors = uint64_t{1} << 40;
  }
  ~HeldDevice() override { blk_mq_forget_requests(queue_, bio_put); }

  void queue_rq(request* rq) override {
    held_.push_back(rq);
    seen_.push_back(Describe(*rq));
  }

  // What is at the device now, and what has ever been: "W 0+8", the letters as in traces.
  std::vector<std::string> Held() const {
    std::vector<std::string> held;
    for (const request* rq : held_) held.push_back(Describe(*rq));
    return held;
  }
  const std::vector<std::string>& seen() const { return seen_; }

  void End(size_t index, int error = 0) {
    ScopedCurrent in_interrupt(kernel_.irq);
    request* const rq = held_[index];
    held_.erase(held_.begin() + static_cast<ptrdiff_t>(index));
    blk_mq_end_request(rq, error);
  }
  void EndAll() {
    while (!held_.empty()) End(0);
  }

  request_queue& queue() { return queue_; }

 private:
  static std::string Describe(const request& rq) {
    return absl::StrCat(Rwbs(rq.cmd_flags), " ", blk_rq_pos(&rq), "+", blk_rq_sectors(&rq));
  }

  kernel_state& kernel_;
  request_queue queue_;
  std::vector<request*> held_;
  std::vector<std::string> seen_;
};

class BlockTest : public testing::Test {
 protected:
  struct Ended {
    int times = 0;
    int status = 0;
    sector_t sector = 0;
    uint32_t size = 0;
  };
  using Bio = std::shared_ptr<Ended>;

  explicit BlockTest(SeededBug bug = SeededBug::kNone)
      : machine_({.chooser = &chooser_, .bug = bug, .trace_sink = &sink_}), entry_(machine_, nullptr) {}

  kernel_state& kernel() { return machine_.kernel(); }

  Bio Send(block_device& bdev, blk_opf_t opf, sector_t sector, uint32_t sectors) {
    auto ended = std::make_shared<Ended>();
    bio* const made = bio_alloc(bdev, opf, sector, sectors << SECTOR_SHIFT);
    made->bi_private = new Bio(ended);
    made->bi_end_io = [](struct bio* bio) {
      const std::unique_ptr<Bio> state(static_cast<Bio*>(bio->bi_private));
      ++(*state)->times;
      (*state)->status = bio->bi_status;
      (*state)->sector = bio->bi_sector;
      (*state)->size = bio->bi_size;
      bio_put(bio);
    };
    submit_bio(made);
    return ended;
  }

  // The bio of a request that is forgotten.
  static void Drop(bio* dropped) {
    delete static_cast<Bio*>(dropped->bi_private);
    ++dropped_;
    bio_put(dropped);
  }

  // Lets workers run.
  void RunFor(int64_t ns) {
    const int64_t until_ns = machine_.NowNs() + ns;
    wait_queue_head nobody;
    wait_event(
        nobody, [&] { return machine_.NowNs() >= until_ns; }, until_ns);
  }

  // Does `what` as an interrupt, which may not sleep.
  template <typename What>
  void InInterrupt(const What& what) {
    ScopedCurrent in_interrupt(kernel().irq);
    what();
  }

  // The trace so far.
  const std::string& Trace() {
    sink_.Flush();
    return trace_;
  }

  static inline int dropped_ = 0;

 private:
  std::string trace_;
  TextTraceSink sink_{[this](absl::string_view lines) { trace_.append(lines.data(), lines.size()); }};
  SeededChooser chooser_{7};
  Machine machine_;
  Machine::Entry entry_;
};

}  // namespace aiolab

#endif  // TESTS_KERNEL_MODEL_BLOCK_BLOCK_FIXTURE_H_
