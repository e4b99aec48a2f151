// /proc/sys/fs/aio-nr and aio-max-nr: the system-wide account of requests that contexts may have.
//
// Other processes charge the same account. A test reads it before and after, and tries again if somebody else was seen.
#include <fcntl.h>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class AioNrTest : public AioConformanceTest {
 protected:
  long Value(const char* path) {
    const int fd = Open(path, O_RDONLY);
    char buf[32];
    const long got = aio().read(fd, buf, sizeof(buf));
    Close(fd);
    long value = -1;
    EXPECT_GT(got, 0) << path << ": " << ResultName(got);
    EXPECT_TRUE(got > 0 && absl::SimpleAtoi(absl::string_view(buf, static_cast<size_t>(got)), &value)) << path;
    return value;
  }

  long AioNr() { return Value("/proc/sys/fs/aio-nr"); }
  long AioMaxNr() { return Value("/proc/sys/fs/aio-max-nr"); }

  // By how much `action` changes aio-nr. The account has to stand at that twice in a row.
  template <typename Action, typename Undo>
  long ChangeOfAioNr(Action action, Undo undo) {
    long last = 0;
    for (int attempt = 0; attempt < 50; ++attempt) {
      const long before = AioNr();
      action();
      const long change = AioNr() - before;
      undo();
      if (attempt > 0 && change == last && AioNr() == before) return change;
      last = change;
    }
    ADD_FAILURE() << "other processes change aio-nr all the time";
    return last;
  }
};
INSTANTIATE_ON_ALL_BACKENDS(AioNrTest);

// The charge is what the caller asked for, not the size of the ring.
TEST_P(AioNrTest, AContextIsChargedWithTheEventsAskedFor) {
  for (unsigned nr_events : {1u, 7u, 300u}) {
    aio_context_t ctx = 0;
    EXPECT_EQ(ChangeOfAioNr([&] { ASSERT_EQ(aio().io_setup(nr_events, &ctx), 0); },
                            [&] {
                              ASSERT_EQ(aio().io_destroy(ctx), 0);
                              ctx = 0;
                            }),
              nr_events);
  }
}

TEST_P(AioNrTest, DestroyGivesTheChargeBack) {
  aio_context_t ctx = 0;
  ASSERT_EQ(aio().io_setup(33, &ctx), 0);
  EXPECT_EQ(ChangeOfAioNr([&] { ASSERT_EQ(aio().io_destroy(ctx), 0); },
                          [&] {
                            ctx = 0;
                            ASSERT_EQ(aio().io_setup(33, &ctx), 0);
                          }),
            -33);
  ASSERT_EQ(aio().io_destroy(ctx), 0);
}

TEST_P(AioNrTest, AFailedSetupLeavesNoCharge) {
  aio_context_t* read_only = reinterpret_cast<aio_context_t*>(ReadOnlyPage());
  aio_context_t* inaccessible = reinterpret_cast<aio_context_t*>(InaccessiblePage());
  EXPECT_EQ(ChangeOfAioNr(
                [&] {
                  EXPECT_THAT(aio().io_setup(8, read_only), FailsWith(EFAULT));
                  EXPECT_THAT(aio().io_setup(8, inaccessible), FailsWith(EFAULT));
                  aio_context_t ctx = 0;
                  EXPECT_THAT(aio().io_setup(0, &ctx), FailsWith(EINVAL));
                },
                [] {}),
            0);
}

TEST_P(AioNrTest, MoreEventsThanTheLimitIsEagain) {
  aio_context_t ctx = 0;
  const long aio_max_nr = AioMaxNr();
  EXPECT_THAT(aio().io_setup(static_cast<unsigned>(aio_max_nr) + 1, &ctx), FailsWith(EAGAIN));
  EXPECT_EQ(ctx, 0u);
}

// Two halves and a bit: each fits, both do not, whatever other processes hold.
TEST_P(AioNrTest, ContextsThatTogetherPassTheLimitAreEagain) {
  const unsigned half = static_cast<unsigned>(AioMaxNr() / 2 + 1);
  NewContext(half);
  aio_context_t second = 0;
  EXPECT_THAT(aio().io_setup(half, &second), FailsWith(EAGAIN));
  EXPECT_EQ(second, 0u);
}

TEST_P(AioNrTest, TheRestOfTheLimitCanStillBeUsed) {
  const unsigned half = static_cast<unsigned>(AioMaxNr() / 2 + 1);
  NewContext(half);
  aio_context_t second = 0;
  ASSERT_THAT(aio().io_setup(half, &second), FailsWith(EAGAIN));
  EXPECT_NE(NewContext(1), 0u);
}

}  // namespace
}  // namespace aiolab
