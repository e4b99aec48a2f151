// Who runs next, and what time it is.
//
// The whole model runs on the clients' own stacks: a client that has to wait runs what is due (interrupts, timers,
// workers), and virtual time moves only when nothing is due. Two things that are due at the same time are a question to
// the Chooser.
//
//   executor.At(timer, executor.NowNs() + 5000);         // an interrupt in 5 us
//   executor.BlockUntil(me, {.done = [&] { return completed; }});
//
// One client thread at a time is inside, with the baton; one that waits with nothing left to run sleeps on the host.
#ifndef KERNEL_MODEL_SIM_EXECUTOR_H_
#define KERNEL_MODEL_SIM_EXECUTOR_H_

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "kernel_model/sim/baton.h"
#include "kernel_model/sim/chooser.h"

namespace aiolab {

enum class ClockMode {
  kVirtual,  // time is a scheduling fact; runs repeat
  kHost,     // timers use the real clock; runs do not repeat
};

inline constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

class Executor {
 public:
  // Something that happens at a time: a timer, an interrupt, a worker's turn. Owned by whoever arms it, and must
  // outlive its being armed.
  struct Event {
    void (*run)(Event& event) = nullptr;
    // Private to the executor.
    int64_t when_ns = 0;
    uint64_t sequence = 0;
    size_t position = kIdle;
    static constexpr size_t kIdle = static_cast<size_t>(-1);
    static constexpr size_t kInTieGroup = static_cast<size_t>(-2);
  };

  // A file of the host whose readiness can change the model from outside.
  struct HostWatch {
    int fd = -1;
    short events = 0;                                          // POLLIN and so on
    void (*ready)(HostWatch& watch, short revents) = nullptr;  // with the baton held; may remove the watch
    bool watched = false;                                      // private to the executor
  };

  enum class StopReason {
    kDone,
    kTimedOut,
    kInterrupted,  // a signal
    kStuck,        // nothing can ever make it true; `on_stuck` was told
  };

  struct Wait {
    absl::FunctionRef<bool()> done;
    int64_t deadline_ns = kNoDeadline;  // in NowNs() time
    // Null: signals do not end the wait.
    const absl::FunctionRef<bool()>* interrupted = nullptr;
  };

  // How long, in real time, a client that waits without a limit is given for something from outside: until on_stuck
  // hears of it, and until it does so for the last time.
  struct Patience {
    int64_t tell_ns = kNoDeadline;
    int64_t end_ns = kNoDeadline;
  };

  struct Options {
    ClockMode clock = ClockMode::kVirtual;
    // Called with nothing left to run and a client that waits without a limit. Returns what can never happen ("" if
    // something outside may still come).
    std::function<std::string()> find_stuck = nullptr;
    // Another thread of the client could still enter the model.
    std::function<bool()> other_threads = nullptr;
    // Told what find_stuck found, or that nobody has come to wake the client (kNobodyCame), `certain` if find_stuck
    // says so or the patience is at its end. True: end the wait with kStuck; false: go on waiting.
    std::function<bool(const std::string& finding, bool certain)> on_stuck = nullptr;
    // The alarm has gone off. Returns when it does so again, kNoDeadline for never.
    std::function<int64_t()> on_alarm = nullptr;
    // For a lone client, whom only a signal can wake, and for one of several threads.
    Patience alone = {.tell_ns = 2'000'000'000};
    Patience with_others = {};
  };

  // What on_stuck is told when patience ends.
  static constexpr char kNobodyCame[] =
      "nothing in the model is due, and no other thread, file or signal has come to wake the client";

  Executor(Chooser& chooser, Options options);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Nanoseconds since the executor was made. Moves forward only. From any thread, without the baton.
  int64_t NowNs() const;
  // The current client or worker has used `cpu_ns` of CPU time. Virtual clock only.
  void Charge(int64_t cpu_ns);

  // Runs `event` at `when_ns`, or as soon as possible if that has passed. Moves an event that is armed already.
  void At(Event& event, int64_t when_ns);
  // False if it was not armed.
  bool Cancel(Event& event);
  static bool armed(const Event& event) { return event.position != Event::kIdle; }
  // From any thread.
  bool has_events() const { return armed_events_.load(std::memory_order_relaxed) != 0; }
  // When the next event is due; kNoDeadline if there is none.
  int64_t NextEventNs() const;

  // Runs everything that is due by now. Not from inside an event.
  void RunDue();
  // Runs the model until `wait.done()`, the deadline, a signal, or a certainty that it will never be.
  StopReason BlockUntil(Sleeper& me, const Wait& wait);
  // When `on_alarm` is called; kNoDeadline for never. The alarm is a limit of the client's own, as a timeout is, and
  // not work of the model: where something outside may come first, its time passes on the host.
  void SetAlarm(int64_t when_ns) { alarm_ns_.store(when_ns, std::memory_order_relaxed); }
  int64_t alarm_ns() const { return alarm_ns_.load(std::memory_order_relaxed); }
  // Lets virtual time pass until `when_ns` and runs what becomes due.
  void AdvanceTo(int64_t when_ns);

  // Ends a host sleep of `sleeper`'s thread, so that it looks at its condition again.
  void Wake(Sleeper& sleeper) { sleeper.Wake(); }

  // Both do nothing if it is so already. The watch must outlive its being watched.
  void Watch(HostWatch& watch);
  void Unwatch(HostWatch& watch);
  static bool watched(const HostWatch& watch) { return watch.watched; }
  bool has_watches() const { return !watches_.empty(); }
  // Looks at the watched files once, without waiting.
  void PollWatches();

  void Enter();
  void Leave();
  // Another thread of the client could still enter. Requires: the baton.
  bool other_threads() const { return options_.other_threads && options_.other_threads(); }

  uint64_t events_run() const { return events_run_; }
  // Calls `at_event` right before the event that will be number `number` (counted from 1) runs. Null: nothing.
  void SetBreakpoint(uint64_t number, std::function<void()> at_event) {
    breakpoint_number_ = number;
    at_breakpoint_ = std::move(at_event);
  }
  // Drops every event, watch and lock: this is a child of fork, and all of it was the parent's.
  void ResetAfterFork();

 private:
  Event* Next();
  void CountEvents() { armed_events_.store(heap_.size() + tie_group_.size(), std::memory_order_relaxed); }
  void RunNext(Event& event);
  void RunFirst();
  // Of one wait: since when nothing has come, and whether on_stuck has heard of it.
  struct Idleness {
    int64_t since_ns = -1;
    bool told = false;
  };
  bool LosesPatience(Idleness& idle, int64_t* timeout_ns);
  Sleeper::Result HostSleep(Sleeper& me, uint32_t ticket, int64_t timeout_ns);
  // Virtual clock only, and not back.
  void MoveNowTo(int64_t when_ns);
  // Requires: the baton.
  template <typename Pollfds>
  void CollectWatchedFds(Pollfds& fds) const;
  void HeapUp(size_t i);
  void HeapDown(size_t i);
  void HeapRemove(size_t i);
  static bool Before(const Event& a, const Event& b) {
    return a.when_ns != b.when_ns ? a.when_ns < b.when_ns : a.sequence < b.sequence;
  }
  bool OutsideChance() const;

  Chooser& chooser_;
  const Options options_;
  const int64_t host_start_ns_;
  std::atomic<int64_t> now_ns_{0};  // written with the baton held
  uint64_t next_sequence_ = 0;
  uint64_t events_run_ = 0;
  uint64_t breakpoint_number_ = 0;
  std::function<void()> at_breakpoint_;
  bool running_event_ = false;
  std::atomic<int64_t> alarm_ns_{kNoDeadline};
  std::vector<Event*> heap_;       // by time, then by order of arming
  std::vector<Event*> tie_group_;  // due at the same time, taken off the heap; the Chooser says which is next
  std::atomic<size_t> armed_events_{0};
  std::vector<HostWatch*> watches_;
  std::vector<pollfd> polled_fds_;  // PollWatches()'s own
  std::vector<HostWatch*> polled_;  // likewise: whose they are
  std::vector<Sleeper*> idle_;      // threads asleep on the host inside BlockUntil
  Baton baton_;
};

// The real clock, for host mode and for waits on the host.
int64_t HostMonotonicNs();

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_EXECUTOR_H_
