// aio_rw_flags of reads and writes (RWF_*), and the priority in aio_reqprio.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

// The classes of <linux/ioprio.h> in the top three bits, a level below.
constexpr int16_t Priority(int ioprio_class, int level) { return static_cast<int16_t>(ioprio_class << 13 | level); }

class RwfTest : public AioConformanceTest {
 protected:
  void SetUp() override { ctx_ = NewContext(8); }

  static iocb WithRwFlags(iocb request, unsigned rw_flags) {
    request.aio_rw_flags = static_cast<__kernel_rwf_t>(rw_flags);
    return request;
  }
  static iocb WithPriority(iocb request, int16_t priority) {
    request.aio_flags |= IOCB_FLAG_IOPRIO;
    request.aio_reqprio = priority;
    return request;
  }
  iocb Read(int fd, unsigned rw_flags) { return WithRwFlags(ReadOf(fd, absl::MakeSpan(buf_)), rw_flags); }
  iocb Write(int fd, unsigned rw_flags) { return WithRwFlags(WriteOf(fd, "new"), rw_flags); }

  int NewAppendingFile() {
    const int file = Open(NewTmpfsPath(), O_CREAT | O_RDWR | O_APPEND);
    EXPECT_EQ(aio().write(file, "0123", 4), 4);
    return file;
  }

  aio_context_t ctx_ = 0;
  char buf_[64];
};
INSTANTIATE_ON_ALL_BACKENDS(RwfTest);

TEST_P(RwfTest, AnUnknownFlagIsEopnotsupp) {
  const int file = NewFile("data");
  iocb read = Read(file, 0x80000000);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EOPNOTSUPP));
  iocb write = Write(file, 0x40000000);
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EOPNOTSUPP));
}

TEST_P(RwfTest, SyncFlagsAreTakenForReadsAndWrites) {
  const int file = NewFile("data");
  for (unsigned flags : {RWF_DSYNC, RWF_SYNC, RWF_SYNC | RWF_DSYNC}) {
    iocb read = Read(file, flags);
    EXPECT_EQ(ResultOf(ctx_, &read), 4) << flags;
    iocb write = Write(file, flags);
    EXPECT_EQ(ResultOf(ctx_, &write), 3) << flags;
  }
}

// AIO never polls for completions: the flag is taken and dropped.
TEST_P(RwfTest, HipriIsTakenAndMeansNothing) {
  iocb read = Read(NewFile("data"), RWF_HIPRI);
  EXPECT_EQ(ResultOf(ctx_, &read), 4);
}

TEST_P(RwfTest, AppendWritesAtTheEnd) {
  const int file = NewFile("0123");
  iocb write = Write(file, RWF_APPEND);
  EXPECT_EQ(ResultOf(ctx_, &write), 3);
  EXPECT_EQ(ContentsOf(file), "0123new");
}

TEST_P(RwfTest, AppendMeansNothingToARead) {
  iocb read = Read(NewFile("data"), RWF_APPEND);
  EXPECT_EQ(ResultOf(ctx_, &read), 4);
}

TEST_P(RwfTest, NoappendWritesAtTheOffsetOfAnAppendingFile) {
  const int file = NewAppendingFile();
  iocb write = Write(file, RWF_NOAPPEND);
  EXPECT_EQ(ResultOf(ctx_, &write), 3);
  EXPECT_EQ(ContentsOf(file), "new3");
}

TEST_P(RwfTest, AppendAndNoappendTogetherAreEinval) {
  iocb write = Write(NewFile(), RWF_APPEND | RWF_NOAPPEND);
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EINVAL));
}

TEST_P(RwfTest, NowaitOnTmpfsIsEopnotsupp) {
  const int file = NewFile("data");
  iocb read = Read(file, RWF_NOWAIT);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EOPNOTSUPP));
  iocb write = Write(file, RWF_NOWAIT);
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EOPNOTSUPP));
}

TEST_P(RwfTest, NowaitOnAnEmptyPipeCompletesWithEagain) {
  iocb read = Read(NewPipe().read_fd, RWF_NOWAIT);
  EXPECT_EQ(ResultOf(ctx_, &read), -EAGAIN);
}

TEST_P(RwfTest, NowaitOnAPipeWithDataReadsIt) {
  const Pipe pipe = NewPipe();
  ASSERT_EQ(aio().write(pipe.write_fd, "abc", 3), 3);
  iocb read = Read(pipe.read_fd, RWF_NOWAIT);
  EXPECT_EQ(ResultOf(ctx_, &read), 3);
}

TEST_P(RwfTest, NowaitOnAnEventfdWithoutACountCompletesWithEagain) {
  iocb read = Read(NewEventfd(), RWF_NOWAIT);
  EXPECT_EQ(ResultOf(ctx_, &read), -EAGAIN);
}

TEST_P(RwfTest, AtomicReadsAreEopnotsupp) {
  iocb read = Read(NewFile("data"), RWF_ATOMIC);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EOPNOTSUPP));
}

TEST_P(RwfTest, AtomicWritesToTmpfsAreEopnotsupp) {
  iocb write = Write(NewFile(), RWF_ATOMIC);
  EXPECT_THAT(SubmitOne(ctx_, &write), FailsWith(EOPNOTSUPP));
}

TEST_P(RwfTest, DontcacheOnTmpfsIsEopnotsupp) {
  iocb read = Read(NewFile("data"), RWF_DONTCACHE);
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EOPNOTSUPP));
}

TEST_P(RwfTest, NosignalKeepsTheSignalOfABrokenPipeAway) {
  const Pipe pipe = NewPipe();
  Close(pipe.read_fd);
  SignalCounter handled(SIGPIPE);
  iocb write = Write(pipe.write_fd, RWF_NOSIGNAL);
  EXPECT_EQ(ResultOf(ctx_, &write), -EPIPE);
  EXPECT_EQ(handled.count(), 0);
}

TEST_P(RwfTest, NosignalIsTakenForAFile) {
  const int file = NewFile();
  iocb write = Write(file, RWF_NOSIGNAL);
  EXPECT_EQ(ResultOf(ctx_, &write), 3);
}

// ---- Priorities: class none, real-time, best-effort, idle.

TEST_P(RwfTest, PrioritiesOfKnownClassesAreTaken) {
  const int file = NewFile("data");
  for (int16_t priority : {Priority(0, 0), Priority(2, 0), Priority(2, 7), Priority(3, 0)}) {
    iocb read = WithPriority(Read(file, 0), priority);
    EXPECT_EQ(ResultOf(ctx_, &read), 4) << "priority " << priority;
  }
}

TEST_P(RwfTest, AnUnknownPriorityClassIsEinval) {
  const int file = NewFile("data");
  for (int ioprio_class : {4, 5, 6, 7}) {
    iocb read = WithPriority(Read(file, 0), Priority(ioprio_class, 0));
    EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL)) << "class " << ioprio_class;
  }
}

TEST_P(RwfTest, ALevelWithoutAClassIsEinval) {
  iocb read = WithPriority(Read(NewFile("data"), 0), Priority(0, 4));
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
}

// Method: a thread that gives its capabilities up, which are its own.
TEST_P(RwfTest, TheRealtimeClassWithoutPrivilegeIsEperm) {
  iocb read = WithPriority(Read(NewFile("data"), 0), Priority(1, 0));
  BackgroundCall submitter([&]() -> long {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    if (syscall(SYS_capset, &header, none) != 0) return -errno;
    return SubmitOne(ctx_, &read);
  });
  EXPECT_THAT(submitter.Result(), FailsWith(EPERM));
}

}  // namespace
}  // namespace aiolab
