#include "tools/aiolab/wal_demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tools/aiolab/client_check.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/install_paths.h"
#include "tools/aiolab/story.h"

namespace aiolab {
namespace {

namespace fs = std::filesystem;

constexpr int kSeeds = 3;
constexpr size_t kStoryLinesMax = 60;

void Say(const std::string& text) { fputs(text.c_str(), stderr); }

// Where the logs, traces and tokens go.
absl::StatusOr<std::string> MakeDirectory() {
  std::error_code error;
  std::string path = (fs::absolute(fs::temp_directory_path(error)) / "aiolab-wal.XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) return FileError(errno, path, "cannot be made (TMPDIR says where)");
  return path;
}

void RemoveFiles(const std::vector<std::string>& paths) {
  std::error_code ignored;
  for (const std::string& path : paths) fs::remove(path, ignored);
}

void TellStory(const std::string& trace_path) {
  const absl::StatusOr<std::string> trace = ReadFile(trace_path);
  if (!trace.ok()) {
    Say(absl::StrCat("aiolab: no trace to tell a story from: ", trace.status().message(), "\n"));
    return;
  }
  const std::string request = MostEventfulRequest(*trace);
  if (request.empty()) {
    Say(absl::StrCat("aiolab: no request in the trace ", trace_path, "\n"));
    return;
  }
  const std::vector<std::string> story = StoryOf(*trace, request);
  Say(absl::StrCat("\nOne request's story, request ", request, " of ", trace_path, ":\n"));
  for (size_t i = 0; i < std::min(story.size(), kStoryLinesMax); ++i) Say(absl::StrCat("  ", story[i], "\n"));
  if (story.size() > kStoryLinesMax) Say(absl::StrCat("  ... and ", story.size() - kStoryLinesMax, " lines more\n"));
}

}  // namespace

absl::StatusOr<int> RunWalDemo(const RunOptions& options, const PreparedRun& run) {
  const absl::StatusOr<std::string> wal = FindInstalled("tools/aiolab/wal/wal");
  if (!wal.ok())
    return absl::NotFoundError(absl::StrCat(wal.status().message(), ". Name a client: aiolab run -- PROGRAM"));
  const absl::Status check = CheckClient(*wal, /*path_variable=*/"");
  if (!check.ok()) return check;
  const absl::StatusOr<std::string> directory = MakeDirectory();
  if (!directory.ok()) return directory.status();

  const bool is_replay = !options.replay.empty();
  int exit_status = 0;
  std::string first_trace;
  std::string traces;
  for (int i = 0; i < (is_replay ? 1 : kSeeds); ++i) {
    PreparedRun seeded = run;
    seeded.config.seed = run.config.seed + static_cast<uint64_t>(i);
    const std::string log = absl::StrCat(*directory, "/seed-", seeded.config.seed, ".wal");
    seeded.config.trace_format = "text";
    seeded.config.trace_path =
        absl::StrCat(run.config.trace_path.empty() ? absl::StrCat(*directory, "/trace") : run.config.trace_path,
                     ".seed-", seeded.config.seed);
    seeded.token_path = absl::StrCat(*directory, "/token.seed-", seeded.config.seed);
    absl::StatusOr<RunOutcome> outcome = RunUnderModel(seeded, *wal, {*wal, "append", log});
    if (!outcome.ok()) return outcome.status();
    outcome->embedded_client = "wal";
    Say(options.json ? JsonReport(*outcome) : TextReport(*outcome));
    int status = ExitStatus(*outcome);
    if (status == 0) {
      // The checker runs on the real kernel: it judges the emulated one.
      const absl::StatusOr<ProgramEnd> checked = RunToItsEnd(*wal, {*wal, "check", log}, {});
      if (!checked.ok()) return checked.status();
      status = checked->ShellStatus();
    }
    // A log that is right is as good as none.
    if (status == 0) RemoveFiles({log, log + ".acknowledged"});
    if (exit_status == 0) exit_status = status;
    if (!outcome->refusal.empty()) return exit_status;  // the other seeds would be refused too
    if (first_trace.empty()) first_trace = seeded.config.trace_path;
    absl::StrAppend(&traces, "  ", seeded.config.trace_path, "\n");
  }
  if (options.json) return exit_status;
  TellStory(first_trace);
  const std::string us = ShellQuote(HowToCallAgain());
  Say(absl::StrCat("\nThe traces, one event a line:\n", traces));
  Say(absl::StrCat("All that this left behind: ", *directory, "\n"));
  Say(absl::StrCat("Next: ", us, " run -- YOUR_PROGRAM\n      ", us, " help run\n"));
  return exit_status;
}

}  // namespace aiolab
