// A small client of AIO: it writes a file in pieces, makes it durable, and reads it back. It is right, whatever the
// kernel answers; or it has one of the bugs that clients in the field have had.
#ifndef TESTS_REGRESSIONS_JOURNAL_CLIENT_H_
#define TESTS_REGRESSIONS_JOURNAL_CLIENT_H_

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "uapi/syscalls.h"

namespace aiolab {

enum class ClientBug {
  kNone,
  kForgetsTheRestOfAShortSubmit,
  kRetriesWithoutReaping,         // EAGAIN from io_submit: for a second, then it gives up
  kRetriesWithTheNextSubmit,      // EAGAIN in a completion: there may be no next one
  kTakesEagainForAFailure,        // in a completion
  kAsksForTwoAgain,               // when io_getevents brought one of two
  kTakesEintrForAFailure,         // in io_getevents
  kTakesAnErrorForACount,         // of io_getevents
  kNeverForgivesEagain,           // its budget of retries is for all of its life
  kSubmitsFromItsCallback,        // until there is room
  kWaitsForWhatHasCome,           // a look that did not wait has taken it
  kTakesAnErrorForALength,        // of a request
  kLeavesReadsInItsBatch,         // until it is full
  kTakesAShortReadForCorruption,  // that is how MariaDB called it
  kTakesAShortReadForTheEnd,      // and fills the rest with zeros
  kTakesAllNotificationsAtOnce,   // and waits for one of them while it handles another
  kHasTheWrongSignOfErrno,        // io_submit's -EAGAIN is not EAGAIN
  kRetriesAfterACompletion,       // EAGAIN from io_submit: there may be none to come
  kTakesAnyResultForDone,
  kUsesABufferInFlight,      // of a read that it no longer wants
  kSyncsBeforeTheTail,       // of a short write
  kRetriesFsync,             // after an error
  kForgetsWhoseTimeWasOver,  // a completion that comes after the time limit of its handler
};

class JournalClient {
 public:
  static constexpr char kPath[] = "/data/journal";
  static constexpr size_t kPiece = 16384;
  static constexpr int kPieces = 12;

  // `direct`: with O_DIRECT.
  JournalClient(Syscalls& kernel, bool direct, ClientBug bug) : kernel_(kernel), direct_(direct), bug_(bug) {}

  // 0, or the -errno that it reports: -EDEADLK if it hangs, -ETIME if it tries for ever, -EOVERFLOW if it leaves its
  // own memory. After 0 the file is as it should be, and durable.
  long Run();
  // What it has in memory at the end of Run().
  bool MemoryIsRight() const;
  // What the file has to be.
  static std::string Contents();

 private:
  struct Request {
    iocb control = {};
    char* buffer = nullptr;
    size_t bytes = 0;
    int64_t offset = 0;
    size_t done = 0;
    bool ended = false;
    bool abandoned = false;
    Request* needs = nullptr;  // which has to have ended first
  };
  using Queue = std::deque<Request*>;

  // The parts of Run(); 0 or -errno.
  long Transfer(uint16_t opcode);
  long Fsync();
  long HeaderThenBody();
  long ReadWithPatience();

  static Request NewRequest(uint16_t opcode, char* buffer, size_t bytes, int64_t offset);
  Request Piece(uint16_t opcode, int piece);
  // Submits and reaps until all `requests` have ended.
  long Drive(const std::vector<Request*>& requests);
  long Submit();
  // What io_submit's error means: 0 to go on.
  long HandleRefusal(long error);
  // Takes events from the ring and handles them. `wait`: at least one.
  long Reap(bool wait);
  long TakeEvents(bool wait, io_event* events, long events_max);
  long Handle(const io_event& event);
  long HandleResult(Request& request, int64_t res);
  // Asleep on the eventfd, until `needed` has ended.
  long PollFor(const Request& needed);

  bool has(ClientBug bug) const { return bug_ == bug; }

  Syscalls& kernel_;
  const bool direct_;
  const ClientBug bug_;
  aio_context_t ctx_ = 0;
  int fd_ = -1;
  int eventfd_ = -1;
  Queue waiting_;               // to be submitted
  Queue parked_;                // a bug's
  std::vector<Request> tails_;  // a bug's
  std::deque<io_event> taken_;  // from the ring, and not yet handled
  long in_flight_ = 0;
  int refusals_ = 0;
  bool limit_over_ = false;
  alignas(4096) std::array<std::array<char, kPiece>, kPieces> pieces_ = {};
  alignas(4096) std::array<char, 2 * 4096> scratch_ = {};
};

}  // namespace aiolab

#endif  // TESTS_REGRESSIONS_JOURNAL_CLIENT_H_
