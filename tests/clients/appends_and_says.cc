// Appends records to DIR/log and says on standard output which of them are durable, for `aiolab crash`.
//
//   appends_and_says DIR sync|nosync|killed RECORDS
//
// nosync forgets the fdatasync, killed kills itself behind its last record.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string>

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  const std::string directory = argv[1];
  const std::string way = argv[2];
  const int records = atoi(argv[3]);
  const int fd = open((directory + "/log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const int dir = open(directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0 || dir < 0 || fsync(dir) != 0) return 1;
  for (int record = 1; record <= records; ++record) {
    const std::string line = std::string(600, static_cast<char>('a' + record % 26)) + "\n";
    if (write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return 1;
    if (way != "nosync" && fdatasync(fd) != 0) return 1;
    printf("%d\n", record);
    fflush(stdout);
  }
  if (way == "killed") raise(SIGKILL);
  return 0;
}
