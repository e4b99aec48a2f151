// Appends records to FILE and says on standard output which of them are durable, for `aiolab crash`.
//
//   appends_and_says FILE sync|nosync|killed|forks|lists|child|child-nosync|ignores RECORDS
//
// nosync and forks forget the fdatasync; forks has a child instead, which ends at once. lists has, behind each record,
// a child that lists FILE's directory. child and child-nosync do it all in a child, but for making the file durable.
// killed kills itself behind its last record. ignores believes an fdatasync that failed. FILE may be a device node.
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace {

int ListDirectory(const std::string& path) {
  DIR* const directory = opendir(path.c_str());
  if (directory == nullptr) return 0;
  int entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  std::string directory = argv[1];
  std::string way = argv[2];
  const int records = atoi(argv[3]);
  const int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const int dir = open(dirname(directory.data()), O_RDONLY | O_DIRECTORY);
  if (fd < 0 || dir < 0 || fsync(dir) != 0) return 1;
  if (way.rfind("child", 0) == 0) {
    way = way == "child" ? "sync" : "nosync";
    const pid_t child = fork();
    if (child != 0) return child > 0 && waitpid(child, nullptr, 0) == child ? 0 : 1;
  }
  for (int record = 1; record <= records; ++record) {
    const std::string line = std::string(600, static_cast<char>('a' + record % 26)) + "\n";
    if (write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return 1;
    if (way == "forks") {
      const pid_t child = fork();
      if (child == 0) _exit(0);
      if (child < 0 || waitpid(child, nullptr, 0) != child) return 1;
    } else if (way != "nosync" && fdatasync(fd) != 0 && way != "ignores") {
      return 1;
    }
    if (way == "lists") {
      const pid_t child = fork();
      if (child == 0) _exit(ListDirectory(directory) > 0 ? 0 : 1);
      int status = 1;
      if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 1;
    }
    printf("%d\n", record);
    fflush(stdout);
  }
  if (way == "killed") raise(SIGKILL);
  return 0;
}
