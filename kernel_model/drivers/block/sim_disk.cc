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
  const SimDiskLatency& latency = bio->op == BioOp::kFlush   ? parameters_.flush
                                  : bio->op == BioOp::kWrite ? parameters_.write
                                                             : parameters_.read;
  const char* const site = bio->op == BioOp::kFlush   ? "sim_disk/flush"
                           : bio->op == BioOp::kWrite ? "sim_disk/write"
                                                      : "sim_disk/read";
  const uint32_t quantile = kernel_.chooser.Choose(Choice::kLatency, kQuantiles, site);
  const int64_t takes_ns = latency.fixed_ns + latency.mean_ns * kExponential[quantile] / 1000;
  TRACE_EVENT("block_rq_issue", {{"bio", bio->bi_id},
                                 {"req", bio->bi_request},
                                 {"rwbs", Rwbs(*bio)},
                                 {"bytes", bio->bi_size},
                                 {"takes_ns", takes_ns}});
  bio->bi_completion.run = Complete;
  kernel_.executor.At(bio->bi_completion, kernel_.executor.NowNs() + takes_ns);
}

void SimDisk::Complete(Executor::Event& event) {
  const auto& completion = static_cast<bio::Completion&>(event);
  bio* const done = completion.owner;
  ScopedCurrent in_interrupt(completion.kernel->irq);
  TRACE_EVENT("block_rq_complete", {{"bio", done->bi_id}, {"req", done->bi_request}, {"error", done->bi_status}});
  done->bi_end_io(done);
}

}  // namespace aiolab
