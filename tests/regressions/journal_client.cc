#include "tests/regressions/journal_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <iterator>

namespace aiolab {
namespace {

constexpr int kAttemptsMax = 1000;
constexpr int kRefusalsMax = 2;
constexpr size_t kBatch = 4;
constexpr size_t kBlock = 4096;  // bytes
constexpr long kEventsMax = 8;
constexpr size_t kSigsetSize = 8;  // bytes, the kernel's

uint64_t Address(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

// A client that hangs, or has left its memory, does nothing more.
bool IsTheEnd(long error) { return error == -EDEADLK || error == -EOVERFLOW; }

char Letter(int piece) { return static_cast<char>('A' + piece); }

}  // namespace

std::string JournalClient::Contents() {
  std::string contents;
  for (int piece = 0; piece < kPieces; ++piece) contents.append(kPiece, Letter(piece));
  return contents;
}

bool JournalClient::MemoryIsRight() const {
  for (int piece = 0; piece < kPieces; ++piece) {
    const auto is_right = [piece](char c) { return c == Letter(piece); };
    if (!std::all_of(pieces_[piece].begin(), pieces_[piece].end(), is_right)) return false;
  }
  return std::all_of(scratch_.begin(), scratch_.begin() + kBlock, [](char c) { return c == 'z'; });
}

long JournalClient::Run() {
  long setup = -EAGAIN;
  for (int tries = 0; setup == -EAGAIN && tries < 3; ++tries) setup = kernel_.io_setup(4, &ctx_);
  if (setup != 0) return setup;
  fd_ = static_cast<int>(kernel_.openat(AT_FDCWD, kPath, O_RDWR | O_CREAT | (direct_ ? O_DIRECT : 0), 0600));
  eventfd_ = static_cast<int>(kernel_.eventfd2(0, O_NONBLOCK));
  long result = Transfer(IOCB_CMD_PWRITE);
  if (result == 0) result = Fsync();
  if (result == 0) result = Transfer(IOCB_CMD_PREAD);
  if (result == 0) result = HeaderThenBody();
  if (result == 0) result = ReadWithPatience();
  kernel_.io_destroy(ctx_);
  return result;
}

JournalClient::Request JournalClient::NewRequest(uint16_t opcode, char* buffer, size_t bytes, int64_t offset) {
  Request request;
  request.control.aio_lio_opcode = opcode;
  request.buffer = buffer;
  request.bytes = bytes;
  request.offset = offset;
  return request;
}

JournalClient::Request JournalClient::Piece(uint16_t opcode, int piece) {
  pieces_[piece].fill(opcode == IOCB_CMD_PWRITE ? Letter(piece) : '?');
  return NewRequest(opcode, pieces_[piece].data(), kPiece, static_cast<int64_t>(piece * kPiece));
}

long JournalClient::Transfer(uint16_t opcode) {
  std::vector<Request> requests(kPieces);
  std::vector<Request*> all;
  for (int piece = 0; piece < kPieces; ++piece) {
    requests[piece] = Piece(opcode, piece);
    all.push_back(&requests[piece]);
  }
  return Drive(all);
}

long JournalClient::Fsync() {
  Request first = NewRequest(IOCB_CMD_FSYNC, nullptr, 0, 0);
  Request second = first;
  long result = Drive({&first});
  if (result == -EIO && has(ClientBug::kRetriesFsync)) result = Drive({&second});
  for (Request& tail : tails_) {
    if (result == 0) result = Drive({&tail});
  }
  return result;
}

// Reads two blocks; the second means nothing before the first is there.
long JournalClient::HeaderThenBody() {
  Request header = NewRequest(IOCB_CMD_PREAD, scratch_.data(), kBlock, 0);
  Request body = NewRequest(IOCB_CMD_PREAD, scratch_.data() + kBlock, kBlock, kBlock);
  body.needs = &header;
  return Drive({&header, &body});
}

// Reads a block that is wanted within 10 ms only. The buffer is then for something else.
long JournalClient::ReadWithPatience() {
  Request read = NewRequest(IOCB_CMD_PREAD, scratch_.data(), kBlock, 0);
  waiting_ = {&read};
  for (int attempt = 0; in_flight_ == 0; ++attempt) {
    if (attempt == kAttemptsMax) return -ETIME;
    if (const long error = Submit(); error != 0) return error;
  }
  timespec patience = {0, 10'000'000};
  io_event event;
  long count = kernel_.io_getevents(ctx_, 1, 1, &event, &patience);
  if (has(ClientBug::kUsesABufferInFlight)) std::fill_n(scratch_.begin(), kBlock, 'z');
  for (int attempt = 0; count == 0 || count == -EINTR; ++attempt) {
    if (attempt == kAttemptsMax) return -ETIME;
    count = kernel_.io_getevents(ctx_, 1, 1, &event, nullptr);
  }
  if (!has(ClientBug::kUsesABufferInFlight)) std::fill_n(scratch_.begin(), kBlock, 'z');
  return count < 0 ? count : 0;
}

long JournalClient::Drive(const std::vector<Request*>& requests) {
  const auto over = [&requests] {
    return std::all_of(requests.begin(), requests.end(), [](const Request* request) { return request->ended; });
  };
  waiting_.insert(waiting_.end(), requests.begin(), requests.end());
  long error = 0;
  for (int attempt = 0; !over(); ++attempt) {
    if (attempt == kAttemptsMax) return -ETIME;
    if (error == 0) error = Submit();
    const long in_flight_before = in_flight_;
    const long looked = Reap(/*wait=*/false);
    if (error == 0) error = looked;
    if (IsTheEnd(error) || (error != 0 && in_flight_ == 0)) break;
    bool waits = !over() && (in_flight_ > 0 || waiting_.empty());
    // What was refused with nothing in flight is for the next attempt.
    if (has(ClientBug::kWaitsForWhatHasCome) && requests.size() == 1) waits = in_flight_before > 0;
    if (has(ClientBug::kRetriesAfterACompletion) || has(ClientBug::kLeavesReadsInItsBatch)) waits = !over();
    if (!waits) continue;
    const long reaped = Reap(/*wait=*/true);
    if (IsTheEnd(reaped)) return reaped;
    if (reaped == -ETIME) {
      limit_over_ = true;
      for (Request* const request : requests) request->abandoned = true;
    } else if (error == 0) {
      error = reaped;
    }
  }
  return error;
}

long JournalClient::Submit() {
  if (waiting_.empty()) return 0;
  waiting_.insert(waiting_.end(), parked_.begin(), parked_.end());
  parked_.clear();
  const bool reads = waiting_.front()->control.aio_lio_opcode == IOCB_CMD_PREAD && waiting_.front()->bytes == kPiece;
  if (has(ClientBug::kLeavesReadsInItsBatch) && reads && waiting_.size() < kBatch) return 0;
  std::vector<iocb*> batch;
  for (Request* const request : waiting_) {
    iocb& control = request->control;
    control.aio_fildes = static_cast<uint32_t>(fd_);
    control.aio_data = Address(request);
    control.aio_flags = IOCB_FLAG_RESFD;
    control.aio_resfd = static_cast<uint32_t>(eventfd_);
    control.aio_nbytes = request->bytes - request->done;
    control.aio_buf = Address(request->buffer + request->done);
    control.aio_offset = request->offset + static_cast<int64_t>(request->done);
    batch.push_back(&control);
  }
  const long taken = kernel_.io_submit(ctx_, static_cast<long>(batch.size()), batch.data());
  if (taken < 0) return HandleRefusal(taken);
  in_flight_ += taken;
  waiting_.erase(waiting_.begin(), waiting_.begin() + taken);
  refusals_ = has(ClientBug::kNeverForgivesEagain) ? refusals_ : 0;
  if (has(ClientBug::kForgetsTheRestOfAShortSubmit)) waiting_.clear();
  return has(ClientBug::kRetriesWithoutReaping) ? Submit() : 0;
}

// Room comes by reaping, which the caller does next; with nothing in flight the refusal clears by itself.
long JournalClient::HandleRefusal(long error) {
  if (error != (has(ClientBug::kHasTheWrongSignOfErrno) ? EAGAIN : -EAGAIN)) return error;
  ++refusals_;
  if (has(ClientBug::kRetriesWithoutReaping)) return refusals_ > kAttemptsMax ? -ETIME : Submit();
  return has(ClientBug::kNeverForgivesEagain) && refusals_ > kRefusalsMax ? error : 0;
}

// At least one event if `wait`, two if so many are in flight. Their number or -errno.
long JournalClient::TakeEvents(bool wait, io_event* events, long events_max) {
  if (!wait) {
    const long count = kernel_.io_getevents(ctx_, 0, events_max, events, nullptr);
    return count == -EINTR ? 0 : count;
  }
  const long wanted = std::min<long>({in_flight_ > 1 ? 2 : 1, events_max});
  timespec limit = {0, 500'000'000};
  long got = 0;
  while (got < wanted) {
    const long need = has(ClientBug::kAsksForTwoAgain) ? wanted : wanted - got;
    const long count =
        kernel_.io_getevents(ctx_, need, events_max - got, events + got,
                             has(ClientBug::kForgetsWhoseTimeWasOver) && !limit_over_ ? &limit : nullptr);
    if (count == 0) return got > 0 ? got : -ETIME;
    if (count > 0) got += count;
    const bool forgiven = count == -EINTR && !has(ClientBug::kTakesEintrForAFailure);
    if (count < 0 && (!forgiven || has(ClientBug::kTakesAnErrorForACount))) return count;
  }
  return got;
}

// Nobody else takes what another call has taken, unless it is left where that can be seen.
long JournalClient::Reap(bool wait) {
  io_event events[kEventsMax] = {};
  const long count = TakeEvents(wait, events, has(ClientBug::kSubmitsFromItsCallback) ? 1 : kEventsMax);
  if (count < 0 && !has(ClientBug::kTakesAnErrorForACount)) return count;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    if (i == std::size(events)) {
      taken_.clear();
      return -EOVERFLOW;
    }
    taken_.push_back(events[i]);
  }
  in_flight_ -= count;
  std::deque<io_event> own;
  if (has(ClientBug::kTakesAllNotificationsAtOnce)) own.swap(taken_);
  std::deque<io_event>& queue = has(ClientBug::kTakesAllNotificationsAtOnce) ? own : taken_;
  long error = 0;
  while (!queue.empty()) {
    const io_event event = queue.front();
    queue.pop_front();
    const long result = Handle(event);
    if (error == 0) error = result;
  }
  return error;
}

long JournalClient::Handle(const io_event& event) {
  auto* const request = reinterpret_cast<Request*>(event.data);
  if (request->abandoned && has(ClientBug::kForgetsWhoseTimeWasOver)) return 0;
  if (request->needs != nullptr) {
    if (const long error = PollFor(*request->needs); error != 0) return error;
  }
  const long error = HandleResult(*request, event.res);
  for (int attempt = 0; has(ClientBug::kSubmitsFromItsCallback) && !waiting_.empty(); ++attempt) {
    if (attempt == kAttemptsMax) return -ETIME;
    if (const long refusal = Submit(); refusal != 0) return refusal;
  }
  return error;
}

long JournalClient::HandleResult(Request& request, int64_t res) {
  const bool is_read = request.control.aio_lio_opcode == IOCB_CMD_PREAD;
  if (res == -EAGAIN && !has(ClientBug::kTakesEagainForAFailure)) {
    (has(ClientBug::kRetriesWithTheNextSubmit) ? parked_ : waiting_).push_back(&request);
    return 0;
  }
  request.ended = true;
  if (has(ClientBug::kTakesAnyResultForDone)) return 0;
  if (res < 0 && !has(ClientBug::kTakesAnErrorForALength)) return res;
  request.done += static_cast<size_t>(res);
  if (request.done > request.bytes) return -EOVERFLOW;
  if (request.done == request.bytes) return 0;
  // Zero is the only end of a file.
  if (res == 0) return -ENODATA;
  if (has(ClientBug::kTakesAShortReadForCorruption) && is_read) return -EUCLEAN;
  if (has(ClientBug::kTakesAShortReadForTheEnd) && is_read) {
    std::fill(request.buffer + request.done, request.buffer + request.bytes, '\0');
    return 0;
  }
  if (has(ClientBug::kSyncsBeforeTheTail) && !is_read) {
    tails_.push_back(request);
    tails_.back().ended = false;
    return 0;
  }
  request.ended = false;
  waiting_.push_back(&request);
  return 0;
}

long JournalClient::PollFor(const Request& needed) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    // In this order: a notification that comes behind the look is not taken away.
    uint64_t count;
    kernel_.read(eventfd_, &count, sizeof(count));
    if (const long error = Reap(/*wait=*/false); error != 0) return error;
    if (needed.ended) return 0;
    if (const long error = Submit(); error != 0) return error;
    pollfd poll = {eventfd_, POLLIN, 0};
    kernel_.ppoll(&poll, 1, nullptr, nullptr, kSigsetSize);
  }
  return -ETIME;
}

}  // namespace aiolab
