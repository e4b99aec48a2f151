#include "kernel_model/fs/aio.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/fs/aio_ring.h"
#include "kernel_model/machine.h"

namespace aiolab {
namespace {

// Measured on Linux 6.18 with two possible CPUs: what io_setup(nr) puts into aio_ring::nr.
TEST(AioRingGeometryTest, IsTheKernels) {
  constexpr unsigned kPossibleCpus = 2;
  const std::pair<unsigned, unsigned> measured[] = {{1, 127}, {8, 127}, {62, 127}, {63, 255}, {128, 383}, {1024, 2175}};
  for (const auto& [asked, nr] : measured) {
    EXPECT_EQ(AioRingGeometryFor(std::max(asked, kPossibleCpus * 4) * 2).events, nr) << asked;
  }
}

class AioTest : public testing::Test {
 protected:
  SeededChooser chooser_{1};
  Machine machine_{{.chooser = &chooser_, .host_files = true}};
  EmulatedSyscalls kernel_{machine_};
};

int Mappings() {
  std::ifstream maps("/proc/self/maps");
  int lines = 0;
  for (std::string line; std::getline(maps, line);) ++lines;
  return lines;
}

// A process may have 65,530 mappings, and some programs make more contexts than that leaves room for.
TEST_F(AioTest, AContextNeedsNoMappingOfItsOwn) {
  std::vector<aio_context_t> contexts(20000);
  ASSERT_EQ(kernel_.io_setup(1, &contexts[0]), 0);
  const int before = Mappings();
  for (size_t i = 1; i < contexts.size(); ++i) ASSERT_EQ(kernel_.io_setup(1, &contexts[i]), 0) << i;
  // A few may come for other reasons: a sanitizer keeps its own book in mappings.
  EXPECT_LT(Mappings(), before + 100);
  for (const aio_context_t ctx : contexts) ASSERT_EQ(kernel_.io_destroy(ctx), 0);
}

// The same iocb may be in flight twice. io_cancel takes the older, then the newer, then finds none.
TEST_F(AioTest, CancelTakesTheOlderOfTwoRequestsWithTheSameIocb) {
  aio_context_t ctx = 0;
  ASSERT_EQ(kernel_.io_setup(8, &ctx), 0);
  const int fd = eventfd(0, 0);
  iocb poll = {};
  poll.aio_lio_opcode = IOCB_CMD_POLL;
  poll.aio_fildes = static_cast<uint32_t>(fd);
  poll.aio_buf = POLLIN;
  iocb* batch[] = {&poll};
  poll.aio_data = 1;
  ASSERT_EQ(kernel_.io_submit(ctx, 1, batch), 1);
  poll.aio_data = 2;
  ASSERT_EQ(kernel_.io_submit(ctx, 1, batch), 1);
  for (const uint64_t expected : {1, 2}) {
    EXPECT_EQ(kernel_.io_cancel(ctx, &poll, nullptr), -EINPROGRESS);
    io_event event;
    ASSERT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, nullptr), 1);
    EXPECT_EQ(event.data, expected);
    EXPECT_EQ(event.res, 0);
  }
  EXPECT_EQ(kernel_.io_cancel(ctx, &poll, nullptr), -EINVAL);
  close(fd);
}

// A poll of a host's eventfd, which the client itself makes ready later.
TEST_F(AioTest, APollOfAHostFileCompletesWhenTheHostSaysSo) {
  aio_context_t ctx = 0;
  ASSERT_EQ(kernel_.io_setup(8, &ctx), 0);
  const int fd = eventfd(0, 0);
  iocb poll = {};
  poll.aio_lio_opcode = IOCB_CMD_POLL;
  poll.aio_fildes = static_cast<uint32_t>(fd);
  poll.aio_buf = POLLIN;
  iocb* batch[] = {&poll};
  ASSERT_EQ(kernel_.io_submit(ctx, 1, batch), 1);
  io_event event;
  timespec no_wait = {0, 0};
  EXPECT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, &no_wait), 0);
  ASSERT_EQ(eventfd_write(fd, 1), 0);
  EXPECT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, nullptr), 1);
  EXPECT_EQ(event.res & POLLIN, POLLIN);
  close(fd);
}

// Requests go on by a duplicate when the client closes their file.
TEST_F(AioTest, AFileMayBeClosedWhileARequestIsInFlight) {
  std::string path = testing::TempDir() + "/aio_test_XXXXXX";
  const int fd = mkstemp(path.data());
  unlink(path.c_str());
  ASSERT_EQ(write(fd, "hello", 5), 5);
  aio_context_t ctx = 0;
  ASSERT_EQ(kernel_.io_setup(8, &ctx), 0);
  char buffer[8] = {};
  iocb read = {};
  read.aio_lio_opcode = IOCB_CMD_PREAD;
  read.aio_fildes = static_cast<uint32_t>(fd);
  read.aio_buf = reinterpret_cast<uint64_t>(buffer);
  read.aio_nbytes = sizeof(buffer);
  iocb* batch[] = {&read};
  ASSERT_EQ(kernel_.io_submit(ctx, 1, batch), 1);
  machine_.WillCloseHostFd(fd);
  ASSERT_EQ(close(fd), 0);
  io_event event;
  ASSERT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, nullptr), 1);
  EXPECT_EQ(event.res, 5);
  EXPECT_STREQ(buffer, "hello");
}

TEST_F(AioTest, CountsWhatBecameOfRequests) {
  aio_context_t ctx = 0;
  ASSERT_EQ(kernel_.io_setup(8, &ctx), 0);
  std::string path = testing::TempDir() + "/aio_test_XXXXXX";
  const int fd = mkstemp(path.data());
  unlink(path.c_str());
  ASSERT_EQ(write(fd, "hello", 5), 5);
  char buffer[8];
  iocb read = {};
  read.aio_lio_opcode = IOCB_CMD_PREAD;
  read.aio_fildes = static_cast<uint32_t>(fd);
  read.aio_buf = reinterpret_cast<uint64_t>(buffer);
  iocb* batch[] = {&read};
  io_event event;
  for (const uint64_t bytes : {5, 8}) {
    read.aio_nbytes = bytes;
    ASSERT_EQ(kernel_.io_submit(ctx, 1, batch), 1);
    ASSERT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, nullptr), 1);
  }
  read.aio_buf = 8;
  ASSERT_EQ(kernel_.io_submit(ctx, 1, batch), 1);
  ASSERT_EQ(kernel_.io_getevents(ctx, 1, 1, &event, nullptr), 1);
  EXPECT_EQ(event.res, -EFAULT);
  using Results = std::map<std::string, uint64_t>;
  EXPECT_THAT(machine_.Operations(),
              testing::ElementsAre(testing::Pair("PREAD", Results{{"-EFAULT", 1}, {"ok", 1}, {"short", 1}})));
  close(fd);
}

}  // namespace
}  // namespace aiolab
