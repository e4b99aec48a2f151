// FSYNC and FDSYNC: which files take them, and that their other fields have to be zero.
#include <fcntl.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class FsyncTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(8); }

  aio_context_t ctx_ = 0;
};
INSTANTIATE_ON_ALL_BACKENDS(FsyncTest);

TEST_P(FsyncTest, AMemoryFileIsZero) {
  const int file = NewFile("data");
  iocb fsync = FsyncOf(file);
  EXPECT_EQ(ResultOf(ctx_, &fsync), 0);
  iocb fdsync = FdsyncOf(file);
  EXPECT_EQ(ResultOf(ctx_, &fdsync), 0);
}

TEST_P(FsyncTest, AFileOnDiskIsZero) {
  const int file = Open(NewDiskPath(), O_CREAT | O_RDWR);
  ASSERT_EQ(aio().write(file, "data", 4), 4);
  iocb fsync = FsyncOf(file);
  EXPECT_EQ(ResultOf(ctx_, &fsync), 0);
  iocb fdsync = FdsyncOf(file);
  EXPECT_EQ(ResultOf(ctx_, &fdsync), 0);
}

TEST_P(FsyncTest, AReadOnlyFdIsEnough) {
  const std::string path = NewDiskPath();
  Open(path, O_CREAT | O_WRONLY);
  iocb fsync = FsyncOf(Open(path, O_RDONLY));
  EXPECT_EQ(ResultOf(ctx_, &fsync), 0);
}

TEST_P(FsyncTest, ADirectoryIsZero) {
  iocb fsync = FsyncOf(Open(GetParam().disk_dir, O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(ResultOf(ctx_, &fsync), 0);
}

TEST_P(FsyncTest, APathFdIsEbadf) {
  const std::string path = NewTmpfsPath();
  Open(path, O_CREAT | O_WRONLY);
  iocb fsync = FsyncOf(Open(path, O_PATH));
  EXPECT_THAT(SubmitOne(ctx_, &fsync), FailsWith(EBADF));
}

TEST_P(FsyncTest, FilesThatCannotBeSyncedAreEinval) {
  const Pipe pipe = NewPipe();
  for (int fd : {pipe.read_fd, pipe.write_fd, NewEventfd(), Open("/dev/null", O_RDWR), Open("/dev/zero", O_RDWR)}) {
    iocb fsync = FsyncOf(fd);
    EXPECT_THAT(SubmitOne(ctx_, &fsync), FailsWith(EINVAL));
    iocb fdsync = FdsyncOf(fd);
    EXPECT_THAT(SubmitOne(ctx_, &fdsync), FailsWith(EINVAL));
  }
}

TEST_P(FsyncTest, ABufferIsEinval) {
  iocb fsync = FsyncOf(NewFile());
  fsync.aio_buf = 1;
  EXPECT_THAT(SubmitOne(ctx_, &fsync), FailsWith(EINVAL));
}

TEST_P(FsyncTest, AnOffsetIsEinval) {
  iocb fsync = FsyncOf(NewFile());
  fsync.aio_offset = 1;
  EXPECT_THAT(SubmitOne(ctx_, &fsync), FailsWith(EINVAL));
}

TEST_P(FsyncTest, AByteCountIsEinval) {
  iocb fdsync = FdsyncOf(NewFile());
  fdsync.aio_nbytes = 1;
  EXPECT_THAT(SubmitOne(ctx_, &fdsync), FailsWith(EINVAL));
}

TEST_P(FsyncTest, RwFlagsAreEinval) {
  iocb fdsync = FdsyncOf(NewFile());
  fdsync.aio_rw_flags = RWF_DSYNC;
  EXPECT_THAT(SubmitOne(ctx_, &fdsync), FailsWith(EINVAL));
}

// Reads and writes check it.
TEST_P(FsyncTest, ThePriorityIsNotLookedAt) {
  iocb fsync = FsyncOf(NewFile());
  fsync.aio_flags = IOCB_FLAG_IOPRIO;
  fsync.aio_reqprio = -1;
  EXPECT_EQ(ResultOf(ctx_, &fsync), 0);
}

TEST_P(FsyncTest, TheFdMayBeClosedOnceSubmitReturned) {
  const int file = NewFile("data");
  iocb fsync = FsyncOf(file);
  ASSERT_EQ(SubmitOne(ctx_, &fsync), 1);
  Close(file);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&fsync, 0));
}

}  // namespace
}  // namespace aiolab
