// Which kernel the functions of //uapi/libaio reach.
//
//   EmulatedSyscalls kernel(&machine);
//   ScopedSyscalls scoped(&kernel);     // from here on io_submit() and the others, anywhere in this process, are the
//   model's
//
// This header names neither struct iocb nor struct io_event, because <libaio.h> and <linux/aio_abi.h> both define them
// and a translation unit may include only one. So the file that builds the kernel (and sees uapi/syscalls.h) includes
// this one, and the client's own files include <libaio.h>, unchanged.
#ifndef UAPI_LIBAIO_INSTALL_H_
#define UAPI_LIBAIO_INSTALL_H_

namespace aiolab {

class AioSyscalls;

// Makes `syscalls` the kernel behind libaio's functions in this process; null goes back to the real one, which is also
// what they reach when nobody called this.
//
// Requires: `*syscalls` outlives its installation, and no function of libaio is running in it when it is replaced.
void InstallSyscalls(AioSyscalls* syscalls);

// What was installed last, or null for the real kernel.
AioSyscalls* InstalledSyscalls();

// Installs `syscalls` for as long as it lives, then what was there before.
class ScopedSyscalls {
 public:
  explicit ScopedSyscalls(AioSyscalls* syscalls) : before_(InstalledSyscalls()) { InstallSyscalls(syscalls); }
  ~ScopedSyscalls() { InstallSyscalls(before_); }
  ScopedSyscalls(const ScopedSyscalls&) = delete;
  ScopedSyscalls& operator=(const ScopedSyscalls&) = delete;

 private:
  AioSyscalls* const before_;
};

}  // namespace aiolab

#endif  // UAPI_LIBAIO_INSTALL_H_
