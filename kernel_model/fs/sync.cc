// Mirrors: fs/sync.c; fsync stands in read_write.cc, beside the AIO opcode's other half.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <limits>
#include <memory>
#include <vector>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/namespace.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/kernel/sched.h"
#include "kernel_model/mm/folio.h"

namespace aiolab {
namespace {

int sync_filesystem(super_block& sb) {
  return sb.s_op != nullptr && sb.s_op->sync_fs != nullptr ? sb.s_op->sync_fs(sb, /*wait=*/1) : 0;
}

// What was written to device nodes, by way of their pages. Their caches are not flushed.
void sync_bdevs() {
  std::vector<std::shared_ptr<inode>> devices;
  list_head& mappings = current_kernel().vm->mappings;
  for (list_head* entry = mappings.next; entry != &mappings; entry = entry->next) {
    const std::shared_ptr<inode> node = list_entry(entry, address_space, mapping_list)->host_reference.lock();
    if (node != nullptr && S_ISBLK(node->i_mode)) devices.push_back(node);
  }
  for (const std::shared_ptr<inode>& device : devices) {
    fsync_state state;
    filemap_write_and_wait_range(*device->i_mapping, 0, std::numeric_limits<uint64_t>::max(), &state);
  }
}

// Pages [first, last]. The metadata that lead to them are not written.
//
// Mirrors: sync_file_range.
int SyncRange(file* filp, uint64_t first, uint64_t last, unsigned flags) {
  if ((flags & SYNC_FILE_RANGE_WAIT_BEFORE) != 0) {
    if (const int error = file_fdatawait_range(filp, first, last); error != 0) return error;
  }
  if ((flags & SYNC_FILE_RANGE_WRITE) != 0) filemap_fdatawrite(*filp->f_inode->i_mapping, first, last);
  return (flags & SYNC_FILE_RANGE_WAIT_AFTER) != 0 ? file_fdatawait_range(filp, first, last) : 0;
}

}  // namespace

// Errors are nobody's.
long sys_sync() {
  const std::vector<std::shared_ptr<vfsmount>> mounts = current().fs->mounts;
  for (const std::shared_ptr<vfsmount>& mount : mounts) sync_filesystem(*mount->mnt_sb);
  sync_bdevs();
  return 0;
}

long sys_syncfs(int fd) {
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  return filp->f_inode->i_sb == nullptr ? 0 : sync_filesystem(*filp->f_inode->i_sb);
}

long sys_sync_file_range(int fd, loff_t offset, loff_t nbytes, unsigned flags) {
  constexpr unsigned kValid = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if ((flags & ~kValid) != 0 || offset < 0 || nbytes < 0) return -EINVAL;
  loff_t end = 0;
  if (__builtin_add_overflow(offset, nbytes, &end)) return -EINVAL;
  const mode_t mode = filp->f_inode->i_mode;
  if (!S_ISREG(mode) && !S_ISBLK(mode) && !S_ISDIR(mode) && !S_ISLNK(mode)) return -ESPIPE;
  if (filp->f_inode->i_mapping == nullptr) return 0;
  // No length means up to the end of the file.
  if (nbytes == 0) end = MAX_LFS_FILESIZE;
  return SyncRange(filp.get(), static_cast<uint64_t>(offset) >> kPageShift,
                   static_cast<uint64_t>(end - 1) >> kPageShift, flags);
}

}  // namespace aiolab
