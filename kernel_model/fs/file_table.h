// The fds of a process with files of the model's own.
//
// Mirrors: fs/file.c.
#ifndef KERNEL_MODEL_FS_FILE_TABLE_H_
#define KERNEL_MODEL_FS_FILE_TABLE_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kernel_model/fs/fs.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab {

// Not thread-safe: used with the baton held.
class ModelFiles : public files_struct {
 public:
  // RLIMIT_NOFILE of the model.
  static constexpr int kFdsMax = 65536;
  // 0, 1 and 2 stay the host's.
  static constexpr int kFirstFd = 3;

  // Drops every file. Requires: nothing waits for one any more.
  ~ModelFiles() override;

  file* fget(int fd) override;
  int eventfd_ctx_fdget(int fd, eventfd_ctx** ctx) override;

  // As fget, but O_PATH fds count.
  file* fget_raw(int fd);

  // Gives `filp` the lowest free fd from `from` up and takes over the caller's reference. Returns the fd or -EMFILE,
  // and then the reference is gone too.
  int Install(file* filp, bool close_on_exec, int from = 0);
  // The same for a given fd, whose file is closed. Requires: 0 <= fd < kFdsMax.
  int InstallAt(int fd, file* filp, bool close_on_exec);
  // 0 or -EBADF.
  int Close(int fd);

  // Requires: fget_raw(fd) would succeed.
  bool close_on_exec(int fd) const { return slots_[fd].close_on_exec; }
  void set_close_on_exec(int fd, bool on) { slots_[fd].close_on_exec = on; }

 protected:
  // The lowest free number from `from` up, or -EMFILE. It is taken from now on.
  virtual int ReserveFd(int from, bool close_on_exec);
  // The same for a given one, which has no file of this table: `fd` or -errno.
  virtual int ReserveFdAt(int fd, bool close_on_exec);
  // It is free again.
  virtual void ReleaseFd(int) {}

  // For a destructor: ReleaseFd is called while there still is one.
  void CloseAll();

 private:
  struct Slot {
    file* filp = nullptr;
    bool close_on_exec = false;
  };

  std::vector<Slot> slots_;  // by fd
  int64_t files_opened_ = 0;
};

// Of the current task, whose files are the model's own.
inline ModelFiles& current_files() { return static_cast<ModelFiles&>(*current().files); }

// A reference to a file for a scope; may be null.
class FileRef {
 public:
  explicit FileRef(file* filp) : filp_(filp) {}
  ~FileRef() {
    if (filp_ != nullptr) fput(filp_);
  }
  FileRef(FileRef&& other) noexcept : filp_(std::exchange(other.filp_, nullptr)) {}
  FileRef(const FileRef&) = delete;
  FileRef& operator=(const FileRef&) = delete;

  file* get() const { return filp_; }
  file* operator->() const { return filp_; }
  explicit operator bool() const { return filp_ != nullptr; }

 private:
  file* filp_;
};

// The file behind a client's fd; null for -EBADF.
inline FileRef fdget(int fd) { return FileRef(current_files().fget(fd)); }
inline FileRef fdget_raw(int fd) { return FileRef(current_files().fget_raw(fd)); }

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_FILE_TABLE_H_
