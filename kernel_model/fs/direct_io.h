// Requests that go past the page cache of files whose bytes live elsewhere (mm/filemap.h): a bio takes the device's
// time, and the bytes move when it has ended. fs/iomap.h has the other kind, with bytes in the bios.
//
// Mirrors: fs/direct-io.c.
#ifndef KERNEL_MODEL_FS_DIRECT_IO_H_
#define KERNEL_MODEL_FS_DIRECT_IO_H_

#include "kernel_model/fs/fs.h"
#include "kernel_model/mm/filemap.h"

namespace aiolab {

// Sends the whole request to the device in one bio on the client's own buffers. When the device is done, the
// mapping's operations move the bytes, in interrupt context, and ki_complete is called: -EIOCBQUEUED. A synchronous
// request sleeps until then and returns the result.
ssize_t blockdev_direct_IO(kiocb* iocb, iov_iter* iter, address_space& mapping);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_DIRECT_IO_H_
