#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel_model/sim/nearest_word.h"
#include "tools/aiolab/crash_command.h"
#include "tools/aiolab/help.h"
#include "tools/aiolab/run_command.h"

namespace aiolab {
namespace {

int Print(const std::string& text) {
  fputs(text.c_str(), stdout);
  return 0;
}

int Refuse(const std::string& message) {
  fprintf(stderr, "aiolab: %s\n", message.c_str());
  return kUsageExitStatus;
}

int UnknownCommand(const std::string& word) {
  const std::string nearest = NearestWord(word, CommandNames());
  return Refuse(
      absl::StrCat("there is no command '", word, "'; ",
                   nearest.empty() ? "`aiolab help` lists them." : absl::StrCat("did you mean ", nearest, "?"),
                   word.find('/') != std::string::npos || access(word.c_str(), F_OK) == 0
                       ? absl::StrCat(" To run a program: aiolab run -- ", word)
                       : ""));
}

int Help(const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "help") return Print(GeneralHelp());
  if (words[0] == "crash") return Print(CrashHelp());
  return words[0] == "run" ? Print(RunHelp()) : UnknownCommand(words[0]);
}

int Main(const std::vector<std::string>& words) {
  // Under `bazel run` the working directory is Bazel's; names on the command line are the user's.
  const char* user_directory = getenv("BUILD_WORKING_DIRECTORY");
  if (user_directory != nullptr && chdir(user_directory) != 0) {
    return Refuse(absl::StrCat("BUILD_WORKING_DIRECTORY=", user_directory, ": ", strerror(errno)));
  }
  if (words.empty()) {
    fputs(GeneralHelp().c_str(), stderr);
    return Refuse("no command was named");
  }
  const std::string& command = words[0];
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (command == "run") return RunCommand(rest);
  if (command == "crash") return CrashCommand(rest);
  if (command == "help") return Help(rest);
  if (command == "--help" || command == "-h" || command == "-help") return Print(GeneralHelp());
  if (command == "--version" || command == "-version") return Print(absl::StrCat(kVersionText, "\n"));
  if (command[0] == '-') {
    return Refuse(absl::StrCat("the flag ", command, " needs a command before it, as in: aiolab run ", command));
  }
  return UnknownCommand(command);
}

}  // namespace
}  // namespace aiolab

int main(int argc, char** argv) { return aiolab::Main(std::vector<std::string>(argv + 1, argv + argc)); }
