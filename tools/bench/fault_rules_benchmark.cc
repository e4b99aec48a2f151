// What fault rules cost a request that none of them strikes, from io_submit to io_getevents: a read of a cached page,
// the cheapest request that there is, and one of a block of the disk.
//
//   bazel run -c opt //tools/bench:fault_rules_benchmark -- --benchmark_repetitions=9
//       --benchmark_report_aggregates_only=true --benchmark_enable_random_interleaving=true
//
// kernel_model/FAULTS.md has the ratios to no_rule.
#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "kernel_model/sim/fault_parser.h"

namespace aiolab {
namespace {

constexpr int kRules = 50;
constexpr size_t kBlock = 4096;

// What a run that waits for rare events has: rules of every kind, about every place, each with a filter or a count that
// does not fit yet.
std::string Mixed() {
  static constexpr const char* kMixed[] = {
      "submit=nth(1000000000000):short(1)",
      "submit_one[path=*.wal]=always:einval",
      "complete[op=write]=1in(50):eio",
      "complete[path=/var/lib/*.db]=every(3):short(512)",
      "complete[off=1g..2g]=nth(2):bad-sector",
      "getevents=after(1000000000000):eintr",
      "bio[op=write]=1in(20):eio",
      "device=at(1000s):bad-sector",
      "fsync=nth(2):eio",
      "page[path=*.wal]=nth(3):eio",
  };
  std::string rules;
  for (int i = 0; i < kRules; ++i) absl::StrAppend(&rules, i == 0 ? "" : ",", kMixed[i % std::size(kMixed)]);
  return rules;
}

std::string Copies(const std::string& rule, int count) {
  std::string rules;
  for (int i = 0; i < count; ++i) absl::StrAppend(&rules, i == 0 ? "" : ",", rule);
  return rules;
}

void Read(benchmark::State& state, int flags, const std::string& rules) {
  MachineOptions options;
  SeededChooser chooser(7);
  options.chooser = &chooser;
  if (!rules.empty()) options.fault_rules = *ParseFaultRules(rules, {.released_by_test = true});
  Machine machine(options);
  EmulatedSyscalls kernel(machine);
  aio_context_t ctx = 0;
  const long fd = kernel.openat(AT_FDCWD, "data", O_RDWR | O_CREAT | flags, 0600);
  alignas(kBlock) char buffer[kBlock] = {};
  if (kernel.io_setup(8, &ctx) != 0 || kernel.pwrite64(static_cast<int>(fd), buffer, kBlock, 0) != kBlock) abort();
  iocb read = {};
  read.aio_lio_opcode = IOCB_CMD_PREAD;
  read.aio_fildes = static_cast<uint32_t>(fd);
  read.aio_buf = reinterpret_cast<uint64_t>(buffer);
  read.aio_nbytes = kBlock;
  iocb* batch[] = {&read};
  for (auto _ : state) {
    io_event event;
    if (kernel.io_submit(ctx, 1, batch) != 1 || kernel.io_getevents(ctx, 1, 1, &event, nullptr) != 1) abort();
  }
  for (const FaultRuleCounts& counts : machine.FaultCounts()) {
    if (counts.hits > 1) abort();  // chance may have it once
  }
}

void Cached(benchmark::State& state, const std::string& rules) { Read(state, 0, rules); }
void Direct(benchmark::State& state, const std::string& rules) { Read(state, O_DIRECT, rules); }

// Fifty at the same place: what does not fit the file, what only counts, and what waits for its chance.
#define BENCHMARK_RULES(read)                                                                 \
  BENCHMARK_CAPTURE(read, no_rule, "");                                                       \
  BENCHMARK_CAPTURE(read, one_rule_elsewhere, "cancel=always:einval");                        \
  BENCHMARK_CAPTURE(read, fifty_mixed, Mixed());                                              \
  BENCHMARK_CAPTURE(read, fifty_misfits, Copies("complete[path=*.wal]=always:eio", kRules));  \
  BENCHMARK_CAPTURE(read, fifty_counters, Copies("complete=nth(1000000000000):eio", kRules)); \
  BENCHMARK_CAPTURE(read, fifty_by_chance, Copies("complete=1in(4000000000):delay(1us)", kRules))
BENCHMARK_RULES(Cached);
BENCHMARK_RULES(Direct);

}  // namespace
}  // namespace aiolab
