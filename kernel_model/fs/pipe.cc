#include "kernel_model/fs/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/kernel/signal.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr unsigned PIPE_DEF_BUFFERS = 16;

// One page of a pipe. A write begins a page of its own unless its tail fits behind the last one.
struct pipe_buffer {
  std::unique_ptr<std::array<char, kPageSize>> page;  // kept for the next use of the slot
  size_t offset = 0;
  size_t len = 0;
  bool packet = false;
};

struct pipe_inode_info : inode {
  wait_queue_head rd_wait;
  wait_queue_head wr_wait;
  unsigned head = 0;  // counts buffers that were filled
  unsigned tail = 0;  // counts buffers that were emptied
  unsigned readers = 1;
  unsigned writers = 1;
  bool poll_usage = false;  // somebody polls: tell of every write, not only of the first
  pipe_buffer bufs[PIPE_DEF_BUFFERS];

  pipe_buffer& slot(unsigned at) { return bufs[at % PIPE_DEF_BUFFERS]; }
};

bool pipe_empty(const pipe_inode_info& pipe) { return pipe.head == pipe.tail; }
bool pipe_full(const pipe_inode_info& pipe) { return pipe.head - pipe.tail >= PIPE_DEF_BUFFERS; }

pipe_inode_info& PipeOf(file* filp) { return static_cast<pipe_inode_info&>(*filp->f_inode); }

bool MayNotWait(const kiocb& iocb) {
  return (iocb.ki_filp->f_flags & O_NONBLOCK) != 0 || (iocb.ki_flags & IOCB_NOWAIT) != 0;
}

// Waits until `condition`. 0: look again; otherwise what the request returns now.
template <typename Condition>
int Wait(kiocb* iocb, wait_queue_head& queue, Condition condition) {
  iocb->ki_waits_for = nullptr;  // a client, this one maybe
  if (iocb->ki_wait != nullptr) {
    add_wait_queue(queue, iocb->ki_wait);
    return -EIOCBRETRY;
  }
  const SleepResult slept = wait_event(queue, condition, kNoDeadline, /*interruptible=*/true);
  iocb->ki_waits_for = "";
  return slept == SleepResult::kDone ? 0 : -ERESTARTSYS;
}

ssize_t pipe_read(kiocb* iocb, iov_iter* to) {
  pipe_inode_info& pipe = PipeOf(iocb->ki_filp);
  if (to->count == 0) return 0;
  ssize_t done = 0;
  bool was_full = false;
  for (;;) {
    if (!pipe_empty(pipe)) {
      pipe_buffer& buf = pipe.slot(pipe.tail);
      const size_t chars = std::min(buf.len, to->count);
      const size_t written = copy_to_iter(buf.page->data() + buf.offset, chars, to);
      if (written < chars) {
        iov_iter_revert(to, written);
        if (done == 0) done = -EFAULT;
        break;
      }
      done += static_cast<ssize_t>(chars);
      buf.offset += chars;
      buf.len -= chars;
      const bool packet = buf.packet;
      // What a read leaves of a packet is lost.
      if (packet) buf.len = 0;
      if (buf.len == 0) {
        was_full |= pipe_full(pipe);
        ++pipe.tail;
      }
      if (packet || to->count == 0) break;
      if (!pipe_empty(pipe)) continue;
    }
    if (pipe.writers == 0 || done > 0) break;
    if (MayNotWait(*iocb)) {
      done = -EAGAIN;
      break;
    }
    const int waited = Wait(iocb, pipe.rd_wait, [&pipe] { return !pipe_empty(pipe) || pipe.writers == 0; });
    if (waited != 0) return waited;
  }
  if (was_full) wake_up_all(pipe.wr_wait, POLLOUT | POLLWRNORM);
  return done;
}

ssize_t BrokenPipe(const kiocb& iocb) {
  if ((iocb.ki_flags & IOCB_NOSIGNAL) == 0) send_sig(SIGPIPE);
  return -EPIPE;
}

// Puts what does not fill a page behind the last write's bytes, if it fits. The bytes put there or -EFAULT.
ssize_t MergeTail(pipe_inode_info& pipe, iov_iter* from) {
  pipe_buffer& buf = pipe.slot(pipe.head - 1);
  const size_t chars = from->count % kPageSize;
  const size_t end = buf.offset + buf.len;
  if (chars == 0 || pipe_empty(pipe) || buf.packet || end + chars > kPageSize) return 0;
  if (const size_t copied = copy_from_iter(buf.page->data() + end, chars, from); copied < chars) {
    iov_iter_revert(from, copied);
    return -EFAULT;
  }
  buf.len += chars;
  return static_cast<ssize_t>(chars);
}

ssize_t pipe_write(kiocb* iocb, iov_iter* from) {
  pipe_inode_info& pipe = PipeOf(iocb->ki_filp);
  if (from->count == 0) return 0;
  if (pipe.readers == 0) return BrokenPipe(*iocb);
  bool was_empty = pipe_empty(pipe);
  ssize_t done = MergeTail(pipe, from);
  while (done >= 0 && from->count > 0) {
    if (pipe.readers == 0) {
      const ssize_t broken = BrokenPipe(*iocb);
      if (done == 0) done = broken;
      break;
    }
    if (!pipe_full(pipe)) {
      pipe_buffer& buf = pipe.slot(pipe.head);
      if (buf.page == nullptr) buf.page = std::make_unique<std::array<char, kPageSize>>();
      const size_t chars = std::min(kPageSize, from->count);
      if (const size_t copied = copy_from_iter(buf.page->data(), chars, from); copied < chars) {
        iov_iter_revert(from, copied);
        if (done == 0) done = -EFAULT;
        break;
      }
      buf.offset = 0;
      buf.len = chars;
      buf.packet = (iocb->ki_filp->f_flags & O_DIRECT) != 0;
      ++pipe.head;
      done += static_cast<ssize_t>(chars);
      continue;
    }
    if (MayNotWait(*iocb)) {
      if (done == 0) done = -EAGAIN;
      break;
    }
    // Whoever is to make room has to know that there is something to read.
    if (was_empty) wake_up_all(pipe.rd_wait, POLLIN | POLLRDNORM);
    const int waited = Wait(iocb, pipe.wr_wait, [&pipe] { return !pipe_full(pipe) || pipe.readers == 0; });
    if (waited == -EIOCBRETRY) return waited;
    was_empty = pipe_empty(pipe);
    if (waited != 0) {
      if (done == 0) done = waited;
      break;
    }
  }
  if (was_empty || pipe.poll_usage) wake_up_all(pipe.rd_wait, POLLIN | POLLRDNORM);
  return done;
}

__poll_t pipe_poll(file* filp, poll_table_struct* pt) {
  pipe_inode_info& pipe = PipeOf(filp);
  pipe.poll_usage = true;
  if ((filp->f_mode & FMODE_READ) != 0) poll_wait(filp, &pipe.rd_wait, pt);
  if ((filp->f_mode & FMODE_WRITE) != 0) poll_wait(filp, &pipe.wr_wait, pt);
  __poll_t mask = 0;
  if ((filp->f_mode & FMODE_READ) != 0) {
    if (!pipe_empty(pipe)) mask |= POLLIN | POLLRDNORM;
    if (pipe.writers == 0) mask |= POLLHUP;
  }
  if ((filp->f_mode & FMODE_WRITE) != 0) {
    if (!pipe_full(pipe)) mask |= POLLOUT | POLLWRNORM;
    if (pipe.readers == 0) mask |= POLLERR;
  }
  return mask;
}

void pipe_release(file* filp) {
  pipe_inode_info& pipe = PipeOf(filp);
  if ((filp->f_mode & FMODE_READ) != 0) --pipe.readers;
  if ((filp->f_mode & FMODE_WRITE) != 0) --pipe.writers;
  if ((pipe.readers == 0) == (pipe.writers == 0)) return;
  wake_up_all(pipe.rd_wait, POLLIN | POLLRDNORM | POLLERR | POLLHUP);
  wake_up_all(pipe.wr_wait, POLLOUT | POLLWRNORM | POLLERR | POLLHUP);
}

long pipe_ioctl(file* filp, unsigned cmd, unsigned long arg) {
  if (cmd != FIONREAD) return -ENOTTY;
  pipe_inode_info& pipe = PipeOf(filp);
  int bytes = 0;
  for (unsigned at = pipe.tail; at != pipe.head; ++at) bytes += static_cast<int>(pipe.slot(at).len);
  return put_user(bytes, reinterpret_cast<int*>(arg));
}

constexpr file_operations pipefifo_fops = {
    .name = "pipe",
    .read_iter = pipe_read,
    .write_iter = pipe_write,
    .poll = pipe_poll,
    .release = pipe_release,
    .ioctl = pipe_ioctl,
};

file* NewEnd(std::shared_ptr<inode> pipe, fmode_t mode, unsigned flags) {
  auto* filp = new file;
  filp->f_op = &pipefifo_fops;
  filp->f_mode = mode | FMODE_NOWAIT | FMODE_CAN_ODIRECT;
  filp->f_flags = flags;
  filp->f_inode = std::move(pipe);
  return filp;
}

}  // namespace

long sys_pipe2(int* user_fds, int flags) {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) != 0) return -EINVAL;
  const auto pipe = std::make_shared<pipe_inode_info>();
  pipe->i_mode = S_IFIFO | 0600;
  ModelFiles& files = current_files();
  const unsigned kept = static_cast<unsigned>(flags) & (O_NONBLOCK | O_DIRECT);
  file* const reader = NewEnd(pipe, FMODE_READ, O_RDONLY | (kept & O_NONBLOCK));
  file* const writer = NewEnd(pipe, FMODE_WRITE, O_WRONLY | kept);
  const bool close_on_exec = (flags & O_CLOEXEC) != 0;
  int fds[2];
  fds[0] = files.Install(reader, close_on_exec);
  if (fds[0] < 0) {
    fput(writer);
    return fds[0];
  }
  fds[1] = files.Install(writer, close_on_exec);
  const int error = fds[1] < 0 ? fds[1] : copy_to_user(user_fds, fds, sizeof(fds)) != 0 ? -EFAULT : 0;
  if (error != 0) {
    files.Close(fds[0]);
    if (fds[1] >= 0) files.Close(fds[1]);
  }
  return error;
}

}  // namespace aiolab
