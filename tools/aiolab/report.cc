#include "tools/aiolab/report.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"

namespace aiolab {
namespace {

// Lines behind "aiolab: ".
class Lines {
 public:
  void Add(absl::string_view line) { absl::StrAppend(&text_, "aiolab: ", line, "\n"); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

bool HasReport(const RankFiles& files) { return files.has_report && files.report_error.ok(); }

int Boots(const RunOutcome& outcome) {
  const int boots = static_cast<int>(outcome.reboots.size()) + 1;
  return std::min(boots, kBootsMax);
}

// The first processes of all boots count on: what the last one says holds for them all, if it came to its rules.
bool IsCountedLater(const RunOutcome& outcome, const RankFiles& files) {
  return files.rank == 1 && std::any_of(outcome.ranks.begin(), outcome.ranks.end(), [&files](const RankFiles& other) {
           return other.rank == 1 && other.boot > files.boot && HasReport(other) && !other.report.faults.empty();
         });
}

// The processes of the last boot that wrote a report.
bool AnyOfLastBoot(const RunOutcome& outcome, bool (*is)(const RunReport& report)) {
  return std::any_of(outcome.ranks.begin(), outcome.ranks.end(), [&](const RankFiles& files) {
    return files.boot == Boots(outcome) && HasReport(files) && is(files.report);
  });
}

std::string ClientName(const RunOutcome& outcome) {
  if (!outcome.embedded_client.empty()) return outcome.embedded_client;
  return outcome.client.empty() ? "the client" : outcome.client[0];
}

std::string ClockName(RunClock clock) { return clock == RunClock::kHost ? "host" : "virtual"; }

// "SIGINT (Interrupt)"
std::string SignalText(int signal) {
  const char* name = sigabbrev_np(signal);
  return absl::StrCat(name != nullptr ? absl::StrCat("SIG", name) : absl::StrCat("signal ", signal), " (",
                      strsignal(signal), ")");
}

std::string EndText(const ProgramEnd& end) {
  if (end.signal == 0) return absl::StrCat("ended with status ", end.status);
  return absl::StrCat("was killed by ", SignalText(end.signal), ", status ", end.ShellStatus());
}

// "12.345 ms", in the largest unit that keeps a digit before the point.
std::string TimeText(int64_t time_ns) {
  if (time_ns >= 1'000'000'000) return absl::StrFormat("%.3f s", static_cast<double>(time_ns) / 1e9);
  if (time_ns >= 1'000'000) return absl::StrFormat("%.3f ms", static_cast<double>(time_ns) / 1e6);
  return absl::StrFormat("%.3f us", static_cast<double>(time_ns) / 1e3);
}

bool IsReplay(const RunConfig& config) { return !config.replay_token.empty() || !config.replay_path.empty(); }

std::string RunText(const RunConfig& config) {
  return absl::StrCat(IsReplay(config) ? "a replay" : absl::StrCat("seed ", config.seed), ", profile ", config.profile,
                      ", ", config.cpus, config.cpus == 1 ? " CPU" : " CPUs", ", ", ClockName(config.clock), " clock",
                      config.simfs.empty() ? "" : absl::StrCat(", simfs ", config.simfs),
                      config.seeded_bug.empty() ? "" : absl::StrCat(", seeded bug ", config.seeded_bug));
}

// The flags without which the token would be refused.
std::vector<std::string> ReplayCommand(const RunOutcome& outcome, const RunReport& report) {
  const RunConfig& config = outcome.config;
  const RunConfig defaults;
  std::vector<std::string> words = outcome.program;
  words.push_back("run");
  words.push_back(report.token_path.empty() ? absl::StrCat("--replay=", report.token)
                                            : absl::StrCat("--replay=@", report.token_path));
  if (config.profile != defaults.profile) words.push_back(absl::StrCat("--profile=", config.profile));
  if (config.cpus != defaults.cpus) words.push_back(absl::StrCat("--cpus=", config.cpus));
  if (!config.seeded_bug.empty()) words.push_back(absl::StrCat("--seeded-bug=", config.seeded_bug));
  if (!config.simfs.empty()) words.push_back(absl::StrCat("--simfs=", config.simfs));
  if (!config.fault_rules.empty()) words.push_back(absl::StrCat("--fault=", config.fault_rules));
  if (outcome.embedded_client.empty()) {
    words.push_back("--");
    words.insert(words.end(), outcome.client.begin(), outcome.client.end());
  }
  return words;
}

void AddOperations(const RunReport& report, Lines& lines) {
  if (report.operations.empty()) {
    lines.Add("  no request has ended");
    return;
  }
  lines.Add(absl::StrFormat("  %-12s %-16s %8s", "operation", "result", "count"));
  for (const auto& [opcode, results] : report.operations) {
    for (const auto& [result, count] : results) lines.Add(absl::StrFormat("  %-12s %-16s %8u", opcode, result, count));
  }
}

void AddCounts(const RunReport& report, bool with_simfs, Lines& lines) {
  lines.Add(absl::StrCat("  retries ", report.retries, ", kicks ", report.kicks, ", plugs ", report.plugs, ", bios ",
                         report.bios));
  if (with_simfs) {
    const SimfsReport& simfs = report.simfs;
    lines.Add(absl::StrCat("  simfs: files ", simfs.files, ", bytes written ", simfs.bytes_written, ", disk requests ",
                           simfs.disk_requests, ", merges ", simfs.merges, ", flushes ", simfs.flushes));
  }
  lines.Add(
      absl::StrCat("  virtual time ", TimeText(report.virtual_time_ns), ", real time ", TimeText(report.real_time_ns)));
}

// Of one process: the sum over several has no one clock.
std::string WhenText(const FaultHits& fault) {
  if (fault.first_ns < 0) return "";
  if (fault.hits == 1) return absl::StrCat(", at ", TimeText(fault.first_ns));
  return absl::StrCat(", from ", TimeText(fault.first_ns), " to ", TimeText(fault.last_ns));
}

void AddFaults(const RunReport& report, Lines& lines) {
  for (const FaultHits& fault : report.faults) {
    lines.Add(absl::StrCat("  fault ", fault.rule, ": struck ", fault.hits, fault.hits == 1 ? " time" : " times",
                           " in ", fault.occasions, fault.occasions == 1 ? " occasion" : " occasions",
                           WhenText(fault)));
  }
}

void AddUnfiredFaults(const RunReport& totals, Lines& lines) {
  for (const FaultHits& fault : totals.faults) {
    if (fault.unfired_because.empty()) continue;
    lines.Add(
        absl::StrCat("WARNING: the fault rule ", fault.rule,
                     fault.hits == 0 ? " never struck: " : " did not strike to its end: ", fault.unfired_because));
  }
}

void AddReplay(const RunOutcome& outcome, const RunReport& report, Lines& lines) {
  if (!report.replayable) {
    lines.Add(absl::StrCat("  this run cannot be replayed exactly",
                           report.not_replayable_because.empty()
                               ? ""
                               : absl::StrCat(": ", absl::StrJoin(report.not_replayable_because, "; "))));
  }
  const bool has_token = !report.token.empty() || !report.token_path.empty();
  // With several processes there is a token for each, and no one command for them all.
  const bool one_process =
      std::all_of(outcome.ranks.begin(), outcome.ranks.end(), [](const RankFiles& files) { return files.rank == 1; });
  if (report.replayable && has_token && one_process) {
    lines.Add(absl::StrCat("  replay it with: ", ShellQuote(ReplayCommand(outcome, report))));
  } else if (!report.token_path.empty()) {
    lines.Add(absl::StrCat("  token in ", report.token_path));
  } else if (!report.token.empty()) {
    lines.Add(absl::StrCat("  token ", report.token));
  }
}

void AddTrace(absl::string_view path, absl::string_view what, absl::string_view error, Lines& lines) {
  if (!path.empty()) lines.Add(absl::StrCat(what, " in ", path));
  if (!error.empty()) lines.Add(absl::StrCat("  THE TRACE IS NOT WHOLE: ", error));
}

void AddProcess(const RunOutcome& outcome, const RankFiles& files, Lines& lines) {
  const std::string process = absl::StrCat(outcome.reboots.empty() ? "" : absl::StrCat("boot ", files.boot, ", "),
                                           "process ", files.rank, " (", files.command, ")");
  if (!files.has_report) {
    lines.Add(absl::StrCat(process, files.runs ? " still runs, so there is no report of it"
                                               : " was killed before it could write its report"));
    RunConfig config = outcome.config;
    config.trace_path = TracePathOfBoot(config.trace_path, files.boot);
    const std::string trace_path = TracePathOfRank(config, files.rank);
    if (!trace_path.empty() && access(trace_path.c_str(), F_OK) == 0) {
      AddTrace(trace_path, files.runs ? "  trace, without its last events," : "  trace", files.report.trace_error,
               lines);
    }
    return;
  }
  if (!files.report_error.ok()) {
    lines.Add(absl::StrCat(process, " wrote a report that cannot be read: ", files.report_error.message()));
    return;
  }
  const int killed_by = files.report.killed_by;
  lines.Add(absl::StrCat(process, killed_by == 0 ? "" : absl::StrCat(", killed by ", SignalText(killed_by)),
                         files.report.power_cut ? ", ended by a power cut" : "",
                         !files.report.interim ? ""
                         : files.runs          ? ", which still runs, when it began to wait"
                                               : ", killed before its end, when it began to wait",
                         ":"));
  AddOperations(files.report, lines);
  AddCounts(files.report, !outcome.config.simfs.empty(), lines);
  AddFaults(files.report, lines);
  for (const std::string& warning : files.report.warnings) lines.Add(absl::StrCat("  warning: ", warning));
  AddTrace(files.report.trace_path, "  trace", files.report.trace_error, lines);
  AddReplay(outcome, files.report, lines);
  for (const std::string& finding : files.report.findings) {
    lines.Add(absl::StrCat("FINDING in ", process, ":"));
    for (const absl::string_view line : absl::StrSplit(absl::StripTrailingAsciiWhitespace(finding), '\n')) {
      lines.Add(absl::StrCat("  ", line));
    }
  }
}

void AddBoots(const RunOutcome& outcome, Lines& lines) {
  for (size_t boot = 1; boot <= outcome.reboots.size(); ++boot) {
    lines.Add(absl::StrCat("  boot ", boot, " ended by the fault rule ", outcome.reboots[boot - 1]));
  }
  if (outcome.reboots.size() < kBootsMax) return;
  lines.Add(absl::StrCat("  and that was the last: ", kBootsMax,
                         " boots are the most. A rule that strikes in every boot ",
                         "never lets the client end; xN behind its when says how often at most, as in always x2"));
}

void AddNoProcess(const RunOutcome& outcome, Lines& lines) {
  if (IsReplay(outcome.config)) {
    lines.Add("the replay token was not used: a token is the run of the first process that calls io_setup");
  }
  lines.Add("no process called io_setup, so nothing ran on the emulated kernel. Likely reasons:");
  lines.Add(absl::StrCat("  - ", ClientName(outcome), " was not asked to use Linux AIO: fio needs --ioengine=libaio,"));
  lines.Add("    qemu aio=native, nginx aio on; POSIX aio_* and io_uring are other interfaces");
  lines.Add("  - it ended before it came to that: see its own messages");
  lines.Add("  - the part that does the I/O is a static or set-user-id program, or was started with another");
  lines.Add("    environment (sudo, env -i), so that LD_PRELOAD did not reach it");
}

}  // namespace

RunReport Totals(const RunOutcome& outcome) {
  RunReport totals;
  totals.command = "all processes";
  totals.replayable = true;
  for (const RankFiles& files : outcome.ranks) {
    if (!HasReport(files)) continue;
    const RunReport& report = files.report;
    for (const auto& [opcode, results] : report.operations) {
      for (const auto& [result, count] : results) totals.operations[opcode][result] += count;
    }
    totals.retries += report.retries;
    totals.kicks += report.kicks;
    totals.plugs += report.plugs;
    totals.bios += report.bios;
    // A child begins with a copy of its parent's files: the sum would count them twice.
    totals.simfs.files = std::max(totals.simfs.files, report.simfs.files);
    totals.simfs.bytes_written += report.simfs.bytes_written;
    totals.simfs.disk_requests += report.simfs.disk_requests;
    totals.simfs.merges += report.simfs.merges;
    totals.simfs.flushes += report.simfs.flushes;
    // Processes run side by side: the longest is the run's.
    totals.virtual_time_ns = std::max(totals.virtual_time_ns, report.virtual_time_ns);
    totals.real_time_ns = std::max(totals.real_time_ns, report.real_time_ns);
    totals.replayable &= report.replayable;
    totals.power_cut |= report.power_cut;
    totals.warnings.insert(totals.warnings.end(), report.warnings.begin(), report.warnings.end());
    totals.findings.insert(totals.findings.end(), report.findings.begin(), report.findings.end());
    if (IsCountedLater(outcome, files)) continue;
    for (size_t i = 0; i < report.faults.size(); ++i) {
      // Every process has the same rules.
      if (i == totals.faults.size()) totals.faults.emplace_back().rule = report.faults[i].rule;
      const FaultHits& fault = report.faults[i];
      FaultHits& total = totals.faults[i];
      // What it did to one of them is enough.
      const bool all_struck = total.hits > 0 && total.unfired_because.empty();
      if (!all_struck && (fault.hits > 0 || total.hits == 0)) total.unfired_because = fault.unfired_because;
      total.occasions += fault.occasions;
      total.hits += fault.hits;
    }
  }
  return totals;
}

bool EndedByPowerCut(const RunOutcome& outcome) {
  return outcome.end.signal == 0 && outcome.end.status == kPowerCutExitStatus &&
         AnyOfLastBoot(outcome, [](const RunReport& report) { return report.power_cut; });
}

bool EndedByFinding(const RunOutcome& outcome) {
  return outcome.end.signal == 0 && outcome.end.status == kFindingExitStatus &&
         AnyOfLastBoot(outcome, [](const RunReport& report) { return !report.findings.empty(); });
}

int ExitStatus(const RunOutcome& outcome) {
  if (!outcome.refusal.empty()) return kRefusedExitStatus;
  return outcome.end.ShellStatus();  // kFindingExitStatus and kPowerCutExitStatus among them
}

std::string ShellQuote(const std::vector<std::string>& words) {
  return absl::StrJoin(words, " ", [](std::string* out, const std::string& word) {
    const bool is_plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
      return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
             absl::string_view("-_./:=@,+%").find(c) != std::string::npos;
    });
    absl::StrAppend(out, is_plain ? word : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'"));
  });
}

std::string TextReport(const RunOutcome& outcome) {
  Lines lines;
  if (!outcome.refusal.empty()) {
    for (const absl::string_view line : absl::StrSplit(absl::StripTrailingAsciiWhitespace(outcome.refusal), '\n')) {
      lines.Add(line);
    }
    return lines.text();
  }
  lines.Add(absl::StrCat(
      ClientName(outcome), " ",
      EndedByFinding(outcome)    ? absl::StrCat("was ended by a finding (status ", kFindingExitStatus, ")")
      : EndedByPowerCut(outcome) ? absl::StrCat("was ended by a power cut (status ", kPowerCutExitStatus, ")")
                                 : EndText(outcome.end),
      "; ", RunText(outcome.config)));
  AddBoots(outcome, lines);
  if (outcome.ranks.empty()) AddNoProcess(outcome, lines);
  for (const RankFiles& files : outcome.ranks) AddProcess(outcome, files, lines);
  const auto reports = std::count_if(outcome.ranks.begin(), outcome.ranks.end(), HasReport);
  if (reports > 1) {
    const RunReport totals = Totals(outcome);
    lines.Add(absl::StrCat("all ", reports, " processes together:"));
    AddOperations(totals, lines);
    AddCounts(totals, !outcome.config.simfs.empty(), lines);
    AddFaults(totals, lines);
  }
  AddUnfiredFaults(Totals(outcome), lines);
  return lines.text();
}

std::string NotesReport(const RunOutcome& outcome) {
  const RunReport totals = Totals(outcome);
  Lines lines;
  AddFaults(totals, lines);
  for (const RankFiles& files : outcome.ranks) {
    if (!HasReport(files)) continue;
    for (const std::string& warning : files.report.warnings) {
      lines.Add(absl::StrCat("WARNING: process ", files.rank, " (", files.command, "): ", warning));
    }
  }
  AddUnfiredFaults(totals, lines);
  return lines.text();
}

std::string JsonReport(const RunOutcome& outcome) {
  using Json = nlohmann::json;
  const RunConfig& config = outcome.config;
  Json processes = Json::array();
  for (const RankFiles& files : outcome.ranks) {
    if (HasReport(files)) {
      Json process = Json::parse(RunReportToJson(files.report));
      process["has_report"] = true;
      process["boot"] = files.boot;
      processes.push_back(std::move(process));
    } else {
      Json process = {{"rank", files.rank}, {"boot", files.boot}, {"command", files.command}, {"has_report", false}};
      if (files.has_report) process["error"] = std::string(files.report_error.message());
      processes.push_back(std::move(process));
    }
  }
  const RunReport totals = Totals(outcome);
  Json json = {
      {"client", outcome.client},
      {"exit_status", ExitStatus(outcome)},
      {"client_status", outcome.end.signal == 0 ? Json(outcome.end.status) : Json(nullptr)},
      {"client_signal", outcome.end.signal == 0 ? Json(nullptr) : Json(outcome.end.signal)},
      {"ended_by_finding", EndedByFinding(outcome)},
      {"ended_by_power_cut", EndedByPowerCut(outcome)},
      {"boots", Boots(outcome)},
      {"reboots", outcome.reboots},
      {"refusal", outcome.refusal},
      {"config",
       {{"seed", config.seed},
        {"profile", config.profile},
        {"cpus", config.cpus},
        {"clock", ClockName(config.clock)},
        {"replay", IsReplay(config)},
        {"simfs", config.simfs},
        {"seeded_bug", config.seeded_bug},
        {"fault_rules", config.fault_rules}}},
      {"processes", std::move(processes)},
      {"totals",
       {{"operations", totals.operations},
        {"retries", totals.retries},
        {"kicks", totals.kicks},
        {"plugs", totals.plugs},
        {"bios", totals.bios},
        {"simfs",
         {{"files", totals.simfs.files},
          {"bytes_written", totals.simfs.bytes_written},
          {"disk_requests", totals.simfs.disk_requests},
          {"merges", totals.simfs.merges},
          {"flushes", totals.simfs.flushes}}},
        {"warnings", totals.warnings.size()},
        {"virtual_time_ns", totals.virtual_time_ns},
        {"real_time_ns", totals.real_time_ns},
        {"findings", totals.findings.size()},
        {"faults", Json::parse(RunReportToJson(totals))["faults"]}}},
  };
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

}  // namespace aiolab
