#include "tests/subprocess/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace aiolab {
namespace {

// Files instead of pipes: they never fill up, and a daemon that keeps one open cannot hold up the test.
int OpenScratchFile() {
  FILE* file = tmpfile();
  if (file == nullptr) {
    perror("tmpfile");
    abort();
  }
  const int fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 3);
  fclose(file);
  return fd;
}

std::string ReadAllAndClose(int fd) {
  std::string text;
  char buf[4096];
  for (off_t pos = 0;; pos = static_cast<off_t>(text.size())) {
    const ssize_t count = pread(fd, buf, sizeof(buf), pos);
    if (count <= 0) break;
    text.append(buf, static_cast<size_t>(count));
  }
  close(fd);
  return text;
}

}  // namespace

ProgramResult RunProgram(const std::vector<std::string>& argv, const ProgramOptions& options) {
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  const int out = OpenScratchFile();
  const int err = OpenScratchFile();

  const pid_t child = fork();
  if (child == 0) {
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), /*overwrite=*/1);
    if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) {
      fprintf(stderr, "chdir to %s: %s\n", options.directory.c_str(), strerror(errno));
      _exit(127);
    }
    execvp(args[0], args.data());
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", args[0], strerror(errno));
    _exit(127);
  }
  ProgramResult result;
  int wait_status = 0;
  if (child > 0 && waitpid(child, &wait_status, 0) == child) {
    if (WIFEXITED(wait_status)) result.status = WEXITSTATUS(wait_status);
    if (WIFSIGNALED(wait_status)) result.signal = WTERMSIG(wait_status);
  }
  result.out = ReadAllAndClose(out);
  result.err = ReadAllAndClose(err);
  return result;
}

std::pair<std::string, std::string> SanitizerEnvironment() {
  return {"ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0"};
}

std::vector<std::pair<std::string, std::string>> PreloadEnvironment(const std::string& library) {
  return {{"LD_PRELOAD", library}, SanitizerEnvironment()};
}

std::string RunfilePath(const std::string& path) {
  const char* srcdir = getenv("TEST_SRCDIR");
  const char* workspace = getenv("TEST_WORKSPACE");
  if (srcdir == nullptr || workspace == nullptr) return path;  // started by hand, in the tree
  return std::string(srcdir) + "/" + workspace + "/" + path;
}

std::string NewTestDirectory() {
  std::string name = testing::TempDir() + "/aiolab_test.XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    perror(name.c_str());
    abort();
  }
  return name;
}

}  // namespace aiolab
