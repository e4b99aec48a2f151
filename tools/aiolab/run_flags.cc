#include "tools/aiolab/run_flags.h"

#include <unistd.h>

#include <algorithm>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "kernel_model/profile.h"
#include "kernel_model/sim/fault_parser.h"
#include "kernel_model/sim/nearest_word.h"
#include "kernel_model/sim/seeded_bug.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/simfs_spec.h"

namespace aiolab {

// The types of the flags: each knows what is wrong with a value. Abseil finds AbslParseFlag and AbslUnparseFlag by the
// type's namespace, so they cannot be in an anonymous one.

struct SeedFlag {
  uint64_t seed = 1;
};

bool AbslParseFlag(absl::string_view text, SeedFlag* flag, std::string* error) {
  if (absl::SimpleAtoi(text, &flag->seed)) return true;
  *error = "a seed is a whole number from 0 to 18446744073709551615";
  return false;
}

std::string AbslUnparseFlag(const SeedFlag& flag) { return absl::StrCat(flag.seed); }

// What people type for a word of ours that is spelled quite differently.
using WordPairs = std::vector<std::pair<const char*, const char*>>;

// One of a few words, listed by Words::All().
template <typename Words>
struct WordFlag {
  std::string word = Words::Default();
};

template <typename Words>
bool AbslParseFlag(absl::string_view text, WordFlag<Words>* flag, std::string* error) {
  const std::vector<std::string>& words = Words::All();
  if (std::find(words.begin(), words.end(), text) != words.end()) {
    flag->word = std::string(text);
    return true;
  }
  std::string nearest = NearestWord(text, words);
  for (const auto& [other, ours] : Words::Synonyms()) {
    if (nearest.empty() && text == other) nearest = ours;
  }
  *error = absl::StrCat(nearest.empty() ? absl::StrCat("there is no '", text, "'; there are ")
                                        : absl::StrCat("did you mean ", nearest, "? There are "),
                        absl::StrJoin(words, ", "));
  return false;
}

template <typename Words>
std::string AbslUnparseFlag(const WordFlag<Words>& flag) {
  return flag.word;
}

struct ProfileWords {
  static const std::vector<std::string>& All() { return ProfileNames(); }
  static std::string Default() { return std::string(kDefaultProfile.name); }
  static WordPairs Synonyms() {
    return {{"linux", "mainline"}, {"linux-6.18", "mainline"}, {"upstream", "mainline"}, {"default", "retry"}};
  }
};

struct ClockWords {
  static const std::vector<std::string>& All() {
    static const auto& words = *new std::vector<std::string>{"virtual", "host"};
    return words;
  }
  static std::string Default() { return "virtual"; }
  static WordPairs Synonyms() {
    return {{"real", "host"}, {"wall", "host"}, {"system", "host"}, {"model", "virtual"}, {"simulated", "virtual"}};
  }
};

struct ReportWords {
  static const std::vector<std::string>& All() {
    static const auto& words = *new std::vector<std::string>{"text", "json"};
    return words;
  }
  static std::string Default() { return "text"; }
  static WordPairs Synonyms() {
    return {{"xml", "json"}, {"yaml", "json"}, {"csv", "json"}, {"txt", "text"}, {"human", "text"}, {"plain", "text"}};
  }
};

struct CpusFlag {
  int cpus = 4;
};

bool AbslParseFlag(absl::string_view text, CpusFlag* flag, std::string* error) {
  constexpr int kCpusMax = 8192;  // NR_CPUS of the largest distribution kernels
  if (text == "host") {
    // Possible CPUs, not online ones: they are what io_setup sizes the ring by.
    flag->cpus = CountCpuList(ReadFile("/sys/devices/system/cpu/possible").value_or(""));
    if (flag->cpus == 0) flag->cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_CONF));
    return true;
  }
  if (absl::SimpleAtoi(text, &flag->cpus) && flag->cpus >= 1 && flag->cpus <= kCpusMax) return true;
  *error = absl::StrCat("it has to be a number from 1 to ", kCpusMax, ", or the word host for as many as this machine");
  return false;
}

std::string AbslUnparseFlag(const CpusFlag& flag) { return absl::StrCat(flag.cpus); }

struct TraceFlag {
  std::string path;
};

bool AbslParseFlag(absl::string_view text, TraceFlag* flag, std::string* error) {
  const size_t colon = text.find(':');
  const absl::string_view format = text.substr(0, colon);
  if (text.empty() || colon == absl::string_view::npos) {
    *error = absl::StrCat("it has to be a format and a file, as in --trace=text:", text.empty() ? "FILE" : text);
    return false;
  }
  if (format != "text") {
    *error = absl::StrCat("there is no trace format '", format, "'; did you mean --trace=text:", text.substr(colon + 1),
                          "? There is text");
    return false;
  }
  flag->path = std::string(text.substr(colon + 1));
  if (flag->path.empty()) {
    *error = "the name of the file is missing after 'text:'";
    return false;
  }
  return true;
}

std::string AbslUnparseFlag(const TraceFlag& flag) { return flag.path.empty() ? "" : absl::StrCat("text:", flag.path); }

struct ReplayFlag {
  std::string token_or_file;
};

bool AbslParseFlag(absl::string_view text, ReplayFlag* flag, std::string* error) {
  if (text.empty() || text == "@") {
    *error = "it has to be a token that an earlier run printed, or @ and the name of the file that holds it";
    return false;
  }
  flag->token_or_file = std::string(text);
  return true;
}

std::string AbslUnparseFlag(const ReplayFlag& flag) { return flag.token_or_file; }

struct SeededBugWords {
  static const std::vector<std::string>& All() {
    static const auto& words = *new std::vector<std::string>([] {
      std::vector<std::string> all;
      for (const SeededBugEntry& entry : kSeededBugs) all.emplace_back(entry.name);
      return all;
    }());
    return words;
  }
  static std::string Default() { return "none"; }
  static WordPairs Synonyms() { return {{"no", "none"}, {"off", "none"}, {"false", "none"}}; }
};

struct SimfsFlag {
  std::string spec;
};

bool AbslParseFlag(absl::string_view text, SimfsFlag* flag, std::string* error) {
  const absl::StatusOr<SimfsSpec> spec = ParseSimfsSpec(text);
  if (spec.ok()) {
    flag->spec = SimfsSpecText(*spec);
  } else {
    *error = std::string(spec.status().message());
  }
  return spec.ok();
}

std::string AbslUnparseFlag(const SimfsFlag& flag) { return flag.spec; }

struct PathFlag {
  std::string path;
};

bool AbslParseFlag(absl::string_view text, PathFlag* flag, std::string* error) {
  flag->path = std::string(text);
  if (!text.empty()) return true;
  *error = "it has to be the name of a file";
  return false;
}

std::string AbslUnparseFlag(const PathFlag& flag) { return flag.path; }

struct HangAfterFlag {
  int seconds = -1;
};

bool AbslParseFlag(absl::string_view text, HangAfterFlag* flag, std::string* error) {
  if (absl::SimpleAtoi(text, &flag->seconds) && flag->seconds >= 0) return true;
  *error = "it has to be a whole number of seconds, or 0 for never";
  return false;
}

std::string AbslUnparseFlag(const HangAfterFlag& flag) { return flag.seconds < 0 ? "" : absl::StrCat(flag.seconds); }

struct FaultFlag {
  std::vector<std::string> rules;  // each --fault adds to those before it
};

bool AbslParseFlag(absl::string_view text, FaultFlag* flag, std::string* error) {
  const absl::StatusOr<std::vector<FaultRule>> parsed = ParseFaultRules(text, {.released_by_test = true});
  if (parsed.ok()) {
    flag->rules.emplace_back(text);
    return true;
  }
  *error = std::string(parsed.status().message());
  return false;
}

std::string AbslUnparseFlag(const FaultFlag& flag) { return absl::StrJoin(flag.rules, ","); }

}  // namespace aiolab

ABSL_FLAG(
    aiolab::SeedFlag, seed, aiolab::SeedFlag(),
    "Where the run's choices come from: who runs next, how long the disk takes, which completion lands first. The "
    "same seed gives the same run.");
ABSL_FLAG(aiolab::WordFlag<aiolab::ProfileWords>, profile, {},
          "Which kernel the client sees. retry: today's interface, buffered I/O asynchronous by retries. mainline: "
          "buffered I/O completes inside io_submit, as in Linux 6.");
ABSL_FLAG(aiolab::CpusFlag, cpus, aiolab::CpusFlag(),
          "The CPUs of the emulated machine; io_setup sizes rings by them. host: as many as this machine can have.");
ABSL_FLAG(aiolab::WordFlag<aiolab::ClockWords>, clock, {},
          "virtual: clocks, sleeps and timeouts in the client are the model's, and a run can be replayed. host: the "
          "model's timers use the real clock.");
ABSL_FLAG(
    aiolab::TraceFlag, trace, aiolab::TraceFlag(),
    "Write what the emulated kernel did to FILE, one event a line. Further processes of the client write to "
    "FILE.2, FILE.3, ... in the order of their first io_setup; after the fault reboot, those of the second boot to "
    "FILE.boot2, and so on.");
ABSL_FLAG(aiolab::WordFlag<aiolab::ReportWords>, report, {}, "The form of the report on standard error.");
ABSL_FLAG(aiolab::ReplayFlag, replay, aiolab::ReplayFlag(),
          "Repeat an earlier run: TOKEN is what its report printed, @FILE a file that holds one.");
ABSL_FLAG(aiolab::WordFlag<aiolab::SeededBugWords>, seeded_bug, {},
          "Break the emulated kernel on purpose, to see that a test notices.");
ABSL_FLAG(
    aiolab::SimfsFlag, simfs, aiolab::SimfsFlag(),
    "Files under PREFIX live on a simulated disk, in the client's own memory. Everything else stays the host's. "
    "Options: from=DIR, what is there at first (nothing); to=DIR, where it goes when the first process that "
    "looked there ends by itself (nowhere; the same DIR as from= keeps it from run to run); size=N[K|M|G|T] (1G), "
    "disk=nvme|ssd|hdd|ram (nvme), error-model=ext4-ordered|ext4-data|xfs|btrfs, what a failed write-back leaves "
    "behind (ext4-ordered), and what else a disk has: depth, cache, lbs, read, write, .... A program "
    "that the client executes does not see them, and a forked child has a copy of its own.");
ABSL_FLAG(
    aiolab::FaultFlag, fault, {},
    "What goes wrong, as where[filter]=when:what, for example complete=1in(50):eio. Several rules are separated by "
    "commas; see below, and kernel_model/FAULTS.md. Rules in the environment variable AIOLAB_FAULT come before them.");
ABSL_FLAG(aiolab::PathFlag, fault_file, aiolab::PathFlag(),
          "The same from a file, one rule a line; # begins a comment.");
ABSL_FLAG(
    aiolab::HangAfterFlag, hang_after, aiolab::HangAfterFlag(),
    "A client that waits in io_getevents with nothing in flight, and nobody there to submit more, is ended with a "
    "finding after so many seconds of real time; 0: never. By default that is 30 in a process with one thread, and "
    "never in others: what their other threads may yet do is not known.");
ABSL_FLAG(aiolab::PathFlag, preload_library, aiolab::PathFlag(),
          "The library that is loaded into the client, if not the one that came with aiolab.");

namespace aiolab {
namespace {

// A flag of `run`, as typed, and what its values look like. Only these can be named: Abseil knows others, of whatever
// is linked in.
struct KnownFlag {
  const char* name;
  const char* values;
  bool in_help;
};

constexpr KnownFlag kKnownFlags[] = {
    {"seed", "N", true},
    {"profile", "NAME", true},
    {"cpus", "N|host", true},
    {"clock", "virtual|host", true},
    {"trace", "text:FILE", true},
    {"report", "text|json", true},
    {"replay", "TOKEN|@FILE", true},
    {"simfs", "PREFIX[:OPTION,...]", true},
    {"seeded-bug", "NAME", true},
    {"fault", "RULES", true},
    {"fault-file", "PATH", true},
    {"hang-after", "SECONDS", true},
    {"preload-library", "FILE", false},
};

std::string AbseilName(absl::string_view name) { return absl::StrReplaceAll(name, {{"-", "_"}}); }

const KnownFlag* FindKnownFlag(absl::string_view name) {
  for (const KnownFlag& flag : kKnownFlags) {
    if (AbseilName(flag.name) == AbseilName(name)) return &flag;
  }
  return nullptr;
}

absl::Status UnknownFlag(absl::string_view name) {
  std::vector<std::string> names = {"help"};
  for (const KnownFlag& flag : kKnownFlags) names.push_back(flag.name);
  const std::string nearest = NearestWord(name, names);
  return absl::InvalidArgumentError(
      absl::StrCat("there is no flag --", name,
                   nearest.empty() ? "; `aiolab help run` lists them" : absl::StrCat("; did you mean --", nearest, "?"),
                   " (The client's own flags go behind --)"));
}

absl::Status SetFlag(const KnownFlag& known, absl::string_view value) {
  std::string error;
  if (absl::string_view(known.name) == "fault") {
    FaultFlag flag = absl::GetFlag(FLAGS_fault);
    // Not by Abseil, whose own half of a message would move the caret.
    if (!AbslParseFlag(value, &flag, &error)) return absl::InvalidArgumentError(absl::StrCat("--fault: ", error));
    absl::SetFlag(&FLAGS_fault, flag);
    return absl::OkStatus();
  }
  if (absl::FindCommandLineFlag(AbseilName(known.name))->ParseFrom(value, &error)) return absl::OkStatus();
  // Abseil's own half names the flag in its spelling; ours begins behind it.
  const size_t ours = error.find("; ");
  return absl::InvalidArgumentError(
      absl::StrCat("--", known.name, "=", value, ": ", ours == std::string::npos ? error : error.substr(ours + 2)));
}

absl::StatusOr<RunOptions> OptionsFromFlags() {
  RunOptions options;
  options.seed = absl::GetFlag(FLAGS_seed).seed;
  options.profile = absl::GetFlag(FLAGS_profile).word;
  options.cpus = absl::GetFlag(FLAGS_cpus).cpus;
  options.clock = absl::GetFlag(FLAGS_clock).word == "host" ? RunClock::kHost : RunClock::kVirtual;
  options.trace_path = absl::GetFlag(FLAGS_trace).path;
  options.json = absl::GetFlag(FLAGS_report).word == "json";
  options.replay = absl::GetFlag(FLAGS_replay).token_or_file;
  // No bug has no name, in the run's configuration and in a token.
  options.seeded_bug = absl::GetFlag(FLAGS_seeded_bug).word;
  if (FindSeededBug(options.seeded_bug)->bug == SeededBug::kNone) options.seeded_bug.clear();
  options.simfs = absl::GetFlag(FLAGS_simfs).spec;
  options.faults = absl::GetFlag(FLAGS_fault).rules;
  options.fault_file = absl::GetFlag(FLAGS_fault_file).path;
  options.hang_after_s = absl::GetFlag(FLAGS_hang_after).seconds;
  options.preload_library = absl::GetFlag(FLAGS_preload_library).path;
  return options;
}

}  // namespace

absl::StatusOr<RunOptions> ParseRunArguments(const std::vector<std::string>& arguments) {
  RunOptions help;
  help.help = true;
  std::vector<std::string> client;
  bool has_seed = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      client.assign(arguments.begin() + static_cast<long>(i) + 1, arguments.end());
      if (client.empty()) return absl::InvalidArgumentError("the client is missing behind --");
      break;
    }
    if (argument == "--help" || argument == "-h" || argument == "-help") return help;
    if (!absl::StartsWith(argument, "-") || argument == "-") {
      return absl::InvalidArgumentError(
          absl::StrCat("'", argument, "' is no flag; if it is the client, put -- before it: aiolab run -- ", argument));
    }
    const absl::string_view text = absl::StripPrefix(absl::StripPrefix(argument, "-"), "-");
    const size_t equals = text.find('=');
    const KnownFlag* known = FindKnownFlag(text.substr(0, equals));
    if (known == nullptr) return UnknownFlag(text.substr(0, equals));
    const absl::StatusOr<std::string> value = TakeFlagValue(arguments, &i, known->name, known->values);
    if (!value.ok()) return value.status();
    const absl::Status status = SetFlag(*known, *value);
    if (!status.ok()) return status;
    has_seed |= absl::string_view(known->name) == "seed";
  }
  absl::StatusOr<RunOptions> options = OptionsFromFlags();
  options->client = std::move(client);
  if (has_seed && !options->replay.empty()) {
    return absl::InvalidArgumentError("--seed and --replay exclude each other: a token holds every choice of its run");
  }
  if (options->clock == RunClock::kHost && !options->replay.empty()) {
    return absl::InvalidArgumentError(
        "--clock=host and --replay exclude each other: the real clock cannot be replayed");
  }
  return options;
}

absl::StatusOr<std::string> TakeFlagValue(const std::vector<std::string>& arguments, size_t* index,
                                          absl::string_view name, absl::string_view values) {
  const std::string& argument = arguments[*index];
  const size_t equals = argument.find('=');
  if (equals != std::string::npos) return argument.substr(equals + 1);
  if (*index + 1 < arguments.size() && arguments[*index + 1] != "--") return arguments[++*index];
  return absl::InvalidArgumentError(absl::StrCat("--", name, " needs a value: --", name, "=", values));
}

std::vector<FlagHelp> RunFlagHelp() {
  std::vector<FlagHelp> help;
  for (const KnownFlag& known : kKnownFlags) {
    if (!known.in_help) continue;
    const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(AbseilName(known.name));
    help.push_back({absl::StrCat("--", known.name, "=", known.values), flag->Help(), flag->DefaultValue()});
  }
  return help;
}

const std::vector<std::string>& ProfileNames() {
  static const auto& names = *new std::vector<std::string>([] {
    std::vector<std::string> all;
    for (const Profile& profile : kProfiles) all.emplace_back(profile.name);
    return all;
  }());
  return names;
}

int CountCpuList(absl::string_view list) {
  int count = 0;
  for (const absl::string_view range : absl::StrSplit(absl::StripAsciiWhitespace(list), ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(range, '-');
    int first = 0;
    int last = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last) ||
        first < 0 || last < first) {
      return 0;
    }
    count += last - first + 1;
  }
  return count;
}

}  // namespace aiolab
