// The client's own files: order and time are the model's, and the bytes are moved by the real kernel at the moment when
// the model says so.
//
// Differs: no counterpart in the kernel. Of a regular file or block device the model keeps which pages are cached, not
// their bytes; of a pipe, a socket or an eventfd it keeps nothing, and asks the host whether it is ready.
#ifndef KERNEL_MODEL_FS_HOSTFS_H_
#define KERNEL_MODEL_FS_HOSTFS_H_

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/mm/filemap.h"

namespace aiolab {

struct HostInode;
struct HostFile;

// A process's fds as the host has them. An fd is looked at anew in each call into the model that uses it, so one that
// was closed and opened again is noticed; within a call, one look is enough.
class HostFiles : public files_struct {
 public:
  explicit HostFiles(kernel_state& kernel) : kernel_(kernel) {}
  ~HostFiles() override;

  file* fget(int fd) override;
  int eventfd_ctx_fdget(int fd, eventfd_ctx** ctx) override;

  // The client is about to close `fd`: requests in flight on it go on by a duplicate. A duplicate is made only then,
  // because closing one drops the process's POSIX locks on the file. False if `fd` is such a duplicate: the client,
  // which did not open it, may not close it either.
  bool WillClose(int fd);
  // The same for all from `first` to `last`. Returns the duplicates among them, in ascending order.
  std::vector<int> WillCloseRange(unsigned first, unsigned last);

  // POSIX_FADV_DONTNEED for `fd`; a `len` of 0 is the rest of the file. False if the model knows nothing of that file:
  // then the advice is the host's.
  bool AdviseDontNeed(int fd, loff_t offset, loff_t len);
  // Every cached page of every file is forgotten.
  void DropCaches();

 private:
  std::shared_ptr<HostInode> InodeOf(const struct stat& status);
  HostFile* Look(int fd);

  kernel_state& kernel_;
  absl::flat_hash_map<int, HostFile*> by_fd_;
  absl::flat_hash_map<std::pair<uint64_t, uint64_t>, std::shared_ptr<HostInode>> inodes_;  // by device and number
  // Outlives this where a request holds a file for longer.
  const std::shared_ptr<std::set<int>> duplicates_ = std::make_shared<std::set<int>>();
  int64_t next_file_id_ = 1;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_HOSTFS_H_
