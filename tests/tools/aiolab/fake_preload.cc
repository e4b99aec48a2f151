// Stands in for the preload library where the runner is under test: it speaks the run protocol, and the requests go to
// the real kernel. FAKE_PRELOAD says how it behaves:
//   refuse     the client may not start
//   finding    the first io_submit is a finding, which ends the process
//   kill       the process is killed at its first io_submit
//   garbage    its report is no JSON
//   long-token its token is a file in the run's directory
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/run_protocol.h"

namespace aiolab {
namespace {

struct State {
  RunConfig config;
  RunReport report;
  std::string trace;
};
State& state() {
  static State& state = *new State;
  return state;
}

std::string Mode() {
  const char* mode = getenv("FAKE_PRELOAD");
  return mode != nullptr ? mode : "";
}

__attribute__((constructor)) void Load() {
  const char* variable = getenv(kRunVariable);
  if (variable == nullptr) return;
  absl::StatusOr<RunConfig> config = ParseRunConfig(variable);
  if (!config.ok()) {
    fprintf(stderr, "%s\n", config.status().ToString().c_str());
    _exit(kRefusedExitStatus);
  }
  state().config = *std::move(config);
  if (Mode() == "refuse") {
    (void)WriteRefusal(state().config.run_dir, "no seeded bug 'lost-kik'; did you mean lost-kick?");
    _exit(kRefusedExitStatus);
  }
}

void Claim() {
  if (state().report.rank != 0) return;
  const absl::StatusOr<int> rank = ClaimRank(state().config.run_dir);
  if (!rank.ok()) abort();
  RunReport& report = state().report;
  report.rank = *rank;
  report.command = "fake";
  report.replayable = true;
  report.virtual_time_ns = 1'500'000;
  report.token = ReadReplayToken(state().config).value();
  if (report.token.empty()) report.token = absl::StrCat("TOKEN-OF-SEED-", state().config.seed);
  report.trace_path = TracePathOfRank(state().config, *rank);
}

void Write() {
  if (!state().report.trace_path.empty()) (void)ReplaceFile(state().report.trace_path, state().trace);
  if (Mode() == "long-token") {
    state().report.token_path = absl::StrCat(state().config.run_dir, "/token");
    (void)CreateFile(state().report.token_path, state().report.token);
    state().report.token.clear();
  }
  (void)WriteRunReport(state().config.run_dir, state().report);
  if (Mode() == "garbage") {
    (void)ReplaceFile(absl::StrCat(state().config.run_dir, "/report.", state().report.rank, ".json"), "garbage");
  }
}

__attribute__((destructor)) void Unload() {
  if (state().report.rank != 0) Write();
}

}  // namespace

extern "C" int io_setup(int nr_events, void** ctxp) {
  Claim();
  return reinterpret_cast<int (*)(int, void**)>(dlsym(RTLD_NEXT, "io_setup"))(nr_events, ctxp);
}

extern "C" int io_submit(void* ctx, long nr, void** ios) {
  State& all = state();
  if (Mode() == "kill") raise(SIGKILL);
  if (Mode() == "finding") {
    all.report.findings.push_back("a request that can never complete\n  task 1 waits for the ring");
    Write();
    _exit(kFindingExitStatus);
  }
  const int ret = reinterpret_cast<int (*)(void*, long, void**)>(dlsym(RTLD_NEXT, "io_submit"))(ctx, nr, ios);
  const uint64_t request = ++all.report.operations["PWRITE"]["ok"];
  absl::StrAppend(&all.trace, "[", 3 * request, "] 10 wal 0 sys_enter_io_submit: nr=", nr, "\n");
  absl::StrAppend(&all.trace, "[", 3 * request + 1, "] 11 wal 0 aio_submit: req=", request, " op=pwrite\n");
  if (request == 2)
    absl::StrAppend(&all.trace, "[", 3 * request + 2, "] 12 kworker 1 aio_retry: req=2 res=-EIOCBRETRY\n");
  return ret;
}

}  // namespace aiolab
