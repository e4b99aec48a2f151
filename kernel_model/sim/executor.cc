#include "kernel_model/sim/executor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1000000000;

// While other threads may bring work, a thread that polls the host's files looks up this often.
constexpr int64_t kWatchSliceNs = 2'000'000;

}  // namespace

// Not through the C library, whose clock_gettime a preload library replaces and whose vDSO reads a time-stamp counter
// that may trap.
int64_t HostMonotonicNs() {
  timespec now;
  RawSyscall(__NR_clock_gettime, CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNanosecondsPerSecond + now.tv_nsec;
}

Executor::Executor(Chooser& chooser, Options options)
    : chooser_(chooser), options_(std::move(options)), host_start_ns_(HostMonotonicNs()) {}

int64_t Executor::NowNs() const {
  return options_.clock == ClockMode::kVirtual ? now_ns_.load(std::memory_order_relaxed)
                                               : HostMonotonicNs() - host_start_ns_;
}

void Executor::MoveNowTo(int64_t when_ns) {
  if (options_.clock == ClockMode::kVirtual && when_ns > NowNs()) now_ns_.store(when_ns, std::memory_order_relaxed);
}

void Executor::Charge(int64_t cpu_ns) {
  if (options_.clock == ClockMode::kVirtual) MoveNowTo(NowNs() + cpu_ns);
}

void Executor::At(Event& event, int64_t when_ns) {
  Cancel(event);
  event.when_ns = std::max(when_ns, NowNs());
  event.sequence = next_sequence_++;
  heap_.push_back(&event);
  event.position = heap_.size() - 1;
  HeapUp(event.position);
  CountEvents();
}

bool Executor::Cancel(Event& event) {
  if (!armed(event)) return false;
  if (event.position == Event::kInTieGroup) {
    tie_group_.erase(std::find(tie_group_.begin(), tie_group_.end(), &event));
  } else {
    HeapRemove(event.position);
  }
  event.position = Event::kIdle;
  CountEvents();
  return true;
}

int64_t Executor::NextEventNs() const {
  if (!tie_group_.empty()) return tie_group_.front()->when_ns;
  return heap_.empty() ? kNoDeadline : heap_.front()->when_ns;
}

// Takes the event that runs next off the queue. Everything due at the same time is in the tie group first, in the order
// of arming, so that the question and its answer mean the same in every run.
Executor::Event* Executor::Next() {
  const int64_t when_ns = NextEventNs();
  while (!heap_.empty() && heap_.front()->when_ns == when_ns) {
    Event* tied = heap_.front();
    HeapRemove(0);
    tied->position = Event::kInTieGroup;
    tie_group_.push_back(tied);
  }
  const uint32_t chosen =
      chooser_.Choose(Choice::kOrder, static_cast<uint32_t>(tie_group_.size()), "executor/due_at_the_same_time");
  Event* next = tie_group_[chosen];
  tie_group_.erase(tie_group_.begin() + chosen);
  next->position = Event::kIdle;
  CountEvents();
  return next;
}

void Executor::RunNext(Event& event) {
  ++events_run_;
  running_event_ = true;
  if (events_run_ == breakpoint_number_ && at_breakpoint_) {
    // What happens there may take the event back.
    At(event, event.when_ns);
    std::exchange(at_breakpoint_, nullptr)();
    if (!Cancel(event)) {
      running_event_ = false;
      return;
    }
  }
  event.run(event);
  running_event_ = false;
}

void Executor::RunDue() {
  if (running_event_) abort();
  if (has_watches()) PollWatches();
  while (std::min(NextEventNs(), alarm_ns()) <= NowNs()) RunFirst();
}

// The next event, or the alarm if that is earlier. Requires: there is one.
void Executor::RunFirst() {
  const int64_t alarm_ns = this->alarm_ns();
  if (alarm_ns < NextEventNs()) {
    MoveNowTo(alarm_ns);
    SetAlarm(options_.on_alarm());
    return;
  }
  Event* next = Next();
  MoveNowTo(next->when_ns);
  RunNext(*next);
}

void Executor::AdvanceTo(int64_t when_ns) {
  while (std::min(NextEventNs(), alarm_ns()) <= when_ns) RunFirst();
  MoveNowTo(when_ns);
}

Executor::StopReason Executor::BlockUntil(Sleeper& me, const Wait& wait) {
  if (running_event_) abort();  // kernel work never blocks
  Idleness idle;
  for (;;) {
    // Before the look at the condition, so that a wake-up between that look and the sleep is not lost.
    const uint32_t ticket = me.Prepare();
    if (wait.done()) return StopReason::kDone;
    if (wait.interrupted != nullptr && (*wait.interrupted)()) return StopReason::kInterrupted;
    if (baton_.contended()) {
      baton_.Unlock();
      baton_.Lock();
      // Another thread may have run what this one was about to run, and nobody wakes a thread for that.
      if (wait.done()) return StopReason::kDone;
    }
    if (has_watches()) {
      PollWatches();
      if (wait.done()) return StopReason::kDone;
    }

    const int64_t next_ns = NextEventNs();
    const int64_t deadline_ns = std::min(wait.deadline_ns, alarm_ns());
    if (next_ns <= deadline_ns && next_ns != kNoDeadline) {
      idle = {};
      if (options_.clock == ClockMode::kVirtual) {
        MoveNowTo(next_ns);
      } else if (const int64_t until_ns = next_ns - NowNs(); until_ns > 0) {
        if (HostSleep(me, ticket, until_ns) == Sleeper::Result::kInterrupted && wait.interrupted != nullptr) {
          return StopReason::kInterrupted;
        }
        continue;
      }
      RunNext(*Next());
      continue;
    }

    int64_t timeout_ns = -1;
    if (deadline_ns != kNoDeadline) {
      timeout_ns = deadline_ns - NowNs();
      if (options_.clock == ClockMode::kVirtual && (next_ns != kNoDeadline || !OutsideChance())) timeout_ns = 0;
      if (timeout_ns <= 0) {
        if (deadline_ns != wait.deadline_ns) {
          AdvanceTo(deadline_ns);
          continue;
        }
        MoveNowTo(deadline_ns);
        return StopReason::kTimedOut;
      }
    } else {
      const std::string stuck = options_.find_stuck ? options_.find_stuck() : "";
      if (!stuck.empty() && options_.on_stuck && options_.on_stuck(stuck, /*certain=*/true)) return StopReason::kStuck;
      // Who watches files waits for them.
      if (!has_watches() && LosesPatience(idle, &timeout_ns)) return StopReason::kStuck;
    }

    const int64_t slept_since_ns = HostMonotonicNs();
    const Sleeper::Result result = HostSleep(me, ticket, timeout_ns);
    if (result != Sleeper::Result::kTimedOut) idle = {};
    if (result == Sleeper::Result::kInterrupted && wait.interrupted != nullptr) return StopReason::kInterrupted;
    // Nobody came: what passed outside has passed for the model too, or the deadline would never be there.
    if (result == Sleeper::Result::kTimedOut && deadline_ns != kNoDeadline && options_.clock == ClockMode::kVirtual) {
      const int64_t slept_ns = HostMonotonicNs() - slept_since_ns;
      MoveNowTo(std::min(deadline_ns, NowNs() + slept_ns));
    }
  }
}

// Tells on_stuck that nobody comes, when it is time to. Returns whether that ends the wait; if not, `*timeout_ns` says
// when to look again.
bool Executor::LosesPatience(Idleness& idle, int64_t* timeout_ns) {
  const int64_t now_ns = HostMonotonicNs();
  if (idle.since_ns < 0) idle.since_ns = now_ns;
  const Patience& patience = other_threads() ? options_.with_others : options_.alone;
  const int64_t idle_ns = now_ns - idle.since_ns;
  const bool at_end = idle_ns >= patience.end_ns;
  if (at_end || (idle_ns >= patience.tell_ns && !idle.told)) {
    idle.told = true;
    if (options_.on_stuck && options_.on_stuck(kNobodyCame, at_end)) return true;
  }
  const int64_t next_ns = idle.told ? patience.end_ns : std::min(patience.tell_ns, patience.end_ns);
  if (next_ns != kNoDeadline && !at_end) *timeout_ns = next_ns - idle_ns;
  return false;
}

// Waits on the host with the baton released: in poll when files are watched, otherwise on the futex, where a wake-up
// since `ticket` ends the sleep at once.
Sleeper::Result Executor::HostSleep(Sleeper& me, uint32_t ticket, int64_t timeout_ns) {
  idle_.push_back(&me);
  Sleeper::Result result;
  if (has_watches()) {
    absl::InlinedVector<pollfd, 16> fds;
    CollectWatchedFds(fds);
    if (other_threads() && (timeout_ns < 0 || timeout_ns > kWatchSliceNs)) {
      timeout_ns = kWatchSliceNs;
    }
    timespec timeout = {timeout_ns / kNanosecondsPerSecond, timeout_ns % kNanosecondsPerSecond};
    baton_.Unlock();
    // ppoll knows no ticket. With signals blocked no handler can wake this thread between the look at it and the sleep.
    uint64_t mask = 0;
    constexpr uint64_t kAllSignals = ~uint64_t{0};
    RawSyscall(__NR_rt_sigprocmask, SIG_SETMASK, &kAllSignals, &mask, sizeof(mask));
    if (me.Prepare() != ticket) {
      result = Sleeper::Result::kWoken;
    } else {
      const long ready =
          RawSyscall(__NR_ppoll, fds.data(), fds.size(), timeout_ns < 0 ? nullptr : &timeout, &mask, sizeof(mask));
      result = ready == -EINTR ? Sleeper::Result::kInterrupted
               : ready == 0    ? Sleeper::Result::kTimedOut
                               : Sleeper::Result::kWoken;
    }
    RawSyscall(__NR_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof(mask));
    baton_.Lock();
  } else {
    baton_.Unlock();
    result = me.Sleep(ticket, timeout_ns);
    baton_.Lock();
  }
  idle_.erase(std::find(idle_.begin(), idle_.end(), &me));
  return result;
}

template <typename Pollfds>
void Executor::CollectWatchedFds(Pollfds& fds) const {
  fds.clear();
  for (const HostWatch* watch : watches_) fds.push_back({watch->fd, watch->events, 0});
}

void Executor::Watch(HostWatch& watch) {
  if (watch.watched) return;
  watch.watched = true;
  watches_.push_back(&watch);
}

void Executor::Unwatch(HostWatch& watch) {
  if (!watch.watched) return;
  watch.watched = false;
  watches_.erase(std::remove(watches_.begin(), watches_.end(), &watch), watches_.end());
}

void Executor::PollWatches() {
  CollectWatchedFds(polled_fds_);
  timespec no_wait = {0, 0};
  if (RawSyscall(__NR_ppoll, polled_fds_.data(), polled_fds_.size(), &no_wait, nullptr, 0) <= 0) return;
  // A callback may remove its own watch or another's.
  polled_.assign(watches_.begin(), watches_.end());
  for (size_t i = 0; i < polled_.size(); ++i) {
    if (polled_fds_[i].revents == 0) continue;
    if (std::find(watches_.begin(), watches_.end(), polled_[i]) == watches_.end()) continue;
    polled_[i]->ready(*polled_[i], polled_fds_[i].revents);
  }
}

bool Executor::OutsideChance() const { return has_watches() || other_threads(); }

void Executor::Enter() { baton_.Lock(); }

// Somebody has to run what this thread leaves behind; a client that sleeps inside the model is there for it.
void Executor::Leave() {
  if (!idle_.empty() && has_events()) idle_.front()->Wake();
  baton_.Unlock();
}

void Executor::ResetAfterFork() {
  for (Event* event : heap_) event->position = Event::kIdle;
  for (Event* event : tie_group_) event->position = Event::kIdle;
  for (HostWatch* watch : watches_) watch->watched = false;
  heap_.clear();
  tie_group_.clear();
  CountEvents();
  watches_.clear();
  idle_.clear();
  SetAlarm(kNoDeadline);
  running_event_ = false;
  new (&baton_) Baton;
}

void Executor::HeapUp(size_t i) {
  while (i > 0) {
    const size_t parent = (i - 1) / 2;
    if (!Before(*heap_[i], *heap_[parent])) break;
    std::swap(heap_[i], heap_[parent]);
    heap_[i]->position = i;
    heap_[parent]->position = parent;
    i = parent;
  }
}

void Executor::HeapDown(size_t i) {
  for (;;) {
    size_t first = i;
    for (const size_t child : {2 * i + 1, 2 * i + 2}) {
      if (child < heap_.size() && Before(*heap_[child], *heap_[first])) first = child;
    }
    if (first == i) break;
    std::swap(heap_[i], heap_[first]);
    heap_[i]->position = i;
    heap_[first]->position = first;
    i = first;
  }
}

void Executor::HeapRemove(size_t i) {
  Event* last = heap_.back();
  heap_.pop_back();
  if (i == heap_.size()) return;
  heap_[i] = last;
  last->position = i;
  HeapUp(i);
  HeapDown(last->position);
}

}  // namespace aiolab
