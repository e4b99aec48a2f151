// The example in README.md, as it stands there.
#include <fcntl.h>

#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"

using namespace aiolab;

TEST(MyEngineTest, ReadsABlock) {
  SeededChooser chooser(/*seed=*/7);       // every order of completions has a seed
  Machine machine({.chooser = &chooser});  // a kernel of its own, with an empty /tmp
  EmulatedSyscalls kernel(machine);        // the kernel's calls: >= 0 or -errno
  const long fd = kernel.openat(AT_FDCWD, "/tmp/data", O_CREAT | O_RDWR, 0600);
  kernel.pwrite64(fd, "hello", 5, 0);

  aio_context_t ctx = 0;
  ASSERT_EQ(kernel.io_setup(8, &ctx), 0);
  char buffer[16] = {};
  iocb read = {};
  read.aio_lio_opcode = IOCB_CMD_PREAD;
  read.aio_fildes = fd;
  read.aio_buf = reinterpret_cast<uint64_t>(buffer);
  read.aio_nbytes = sizeof(buffer);
  iocb* batch[] = {&read};
  ASSERT_EQ(kernel.io_submit(ctx, 1, batch), 1);
  io_event event;
  ASSERT_EQ(kernel.io_getevents(ctx, 1, 1, &event, nullptr), 1);
  EXPECT_EQ(event.res, 5);  // short: the file ends there
}
