#include "kernel_model/drivers/block/sim_disk.h"

namespace aiolab {
namespace {

// 64 quantiles of the exponential distribution with mean 1000. A table, so that a latency does not depend on a
// mathematics library.
constexpr uint32_t kQuantiles = 64;
constexpr int64_t kExponential[kQuantiles] = {
    8,    24,   40,   56,   73,   90,   107,  125,  143,  161,  179,  198,  217,  237,  257,  277,
    298,  319,  341,  363,  386,  409,  433,  458,  483,  508,  535,  562,  589,  618,  647,  678,
    709,  741,  774,  809,  845,  882,  920,  960,  1002, 1045, 1091, 1138, 1188, 1241, 1297, 1356,
    1418, 1485, 1556, 1633, 1717, 1808, 1908, 2019, 2144, 2287, 2454, 2655, 2906, 3243, 3753, 4852};

}  // namespace

void SimDisk::submit(bio* bio) {
  const blk_opf_t op = req_op(bio->bi_opf);
  const SimDiskLatency& latency = op == REQ_OP_FLUSH   ? parameters_.flush
                                  : op == REQ_OP_WRITE ? parameters_.write
                                                       : parameters_.read;
  const char* const site = op == REQ_OP_FLUSH   ? "sim_disk/flush"
                           : op == REQ_OP_WRITE ? "sim_disk/write"
                                                : "sim_disk/read";
  const uint32_t quantile = kernel_.chooser.Choose(Choice::kLatency, kQuantiles, site);
  const int64_t takes_ns = latency.fixed_ns + latency.mean_ns * kExponential[quantile] / 1000;
  TRACE_EVENT("block_rq_issue", {{"bio", bio->bi_id},
                                 {"req", bio->bi_request},
                                 {"rwbs", Rwbs(bio->bi_opf)},
                                 {"sector", bio->bi_sector},
                                 {"bytes", bio->bi_size},
                                 {"takes_ns", takes_ns}});
  std::unique_ptr<Completion> completion;
  if (idle_completions_.empty()) {
    completion = std::make_unique<Completion>();
    completion->disk = this;
    completion->run = Complete;
  } else {
    completion = std::move(idle_completions_.back());
    idle_completions_.pop_back();
  }
  completion->done = bio;
  kernel_.executor.At(*completion.release(), kernel_.executor.NowNs() + takes_ns);
}

void SimDisk::Complete(Executor::Event& event) {
  auto& completion = static_cast<Completion&>(event);
  SimDisk& disk = *completion.disk;
  bio* const done = completion.done;
  disk.idle_completions_.emplace_back(&completion);
  ScopedCurrent in_interrupt(disk.kernel_.irq);
  TRACE_EVENT("block_rq_complete", {{"bio", done->bi_id}, {"req", done->bi_request}, {"error", done->bi_status}});
  done->bi_end_io(done);
}

}  // namespace aiolab
