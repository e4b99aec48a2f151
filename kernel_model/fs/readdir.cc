// Mirrors: fs/readdir.c.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <vector>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/syscalls.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

// The head of an entry; its name and a NUL follow, up to the next multiple of 8 bytes.
struct linux_dirent64 {
  uint64_t d_ino;
  int64_t d_off;  // where the next one is
  uint16_t d_reclen;
  uint8_t d_type;
} __attribute__((packed));

// Entries as the client gets them, until its buffer is full.
class DirentBuffer {
 public:
  explicit DirentBuffer(size_t size_max) : size_max_(size_max) {}

  bool Add(absl::string_view name, uint64_t ino, unsigned d_type, loff_t pos) {
    const size_t size = (sizeof(linux_dirent64) + name.size() + 1 + 7) / 8 * 8;
    if (bytes_.size() + size > size_max_) {
      overflow_ = true;
      return false;
    }
    EndLast(pos);
    last_ = bytes_.size();
    bytes_.resize(last_ + size);
    const linux_dirent64 head = {ino, 0, static_cast<uint16_t>(size), static_cast<uint8_t>(d_type)};
    memcpy(&bytes_[last_], &head, sizeof(head));
    memcpy(&bytes_[last_ + sizeof(head)], name.data(), name.size());
    return true;
  }

  // The last entry learns where its successor is.
  void EndLast(loff_t pos) {
    if (!bytes_.empty()) memcpy(&bytes_[last_ + offsetof(linux_dirent64, d_off)], &pos, sizeof(pos));
  }

  const std::vector<char>& bytes() const { return bytes_; }
  bool overflow() const { return overflow_; }

 private:
  const size_t size_max_;
  std::vector<char> bytes_;
  size_t last_ = 0;
  bool overflow_ = false;
};

}  // namespace

long sys_getdents64(int fd, void* user_entries, unsigned size) {
  const FileRef filp = fdget(fd);
  if (!filp) return -EBADF;
  if (filp->f_op->iterate == nullptr) return -ENOTDIR;
  inode& dir = *filp->f_inode;
  if (dir.i_dead) return -ENOENT;
  DirentBuffer buffer(size);
  dir_context* context = nullptr;
  const auto emit = [&](absl::string_view name, uint64_t ino, unsigned d_type) {
    return buffer.Add(name, ino, d_type, context->pos);
  };
  dir_context ctx = {emit, filp->f_pos};
  context = &ctx;
  {
    // A name of a directory that is being changed would come twice or never.
    const MutexGuard guard(dir.i_sb->s_dir_lock);
    if (guard.error() != 0) return guard.error();
    if (const int error = filp->f_op->iterate(filp.get(), &ctx); error != 0 && buffer.bytes().empty()) return error;
  }
  if (buffer.bytes().empty()) return buffer.overflow() ? -EINVAL : 0;
  buffer.EndLast(ctx.pos);
  if (copy_to_user(user_entries, buffer.bytes().data(), buffer.bytes().size()) != 0) return -EFAULT;
  filp->f_pos = ctx.pos;
  file_accessed(filp.get());
  return static_cast<long>(buffer.bytes().size());
}

}  // namespace aiolab
