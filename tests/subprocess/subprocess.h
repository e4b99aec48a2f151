// Runs a program from a test and keeps what it printed.
#ifndef TESTS_SUBPROCESS_SUBPROCESS_H_
#define TESTS_SUBPROCESS_SUBPROCESS_H_

#include <string>
#include <utility>
#include <vector>

namespace aiolab {

struct ProgramResult {
  int status = -1;  // exit status, or -1 if a signal ended it
  int signal = 0;   // that signal
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::vector<std::pair<std::string, std::string>> environment;  // added to the test's own
  std::string directory;                                         // "" is the test's own
};

// Runs `argv` (argv[0] is looked up in PATH), waits for its end. A program that cannot be started ends with status 127
// and the reason in `err`.
ProgramResult RunProgram(const std::vector<std::string>& argv, const ProgramOptions& options = {});

// For the environment of a program that loads a library of this build. Under AddressSanitizer that library brings its
// run-time library along, which wants to come first; it is told not to mind, and to leave crashes alone. Without it,
// this means nothing.
std::pair<std::string, std::string> SanitizerEnvironment();

// The environment for a program that `library` is to be preloaded into.
std::vector<std::pair<std::string, std::string>> PreloadEnvironment(const std::string& library);

// The absolute path of a file which the test names in `data`, by its path in the tree ("tests/clients/ring_spinner").
std::string RunfilePath(const std::string& path);

// A new directory of this test, absolute.
std::string NewTestDirectory();

}  // namespace aiolab

#endif  // TESTS_SUBPROCESS_SUBPROCESS_H_
