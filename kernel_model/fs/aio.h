// Asynchronous I/O: contexts, requests, the completion ring and the io_* calls.
//
// Mirrors: fs/aio.c (6.18; the retry engine from 3.4, its wait-queue side from earlier 2.6).
#ifndef KERNEL_MODEL_FS_AIO_H_
#define KERNEL_MODEL_FS_AIO_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/mm/aio_ring_arena.h"
#include "uapi/aio_abi.h"

namespace aiolab {

struct aio_kiocb;
struct kioctx;

// A client's memory, and what AIO keeps with it.
struct mm_struct {
  list_head contexts;                // all that exist, dead ones with requests in flight among them
  std::vector<kioctx*> ioctx_table;  // by aio_ring::id; null where a context was
  AioRingArena rings;
  unsigned long aio_nr = 0;          // requests reserved by io_setup. Of this process only: see DIFFERENCES.md
  unsigned long aio_max_nr = 65536;  // /proc/sys/fs/aio-max-nr
  // Completed requests and refused submits. The key is an AioOperationKey.
  absl::flat_hash_map<uint32_t, uint64_t> operations;
  std::vector<aio_kiocb*> kiocb_cachep;  // requests to use again
  int64_t next_request_id = 1;
  int64_t next_context_id = 1;

  ~mm_struct();
};

// What became of a request: its opcode, and 0 if it moved all its bytes, 1 if fewer, otherwise its errno plus 1; or
// the errno with which io_submit refused it.
inline constexpr uint32_t kAioOperationOk = 0;
inline constexpr uint32_t kAioOperationShort = 1;
inline constexpr uint32_t kAioOperationRefused = 0x8000;  // a bit: errnos are below 4096
inline uint32_t AioOperationKey(uint16_t opcode, uint32_t outcome) { return (uint32_t{opcode} << 16) | outcome; }

// "PREAD", or "opcode 9" for one that there is not.
std::string AioOpcodeName(uint16_t opcode);

// The system calls, on behalf of the current task. Results as in uapi/syscalls.h.
long sys_io_setup(unsigned nr_events, aio_context_t* ctxp);
long sys_io_destroy(aio_context_t ctx_id);
long sys_io_submit(aio_context_t ctx_id, long nr, iocb** iocbpp);
long sys_io_cancel(aio_context_t ctx_id, iocb* user_iocb, io_event* result);
long sys_io_getevents(aio_context_t ctx_id, long min_nr, long nr, io_event* events, timespec* timeout);
long sys_io_pgetevents(aio_context_t ctx_id, long min_nr, long nr, io_event* events, timespec* timeout,
                       const aio_sigset* usig);

// The last user of `mm` goes away: waits for every request that can end by itself.
void exit_aio(mm_struct& mm);

// Frees the requests that exit_aio left, and their contexts: `mm` itself goes away. They do not complete, and no memory
// of the client's is touched. Requires: no thread is in a call on `mm`, and the executor has no events.
void DropRequests(mm_struct& mm);

// Every request in flight that nothing can complete any more, in words, one a line; "" if there is none. Requires: the
// executor has no events.
std::string DescribeStuckRequests(const mm_struct& mm);

// Drops the contexts and their requests without completing anything: this is a child of fork. Requires: the executor
// and the workqueues have forgotten theirs.
void ForgetContexts(mm_struct& mm);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_AIO_H_
