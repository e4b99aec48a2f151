// The triggers of bugs that real AIO clients had, each as a line of fault rules. A client that is right survives it, or
// reports it; the same client with the bug shows what was seen in the field; without the rule the bug does not show.
// The trace says that the trigger was there.
#include <errno.h>
#include <fcntl.h>

#include <memory>
#include <ostream>
#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "tests/regressions/journal_client.h"
#include "tools/testing/scoped_fault.h"

namespace aiolab {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

enum class Symptom {
  kHangs,            // and the model says for what it waits
  kTriesForEver,     //
  kLeavesItsMemory,  // where a program crashes
  kHasWrongData,     // and says that all is well
  kLosesDurable,     // likewise, and the power goes
  kReports,          // a failure that was none
};

struct Trigger {
  const char* name;
  const char* rules;
  ClientBug bug;
  Symptom symptom;
  const char* traced;  // what the trace has to show
  bool direct = false;
  long result = 0;  // of the client that is right
};

std::ostream& operator<<(std::ostream& out, const Trigger& trigger) { return out << trigger.rules; }

// A client's run on a machine of its own, and what is left of its file when the power has gone.
struct Outcome {
  Outcome(const Trigger& trigger, bool with_rules, ClientBug bug) {
    TextTraceSink sink([this](absl::string_view lines) { trace.append(lines.data(), lines.size()); });
    SeededChooser chooser(5);
    Machine machine({.chooser = &chooser,
                     .trace_sink = &sink,
                     .on_stuck =
                         [this](const std::string& found, bool) {
                           finding = found;
                           return true;
                         },
                     .patience_alone = {.tell_ns = 0},
                     .simfs = {{.disk = "nvme,size=4M"}}});
    EmulatedSyscalls kernel(machine);
    const auto client = std::make_unique<JournalClient>(kernel, trigger.direct, bug);
    if (with_rules) {
      ScopedFault f(machine, trigger.rules);
      result = client->Run();
      EXPECT_TRUE(f.fired());
    } else {
      result = client->Run();
    }
    memory_is_right = client->MemoryIsRight();
    machine.PowerCut();
    EXPECT_TRUE(machine.Reboot().ok());
    durable.resize(JournalClient::Contents().size());
    const int fd = static_cast<int>(kernel.openat(AT_FDCWD, JournalClient::kPath, O_RDONLY, 0));
    const long bytes = fd < 0 ? 0 : kernel.pread64(fd, durable.data(), durable.size(), 0);
    durable.resize(bytes < 0 ? 0 : static_cast<size_t>(bytes));
    machine.trace().Flush();
  }

  bool IsRight() const { return memory_is_right && durable == JournalClient::Contents(); }

  long result = 0;
  bool memory_is_right = false;
  std::string durable;
  std::string finding;
  std::string trace;
};

class BugOfAClientTest : public testing::TestWithParam<Trigger> {};

TEST_P(BugOfAClientTest, IsSurvivedByAClientThatIsRight) {
  const Outcome run(GetParam(), /*with_rules=*/true, ClientBug::kNone);
  EXPECT_EQ(run.result, GetParam().result);
  EXPECT_TRUE(run.result != 0 || run.IsRight());
  // Not by a matcher, which would print a trace of a thousand lines.
  EXPECT_TRUE(absl::StrContains(run.trace, GetParam().traced));
}

TEST_P(BugOfAClientTest, DoesNotShowWithoutItsTrigger) {
  const Outcome run(GetParam(), /*with_rules=*/false, GetParam().bug);
  EXPECT_EQ(run.result, 0);
  EXPECT_TRUE(run.IsRight());
}

TEST_P(BugOfAClientTest, ShowsWithItsTrigger) {
  const Outcome run(GetParam(), /*with_rules=*/true, GetParam().bug);
  switch (GetParam().symptom) {
    case Symptom::kHangs:
      EXPECT_THAT(run.finding, HasSubstr("nothing in the model is due")) << run.result;
      break;
    case Symptom::kTriesForEver:
      EXPECT_EQ(run.result, -ETIME);
      break;
    case Symptom::kLeavesItsMemory:
      EXPECT_EQ(run.result, -EOVERFLOW);
      break;
    case Symptom::kHasWrongData:
      EXPECT_EQ(run.result, 0);
      EXPECT_FALSE(run.memory_is_right);
      break;
    case Symptom::kLosesDurable:
      EXPECT_EQ(run.result, 0);
      EXPECT_FALSE(run.durable == JournalClient::Contents());
      break;
    case Symptom::kReports:
      EXPECT_THAT(run.result, AnyOf(-EAGAIN, -EINTR, -EUCLEAN));
      break;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, BugOfAClientTest,
    testing::Values(
        Trigger{"libevpl_68_RestOfAShortSubmit", "submit=nth(1):short(3)", ClientBug::kForgetsTheRestOfAShortSubmit,
                Symptom::kHangs, "what=short(3)"},
        Trigger{"seastar_1784_RoomOnlyByReaping", "submit_one=always:eagain", ClientBug::kRetriesWithoutReaping,
                Symptom::kTriesForEver, "why=no slot in the ring"},
        Trigger{"seastar_3407_EagainInACompletionThenIdle", "complete=nth(12):eagain",
                ClientBug::kRetriesWithTheNextSubmit, Symptom::kHangs, "res=-EAGAIN"},
        Trigger{"fio_1498_EagainInACompletion", "complete=1in(3):eagain", ClientBug::kTakesEagainForAFailure,
                Symptom::kReports, "res=-EAGAIN"},
        Trigger{"fio_1556_FewerThanMinNr",
                "complete[op=write]=after(10):delay(uniform 1ms 5ms),getevents[size=2]=nth(1):short(1)",
                ClientBug::kAsksForTwoAgain, Symptom::kHangs, "what=short(1)"},
        Trigger{"stxxl_35_SignalInAWait", "complete=always:delay(1ms),getevents[size=2]=nth(1):eintr",
                ClientBug::kTakesEintrForAFailure, Symptom::kReports, "sys_exit_io_getevents: ret=-EINTR"},
        Trigger{"blktap_291_GeteventsFails", "complete=always:delay(1ms),getevents=nth(2):eintr",
                ClientBug::kTakesAnErrorForACount, Symptom::kLeavesItsMemory, "sys_exit_io_getevents: ret=-EINTR"},
        Trigger{"ceph_20996_EagainBetweenBatches",
                "complete=always:delay(exp 1ms),submit_one=pct(70):eagain,submit=1in(2):eagain",
                ClientBug::kNeverForgivesEagain, Symptom::kReports, "what=eagain"},
        Trigger{"ceph_16047_SubmitToAFullRing", "submit_one=after(4):eagain", ClientBug::kSubmitsFromItsCallback,
                Symptom::kTriesForEver, "why=no slot in the ring"},
        Trigger{"ceph_12204_CompletionBeforeTheWait", "getevents=always:delay(5ms)", ClientBug::kWaitsForWhatHasCome,
                Symptom::kHangs, "what=delay(5ms)", /*direct=*/true},
        Trigger{"mysql_90402_OneEio", "complete[op=write]=nth(5):eio", ClientBug::kTakesAnErrorForALength,
                Symptom::kLeavesItsMemory, "res=-EIO", /*direct=*/false, -EIO},
        Trigger{"mysql_100086_BatchedReadsAreNotDispatched", "complete[op=read]=nth(2):short(4096)",
                ClientBug::kLeavesReadsInItsBatch, Symptom::kHangs, "what=short(4096)"},
        Trigger{"mariadb_ShortDirectRead", "complete[op=read]=nth(2):short(4096)",
                ClientBug::kTakesAShortReadForCorruption, Symptom::kReports, "res=4096", /*direct=*/true},
        Trigger{"qemu_ShortIsNotTheEnd", "complete[op=read]=nth(2):short", ClientBug::kTakesAShortReadForTheEnd,
                Symptom::kHasWrongData, "what=short"},
        Trigger{"qemu_NotificationStolen", "complete[op=read,size=4096]=nth(1):delay(1ms)",
                ClientBug::kTakesAllNotificationsAtOnce, Symptom::kHangs, "what=delay(1ms)", /*direct=*/true},
        Trigger{"spdk_283_EagainIsNoFailure", "slab=between(2,4):enomem", ClientBug::kHasTheWrongSignOfErrno,
                Symptom::kReports, "why=no memory"},
        Trigger{"spdk_1622_EagainOnTheLastRetry", "slab=between(13,16):enomem", ClientBug::kRetriesAfterACompletion,
                Symptom::kHangs, "why=no memory"},
        Trigger{"nixl_1696_ShortWriteThenNoSpace", "complete[op=write]=nth(3):short(512)->enospc",
                ClientBug::kTakesAnyResultForDone, Symptom::kLosesDurable, "what=enospc", /*direct=*/false, -ENOSPC},
        Trigger{"linux_aio_tokio_1_BufferFreedInFlight", "bio[op=read,size=4096]=nth(3):delay(50ms)",
                ClientBug::kUsesABufferInFlight, Symptom::kHasWrongData, "what=delay(50ms)", /*direct=*/true},
        Trigger{"turso_4291_TailAfterAPartialWrite", "complete[op=write]=nth(12):short(512)",
                ClientBug::kSyncsBeforeTheTail, Symptom::kLosesDurable, "res=512"},
        Trigger{"wiredtiger_4072_FsyncFailsOnce", "bio[op=write]=nth(1):eio", ClientBug::kRetriesFsync,
                Symptom::kLosesDurable, "res=-EIO", /*direct=*/false, -EIO},
        Trigger{"njs_215_CompletionDelayed", "complete=nth(4):delay(900ms)", ClientBug::kForgetsWhoseTimeWasOver,
                Symptom::kHangs, "what=delay(900ms)"}),
    [](const auto& info) { return std::string(info.param.name); });

// Whatever benign faults come, and wherever: nobody notices.
TEST(BenignFaultsTest, AreNotNoticed) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SeededChooser chooser(seed);
    Machine machine({.chooser = &chooser, .simfs = {{.disk = "nvme,size=4M"}}});
    EmulatedSyscalls kernel(machine);
    ScopedFault f(machine, "any(x3)");
    f.AllowUnfired();
    const auto client = std::make_unique<JournalClient>(kernel, /*direct=*/seed % 2 == 0, ClientBug::kNone);
    EXPECT_EQ(client->Run(), 0) << seed;
    EXPECT_TRUE(client->MemoryIsRight()) << seed;
  }
}

}  // namespace
}  // namespace aiolab
