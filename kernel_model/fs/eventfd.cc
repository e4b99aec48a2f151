#include "kernel_model/fs/eventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <cstdint>
#include <limits>

#include "kernel_model/fs/anon_inodes.h"
#include "kernel_model/fs/file_table.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

// What only a kernel's own signal can reach: POLLERR.
constexpr uint64_t kCountMax = std::numeric_limits<uint64_t>::max();

struct eventfd_counter : eventfd_ctx {
  void signal() override;
  void get() override { ++refs; }
  void put() override {
    if (--refs == 0) delete this;
  }

  int refs = 1;  // the file's
  wait_queue_head wqh;
  uint64_t count = 0;
  bool semaphore = false;
};

struct eventfd_file : file {
  ~eventfd_file() override { ctx->put(); }
  eventfd_counter* const ctx = new eventfd_counter;
};

eventfd_counter& CtxOf(file* filp) { return *static_cast<eventfd_file*>(filp)->ctx; }

// A completion never waits: at the maximum the count stays where it is.
void eventfd_counter::signal() {
  if (count < kCountMax) ++count;
  if (waitqueue_active(wqh)) wake_up_all(wqh, POLLIN);
}

ssize_t eventfd_read(kiocb* iocb, iov_iter* to) {
  eventfd_counter& ctx = CtxOf(iocb->ki_filp);
  if (to->count < sizeof(uint64_t)) return -EINVAL;
  if (ctx.count == 0) {
    if ((iocb->ki_filp->f_flags & O_NONBLOCK) != 0 || (iocb->ki_flags & IOCB_NOWAIT) != 0) return -EAGAIN;
    iocb->ki_waits_for = nullptr;  // a client, this one maybe
    if (iocb->ki_wait != nullptr) {
      add_wait_queue(ctx.wqh, iocb->ki_wait);
      return -EIOCBRETRY;
    }
    const auto counted = [&ctx] { return ctx.count != 0; };
    const SleepResult slept = wait_event(ctx.wqh, counted, kNoDeadline, /*interruptible=*/true);
    iocb->ki_waits_for = "";
    if (slept != SleepResult::kDone) return -ERESTARTSYS;
  }
  const uint64_t taken = ctx.semaphore ? 1 : ctx.count;
  ctx.count -= taken;
  if (waitqueue_active(ctx.wqh)) wake_up_all(ctx.wqh, POLLOUT);
  if (const size_t copied = copy_to_iter(&taken, sizeof(taken), to); copied < sizeof(taken)) {
    iov_iter_revert(to, copied);
    return -EFAULT;
  }
  return sizeof(taken);
}

ssize_t eventfd_write(file* filp, const char* buf, size_t count, loff_t*) {
  eventfd_counter& ctx = CtxOf(filp);
  uint64_t added;
  if (count != sizeof(added)) return -EINVAL;
  if (copy_from_user(&added, buf, sizeof(added)) != 0) return -EFAULT;
  if (added == kCountMax) return -EINVAL;
  const auto fits = [&ctx, added] { return kCountMax - ctx.count > added; };
  if (!fits()) {
    if ((filp->f_flags & O_NONBLOCK) != 0) return -EAGAIN;
    if (wait_event(ctx.wqh, fits, kNoDeadline, /*interruptible=*/true) != SleepResult::kDone) return -ERESTARTSYS;
  }
  ctx.count += added;
  if (waitqueue_active(ctx.wqh)) wake_up_all(ctx.wqh, POLLIN);
  return sizeof(added);
}

__poll_t eventfd_poll(file* filp, poll_table_struct* pt) {
  eventfd_counter& ctx = CtxOf(filp);
  poll_wait(filp, &ctx.wqh, pt);
  __poll_t events = 0;
  if (ctx.count > 0) events |= POLLIN;
  if (ctx.count == kCountMax) events |= POLLERR;
  if (kCountMax - 1 > ctx.count) events |= POLLOUT;
  return events;
}

constexpr file_operations eventfd_fops = {
    .name = "eventfd",
    .read_iter = eventfd_read,
    .poll = eventfd_poll,
    .write = eventfd_write,
    .llseek = noop_llseek,
};

}  // namespace

int eventfd_ctx_fileget(file* filp, eventfd_ctx** ctx) {
  if (filp->f_op != &eventfd_fops) return -EINVAL;
  eventfd_counter* const counter = static_cast<eventfd_file*>(filp)->ctx;
  ++counter->refs;
  *ctx = counter;
  return 0;
}

long sys_eventfd2(unsigned initval, int flags) {
  if ((flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) != 0) return -EINVAL;
  auto* filp = new eventfd_file;
  filp->f_op = &eventfd_fops;
  filp->f_mode = FMODE_READ | FMODE_WRITE | FMODE_LSEEK | FMODE_NOWAIT;
  filp->f_flags = O_RDWR | (static_cast<unsigned>(flags) & EFD_NONBLOCK);
  filp->f_inode = AnonInode();
  filp->ctx->count = initval;
  filp->ctx->semaphore = (flags & EFD_SEMAPHORE) != 0;
  return current_files().Install(filp, (flags & EFD_CLOEXEC) != 0);
}

}  // namespace aiolab
