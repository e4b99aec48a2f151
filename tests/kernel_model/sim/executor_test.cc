#include "kernel_model/sim/executor.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aiolab {
namespace {

using testing::ElementsAre;

// An event that notes its name when it runs.
struct Noted : Executor::Event {
  Noted(std::vector<int>& log, int name) : log(log), name(name) {
    run = [](Executor::Event& event) { static_cast<Noted&>(event).log.push_back(static_cast<Noted&>(event).name); };
  }
  std::vector<int>& log;
  const int name;
};

class ExecutorTest : public testing::Test {
 protected:
  SeededChooser chooser_{1};
  Executor executor_{chooser_, {.alone = {.tell_ns = 0}}};
  std::vector<int> log_;
  Sleeper me_;
};

TEST_F(ExecutorTest, EventsRunInTheOrderOfTheirTimes) {
  Noted late(log_, 3), early(log_, 1), middle(log_, 2);
  executor_.At(late, 300);
  executor_.At(early, 100);
  executor_.At(middle, 200);
  executor_.AdvanceTo(1000);
  EXPECT_THAT(log_, ElementsAre(1, 2, 3));
  EXPECT_EQ(executor_.NowNs(), 1000);
  EXPECT_FALSE(executor_.has_events());
}

TEST_F(ExecutorTest, TheClockStandsAtTheEventThatRuns) {
  int64_t ran_at = -1;
  struct Clocked : Executor::Event {
    Executor* executor;
    int64_t* ran_at;
  } event;
  event.executor = &executor_;
  event.ran_at = &ran_at;
  event.run = [](Executor::Event& e) {
    auto& clocked = static_cast<Clocked&>(e);
    *clocked.ran_at = clocked.executor->NowNs();
  };
  executor_.At(event, 250);
  executor_.AdvanceTo(1000);
  EXPECT_EQ(ran_at, 250);
}

TEST_F(ExecutorTest, ACancelledEventDoesNotRun) {
  Noted one(log_, 1), two(log_, 2), three(log_, 3);
  executor_.At(one, 100);
  executor_.At(two, 100);
  executor_.At(three, 200);
  EXPECT_TRUE(executor_.Cancel(three));
  EXPECT_TRUE(executor_.Cancel(one));
  EXPECT_FALSE(executor_.Cancel(one));
  executor_.AdvanceTo(1000);
  EXPECT_THAT(log_, ElementsAre(2));
}

// Two things that are due at once are a question: some seed answers it one way, some the other.
TEST_F(ExecutorTest, TheChooserSaysWhichOfTwoEqualTimesIsFirst) {
  std::set<std::vector<int>> orders;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SeededChooser chooser(seed);
    Executor executor(chooser, {});
    std::vector<int> log;
    Noted one(log, 1), two(log, 2);
    executor.At(one, 100);
    executor.At(two, 100);
    executor.AdvanceTo(100);
    orders.insert(log);
  }
  EXPECT_THAT(orders, ElementsAre(ElementsAre(1, 2), ElementsAre(2, 1)));
}

TEST_F(ExecutorTest, BlockUntilRunsTheModelOnTheCallersStack) {
  Noted one(log_, 1), two(log_, 2);
  executor_.At(one, 100);
  executor_.At(two, 200);
  executor_.Enter();
  EXPECT_EQ(executor_.BlockUntil(me_, {.done = [&] { return !log_.empty(); }}), Executor::StopReason::kDone);
  executor_.Leave();
  EXPECT_THAT(log_, ElementsAre(1));
  EXPECT_EQ(executor_.NowNs(), 100);
}

TEST_F(ExecutorTest, ADeadlinePassesInVirtualTimeAtOnce) {
  executor_.Enter();
  EXPECT_EQ(executor_.BlockUntil(me_, {.done = [] { return false; }, .deadline_ns = 3'600'000'000'000}),
            Executor::StopReason::kTimedOut);
  executor_.Leave();
  EXPECT_EQ(executor_.NowNs(), 3'600'000'000'000);
}

// Between two events, once at its time and again when it says; a wait goes on behind it.
TEST_F(ExecutorTest, TheAlarmGoesOffInOrderAndEndsNoWait) {
  Executor* at = nullptr;
  std::vector<int64_t> alarms;
  Executor executor(chooser_, {.on_alarm = [&] {
                      alarms.push_back(at->NowNs());
                      return alarms.size() == 1 ? int64_t{150} : kNoDeadline;
                    }});
  at = &executor;
  Noted one(log_, 1), two(log_, 2);
  executor.At(one, 100);
  executor.At(two, 200);
  executor.SetAlarm(50);
  executor.Enter();
  EXPECT_EQ(executor.BlockUntil(me_, {.done = [&] { return log_.size() == 2; }}), Executor::StopReason::kDone);
  executor.Leave();
  EXPECT_THAT(alarms, ElementsAre(50, 150));
  EXPECT_THAT(log_, ElementsAre(1, 2));
  EXPECT_EQ(executor.alarm_ns(), kNoDeadline);
}

TEST_F(ExecutorTest, AWaitThatNothingCanEndIsReported) {
  std::string told;
  Executor executor(chooser_, {.on_stuck =
                                   [&told](const std::string& finding, bool certain) {
                                     EXPECT_FALSE(certain);
                                     told = finding;
                                     return true;
                                   },
                               .alone = {.tell_ns = 0}});
  executor.Enter();
  EXPECT_EQ(executor.BlockUntil(me_, {.done = [] { return false; }}), Executor::StopReason::kStuck);
  executor.Leave();
  EXPECT_THAT(told, testing::HasSubstr("nothing in the model is due"));
}

// The first word is a warning, the second is the last.
TEST_F(ExecutorTest, AWaitThatNothingEndsIsEndedWhenPatienceIs) {
  for (const bool others : {false, true}) {
    std::vector<bool> told;
    Executor::Options options;
    options.other_threads = [others] { return others; };
    options.on_stuck = [&told](const std::string& finding, bool certain) {
      EXPECT_EQ(finding, Executor::kNobodyCame);
      told.push_back(certain);
      return certain;
    };
    (others ? options.with_others : options.alone) = {.tell_ns = 1'000'000, .end_ns = 5'000'000};
    Executor executor(chooser_, options);
    executor.Enter();
    EXPECT_EQ(executor.BlockUntil(me_, {.done = [] { return false; }}), Executor::StopReason::kStuck);
    executor.Leave();
    EXPECT_THAT(told, ElementsAre(false, true)) << others;
  }
}

// Another thread brings what the first waits for.
TEST_F(ExecutorTest, AThreadThatSleepsOnTheHostIsWokenByAnother) {
  Executor executor(chooser_, {.other_threads = [] { return true; }});
  struct Shared {
    Executor& executor;
    Sleeper& sleeper;
    bool done = false;
  } shared{executor, me_};
  executor.Enter();
  pthread_t other;
  ASSERT_EQ(pthread_create(
                &other, nullptr,
                [](void* argument) -> void* {
                  auto& shared = *static_cast<Shared*>(argument);
                  shared.executor.Enter();
                  shared.done = true;
                  shared.executor.Wake(shared.sleeper);
                  shared.executor.Leave();
                  return nullptr;
                },
                &shared),
            0);
  EXPECT_EQ(executor.BlockUntil(me_, {.done = [&] { return shared.done; }}), Executor::StopReason::kDone);
  executor.Leave();
  pthread_join(other, nullptr);
}

TEST_F(ExecutorTest, ASignalEndsAnInterruptibleWait) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  Executor executor(chooser_, {.other_threads = [] { return true; }});
  const pthread_t waiter = pthread_self();
  pthread_t other;
  ASSERT_EQ(pthread_create(
                &other, nullptr,
                [](void* argument) -> void* {
                  timespec pause = {0, 50'000'000};
                  nanosleep(&pause, nullptr);
                  pthread_kill(*static_cast<pthread_t*>(argument), SIGUSR1);
                  return nullptr;
                },
                const_cast<pthread_t*>(&waiter)),
            0);
  const auto look = [] { return false; };
  const absl::FunctionRef<bool()> never = look;
  executor.Enter();
  EXPECT_EQ(executor.BlockUntil(me_, {.done = [] { return false; }, .interrupted = &never}),
            Executor::StopReason::kInterrupted);
  executor.Leave();
  pthread_join(other, nullptr);
}

// A thread that waits hands the baton over between its look at the condition and its sleep. What the other thread does
// in between makes the condition true without a wake-up: it has run the event that the first one meant to run.
TEST_F(ExecutorTest, AConditionThatCameTrueWhileTheBatonWasAwayIsSeen) {
  Executor executor(chooser_, {.other_threads = [] { return true; }});
  struct Shared {
    Executor& executor;
    std::atomic<bool> about_to_enter{false};
  } shared{executor};
  Noted event(log_, 1);
  executor.Enter();
  executor.At(event, 100);
  pthread_t other;
  ASSERT_EQ(pthread_create(
                &other, nullptr,
                [](void* argument) -> void* {
                  auto& shared = *static_cast<Shared*>(argument);
                  shared.about_to_enter = true;
                  shared.executor.Enter();
                  shared.executor.AdvanceTo(100);
                  shared.executor.Leave();
                  return nullptr;
                },
                &shared),
            0);
  while (!shared.about_to_enter) sched_yield();
  timespec pause = {0, 50'000'000};
  nanosleep(&pause, nullptr);
  alarm(10);  // for the case that it sleeps on
  EXPECT_EQ(executor.BlockUntil(me_, {.done = [&] { return executor.events_run() > 0; }}), Executor::StopReason::kDone);
  alarm(0);
  executor.Leave();
  pthread_join(other, nullptr);
}

// The signal comes after the look at what it changes and before the sleep, which polls a file of the host.
Sleeper* sleeper_to_wake = nullptr;
std::atomic<bool> was_interrupted{false};
TEST_F(ExecutorTest, ASignalJustBeforeAPollOfTheHostEndsTheWait) {
  struct sigaction action = {};
  action.sa_handler = [](int) {
    was_interrupted = true;
    sleeper_to_wake->Wake();
  };
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  action.sa_handler = [](int) {};
  ASSERT_EQ(sigaction(SIGALRM, &action, nullptr), 0);
  sleeper_to_wake = &me_;
  // Asked after the condition, before the sleep.
  Executor executor(chooser_, {.find_stuck = [] {
                      raise(SIGUSR1);
                      return std::string();
                    }});
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  Executor::HostWatch watch{.fd = pipe_fds[0], .events = POLLIN, .ready = [](Executor::HostWatch&, short) {}};
  executor.Watch(watch);
  const auto look = [] { return was_interrupted.load(); };
  const absl::FunctionRef<bool()> interrupted = look;
  executor.Enter();
  alarm(5);
  EXPECT_EQ(executor.BlockUntil(me_, {.done = [] { return false; }, .interrupted = &interrupted}),
            Executor::StopReason::kInterrupted);
  EXPECT_GT(alarm(0), 3u) << "it was the alarm that ended the wait";
  executor.Unwatch(watch);
  executor.Leave();
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

}  // namespace
}  // namespace aiolab
