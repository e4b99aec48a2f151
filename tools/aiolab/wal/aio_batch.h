// A few reads or writes in flight at once, each carried to its end whatever the kernel does on the way.
//
// This is the part that clients of libaio get wrong. A submit may take fewer requests than it was given, or none
// (-EAGAIN); a completion may be short, or itself -EAGAIN or -EINTR; the wait may be interrupted. None of that is an
// error, all of it means: do the rest.
#ifndef TOOLS_AIOLAB_WAL_AIO_BATCH_H_
#define TOOLS_AIOLAB_WAL_AIO_BATCH_H_

#include <libaio.h>

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

namespace wal {

class AioBatch {
 public:
  // `depth` is the number of requests in flight, at most. `fd` stays open as long as this lives.
  AioBatch(int fd, int depth);
  ~AioBatch();
  AioBatch(const AioBatch&) = delete;
  AioBatch& operator=(const AioBatch&) = delete;

  // Adds a transfer of `size` bytes at file offset `offset`. `bytes` stays where it is until Finish() returns.
  void AddWrite(const char* bytes, size_t size, long long offset);
  void AddRead(char* bytes, size_t size, long long offset);

  // Submits what was added and waits until all of it is done. Returns an empty string, or what failed.
  std::string Finish();

  // Waits until what was written before is durable. Returns an empty string, or what failed.
  std::string DataSync();

 private:
  struct Transfer {
    iocb request = {};
    io_iocb_cmd opcode = IO_CMD_PREAD;
    char* bytes = nullptr;
    size_t left = 0;
    long long offset = 0;
  };

  void Add(io_iocb_cmd opcode, char* bytes, size_t size, long long offset);
  void Prepare(Transfer& transfer);
  std::string SubmitWaiting();
  std::string Reap(long min_nr);
  std::string Complete(Transfer& transfer, long res);

  const int fd_;
  const size_t depth_;
  io_context_t ctx_ = nullptr;
  std::string setup_error_;
  std::deque<Transfer> transfers_;  // a deque: their iocbs stay where they are
  std::deque<Transfer*> waiting_;   // to be submitted, in this order
  size_t in_flight_ = 0;
};

}  // namespace wal

#endif  // TOOLS_AIOLAB_WAL_AIO_BATCH_H_
