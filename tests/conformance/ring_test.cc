// The ring as the client sees it: reaping without a call, wrapping around, and what happens to a client that writes
// nonsense into it. The kernel keeps its own tail and its own size, and takes the head as it finds it, modulo that
// size.
#include <sys/mman.h>

#include <algorithm>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Field;

class RingTest : public AioConformanceTest {
 protected:
  void SetUp() override {
    ctx_ = NewContext(8);
    file_ = NewFile();
  }

  aio_ring& ring() { return *RingOf(ctx_); }

  // Completes a request whose event carries `data`.
  void PutEvent(uint64_t data) {
    const uint32_t before = (ring().tail + ring().nr - ring().head) % ring().nr;
    ASSERT_EQ(SubmitCopies(ctx_, WithData(FsyncOf(file_), data), 1), 1u);
    WaitForEvents(ctx_, before + 1);
  }

  // Completes requests and reaps them, so that head and tail both stand at `position`.
  void MoveTo(uint32_t position) {
    while (ring().tail != position) {
      PutEvent(0);
      ReapOne(ctx_);
    }
  }

  std::vector<uint64_t> DataOfAll(long nr) {
    std::vector<io_event> events(static_cast<size_t>(nr));
    const long got = aio().io_getevents(ctx_, 0, nr, events.data(), nullptr);
    EXPECT_GE(got, 0) << ResultName(got);
    std::vector<uint64_t> data;
    for (long i = 0; i < got; ++i) data.push_back(events[static_cast<size_t>(i)].data);
    return data;
  }

  aio_context_t ctx_ = 0;
  int file_ = -1;
};
INSTANTIATE_ON_ALL_BACKENDS(RingTest);

TEST_P(RingTest, ACompletionStandsInTheRingAndMovesTheTail) {
  iocb fsync = WithData(FsyncOf(file_), 7);
  ASSERT_EQ(SubmitOne(ctx_, &fsync), 1);
  WaitForEvents(ctx_, 1);
  EXPECT_EQ(ring().head, 0u);
  EXPECT_EQ(ring().tail, 1u);
  EXPECT_THAT(ring().events()[0], IsEvent(&fsync, 0));
  EXPECT_EQ(ring().events()[0].data, 7u);
}

TEST_P(RingTest, GeteventsMovesTheHead) {
  PutEvent(1);
  PutEvent(2);
  ReapOne(ctx_);
  EXPECT_EQ(ring().head, 1u);
  EXPECT_EQ(ring().tail, 2u);
}

TEST_P(RingTest, AnEventReapedInTheRingIsNotReapedAgain) {
  PutEvent(1);
  PutEvent(2);
  ring().head = 1;
  EXPECT_THAT(DataOfAll(8), ElementsAre(2));
}

TEST_P(RingTest, WrapsAround) {
  MoveTo(ring().nr - 2);
  for (uint64_t data = 1; data <= 4; ++data) PutEvent(data);
  EXPECT_EQ(ring().head, ring().nr - 2);
  EXPECT_EQ(ring().tail, 2u);
  EXPECT_THAT(DataOfAll(8), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(ring().head, 2u);
}

TEST_P(RingTest, WrapsAroundInTheRoomOfTheCaller) {
  MoveTo(ring().nr - 2);
  for (uint64_t data = 1; data <= 4; ++data) PutEvent(data);
  EXPECT_THAT(DataOfAll(3), ElementsAre(1, 2, 3));
  EXPECT_THAT(DataOfAll(3), ElementsAre(4));
}

// The header takes the room of one event in the first page, so events never straddle pages.
TEST_P(RingTest, EventsOnLaterPagesAreInOrder) {
  ctx_ = NewContext(300);
  for (uint64_t data = 0; data < 300; ++data) ASSERT_EQ(SubmitCopies(ctx_, WithData(FsyncOf(file_), data), 1), 1u);
  WaitForEvents(ctx_, 300);
  std::vector<uint64_t> data = DataOfAll(300);
  ASSERT_EQ(data.size(), 300u);
  std::sort(data.begin(), data.end());
  for (uint64_t i = 0; i < 300; ++i) EXPECT_EQ(data[i], i);
  EXPECT_EQ(ring().head, 300u);
}

// ---- Nonsense in the head.

TEST_P(RingTest, AHeadBeyondTheRingIsTakenModuloItsSize) {
  PutEvent(1);
  PutEvent(2);
  ring().head = 3 * ring().nr + 1;
  EXPECT_THAT(DataOfAll(8), ElementsAre(2));
  EXPECT_EQ(ring().head, 2u);
}

// There is nothing to read, and the head is put right all the same.
TEST_P(RingTest, AHeadThatIsTheTailModuloTheSizeMeansAnEmptyRing) {
  PutEvent(1);
  ring().head = ring().nr + 1;
  EXPECT_EQ(Poll(ctx_), 0);
  EXPECT_EQ(ring().head, 1u);
}

TEST_P(RingTest, TheLargestHeadIsTakenModuloTheRingsSize) {
  for (uint64_t data = 1; data <= 10; ++data) PutEvent(data);
  ring().head = 0xffffffff;
  const uint32_t start = 0xffffffff % ring().nr;
  const uint32_t available = (ring().tail + ring().nr - start) % ring().nr;
  EXPECT_EQ(Poll(ctx_, ring().nr), available);
  EXPECT_EQ(ring().head, ring().tail);
}

// A head past the tail says that the ring is full but for one, and io_getevents believes it: it returns what was never
// written. No client is protected from itself.
TEST_P(RingTest, AHeadPastTheTailMakesAllOtherEventsValid) {
  PutEvent(1);
  ring().head = 2;
  EXPECT_EQ(Poll(ctx_, ring().nr), ring().nr - 1);
  EXPECT_EQ(ring().head, 1u);
}

TEST_P(RingTest, AnEventCanBeReadTwiceByMovingTheHeadBack) {
  PutEvent(1);
  EXPECT_THAT(DataOfAll(8), ElementsAre(1));
  ring().head = 0;
  EXPECT_THAT(DataOfAll(8), ElementsAre(1));
}

// ---- Nonsense elsewhere.

TEST_P(RingTest, ATailThatTheClientWroteIsPutRightByTheNextCompletion) {
  PutEvent(1);
  ring().tail = 50;
  ASSERT_EQ(SubmitCopies(ctx_, WithData(FsyncOf(file_), 2), 1), 1u);
  const double deadline = SecondsNow() + 10;
  while (__atomic_load_n(&ring().tail, __ATOMIC_ACQUIRE) != 2 && SecondsNow() < deadline) {
    EXPECT_EQ(aio().io_getevents(ctx_, 0, 0, nullptr, nullptr), 0);
  }
  EXPECT_EQ(ring().tail, 2u);
  EXPECT_THAT(DataOfAll(8), ElementsAre(1, 2));
}

TEST_P(RingTest, GeteventsBelievesATailThatTheClientWrote) {
  PutEvent(1);
  ring().tail = 0;
  EXPECT_EQ(Poll(ctx_), 0);
  ring().tail = 3;
  EXPECT_EQ(Poll(ctx_, 8), 3);
  ring().head = 0;
  ring().tail = 1;
  EXPECT_THAT(DataOfAll(8), ElementsAre(1));
}

TEST_P(RingTest, ATailBeyondTheRingIsTakenModuloItsSize) {
  PutEvent(1);
  ring().tail = 2 * ring().nr + 1;
  EXPECT_THAT(DataOfAll(8), ElementsAre(1));
}

TEST_P(RingTest, AnEventThatTheClientOverwroteIsReturnedAsItStands) {
  PutEvent(1);
  ring().events()[0].data = 99;
  EXPECT_THAT(DataOfAll(8), ElementsAre(99));
}

// The size is for the client's information. The kernel has its own.
TEST_P(RingTest, AnotherSizeInTheHeaderChangesNothing) {
  const uint32_t nr = ring().nr;
  MoveTo(nr - 1);
  ring().nr = 4;
  for (uint64_t data : {1, 2}) ASSERT_EQ(SubmitCopies(ctx_, WithData(FsyncOf(file_), data), 1), 1u);
  EXPECT_THAT(ReapAll(ctx_, 2), Each(Field(&io_event::res, 0)));
  EXPECT_EQ(ring().head, 1u);
  EXPECT_EQ(ring().nr, 4u);
}

TEST_P(RingTest, MagicFeaturesAndHeaderLengthAreForTheClientOnly) {
  ring().magic = 0;
  ring().compat_features = 0;
  ring().incompat_features = 0xffffffff;
  ring().header_length = 0;
  PutEvent(5);
  EXPECT_THAT(DataOfAll(8), ElementsAre(5));
}

// The id is the kernel's only way from the address to the context.
TEST_P(RingTest, AnotherIdInTheHeaderHidesTheContext) {
  PutEvent(1);
  const uint32_t id = ring().id;
  for (uint32_t wrong : {id + 1, 0x7fffffffu, 0xffffffffu}) {
    ring().id = wrong;
    EXPECT_THAT(aio().io_getevents(ctx_, 0, 0, nullptr, nullptr), FailsWith(EINVAL)) << "id " << wrong;
    EXPECT_THAT(aio().io_submit(ctx_, 0, nullptr), FailsWith(EINVAL)) << "id " << wrong;
    EXPECT_THAT(aio().io_destroy(ctx_), FailsWith(EINVAL)) << "id " << wrong;
  }
  ring().id = id;
  EXPECT_THAT(DataOfAll(8), ElementsAre(1));
}

TEST_P(RingTest, TheIdOfAnotherContextHidesTheContext) {
  const uint32_t id = ring().id;
  ring().id = RingOf(NewContext(8))->id;
  EXPECT_THAT(aio().io_getevents(ctx_, 0, 0, nullptr, nullptr), FailsWith(EINVAL));
  ring().id = id;
}

// ---- The mapping.

TEST_P(RingTest, AMovedRingIsTheContextAtItsNewAddress) {
  PutEvent(1);
  void* room = mmap(nullptr, kPageSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(room, MAP_FAILED);
  void* moved = mremap(&ring(), kPageSize, kPageSize, MREMAP_MAYMOVE | MREMAP_FIXED, room);
  ASSERT_EQ(moved, room) << strerror(errno);
  const aio_context_t old = ctx_;
  ctx_ = reinterpret_cast<aio_context_t>(moved);
  EXPECT_THAT(aio().io_getevents(old, 0, 0, nullptr, nullptr), FailsWith(EINVAL));
  EXPECT_THAT(DataOfAll(8), ElementsAre(1));
  PutEvent(2);
  EXPECT_THAT(DataOfAll(8), ElementsAre(2));
  EXPECT_EQ(aio().io_destroy(ctx_), 0);
}

// Method: a child, because a context without a ring cannot be destroyed, and lasts as long as its process.
TEST_P(RingTest, AnUnmappedRingHidesTheContext) {
  EXPECT_EQ(ResultInForkedChild([&] {
              aio_context_t ctx = 0;
              if (aio().io_setup(8, &ctx) != 0) return 1;
              if (munmap(RingOf(ctx), kPageSize) != 0) return 2;
              if (aio().io_getevents(ctx, 0, 0, nullptr, nullptr) != -EINVAL) return 3;
              if (aio().io_submit(ctx, 0, nullptr) != -EINVAL) return 4;
              if (aio().io_destroy(ctx) != -EINVAL) return 5;
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace aiolab
