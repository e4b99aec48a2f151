#include "kernel_model/fs/eventpoll.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include <deque>
#include <limits>
#include <map>
#include <memory>

#include "kernel_model/fs/anon_inodes.h"
#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/kernel/signal.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/mm/uaccess.h"

namespace aiolab {
namespace {

constexpr uint32_t EP_PRIVATE_BITS = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
constexpr uint32_t EPOLLINOUT_BITS = EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
// What may be asked for together with EPOLLEXCLUSIVE.
constexpr uint32_t EPOLLEXCLUSIVE_OK_BITS =
    EPOLLINOUT_BITS | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
// How deep sets may watch sets.
constexpr int EP_MAX_NESTS = 4;
constexpr int EP_MAX_EVENTS = std::numeric_limits<int>::max() / static_cast<int>(sizeof(epoll_event));
constexpr int64_t NSEC_PER_MSEC = 1000000;

struct eventpoll;

// One watched file. It holds no reference: when the file goes, so does this.
struct epitem {
  list_head rdllink;     // on eventpoll::rdllist while it may be ready
  file_watcher watcher;  // on file::f_ep
  eventpoll* ep = nullptr;
  file* filp = nullptr;
  int fd = -1;
  epoll_event event = {};
  std::deque<wait_queue_entry> pwqlist;  // addresses stay
};

struct eventpoll : file {
  wait_queue_head wq;         // who sleeps in epoll_pwait
  wait_queue_head poll_wait;  // who watches this set
  list_head rdllist;
  std::multimap<int, std::unique_ptr<epitem>> items;  // by fd, whose number several open files may have had
};

struct ep_pqueue : poll_table_struct {
  epitem* epi;
};

int ep_poll_callback(wait_queue_entry* wait, uint32_t key) {
  auto* epi = static_cast<epitem*>(wait->private_data);
  eventpoll* const ep = epi->ep;
  if ((epi->event.events & ~EP_PRIVATE_BITS) == 0) return 0;  // one shot, and it is spent
  if (key != 0 && (key & epi->event.events) == 0) return 0;
  if (list_empty(&epi->rdllink)) list_add_tail(&epi->rdllink, &ep->rdllist);
  if (waitqueue_active(ep->wq)) wake_up_all(ep->wq);
  if (waitqueue_active(ep->poll_wait)) wake_up_all(ep->poll_wait, EPOLLIN | key);
  return 1;
}

void ep_ptable_queue_proc(file*, wait_queue_head* head, poll_table_struct* pt) {
  epitem* const epi = static_cast<ep_pqueue*>(pt)->epi;
  wait_queue_entry& wait = epi->pwqlist.emplace_back();
  wait.func = ep_poll_callback;
  wait.private_data = epi;
  add_wait_queue(*head, &wait);
}

__poll_t ep_item_poll(const epitem& epi, poll_table_struct* pt) { return vfs_poll(epi.filp, pt) & epi.event.events; }

// Requires: on its set. Destroys it.
void ep_remove(epitem* epi) {
  for (wait_queue_entry& wait : epi->pwqlist) remove_wait_queue(&wait);
  list_del_init(&epi->watcher.entry);
  list_del_init(&epi->rdllink);
  auto& items = epi->ep->items;
  for (auto [it, end] = items.equal_range(epi->fd); it != end; ++it) {
    if (it->second.get() != epi) continue;
    items.erase(it);
    return;
  }
}

void eventpoll_release_file(file_watcher* watcher) { ep_remove(container_of(watcher, epitem, watcher)); }

void ep_eventpoll_release(file* filp) {
  auto* ep = static_cast<eventpoll*>(filp);
  while (!ep->items.empty()) ep_remove(ep->items.begin()->second.get());
}

__poll_t ep_eventpoll_poll(file* filp, poll_table_struct* pt) {
  auto* ep = static_cast<eventpoll*>(filp);
  poll_wait(filp, &ep->poll_wait, pt);
  for (list_head* at = ep->rdllist.next; at != &ep->rdllist;) {
    epitem* const epi = list_entry(at, epitem, rdllink);
    at = at->next;
    if (ep_item_poll(*epi, nullptr) != 0) return EPOLLIN | EPOLLRDNORM;
    // It was ready once, and is no more.
    list_del_init(&epi->rdllink);
  }
  return 0;
}

constexpr file_operations eventpoll_fops = {
    .name = "epoll",
    .poll = ep_eventpoll_poll,
    .release = ep_eventpoll_release,
    .llseek = noop_llseek,
};

bool is_file_epoll(const file& filp) { return filp.f_op == &eventpoll_fops; }

epitem* ep_find(eventpoll& ep, const file* filp, int fd) {
  for (auto [it, end] = ep.items.equal_range(fd); it != end; ++it) {
    if (it->second->filp == filp) return it->second.get();
  }
  return nullptr;
}

// Whether `from` watches `target`, itself or through other sets, or is deeper than it may be.
bool LoopsOrTooDeep(const eventpoll& from, const file* target, int depth) {
  if (&from == target || depth > EP_MAX_NESTS) return true;
  for (const auto& [fd, epi] : from.items) {
    if (!is_file_epoll(*epi->filp)) continue;
    if (LoopsOrTooDeep(static_cast<const eventpoll&>(*epi->filp), target, depth + 1)) return true;
  }
  return false;
}

// Puts the item on the ready list if it is ready now.
void QueueIfReady(epitem* epi, __poll_t revents) {
  eventpoll& ep = *epi->ep;
  if (revents == 0 || !list_empty(&epi->rdllink)) return;
  list_add_tail(&epi->rdllink, &ep.rdllist);
  if (waitqueue_active(ep.wq)) wake_up_all(ep.wq);
  if (waitqueue_active(ep.poll_wait)) wake_up_all(ep.poll_wait, EPOLLIN);
}

int ep_insert(eventpoll& ep, const epoll_event& event, file* filp, int fd) {
  if (is_file_epoll(*filp) && LoopsOrTooDeep(static_cast<eventpoll&>(*filp), &ep, 1)) return -ELOOP;
  auto made = std::make_unique<epitem>();
  epitem* const epi = made.get();
  epi->watcher.released = eventpoll_release_file;
  epi->ep = &ep;
  epi->filp = filp;
  epi->fd = fd;
  epi->event = event;
  list_add_tail(&epi->watcher.entry, &filp->f_ep);
  ep.items.emplace(fd, std::move(made));
  ep_pqueue queue;
  queue._qproc = ep_ptable_queue_proc;
  queue._key = event.events;
  queue.epi = epi;
  QueueIfReady(epi, ep_item_poll(*epi, &queue));
  return 0;
}

int ep_modify(epitem* epi, const epoll_event& event) {
  epi->event = event;
  QueueIfReady(epi, ep_item_poll(*epi, nullptr));
  return 0;
}

// Copies what is ready to the client. How many, or -EFAULT if not even the first could be copied.
int ep_send_events(eventpoll& ep, epoll_event* user_events, int maxevents) {
  list_head candidates;
  list_replace_init(&ep.rdllist, &candidates);
  int sent = 0;
  while (!list_empty(&candidates) && sent < maxevents) {
    epitem* const epi = list_entry(candidates.next, epitem, rdllink);
    list_del_init(&epi->rdllink);
    const __poll_t revents = ep_item_poll(*epi, nullptr);
    if (revents == 0) continue;
    epoll_event event = {};
    event.events = revents;
    event.data = epi->event.data;
    if (copy_to_user(&user_events[sent], &event, sizeof(event)) != 0) {
      list_add(&epi->rdllink, &candidates);
      if (sent == 0) sent = -EFAULT;
      break;
    }
    ++sent;
    if ((epi->event.events & EPOLLONESHOT) != 0) {
      epi->event.events &= EP_PRIVATE_BITS;
    } else if ((epi->event.events & EPOLLET) == 0) {
      // Level-triggered: looked at again next time, behind the others.
      list_add_tail(&epi->rdllink, &ep.rdllist);
    }
  }
  // What was not looked at stays first.
  while (!list_empty(&candidates)) {
    list_head* const last = candidates.prev;
    list_del_init(last);
    list_add(last, &ep.rdllist);
  }
  return sent;
}

long ep_poll(eventpoll& ep, epoll_event* user_events, int maxevents, int64_t deadline_ns, const ScopedSigmask& mask) {
  bool timed_out = deadline_ns <= current_kernel().executor.NowNs();
  for (;;) {
    if (!list_empty(&ep.rdllist)) {
      const int sent = ep_send_events(ep, user_events, maxevents);
      if (sent != 0) return sent;
    }
    if (timed_out) return 0;
    if (mask.interrupted()) return -EINTR;
    const SleepResult slept = wait_event(
        ep.wq, [&ep] { return !list_empty(&ep.rdllist); }, deadline_ns, /*interruptible=*/true);
    if (slept == SleepResult::kSignal || slept == SleepResult::kStuck) return -EINTR;
    timed_out = slept == SleepResult::kTimedOut;
  }
}

}  // namespace

long sys_epoll_create1(int flags) {
  if ((flags & ~EPOLL_CLOEXEC) != 0) return -EINVAL;
  auto* ep = new eventpoll;
  ep->f_op = &eventpoll_fops;
  ep->f_mode = FMODE_READ | FMODE_WRITE | FMODE_LSEEK;
  ep->f_flags = O_RDWR;
  ep->f_inode = AnonInode();
  return current_files().Install(ep, (flags & EPOLL_CLOEXEC) != 0);
}

long sys_epoll_ctl(int epfd, int op, int fd, epoll_event* user_event) {
  epoll_event event = {};
  if (op != EPOLL_CTL_DEL && copy_from_user(&event, user_event, sizeof(event)) != 0) return -EFAULT;
  const FileRef set = fdget(epfd);
  if (!set) return -EBADF;
  const FileRef target = fdget(fd);
  if (!target) return -EBADF;
  if (target->f_op->poll == nullptr) return -EPERM;
  if (set.get() == target.get() || !is_file_epoll(*set.get())) return -EINVAL;
  if ((event.events & EPOLLEXCLUSIVE) != 0) {
    const bool adds = op == EPOLL_CTL_ADD && !is_file_epoll(*target.get());
    if (!adds || (event.events & ~EPOLLEXCLUSIVE_OK_BITS) != 0) return -EINVAL;
  }

  auto& ep = static_cast<eventpoll&>(*set.get());
  epitem* const epi = ep_find(ep, target.get(), fd);
  event.events |= EPOLLERR | EPOLLHUP;
  switch (op) {
    case EPOLL_CTL_ADD:
      return epi != nullptr ? -EEXIST : ep_insert(ep, event, target.get(), fd);
    case EPOLL_CTL_DEL:
      if (epi == nullptr) return -ENOENT;
      ep_remove(epi);
      return 0;
    case EPOLL_CTL_MOD:
      if (epi == nullptr) return -ENOENT;
      return (epi->event.events & EPOLLEXCLUSIVE) != 0 ? -EINVAL : ep_modify(epi, event);
    default:
      return -EINVAL;
  }
}

long sys_epoll_pwait(int epfd, epoll_event* user_events, int maxevents, int timeout_ms, const sigset_t* user_sigmask,
                     size_t sigsetsize) {
  const ScopedSigmask mask(user_sigmask, sigsetsize);
  if (mask.error() != 0) return mask.error();
  const FileRef set = fdget(epfd);
  if (!set) return -EBADF;
  if (maxevents <= 0 || maxevents > EP_MAX_EVENTS) return -EINVAL;
  if (!access_ok(user_events, static_cast<size_t>(maxevents) * sizeof(epoll_event))) return -EFAULT;
  if (!is_file_epoll(*set.get())) return -EINVAL;
  const int64_t deadline_ns =
      timeout_ms < 0 ? kNoDeadline : current_kernel().executor.NowNs() + timeout_ms * NSEC_PER_MSEC;
  return ep_poll(static_cast<eventpoll&>(*set.get()), user_events, maxevents, deadline_ns, mask);
}

}  // namespace aiolab
