// Writes a file and makes it durable by fsync. When fsync fails it tries again, as if the next success were about the
// same data; with --rewrite=1 it writes the data again before that. Then it has the kernel forget its copy, and looks
// at what the disk has. Right on any kernel if no write-back fails.
#include "tests/clients/client.h"

namespace {

constexpr uint64_t kBlocks = 4;
constexpr uint64_t kFile = 1;

void WriteAll(int fd) {
  for (uint64_t i = 0; i < kBlocks; ++i) {
    char block[client::kBlockSize];
    client::FillBlock(block, kFile, i);
    const auto position = static_cast<off_t>(i * client::kBlockSize);
    client::CheckErrno("pwrite", pwrite(fd, block, sizeof(block), position));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {{"rewrite", 0}, {"attempts", 5}});
  const int fd = client::Open(options.NewFileName());
  WriteAll(fd);
  long attempts = 1;
  for (; fsync(fd) != 0; ++attempts) {
    if (attempts == options.Get("attempts")) client::Fail("fsync: %m, %ld times", attempts);
    if (options.Get("rewrite") != 0) WriteAll(fd);
  }
  client::CheckErrno("posix_fadvise", -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
  for (uint64_t i = 0; i < kBlocks; ++i) {
    char block[client::kBlockSize];
    const auto position = static_cast<off_t>(i * client::kBlockSize);
    client::CheckErrno("pread", pread(fd, block, sizeof(block), position));
    client::CheckBlock(block, kFile, i);
  }
  printf("retries_fsync: durable after %ld calls of fsync\n", attempts);
  return 0;
}
