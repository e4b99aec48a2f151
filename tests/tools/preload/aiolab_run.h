// `aiolab run` from a test, and what its report says.
#ifndef TESTS_TOOLS_PRELOAD_AIOLAB_RUN_H_
#define TESTS_TOOLS_PRELOAD_AIOLAB_RUN_H_

#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/subprocess/subprocess.h"

namespace aiolab {

struct AiolabRun {
  ProgramResult result;
  nlohmann::json report;  // the last line on standard error; discarded if that is no JSON

  // How many requests ended as `outcome` ("ok"), over all processes.
  long Count(const std::string& opcode, const std::string& outcome) const {
    const nlohmann::json::json_pointer where("/totals/operations/" + opcode + "/" + outcome);
    return report.contains(where) ? report[where].get<long>() : 0;
  }
};

// In `directory`, where temporary files go too, or there and in `temporary`.
inline AiolabRun RunUnderAiolab(const std::vector<std::string>& flags, const std::vector<std::string>& client,
                                const std::string& directory, const std::string& temporary = "") {
  std::vector<std::string> argv = {RunfilePath("tools/aiolab/aiolab"), "run", "--report=json"};
  argv.insert(argv.end(), flags.begin(), flags.end());
  argv.push_back("--");
  argv.insert(argv.end(), client.begin(), client.end());
  AiolabRun run;
  run.result =
      RunProgram(argv, {{{"TMPDIR", temporary.empty() ? directory : temporary}, SanitizerEnvironment()}, directory});
  std::string lines = run.result.err;
  while (!lines.empty() && lines.back() == '\n') lines.pop_back();
  run.report = nlohmann::json::parse(lines.substr(lines.rfind('\n') + 1), nullptr, /*allow_exceptions=*/false);
  return run;
}

}  // namespace aiolab

#endif  // TESTS_TOOLS_PRELOAD_AIOLAB_RUN_H_
