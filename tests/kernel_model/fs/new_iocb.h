// Requests as a client fills them in.
#ifndef TESTS_KERNEL_MODEL_FS_NEW_IOCB_H_
#define TESTS_KERNEL_MODEL_FS_NEW_IOCB_H_

#include <cstddef>
#include <cstdint>

#include "uapi/aio_abi.h"

namespace aiolab {

// `opcode` is an IOCB_CMD_*.
inline iocb NewIocb(uint16_t opcode, int fd, const void* buffer = nullptr, size_t bytes = 0, int64_t offset = 0) {
  iocb made = {};
  made.aio_lio_opcode = opcode;
  made.aio_fildes = static_cast<uint32_t>(fd);
  made.aio_buf = reinterpret_cast<uint64_t>(buffer);
  made.aio_nbytes = bytes;
  made.aio_offset = offset;
  return made;
}

inline iocb NewPoll(int fd, uint16_t events) {
  iocb made = NewIocb(IOCB_CMD_POLL, fd);
  made.aio_buf = events;
  return made;
}

}  // namespace aiolab

#endif  // TESTS_KERNEL_MODEL_FS_NEW_IOCB_H_
