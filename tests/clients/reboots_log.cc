// A log that goes on after a power failure: finds the records that are in DIR/log, appends until there are RECORDS, and
// exits. What it has acknowledged it writes to ACKNOWLEDGED, a file that no power failure touches; if one of those
// records is not in the log any more, it says so and exits with 1.
//
//   reboots_log DIR ACKNOWLEDGED sync|nosync RECORDS
//
// nosync forgets the fdatasync.
#include <fcntl.h>
#include <libaio.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

namespace {

constexpr size_t kRecordBytes = 600;

std::string Record(int number) {
  return (std::to_string(number) + std::string(kRecordBytes, '.')).substr(0, kRecordBytes);
}

int RecordsIn(int fd) {
  std::string record(kRecordBytes, 0);
  for (int found = 0;; ++found) {
    const ssize_t count = pread(fd, record.data(), kRecordBytes, static_cast<off_t>(found * kRecordBytes));
    if (count != static_cast<ssize_t>(kRecordBytes) || record != Record(found)) return found;
  }
}

bool Append(io_context_t context, int fd, int number) {
  std::string record = Record(number);
  iocb request;
  io_prep_pwrite(&request, fd, record.data(), kRecordBytes, static_cast<long long>(number * kRecordBytes));
  iocb* batch[] = {&request};
  io_event event;
  return io_submit(context, 1, batch) == 1 && io_getevents(context, 1, 1, &event, nullptr) == 1 &&
         event.res == kRecordBytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 64;
  const std::string directory = argv[1];
  const bool syncs = std::string(argv[3]) == "sync";
  const int records = atoi(argv[4]);
  io_context_t context = nullptr;
  const int acknowledged_fd = open(argv[2], O_RDWR | O_CREAT | O_APPEND, 0644);
  const int fd = open((directory + "/log").c_str(), O_RDWR | O_CREAT, 0644);
  const int dir = open(directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (acknowledged_fd < 0 || fd < 0 || dir < 0 || fsync(dir) != 0 || io_setup(4, &context) != 0) return 2;
  const auto acknowledged = static_cast<int>(lseek(acknowledged_fd, 0, SEEK_END));
  const int found = RecordsIn(fd);
  printf("found %d\n", found);
  fflush(stdout);
  if (found < acknowledged) {
    printf("LOST: %d were acknowledged\n", acknowledged);
    return 1;
  }
  for (int number = found; number < records; ++number) {
    if (!Append(context, fd, number) || (syncs && fdatasync(fd) != 0)) return 2;
    // One byte a record. A record that was there already and not acknowledged stays one more.
    if (write(acknowledged_fd, ".", 1) != 1) return 2;
  }
  printf("done\n");
  return 0;
}
