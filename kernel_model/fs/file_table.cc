#include "kernel_model/fs/file_table.h"

#include <errno.h>

#include <algorithm>

#include "kernel_model/fs/eventfd.h"
#include "kernel_model/fs/locks.h"

namespace aiolab {

ModelFiles::~ModelFiles() { CloseAll(); }

void ModelFiles::CloseAll() {
  for (size_t fd = 0; fd < slots_.size(); ++fd) Close(static_cast<int>(fd));
}

file* ModelFiles::fget_raw(int fd) {
  if (fd < 0 || static_cast<size_t>(fd) >= slots_.size() || slots_[fd].filp == nullptr) return nullptr;
  return get_file(slots_[fd].filp);
}

file* ModelFiles::fget(int fd) {
  file* filp = fget_raw(fd);
  if (filp == nullptr || (filp->f_mode & FMODE_PATH) == 0) return filp;
  fput(filp);
  return nullptr;
}

int ModelFiles::eventfd_ctx_fdget(int fd, eventfd_ctx** ctx) {
  const FileRef filp(fget(fd));
  if (!filp) return -EBADF;
  return eventfd_ctx_fileget(filp.get(), ctx);
}

int ModelFiles::ReserveFd(int from, bool) {
  int fd = std::max(from, kFirstFd);
  while (static_cast<size_t>(fd) < slots_.size() && slots_[fd].filp != nullptr) ++fd;
  return fd < kFdsMax ? fd : -EMFILE;
}

int ModelFiles::ReserveFdAt(int fd, bool) { return fd; }

int ModelFiles::Install(file* filp, bool close_on_exec, int from) {
  const int fd = ReserveFd(from, close_on_exec);
  if (fd < 0) {
    fput(filp);
    return fd;
  }
  if (static_cast<size_t>(fd) >= slots_.size()) slots_.resize(fd + 1);
  if (filp->f_id == 0) filp->f_id = ++files_opened_;
  slots_[fd] = {filp, close_on_exec};
  return fd;
}

int ModelFiles::InstallAt(int fd, file* filp, bool close_on_exec) {
  Close(fd);
  if (const int reserved = ReserveFdAt(fd, close_on_exec); reserved < 0) {
    fput(filp);
    return reserved;
  }
  if (static_cast<size_t>(fd) >= slots_.size()) slots_.resize(fd + 1);
  slots_[fd] = {filp, close_on_exec};
  return fd;
}

int ModelFiles::Close(int fd) {
  if (fd < 0 || static_cast<size_t>(fd) >= slots_.size() || slots_[fd].filp == nullptr) return -EBADF;
  file* const filp = std::exchange(slots_[fd].filp, nullptr);
  locks_remove_posix(filp, this);
  fput(filp);
  ReleaseFd(fd);
  return 0;
}

}  // namespace aiolab
