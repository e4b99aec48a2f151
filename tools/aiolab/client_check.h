// Finds the client and looks at it before anything runs: what a preload library cannot enter is refused here, by name.
#ifndef TOOLS_AIOLAB_CLIENT_CHECK_H_
#define TOOLS_AIOLAB_CLIENT_CHECK_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace aiolab {

// The file that `name` stands for, as a shell would find it: `name` itself if it holds a '/', else the first executable
// of that name in `path_variable` (the value of PATH). NOT_FOUND says where it was looked for.
absl::StatusOr<std::string> FindClient(const std::string& name, absl::string_view path_variable);

// OK if a preload library can enter the program at `path`: a dynamically linked binary of this machine's own kind
// without set-id bits or file capabilities, or a script whose interpreter is one. FAILED_PRECONDITION says what is in
// the way and what to do about it.
absl::Status CheckClient(const std::string& path, absl::string_view path_variable);

// What CheckClient looks at, for one file.
struct ProgramFacts {
  std::string path;
  bool is_directory = false;
  bool is_executable = false;  // by this user
  mode_t mode = 0;
  bool has_file_capabilities = false;
  std::string interpreter;           // of a script: what follows "#!", without its argument
  std::string interpreter_argument;  // and that argument
  bool is_elf = false;
  bool is_64_bit = false;
  bool is_little_endian = false;
  int machine = 0;     // EM_*
  std::string loader;  // of a dynamically linked binary: the contents of PT_INTERP
  bool loader_exists = false;
};

absl::StatusOr<ProgramFacts> ReadProgramFacts(const std::string& path);

// CheckClient for one file, without following it to its interpreter.
absl::Status JudgeProgram(const ProgramFacts& facts);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_CLIENT_CHECK_H_
