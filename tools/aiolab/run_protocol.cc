#include "tools/aiolab/run_protocol.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/simfs_spec.h"
#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

constexpr char kVersion[] = "1";

bool IsUnreserved(char c) {
  // By hand: isalnum() asks the client's locale.
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '/' || c == ':';
}

std::string PercentEncode(absl::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (IsUnreserved(c)) {
      encoded.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return encoded;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

absl::StatusOr<std::string> PercentDecode(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const int high = i + 1 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", text.substr(i, 3), "' is not '%' and two hexadecimal digits"));
    }
    decoded.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return decoded;
}

absl::Status WrongValue(absl::string_view value, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat("is '", value, "', but has to be ", wanted));
}

absl::Status ParsePath(const std::string& value, bool required, std::string& path) {
  if (value.empty() ? required : value[0] != '/') return WrongValue(value, "an absolute path");
  path = value;
  return absl::OkStatus();
}

absl::Status ParseText(const std::string& value, std::string& text) {
  text = value;
  return absl::OkStatus();
}

absl::Status ParseField(absl::string_view key, const std::string& value, RunConfig& config) {
  if (key == "version") {
    if (value != kVersion) return WrongValue(value, absl::StrCat(kVersion, ": aiolab and its preload library differ"));
    return absl::OkStatus();
  }
  if (key == "seed") {
    if (!absl::SimpleAtoi(value, &config.seed)) return WrongValue(value, "a number from 0 to 18446744073709551615");
    return absl::OkStatus();
  }
  if (key == "cpus") {
    if (!absl::SimpleAtoi(value, &config.cpus) || config.cpus < 1) return WrongValue(value, "a number of at least 1");
    return absl::OkStatus();
  }
  if (key == "clock") {
    if (value != "virtual" && value != "host") return WrongValue(value, "virtual or host");
    config.clock = value == "host" ? RunClock::kHost : RunClock::kVirtual;
    return absl::OkStatus();
  }
  if (key == "profile") {
    if (value.empty()) return WrongValue(value, "the name of a profile");
    return ParseText(value, config.profile);
  }
  if (key == "trace_format") {
    if (!value.empty() && value != "text") return WrongValue(value, "text, or nothing");
    return ParseText(value, config.trace_format);
  }
  if (key == "replay_token") return ParseText(value, config.replay_token);
  if (key == "seeded_bug") return ParseText(value, config.seeded_bug);
  if (key == "simfs") {
    const absl::Status status = value.empty() ? absl::OkStatus() : ParseSimfsSpec(value).status();
    return status.ok() ? ParseText(value, config.simfs) : WrongValue(value, status.message());
  }
  if (key == "record_writes") {
    if (value != "0" && value != "1") return WrongValue(value, "0 or 1");
    config.record_writes = value == "1";
    return absl::OkStatus();
  }
  if (key == "hang_after_s") {
    if (!absl::SimpleAtoi(value, &config.hang_after_s) || config.hang_after_s < -1) {
      return WrongValue(value, "a number of seconds, or -1");
    }
    return absl::OkStatus();
  }
  if (key == "fault_rules") return ParseText(value, config.fault_rules);
  if (key == "trace_path") return ParsePath(value, /*required=*/false, config.trace_path);
  if (key == "replay_path") return ParsePath(value, /*required=*/false, config.replay_path);
  if (key == "boot_from") return ParsePath(value, /*required=*/false, config.boot_from);
  if (key == "run_dir") return ParsePath(value, /*required=*/true, config.run_dir);
  return absl::InvalidArgumentError("is not known: aiolab and its preload library differ");
}

// Every key, in the order in which they are written.
std::vector<std::pair<std::string, std::string>> Fields(const RunConfig& config) {
  return {
      {"version", kVersion},
      {"seed", absl::StrCat(config.seed)},
      {"profile", config.profile},
      {"cpus", absl::StrCat(config.cpus)},
      {"clock", config.clock == RunClock::kHost ? "host" : "virtual"},
      {"trace_format", config.trace_format},
      {"trace_path", config.trace_path},
      {"replay_token", config.replay_token},
      {"replay_path", config.replay_path},
      {"seeded_bug", config.seeded_bug},
      {"simfs", config.simfs},
      {"fault_rules", config.fault_rules},
      {"hang_after_s", absl::StrCat(config.hang_after_s)},
      {"run_dir", config.run_dir},
      {"boot_from", config.boot_from},
      {"record_writes", config.record_writes ? "1" : "0"},
  };
}

std::string RankPath(absl::string_view run_dir, int rank) { return absl::StrCat(run_dir, "/rank.", rank); }

std::string ReportPath(absl::string_view run_dir, int rank) { return absl::StrCat(run_dir, "/report.", rank, ".json"); }

std::string RefusalPath(absl::string_view run_dir) { return absl::StrCat(run_dir, "/refused"); }

std::string OwnCommand() {
  absl::StatusOr<std::string> comm = ReadFile("/proc/self/comm");
  if (!comm.ok()) return "unknown";
  while (!comm->empty() && comm->back() == '\n') comm->pop_back();
  return *std::move(comm);
}

// A zombie, which nobody has waited for yet, has ended.
bool Runs(pid_t pid) {
  const absl::StatusOr<std::string> stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (pid <= 0 || !stat.ok()) return false;
  // "pid (command) state ..."; the command may be anything.
  const size_t state = stat->rfind(") ");
  return state != std::string::npos && state + 2 < stat->size() && (*stat)[state + 2] != 'Z' &&
         (*stat)[state + 2] != 'X';
}

}  // namespace

std::string SerializeRunConfig(const RunConfig& config) {
  return absl::StrJoin(Fields(config), "&", [](std::string* out, const auto& field) {
    absl::StrAppend(out, field.first, "=", PercentEncode(field.second));
  });
}

absl::StatusOr<RunConfig> ParseRunConfig(absl::string_view text) {
  RunConfig config;
  std::vector<std::string> seen;
  for (const absl::string_view pair : absl::StrSplit(text, '&')) {
    const size_t equals = pair.find('=');
    if (equals == absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat(kRunVariable, ": '", pair, "' is not key=value"));
    }
    const std::string key(pair.substr(0, equals));
    const absl::StatusOr<std::string> value = PercentDecode(pair.substr(equals + 1));
    absl::Status status = value.ok() ? ParseField(key, *value, config) : value.status();
    if (status.ok() && std::find(seen.begin(), seen.end(), key) != seen.end()) {
      status = absl::InvalidArgumentError("is there twice");
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(kRunVariable, ": ", key, " ", status.message()));
    }
    seen.push_back(key);
  }
  for (const auto& [key, value] : Fields(config)) {
    if (std::find(seen.begin(), seen.end(), key) == seen.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(kRunVariable, ": ", key, " is missing: only `aiolab run` sets this variable"));
    }
  }
  if (config.trace_format.empty() != config.trace_path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(kRunVariable, ": trace_format and trace_path need each other"));
  }
  return config;
}

absl::StatusOr<std::string> ReadReplayToken(const RunConfig& config) {
  if (config.replay_path.empty()) return config.replay_token;
  return ReadFile(config.replay_path);
}

absl::StatusOr<int> ClaimRank(absl::string_view run_dir) {
  const std::string claim = absl::StrCat(RawSyscall(__NR_getpid), " ", OwnCommand(), "\n");
  for (int rank = 1;; ++rank) {
    const absl::Status status = CreateFile(RankPath(run_dir, rank), claim);
    if (status.ok()) return rank;
    if (!absl::IsAlreadyExists(status)) return status;
  }
}

std::string TracePathOfRank(const RunConfig& config, int rank) {
  if (config.trace_path.empty() || rank == 1) return config.trace_path;
  return absl::StrCat(config.trace_path, ".", rank);
}

std::string TracePathOfBoot(const std::string& trace_path, int boot) {
  return trace_path.empty() || boot == 1 ? trace_path : absl::StrCat(trace_path, ".boot", boot);
}

absl::Status WriteRunReport(absl::string_view run_dir, const RunReport& report) {
  return ReplaceFile(ReportPath(run_dir, report.rank), RunReportToJson(report));
}

absl::Status WriteRefusal(absl::string_view run_dir, absl::string_view why) {
  const absl::Status status = CreateFile(RefusalPath(run_dir), why);
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

absl::Status WriteHint(absl::string_view run_dir, absl::string_view hint) {
  return AppendToFile(absl::StrCat(run_dir, "/hints"), absl::StrCat(hint, "\n"));
}

std::string ReadHints(absl::string_view run_dir, size_t offset) {
  const std::string all = ReadFile(absl::StrCat(run_dir, "/hints")).value_or("");
  return all.substr(std::min(offset, all.size()));
}

std::string ReadRefusal(absl::string_view run_dir) { return ReadFile(RefusalPath(run_dir)).value_or(""); }

std::vector<RankFiles> ReadRankFiles(absl::string_view run_dir) {
  std::vector<RankFiles> ranks;
  for (int rank = 1;; ++rank) {
    const absl::StatusOr<std::string> claim = ReadFile(RankPath(run_dir, rank));
    if (!claim.ok()) return ranks;
    RankFiles files;
    files.rank = rank;
    // A process killed between creating the file and writing to it leaves an empty claim.
    const std::pair<std::string, std::string> words =
        absl::StrSplit(absl::StripSuffix(*claim, "\n"), absl::MaxSplits(' ', 1));
    if (!absl::SimpleAtoi(words.first, &files.pid)) files.pid = 0;
    files.runs = Runs(files.pid);
    files.command = words.second.empty() ? "unknown" : words.second;
    const std::string path = ReportPath(run_dir, rank);
    const absl::StatusOr<std::string> json = ReadFile(path);
    if (!absl::IsNotFound(json.status())) {
      files.has_report = true;
      absl::StatusOr<RunReport> report = json.ok() ? RunReportFromJson(*json) : json.status();
      if (report.ok() && report->rank != rank) {
        report = absl::InvalidArgumentError(absl::StrCat("rank is ", report->rank, ", but has to be ", rank));
      }
      if (report.ok()) {
        files.report = *std::move(report);
      } else {
        files.report_error = absl::Status(report.status().code(), absl::StrCat(path, ": ", report.status().message()));
      }
    }
    ranks.push_back(std::move(files));
  }
}

std::string RecordingOfRank(absl::string_view run_dir, int rank) { return absl::StrCat(run_dir, "/writes.", rank); }

std::string RecordingTailOfRank(absl::string_view run_dir, int rank) {
  return absl::StrCat(run_dir, "/writes_tail.", rank);
}

std::string OutputPath(absl::string_view run_dir) { return absl::StrCat(run_dir, "/output"); }

}  // namespace aiolab
