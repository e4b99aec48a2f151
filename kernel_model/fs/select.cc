#include "kernel_model/fs/select.h"

#include <errno.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/kernel/sched.h"
#include "kernel_model/kernel/signal.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr int64_t NSEC_PER_SEC = 1000000000;

struct poll_wqueues;

struct poll_table_entry {
  wait_queue_entry wait;
  poll_wqueues* pwq;
  __poll_t key;
};

// Everything that one sleeper waits for.
struct poll_wqueues : poll_table_struct {
  explicit poll_wqueues(task_struct& task);
  ~poll_wqueues() {
    for (poll_table_entry& entry : entries) remove_wait_queue(&entry.wait);
  }

  task_struct& polling_task;
  bool triggered = false;
  std::deque<poll_table_entry> entries;  // addresses stay
};

int pollwake(wait_queue_entry* wait, uint32_t key) {
  auto* entry = static_cast<poll_table_entry*>(wait->private_data);
  if (key != 0 && (key & entry->key) == 0) return 0;
  entry->pwq->triggered = true;
  wake_up_process(entry->pwq->polling_task);
  return 1;
}

void __pollwait(file*, wait_queue_head* head, poll_table_struct* pt) {
  auto* pwq = static_cast<poll_wqueues*>(pt);
  poll_table_entry& entry = pwq->entries.emplace_back();
  entry.pwq = pwq;
  entry.key = pt->_key;
  entry.wait.func = pollwake;
  entry.wait.private_data = &entry;
  add_wait_queue(*head, &entry.wait);
}

poll_wqueues::poll_wqueues(task_struct& task) : polling_task(task) { _qproc = __pollwait; }

// Sets revents and says whether there are any.
bool do_pollfd(pollfd& request, const FileRef& filp, poll_wqueues* pt) {
  request.revents = 0;
  if (request.fd < 0) return false;
  if (!filp) {
    request.revents = POLLNVAL;
    return true;
  }
  const __poll_t filter = static_cast<uint16_t>(request.events) | POLLERR | POLLHUP;
  pt->_key = filter;
  request.revents = static_cast<short>(vfs_poll(filp.get(), pt) & filter);
  return request.revents != 0;
}

// How many of `fds` have revents, or -ERESTARTNOHAND.
int do_poll(std::vector<pollfd>& fds, int64_t deadline_ns, const ScopedSigmask& mask) {
  task_struct& task = current();
  // While this sleeps, others may close the fds.
  std::vector<FileRef> files;
  files.reserve(fds.size());
  for (const pollfd& request : fds) files.push_back(fdget(request.fd));

  poll_wqueues table(task);
  bool timed_out = deadline_ns <= task.kernel->executor.NowNs();
  for (;;) {
    int count = 0;
    for (size_t i = 0; i < fds.size(); ++i) {
      if (!do_pollfd(fds[i], files[i], &table)) continue;
      ++count;
      table._qproc = nullptr;  // nobody will sleep
    }
    // The queues know by now.
    table._qproc = nullptr;
    if (count > 0) return count;
    if (mask.interrupted()) return -ERESTARTNOHAND;
    if (timed_out) return 0;

    const SleepResult slept = schedule_until([&table] { return table.triggered; }, deadline_ns, /*interruptible=*/true);
    if (slept == SleepResult::kSignal || slept == SleepResult::kStuck) return -ERESTARTNOHAND;
    timed_out = slept == SleepResult::kTimedOut;
    table.triggered = false;
  }
}

// Says how much of the time is left. The call succeeds all the same if that cannot be written.
void WriteRemaining(int64_t deadline_ns, timespec* user_timeout) {
  if (user_timeout == nullptr || deadline_ns == kNoDeadline) return;
  const int64_t left_ns = std::max<int64_t>(0, deadline_ns - current_kernel().executor.NowNs());
  const timespec left = {left_ns / NSEC_PER_SEC, left_ns % NSEC_PER_SEC};
  static_cast<void>(put_user(left, user_timeout) == 0);
}

}  // namespace

int ReadTimeout(const timespec* user_timeout, int64_t* deadline_ns) {
  *deadline_ns = kNoDeadline;
  if (user_timeout == nullptr) return 0;
  timespec timeout;
  if (get_user(timeout, user_timeout) != 0) return -EFAULT;
  if (timeout.tv_sec < 0 || timeout.tv_nsec < 0 || timeout.tv_nsec >= NSEC_PER_SEC) return -EINVAL;
  const int64_t now_ns = current_kernel().executor.NowNs();
  int64_t duration_ns = 0;
  if (__builtin_mul_overflow(timeout.tv_sec, NSEC_PER_SEC, &duration_ns) ||
      __builtin_add_overflow(duration_ns, timeout.tv_nsec + now_ns, deadline_ns)) {
    *deadline_ns = kNoDeadline;
  }
  return 0;
}

long sys_ppoll(pollfd* user_fds, nfds_t nfds, timespec* user_timeout, const sigset_t* user_sigmask, size_t sigsetsize) {
  int64_t deadline_ns = 0;
  if (const int error = ReadTimeout(user_timeout, &deadline_ns); error != 0) return error;
  const ScopedSigmask mask(user_sigmask, sigsetsize);
  if (mask.error() != 0) return mask.error();

  if (nfds > static_cast<nfds_t>(ModelFiles::kFdsMax)) return -EINVAL;
  std::vector<pollfd> fds(nfds);
  if (copy_from_user(fds.data(), user_fds, nfds * sizeof(pollfd)) != 0) return -EFAULT;
  long result = do_poll(fds, deadline_ns, mask);
  for (size_t i = 0; i < fds.size(); ++i) {
    if (put_user(fds[i].revents, &user_fds[i].revents) != 0) result = -EFAULT;
  }
  WriteRemaining(deadline_ns, user_timeout);
  return result;
}

}  // namespace aiolab
