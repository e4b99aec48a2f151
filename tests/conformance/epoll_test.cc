// epoll, as far as clients that wait for completions by an eventfd use it.
#include <sys/epoll.h>

#include "tests/conformance/fixture.h"

namespace aiolab {
namespace {

class EpollTest : public AioConformanceTest {
 protected:
  void SetUp() override { epoll_ = Owned(aio().epoll_create1(0)); }

  long Ctl(int op, int fd, uint32_t events) {
    epoll_event interest = {};
    interest.events = events;
    return aio().epoll_ctl(epoll_, op, fd, &interest);
  }

  int epoll_ = -1;
};
INSTANTIATE_ON_ALL_BACKENDS(EpollTest);

TEST_P(EpollTest, AnExclusiveWaitIsForWakeUpsOnly) {
  const int eventfd = NewEventfd();
  EXPECT_THAT(Ctl(EPOLL_CTL_ADD, eventfd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), FailsWith(EINVAL));
  EXPECT_EQ(Ctl(EPOLL_CTL_ADD, eventfd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET), 0);
}

TEST_P(EpollTest, AnExclusiveWaitCannotBeChanged) {
  const int eventfd = NewEventfd();
  ASSERT_EQ(Ctl(EPOLL_CTL_ADD, eventfd, EPOLLIN | EPOLLEXCLUSIVE), 0);
  EXPECT_THAT(Ctl(EPOLL_CTL_MOD, eventfd, EPOLLIN), FailsWith(EINVAL));
}

TEST_P(EpollTest, AWaitCannotBecomeExclusive) {
  const int eventfd = NewEventfd();
  ASSERT_EQ(Ctl(EPOLL_CTL_ADD, eventfd, EPOLLIN), 0);
  EXPECT_THAT(Ctl(EPOLL_CTL_MOD, eventfd, EPOLLIN | EPOLLEXCLUSIVE), FailsWith(EINVAL));
}

TEST_P(EpollTest, AnotherSetCannotBeWatchedExclusively) {
  const int other = Owned(aio().epoll_create1(0));
  EXPECT_THAT(Ctl(EPOLL_CTL_ADD, other, EPOLLIN | EPOLLEXCLUSIVE), FailsWith(EINVAL));
}

}  // namespace
}  // namespace aiolab
