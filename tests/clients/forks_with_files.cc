// A child of fork reads a file that its parent wrote, through an fd and by name, and writes to it; then the parent says
// what it finds there. On one kernel that is what the child wrote; where the child has files of its own, it is what the
// parent did.
#include <sys/wait.h>

#include "tests/clients/client.h"

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {});
  const std::string path = options.directory() + "/file";
  const int fd = static_cast<int>(client::CheckErrno("open", open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644)));
  client::CheckErrno("write", write(fd, "parent", 6));
  const auto child = static_cast<pid_t>(client::CheckErrno("fork", fork()));
  char found[6] = {};
  if (child == 0) {
    client::CheckErrno("pread", pread(fd, found, sizeof(found), 0));
    if (memcmp(found, "parent", 6) != 0) client::Fail("the child finds '%.6s' by its parent's fd", found);
    const int mine = static_cast<int>(client::CheckErrno("open in the child", open(path.c_str(), O_RDWR)));
    client::CheckErrno("pwrite", pwrite(mine, "child ", 6, 0));
    return 0;
  }
  int status = 0;
  client::CheckErrno("waitpid", waitpid(child, &status, 0));
  if (status != 0) client::Fail("the child ended with %#x", static_cast<unsigned>(status));
  client::CheckErrno("pread", pread(fd, found, sizeof(found), 0));
  printf("forks_with_files: the parent finds '%.6s'\n", found);
  return 0;
}
