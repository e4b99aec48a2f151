#include "tools/aiolab/crash_flags.h"

#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "kernel_model/sim/nearest_word.h"
#include "tools/aiolab/simfs_spec.h"

namespace aiolab {
namespace {

constexpr char kDefaultSimfs[] = "/data:size=64M";

absl::Status Wrong(absl::string_view flag, absl::string_view value, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, "=", value, ": ", wanted));
}

absl::Status SetAt(const std::string& value, CrashCommandOptions& options, std::string&) {
  if (value == "all") {
    options.points_max = 0;
  } else if (!absl::SimpleAtoi(value, &options.points_max) || options.points_max == 0) {
    return Wrong("at", value, "it has to be the word all, or how many crash points are to be looked at, from 1");
  }
  return absl::OkStatus();
}

absl::Status SetImages(const std::string& value, CrashCommandOptions& options, std::string&) {
  if (absl::SimpleAtoi(value, &options.images_max) && options.images_max > 0) return absl::OkStatus();
  return Wrong("images", value, "it has to be a number from 1");
}

absl::Status SetCheck(const std::string& value, CrashCommandOptions& options, std::string&) {
  options.check = value;
  if (absl::StrContains(value, "{dir}")) return absl::OkStatus();
  return Wrong("check", value, "there is no {dir} in it, so it would look at nothing that a crash left");
}

absl::Status SetCheckTimeout(const std::string& value, CrashCommandOptions& options, std::string&) {
  if (absl::SimpleAtoi(value, &options.check_seconds_max) && options.check_seconds_max > 0) return absl::OkStatus();
  return Wrong("check-timeout", value, "it has to be a number of seconds, from 1");
}

absl::Status SetModel(const std::string& value, CrashCommandOptions&, std::string& model) {
  model = value;
  const absl::Status status = ParseSimfsSpec(absl::StrCat(kDefaultSimfs, ",error-model=", value)).status();
  return status.ok() ? status : Wrong("model", value, status.message());
}

absl::Status SetDemo(const std::string& value, CrashCommandOptions& options, std::string&) {
  options.rename_before_fsync = value == "rename-before-fsync";
  if (options.rename_before_fsync || value == "wal") return absl::OkStatus();
  const std::string nearest = NearestWord(value, {"wal", "rename-before-fsync"});
  return Wrong("demo", value,
               absl::StrCat(nearest.empty() ? "" : absl::StrCat("did you mean ", nearest, "? "),
                            "There are wal and rename-before-fsync"));
}

absl::Status SetPath(absl::string_view flag, const std::string& value, absl::string_view what, std::string* path) {
  *path = value;
  return value.empty() ? Wrong(flag, value, absl::StrCat("it has to be the name of a ", what)) : absl::OkStatus();
}

absl::Status SetExportFiles(const std::string& value, CrashCommandOptions& options, std::string&) {
  return SetPath("export-files", value, "new directory", &options.export_files);
}

absl::Status SetExportImage(const std::string& value, CrashCommandOptions& options, std::string&) {
  return SetPath("export-image", value, "file", &options.export_image);
}

absl::Status SetExportLog(const std::string& value, CrashCommandOptions& options, std::string&) {
  return SetPath("export-log", value, "file", &options.export_log);
}

struct CrashFlag {
  const char* name;
  const char* values;
  const char* default_value;
  absl::Status (*set)(const std::string& value, CrashCommandOptions& options, std::string& model);
  const char* help;
};

constexpr CrashFlag kCrashFlags[] = {
    {"check", "CMD", "", SetCheck,
     "What says whether the files that a crash left are as they have to be: a command for /bin/sh, which exits with 0 "
     "if so. {dir} in it stands for a directory with those files, a copy that it may change, and {acked} for a file "
     "with all that the client had written to its standard output when the power went: what it has said there it has "
     "promised. Its environment has PATH, HOME and TMPDIR only. Before any crash it is run on the files as the client "
     "left them, and has to accept those, unless a rule of --fault has struck."},
    {"check-timeout", "S", "60", SetCheckTimeout,
     "A checker that runs for so many seconds is ended, and counts as one that refuses the files."},
    {"at", "all|N", "all", SetAt,
     "Crash points: the moments just before the disk completes a request, and the one behind the last. N: so many of "
     "them, drawn by --seed."},
    {"images", "N", "1000", SetImages,
     "How many different disks are checked at most, over all crash points. Where there can be more, a sample of them "
     "is drawn by --seed, and the report says so."},
    {"model", "NAME", "ext4-ordered", SetModel,
     "What an fsync that fails (see --fault) leaves behind: ext4-ordered, ext4-data, xfs or btrfs."},
    {"export-files", "DIR", "", SetExportFiles,
     "Write the files that the checker refused to DIR, a new directory, and what was promised to DIR.acked, so that "
     "the checker can be run on them by hand."},
    {"export-image", "FILE", "", SetExportImage,
     "Write the disk that the checker refused to FILE, as it is; that of dev0, if the client used it, to FILE.dev0."},
    {"export-log", "FILE", "", SetExportLog,
     "Write all that reached the disk to FILE, in the format of dm-log-writes: replay-log can read it. That of dev0, "
     "if the client used it, goes to FILE.dev0."},
    {"demo", "wal|rename-before-fsync", "wal", SetDemo,
     "Without a client: which write-ahead log runs, the right one, or one that gives its new log the name of the old "
     "one before an fsync has made it durable."},
};

const CrashFlag* FindCrashFlag(absl::string_view name) {
  for (const CrashFlag& flag : kCrashFlags) {
    if (name == flag.name) return &flag;
  }
  return nullptr;
}

// "--cpus=N|host" is cpus.
std::string NameOf(const FlagHelp& flag) { return flag.usage.substr(2, flag.usage.find('=') - 2); }

absl::Status CheckName(absl::string_view name) {
  std::vector<std::string> names = {"help", "preload-library"};
  for (const FlagHelp& flag : RunFlagHelp()) names.push_back(NameOf(flag));
  for (const CrashFlag& flag : kCrashFlags) names.emplace_back(flag.name);
  if (name == "h" || std::find(names.begin(), names.end(), std::string(name)) != names.end()) return absl::OkStatus();
  const std::string nearest = NearestWord(name, names);
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no flag --", name,
      nearest.empty() ? "; `aiolab help crash` lists them" : absl::StrCat("; did you mean --", nearest, "?"),
      " (The client's own flags go behind --)"));
}

absl::Status CheckTogether(const CrashCommandOptions& options, bool has_demo) {
  if (options.run.json) return absl::InvalidArgumentError("--report=json: aiolab crash reports as text only");
  if (!options.run.replay.empty()) {
    return absl::InvalidArgumentError(
        "--replay: aiolab crash repeats a run by its --seed; a token of aiolab run is of no use to it");
  }
  if (options.run.client.empty() && !options.check.empty()) {
    return absl::InvalidArgumentError("--check needs a client, behind --: aiolab crash --check=CMD -- PROGRAM");
  }
  if (!options.run.client.empty() && options.check.empty()) {
    return absl::InvalidArgumentError(
        "who says whether the files are right after a crash? --check='CMD {dir}' names a command that does");
  }
  if (!options.run.client.empty() && has_demo) {
    return absl::InvalidArgumentError("--demo is what runs without a client, and there is one");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CrashCommandOptions> ParseCrashArguments(const std::vector<std::string>& arguments) {
  CrashCommandOptions options;
  std::vector<std::string> for_run;
  std::string model;
  bool has_demo = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      for_run.insert(for_run.end(), arguments.begin() + static_cast<long>(i), arguments.end());
      break;
    }
    const absl::string_view text = absl::StripPrefix(absl::StripPrefix(argument, "-"), "-");
    const size_t equals = text.find('=');
    const absl::string_view name = text.substr(0, equals);
    const CrashFlag* const flag = absl::StartsWith(argument, "-") ? FindCrashFlag(name) : nullptr;
    if (flag == nullptr) {
      if (absl::StartsWith(argument, "-")) {
        if (const absl::Status known = CheckName(name); !known.ok()) return known;
      }
      for_run.push_back(argument);
      // Its value, if it is the next word.
      const bool is_last = i + 1 == arguments.size() || arguments[i + 1] == "--";
      if (absl::StartsWith(argument, "-") && equals == absl::string_view::npos && !is_last) {
        for_run.push_back(arguments[++i]);
      }
      continue;
    }
    const absl::StatusOr<std::string> value = TakeFlagValue(arguments, &i, flag->name, flag->values);
    if (!value.ok()) return value.status();
    if (const absl::Status status = flag->set(*value, options, model); !status.ok()) return status;
    has_demo |= absl::string_view(flag->name) == "demo";
  }
  absl::StatusOr<RunOptions> run = ParseRunArguments(for_run);
  if (!run.ok()) return run.status();
  options.run = *std::move(run);
  if (options.run.help) return options;
  absl::StatusOr<SimfsSpec> spec = ParseSimfsSpec(options.run.simfs.empty() ? kDefaultSimfs : options.run.simfs);
  if (!spec.ok()) return spec.status();
  if (!model.empty()) spec->error_model = model;
  options.run.simfs = SimfsSpecText(*spec);
  if (const absl::Status status = CheckTogether(options, has_demo); !status.ok()) return status;
  return options;
}

std::vector<FlagHelp> CrashFlagHelp() {
  std::vector<FlagHelp> help;
  for (const CrashFlag& flag : kCrashFlags) {
    help.push_back({absl::StrCat("--", flag.name, "=", flag.values), flag.help, flag.default_value});
  }
  return help;
}

}  // namespace aiolab
