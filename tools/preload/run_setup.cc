#include "tools/preload/run_setup.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernel_model/profile.h"
#include "kernel_model/sim/fault_parser.h"
#include "kernel_model/sim/seeded_bug.h"
#include "tools/preload/process.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

template <typename Entries>
std::string NamesOf(const Entries& entries) {
  return absl::StrJoin(entries, ", ", [](std::string* out, const auto& entry) { absl::StrAppend(out, entry.name); });
}

void CheckNames(const RunConfig& config) {
  if (FindProfile(config.profile) == nullptr) {
    RefuseRun(config.run_dir,
              absl::StrCat("there is no profile '", config.profile, "'; there are ", NamesOf(kProfiles)));
  }
  if (!config.seeded_bug.empty() && FindSeededBug(config.seeded_bug) == nullptr) {
    RefuseRun(config.run_dir,
              absl::StrCat("there is no seeded bug '", config.seeded_bug, "'; there are ", NamesOf(kSeededBugs)));
  }
}

// Without fault rules and simulated files a token is as it was before there were any.
std::string RulesForToken(const RunSetup& run) {
  std::string rules = run.config.seeded_bug;
  if (!run.config.fault_rules.empty()) absl::StrAppend(&rules, ";", run.config.fault_rules);
  if (run.simfs != nullptr) {
    // Where the host has its directories may differ.
    SimfsSpec named = *run.simfs;
    if (!named.from.empty()) named.from = "DIR";
    if (!named.to.empty()) named.to = "DIR";
    absl::StrAppend(&rules, rules.empty() ? "" : " ", "simfs=", SimfsSpecText(named));
  }
  return rules;
}

void ReadToken(RunSetup& run) {
  absl::StatusOr<std::string> token = ReadReplayToken(run.config);
  if (!token.ok()) RefuseRun(run.config.run_dir, token.status().message());
  run.replay_token = *std::move(token);
  if (run.replay_token.empty()) return;
  const absl::StatusOr<Chooser::Recording> recording = DecodeReplayToken(run.replay_token, run.identity);
  if (!recording.ok()) RefuseRun(run.config.run_dir, recording.status().message());
}

}  // namespace

const RunSetup* ReadRunSetup(const char* variable) {
  absl::StatusOr<RunConfig> parsed = ParseRunConfig(variable);
  if (!parsed.ok()) {
    const std::string line = absl::StrCat("aiolab: ", kRunVariable, ": ", parsed.status().message(), "\n");
    RawSyscall(__NR_write, 2, line.data(), line.size());
    ExitNow(kRefusedExitStatus);
  }
  auto* const run = new RunSetup;
  run->config = *std::move(parsed);
  const RunConfig& config = run->config;
  CheckNames(config);
  if (!config.simfs.empty()) {
    run->simfs = std::make_unique<SimfsSpec>(*ParseSimfsSpec(config.simfs));  // ParseRunConfig has looked at it
  }
  if (!config.fault_rules.empty()) {
    absl::StatusOr<std::vector<FaultRule>> rules = ParseFaultRules(config.fault_rules);
    if (!rules.ok()) RefuseRun(config.run_dir, absl::StrCat("fault rules: ", rules.status().message()));
    run->fault_rules = *std::move(rules);
  }
  if (!config.boot_from.empty()) {
    absl::StatusOr<BootRecord> boot = ReadBootRecord(config.boot_from, /*disks=*/false);
    if (!boot.ok()) RefuseRun(config.run_dir, boot.status().message());
    run->boot = std::make_unique<BootRecord>(*std::move(boot));
  }
  run->identity = RunIdentity{config.profile, config.cpus, RulesForToken(*run)};
  ReadToken(*run);
  return run;
}

void RefuseRun(const std::string& run_dir, absl::string_view why) {
  (void)WriteRefusal(run_dir, why);
  ExitNow(kRefusedExitStatus);
}

}  // namespace aiolab::preload
