// The triggers of bugs that real AIO clients had, each as a line of fault rules, provoked against one small client that
// is right: it writes a file in pieces, makes it durable, and reads it back, whatever the kernel answers. The trace
// says that the trigger was there.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include <deque>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "tools/testing/scoped_fault.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;

constexpr size_t kPiece = 16384;
constexpr int kPieces = 12;
constexpr int kAttemptsMax = 1000;

// Every rule that a correct client keeps stands here: the rest of a short submit is submitted, EAGAIN makes room by
// reaping first, EINTR and fewer events than asked for are no error, a short transfer goes on where it stopped, zero is
// the only end of file, and fsync comes after the last write, and is an error when it fails once.
class CorrectClient {
 public:
  explicit CorrectClient(Syscalls& kernel) : kernel_(kernel) {}

  // 0, or the -errno that it reports. After 0 the file is as it should be.
  long Run() {
    for (int tries = 0; (tries == 0 || setup_ == -EAGAIN) && tries < 3; ++tries) setup_ = kernel_.io_setup(4, &ctx_);
    if (setup_ != 0) return setup_;
    fd_ = static_cast<int>(kernel_.openat(AT_FDCWD, "journal", O_RDWR | O_CREAT, 0600));
    eventfd_ = static_cast<int>(kernel_.eventfd2(0, O_NONBLOCK));
    long result = Transfer(IOCB_CMD_PWRITE);
    if (result == 0) result = Fsync();
    if (result == 0) result = Transfer(IOCB_CMD_PREAD);
    kernel_.io_destroy(ctx_);
    return result;
  }
  bool DataIsRight() const {
    for (int i = 0; i < kPieces; ++i) {
      if (pieces_[i] != std::string(kPiece, static_cast<char>('A' + i))) return false;
    }
    return true;
  }

 private:
  struct Request {
    iocb control = {};
    int piece = 0;
    size_t done = 0;
  };

  long Transfer(uint16_t opcode) {
    std::vector<Request> requests(kPieces);
    std::deque<Request*> waiting;
    for (int i = 0; i < kPieces; ++i) {
      requests[i].piece = i;
      requests[i].control.aio_lio_opcode = opcode;
      pieces_[i].assign(kPiece, opcode == IOCB_CMD_PWRITE ? static_cast<char>('A' + i) : '?');
      waiting.push_back(&requests[i]);
    }
    return Drive(waiting);
  }

  long Fsync() {
    Request request;
    request.control.aio_lio_opcode = IOCB_CMD_FSYNC;
    std::deque<Request*> waiting = {&request};
    return Drive(waiting);
  }

  // Submits and reaps until nothing waits and nothing is in flight.
  long Drive(std::deque<Request*>& waiting) {
    long error = 0;
    for (int attempt = 0; !waiting.empty() || in_flight_ > 0; ++attempt) {
      if (attempt == kAttemptsMax) return -ETIME;
      if (error != 0) waiting.clear();
      const long taken = Submit(waiting);
      if (taken < 0 && taken != -EAGAIN) error = taken;
      // Nothing in flight: the refusal clears by itself. Otherwise by reaping.
      const long reaped = in_flight_ > 0 ? Reap(waiting) : 0;
      if (reaped < 0 && error == 0) error = reaped;
    }
    return error;
  }

  long Submit(std::deque<Request*>& waiting) {
    std::vector<iocb*> batch;
    for (Request* request : waiting) {
      iocb& control = request->control;
      control.aio_fildes = static_cast<uint32_t>(fd_);
      control.aio_data = reinterpret_cast<uint64_t>(request);
      control.aio_flags = IOCB_FLAG_RESFD;
      control.aio_resfd = static_cast<uint32_t>(eventfd_);
      if (control.aio_lio_opcode != IOCB_CMD_FSYNC) {
        control.aio_buf = reinterpret_cast<uint64_t>(pieces_[request->piece].data() + request->done);
        control.aio_nbytes = kPiece - request->done;
        control.aio_offset = static_cast<int64_t>(request->piece * kPiece + request->done);
      }
      batch.push_back(&control);
    }
    if (batch.empty()) return 0;
    const long taken = kernel_.io_submit(ctx_, static_cast<long>(batch.size()), batch.data());
    for (long i = 0; i < taken; ++i) waiting.pop_front();
    if (taken > 0) in_flight_ += taken;
    return taken;
  }

  // Waits for two events if so many are in flight.
  long Reap(std::deque<Request*>& waiting) {
    io_event events[8];
    const long wanted = in_flight_ > 1 ? 2 : 1;
    const long count = kernel_.io_getevents(ctx_, wanted, 8, events, nullptr);
    if (count == -EINTR) return 0;
    if (count < 0) return count;
    // The eventfd's count is a hint: somebody else may have read it.
    uint64_t notified;
    kernel_.read(eventfd_, &notified, sizeof(notified));
    in_flight_ -= count;
    long error = 0;
    for (long i = 0; i < count; ++i) {
      auto* const request = reinterpret_cast<Request*>(events[i].data);
      const int64_t res = events[i].res;
      const bool is_fsync = request->control.aio_lio_opcode == IOCB_CMD_FSYNC;
      if (res > 0) request->done += static_cast<size_t>(res);
      if (res == -EAGAIN || (res > 0 && request->done < kPiece)) {
        waiting.push_back(request);
      } else if (res < 0 || (res == 0 && !is_fsync)) {
        error = res < 0 ? res : -ENODATA;
      }
    }
    return error;
  }

  Syscalls& kernel_;
  aio_context_t ctx_ = 0;
  long setup_ = 0;
  int fd_ = -1;
  int eventfd_ = -1;
  long in_flight_ = 0;
  std::string pieces_[kPieces];
};

struct Trigger {
  const char* name;
  const char* rules;
  long result;         // of the client
  const char* traced;  // what the trace has to show
};

class BugOfAClientTest : public testing::TestWithParam<Trigger> {};

TEST_P(BugOfAClientTest, IsProvokedAndSurvived) {
  std::string trace;
  TextTraceSink sink([&trace](absl::string_view lines) { trace.append(lines.data(), lines.size()); });
  SeededChooser chooser(5);
  Machine machine({.chooser = &chooser, .trace_sink = &sink});
  EmulatedSyscalls kernel(machine);
  CorrectClient client(kernel);
  {
    ScopedFault f(machine, GetParam().rules);
    EXPECT_EQ(client.Run(), GetParam().result);
    EXPECT_TRUE(f.fired());
  }
  EXPECT_TRUE(GetParam().result != 0 || client.DataIsRight());
  machine.trace().Flush();
  EXPECT_THAT(trace, HasSubstr(GetParam().traced));
}

INSTANTIATE_TEST_SUITE_P(
    All, BugOfAClientTest,
    testing::Values(
        Trigger{"libevpl_68_RestOfAShortSubmit", "submit=nth(1):short(3)", 0, "what=short(3)"},
        Trigger{"seastar_1784_RoomOnlyByReaping", "submit_one=between(3,9):eagain", 0, "why=no slot in the ring"},
        Trigger{"seastar_3407_EagainInACompletionThenIdle", "complete=nth(12):eagain", 0, "what=eagain"},
        Trigger{"fio_1498_EagainInACompletion", "complete=1in(3):eagain", 0, "res=-EAGAIN"},
        Trigger{"fio_1556_FewerThanMinNr", "complete=always:delay(exp 1ms),getevents=1in(2):short(1)", 0,
                "what=short(1)"},
        Trigger{"stxxl_35_SignalInAWait", "complete=always:delay(1ms),getevents=nth(1):eintr", 0,
                "sys_exit_io_getevents: ret=-EINTR"},
        Trigger{"blktap_291_GeteventsFails", "getevents=nth(2):enosys", -ENOSYS, "sys_exit_io_getevents: ret=-ENOSYS"},
        Trigger{"ceph_20996_EagainBetweenBatches",
                "complete=always:delay(exp 1ms),submit=always:short(3),submit=every(2):eagain", 0, "what=eagain"},
        Trigger{"ceph_16047_SubmitToAFullRing", "submit_one=1in(2):eagain", 0, "why=no slot in the ring"},
        Trigger{"ceph_12204_CompletionBeforeTheWait", "getevents=always:delay(5ms)", 0, "what=delay(5ms)"},
        Trigger{"mysql_90402_OneEio", "complete[op=write]=nth(5):eio", -EIO, "res=-EIO"},
        Trigger{"mariadb_ShortReadInMidFile", "complete[op=read]=nth(2):short(4096)", 0, "res=4096"},
        Trigger{"qemu_ShortIsNotTheEnd", "complete[op=read]=always x6:short", 0, "what=short"},
        Trigger{"qemu_NotificationLate", "eventfd=every(2):delay(exp 1ms)", 0, "what=delay(exp 1ms)"},
        Trigger{"spdk_283_EagainIsNoFailure", "slab=between(2,4):enomem", 0, "why=no memory"},
        Trigger{"spdk_1622_EagainOnTheLastRetry", "slab=between(13,16):enomem", 0, "why=no memory"},
        Trigger{"nixl_1696_ShortWriteThenNoSpace", "complete[op=write]=nth(3):short(512)->enospc", -ENOSPC,
                "what=enospc"},
        Trigger{"turso_4291_TailAfterAPartialWrite", "complete[op=write]=nth(12):short(512)", 0, "res=512"},
        Trigger{"wiredtiger_4072_FsyncFailsOnce", "fsync=nth(1):eio", -EIO, "what=eio"},
        Trigger{"njs_215_CompletionDelayed", "complete=nth(4):delay(900ms)", 0, "what=delay(900ms)"}),
    [](const auto& info) { return std::string(info.param.name); });

// Whatever benign faults come, and wherever: nobody notices.
TEST(BenignFaultsTest, AreNotNoticed) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SeededChooser chooser(seed);
    Machine machine({.chooser = &chooser});
    EmulatedSyscalls kernel(machine);
    ScopedFault f(machine, "any(x3)");
    f.AllowUnfired();
    CorrectClient client(kernel);
    EXPECT_EQ(client.Run(), 0) << seed;
    EXPECT_TRUE(client.DataIsRight()) << seed;
  }
}

}  // namespace
}  // namespace aiolab
