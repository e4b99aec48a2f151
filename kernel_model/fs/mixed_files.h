// The fds of a process that has files of the host and files of the model side by side, in one space of numbers: the
// host's.
//
// Each fd of a file of the model is open on the host too, as a placeholder, so that numbers, limits, poll and
// close-on-exec are the host's own. The placeholder is a directory: whoever reads or writes it past the model gets
// EISDIR or EBADF, and never a silent nothing.
//
// Differs: no counterpart in the kernel.
#ifndef KERNEL_MODEL_FS_MIXED_FILES_H_
#define KERNEL_MODEL_FS_MIXED_FILES_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/hostfs.h"

namespace aiolab {

class MixedFiles : public ModelFiles {
 public:
  explicit MixedFiles(std::unique_ptr<HostFiles> host);
  ~MixedFiles() override;

  // The model's files first, then the host's.
  file* fget(int fd) override;
  int eventfd_ctx_fdget(int fd, eventfd_ctx** ctx) override;

  // Whether `fd` is a file of the model. Takes no lock; may be asked from anywhere.
  bool has(int fd) const {
    return static_cast<unsigned>(fd) < kFdsMax &&
           (bits_[static_cast<unsigned>(fd) / 64].load(std::memory_order_relaxed) >> (fd % 64) & 1) != 0;
  }

  HostFiles& host() { return *host_; }

  // As Close, but the number stays open on the host, as somebody else is about to close it there.
  int CloseKeepingNumber(int fd);

 protected:
  int ReserveFd(int from, bool close_on_exec) override;
  int ReserveFdAt(int fd, bool close_on_exec) override;
  void ReleaseFd(int fd) override;

 private:
  void Mark(int fd, bool here);

  const std::unique_ptr<HostFiles> host_;
  int keep_number_ = -1;
  std::array<std::atomic<uint64_t>, kFdsMax / 64> bits_ = {};
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_MIXED_FILES_H_
