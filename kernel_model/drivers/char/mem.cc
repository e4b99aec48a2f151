#include "kernel_model/drivers/char/mem.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace aiolab {
namespace {

ssize_t read_iter_null(kiocb*, iov_iter*) { return 0; }

// Nobody looks at the bytes, so a bad address does no harm.
ssize_t write_iter_null(kiocb*, iov_iter* from) {
  const size_t count = from->count;
  iov_iter_advance(from, count);
  return static_cast<ssize_t>(count);
}

ssize_t read_iter_zero(kiocb*, iov_iter* to) {
  if (to->count == 0) return 0;
  const size_t zeroed = iov_iter_zero(to->count, to);
  return zeroed == 0 ? -EFAULT : static_cast<ssize_t>(zeroed);
}

ssize_t write_full(file*, const char*, size_t, loff_t*) { return -ENOSPC; }

loff_t null_lseek(file* filp, loff_t, int) { return filp->f_pos = 0; }

constexpr file_operations null_fops = {
    .name = "null",
    .read_iter = read_iter_null,
    .write_iter = write_iter_null,
    .llseek = null_lseek,
};

constexpr file_operations zero_fops = {
    .name = "zero",
    .read_iter = read_iter_zero,
    .write_iter = write_iter_null,
    .llseek = null_lseek,
};

constexpr file_operations full_fops = {
    .name = "full",
    .read_iter = read_iter_zero,
    .write = write_full,
    .llseek = null_lseek,
};

constexpr unsigned MEM_MAJOR = 1;

std::shared_ptr<inode> MakeDevice(unsigned minor, const file_operations& fops, fmode_t fmode) {
  auto node = std::make_shared<inode>();
  node->i_mode = S_IFCHR | 0666;
  node->i_ino = minor;
  node->i_rdev = makedev(MEM_MAJOR, minor);
  node->i_fop = &fops;
  node->i_fmode = fmode;
  return node;
}

}  // namespace

std::shared_ptr<inode> MakeDevNull() { return MakeDevice(/*minor=*/3, null_fops, FMODE_NOWAIT); }
std::shared_ptr<inode> MakeDevZero() { return MakeDevice(/*minor=*/5, zero_fops, FMODE_NOWAIT); }
std::shared_ptr<inode> MakeDevFull() { return MakeDevice(/*minor=*/7, full_fops, 0); }

}  // namespace aiolab
