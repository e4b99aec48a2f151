// io_setup(): its arguments, and the ring which it maps.
#include <algorithm>
#include <set>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

using IoSetupTest = AioConformanceTest;
INSTANTIATE_ON_ALL_BACKENDS(IoSetupTest);

// More than that, doubled, would be a ring of more than 256 MiB.
constexpr unsigned kEventsMax = 0x10000000 / 32 / 2;

TEST_P(IoSetupTest, ZeroEventsIsEinval) {
  aio_context_t ctx = 0;
  EXPECT_THAT(aio().io_setup(0, &ctx), FailsWith(EINVAL));
  EXPECT_EQ(ctx, 0u);
}

TEST_P(IoSetupTest, ANonzeroContextIsEinvalAndStaysAsItIs) {
  aio_context_t ctx = 1;
  EXPECT_THAT(aio().io_setup(8, &ctx), FailsWith(EINVAL));
  EXPECT_EQ(ctx, 1u);
}

TEST_P(IoSetupTest, AnUnreadableContextPointerIsEfault) {
  EXPECT_THAT(aio().io_setup(8, reinterpret_cast<aio_context_t*>(InaccessiblePage())), FailsWith(EFAULT));
  EXPECT_THAT(aio().io_setup(8, nullptr), FailsWith(EFAULT));
  EXPECT_THAT(aio().io_setup(8, reinterpret_cast<aio_context_t*>(KernelAddress())), FailsWith(EFAULT));
}

// The kernel reads a zero there, makes the context, cannot tell its name, and has to take it back.
TEST_P(IoSetupTest, AReadOnlyContextPointerIsEfault) {
  EXPECT_THAT(aio().io_setup(8, reinterpret_cast<aio_context_t*>(ReadOnlyPage())), FailsWith(EFAULT));
}

TEST_P(IoSetupTest, MoreEventsThanARingCanHoldIsEinval) {
  aio_context_t ctx = 0;
  EXPECT_THAT(aio().io_setup(kEventsMax + 1, &ctx), FailsWith(EINVAL));
  EXPECT_THAT(aio().io_setup(0xffffffff, &ctx), FailsWith(EINVAL));
  EXPECT_EQ(ctx, 0u);
}

// The count is doubled in 32 bits before it is compared with the largest ring, so half of 2^32 looks small. What
// refuses it is the system-wide limit, with its own error.
TEST_P(IoSetupTest, ACountWhoseDoubleOverflowsIsEagain) {
  aio_context_t ctx = 0;
  EXPECT_THAT(aio().io_setup(0x80000000, &ctx), FailsWith(EAGAIN));
  EXPECT_THAT(aio().io_setup(0x80000001, &ctx), FailsWith(EAGAIN));
  EXPECT_EQ(ctx, 0u);
}

TEST_P(IoSetupTest, TheContextIsTheAddressOfAnEmptyRing) {
  const aio_context_t ctx = NewContext(8);
  ASSERT_NE(ctx, 0u);
  EXPECT_EQ(ctx % kPageSize, 0u);
  const aio_ring& ring = *RingOf(ctx);
  EXPECT_EQ(ring.head, 0u);
  EXPECT_EQ(ring.tail, 0u);
  EXPECT_EQ(ring.magic, AIO_RING_MAGIC);
  EXPECT_EQ(ring.compat_features, AIO_RING_COMPAT_FEATURES);
  EXPECT_EQ(ring.incompat_features, AIO_RING_INCOMPAT_FEATURES);
  EXPECT_EQ(ring.header_length, sizeof(aio_ring));
}

// Four slots per possible CPU at least, doubled since they are handed out in batches, two more, and what is left of the
// last page.
TEST_P(IoSetupTest, TheRingHoldsTwiceTheEventsAskedForRoundedUpToPages) {
  const unsigned events_min = GetParam().possible_cpus * 4;
  for (unsigned nr_events : {1u, events_min, events_min + 1, 62u, 63u, 64u, 126u, 127u, 128u, 1000u, 4096u}) {
    const unsigned slots = 2 * std::max(nr_events, events_min) + 2;
    const unsigned pages = (32 + 32 * slots + 4095) / 4096;
    EXPECT_EQ(RingOf(NewContext(nr_events))->nr, (4096 * pages - 32) / 32) << "nr_events " << nr_events;
  }
}

// Every page of the ring is mapped: the client may read the last event, and the page behind it is not the ring's.
TEST_P(IoSetupTest, TheWholeRingIsReadable) {
  const aio_context_t ctx = NewContext(1000);
  const aio_ring& ring = *RingOf(ctx);
  const int file = NewFile();
  EXPECT_EQ(aio().pwrite64(file, &ring.events()[ring.nr - 1], sizeof(io_event), 0), 32);
}

// Method: a child, since its exit takes all contexts down at once, and io_destroy one by one is slow.
TEST_P(IoSetupTest, AThousandContextsHaveDifferentAddressesAndIds) {
  EXPECT_EQ(ResultInForkedChild([&] {
              std::set<aio_context_t> contexts;
              std::set<unsigned> ids;
              for (int i = 0; i < 1000; ++i) {
                aio_context_t ctx = 0;
                if (aio().io_setup(1, &ctx) != 0) return 1;
                contexts.insert(ctx);
                ids.insert(RingOf(ctx)->id);
              }
              return contexts.size() == 1000 && ids.size() == 1000 ? 0 : 2;
            }),
            0);
}

TEST_P(IoSetupTest, TheLowestFreeIdIsUsedAgain) {
  const aio_context_t first = NewContext(1);
  const aio_context_t second = NewContext(1);
  NewContext(1);
  const unsigned first_id = RingOf(first)->id;
  const unsigned second_id = RingOf(second)->id;
  ASSERT_EQ(aio().io_destroy(second), 0);
  ASSERT_EQ(aio().io_destroy(first), 0);
  EXPECT_EQ(RingOf(NewContext(1))->id, std::min(first_id, second_id));
  EXPECT_EQ(RingOf(NewContext(1))->id, std::max(first_id, second_id));
}

TEST_P(IoSetupTest, EventsOfOneContextDoNotShowInAnother) {
  const aio_context_t one = NewContext(8);
  const aio_context_t other = NewContext(8);
  char buf[4];
  iocb read = ReadOf(NewFile("data"), absl::MakeSpan(buf));
  ASSERT_EQ(SubmitOne(one, &read), 1);
  WaitForEvents(one, 1);
  EXPECT_EQ(Poll(other), 0);
  EXPECT_EQ(Poll(one), 1);
}

}  // namespace
}  // namespace aiolab
