// Forks while an fsync that it submitted is under way. The child finds the file as it was written, writes on in it and
// makes that durable; the parent gets its event. With --bare=1 the fork is the bare system call, which nobody in the
// process is told of.
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/clients/client.h"

namespace {

constexpr uint64_t kBlocks = 8;

void WriteBlock(int fd, uint64_t file, uint64_t number) {
  char block[client::kBlockSize];
  client::FillBlock(block, file, number);
  client::CheckErrno("pwrite", pwrite(fd, block, sizeof(block), static_cast<off_t>(number * client::kBlockSize)));
}

void CheckBlocks(int fd, uint64_t file, uint64_t first, uint64_t end) {
  for (uint64_t i = first; i < end; ++i) {
    char block[client::kBlockSize];
    client::CheckErrno("pread", pread(fd, block, sizeof(block), static_cast<off_t>(i * client::kBlockSize)));
    client::CheckBlock(block, file, i);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {{"bare", 0}});
  const std::string path = options.NewFileName();
  const int fd = client::Open(path);
  for (uint64_t i = 0; i < kBlocks; ++i) WriteBlock(fd, 1, i);
  io_context_t context = nullptr;
  client::Check("io_setup", io_setup(1, &context));
  iocb fsync_request;
  io_prep_fsync(&fsync_request, fd);
  iocb* batch[] = {&fsync_request};
  client::Check("io_submit", io_submit(context, 1, batch));
  const long forked =
      options.Get("bare") != 0 ? syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr) : fork();
  if (client::CheckErrno("fork", forked) == 0) {
    const int mine = client::Open(path);
    CheckBlocks(mine, 1, 0, kBlocks);
    for (uint64_t i = kBlocks; i < 2 * kBlocks; ++i) WriteBlock(mine, 2, i);
    client::CheckErrno("fsync in the child", fsync(mine));
    CheckBlocks(fd, 2, kBlocks, 2 * kBlocks);
    _exit(0);
  }
  int status = 0;
  client::CheckErrno("waitpid", waitpid(static_cast<pid_t>(forked), &status, 0));
  if (status != 0) client::Fail("the child ended with %#x", static_cast<unsigned>(status));
  io_event event;
  if (io_getevents(context, 1, 1, &event, nullptr) != 1) client::Fail("the fsync had no event");
  client::Check("the fsync across the fork", static_cast<long>(event.res));
  CheckBlocks(fd, 1, 0, kBlocks);
  WriteBlock(fd, 1, 0);
  client::CheckErrno("fsync", fsync(fd));
  client::Check("io_destroy", io_destroy(context));
  printf("forks_in_commit: both have what they wrote\n");
  return 0;
}
