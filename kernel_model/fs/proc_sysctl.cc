#include "kernel_model/fs/proc_sysctl.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "kernel_model/kernel/sched.h"

namespace aiolab {
namespace {

struct sysctl_inode : inode {
  unsigned long mm_struct::*number = nullptr;
};

// Root's own rights do not count here.
int proc_sys_permission(inode& node, bool write) { return write && (node.i_mode & 0200) == 0 ? -EACCES : 0; }

constexpr inode_operations proc_sys_inode_operations = {
    .permission = proc_sys_permission,
};

unsigned long& NumberOf(const file& filp) {
  return current().mm->*static_cast<const sysctl_inode&>(*filp.f_inode).number;
}

// Only from the start: what the first read leaves is never read.
ssize_t proc_sys_read(kiocb* iocb, iov_iter* to) {
  if (iocb->ki_pos != 0) return 0;
  const std::string text = absl::StrCat(NumberOf(*iocb->ki_filp), "\n");
  const size_t wanted = std::min(text.size(), to->count);
  const size_t copied = copy_to_iter(text.data(), wanted, to);
  if (copied < wanted) return -EFAULT;
  iocb->ki_pos += static_cast<loff_t>(copied);
  return static_cast<ssize_t>(copied);
}

ssize_t proc_sys_write(kiocb* iocb, iov_iter* from) {
  char text[32];
  const size_t count = from->count;
  if (count == 0) return 0;
  if (count > sizeof(text)) return -EINVAL;
  if (copy_from_iter(text, count, from) < count) return -EFAULT;
  uint64_t number = 0;
  const absl::string_view digits = absl::StripAsciiWhitespace(absl::string_view(text, count));
  if (!absl::SimpleAtoi(digits, &number)) return -EINVAL;
  NumberOf(*iocb->ki_filp) = number;
  iocb->ki_pos += static_cast<loff_t>(count);
  return static_cast<ssize_t>(count);
}

constexpr file_operations proc_sys_file_operations = {
    .name = "sysctl",
    .read_iter = proc_sys_read,
    .write_iter = proc_sys_write,
    .llseek = generic_file_llseek,
};

}  // namespace

std::shared_ptr<inode> MakeSysctl(unsigned long mm_struct::*number, bool writable) {
  auto node = std::make_shared<sysctl_inode>();
  node->i_mode = S_IFREG | (writable ? 0644 : 0444);
  node->i_op = &proc_sys_inode_operations;
  node->i_fop = &proc_sys_file_operations;
  node->number = number;
  return node;
}

}  // namespace aiolab
