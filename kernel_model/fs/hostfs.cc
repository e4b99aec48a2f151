#include "kernel_model/fs/hostfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>

#include "absl/strings/string_view.h"
#include "kernel_model/block/blkdev.h"
#include "kernel_model/fs/direct_io.h"
#include "kernel_model/fs/mpage.h"
#include "uapi/aio_abi.h"
#include "uapi/errno_name.h"
#include "uapi/raw_syscall.h"

#ifndef BLKGETSIZE64
#define BLKGETSIZE64 _IOR(0x12, 114, size_t)
#endif

namespace aiolab {

// 1 TiB.
constexpr uint64_t kSectorsPerFile = uint64_t{1} << 31;

struct HostInode : inode {
  explicit HostInode(const address_space_operations& a_ops) : mapping(a_ops) {}
  address_space mapping;
};

struct HostFile;

struct HostEventfd : eventfd_ctx {
  explicit HostEventfd(HostFile& owner) : owner(owner) {}
  void signal() override;
  void get() override;
  void put() override;
  HostFile& owner;
};

struct HostFile : file {
  int host_fd = -1;
  uint64_t seen_by_entry = 0;  // the call into the model that looked at the fd last
  HostEventfd eventfd{*this};  // a reference to it is one to the file
  bool owns_fd = false;        // a duplicate of ours, to be closed
  std::shared_ptr<std::set<int>> duplicates;
  kernel_state* kernel = nullptr;
  // For files that become ready by what happens outside.
  wait_queue_head wait;
  struct Watch : Executor::HostWatch {
    HostFile* owner;
  } watch;
};

namespace {

HostFile& Host(file* filp) { return *static_cast<HostFile*>(filp); }
HostInode& Inode(file* filp) { return *static_cast<HostInode*>(filp->f_inode.get()); }

long HostPoll(int fd, short events) {
  pollfd poll = {fd, events, 0};
  timespec no_wait = {0, 0};
  const long ready = RawSyscall(__NR_ppoll, &poll, 1, &no_wait, nullptr, 0);
  return ready > 0 ? poll.revents : 0;
}

// The flags of one request that the real kernel has to see. Not RWF_NOWAIT: whether a request would wait is the model's
// to say.
int HostRwFlags(const kiocb& iocb) {
  int flags = 0;
  if ((iocb.ki_flags & IOCB_SYNC) != 0) {
    flags |= RWF_SYNC;
  } else if ((iocb.ki_flags & IOCB_DSYNC) != 0) {
    flags |= RWF_DSYNC;
  }
  if ((iocb.ki_flags & IOCB_APPEND) != 0) {
    flags |= RWF_APPEND;
  } else if ((iocb.ki_filp->f_flags & O_APPEND) != 0) {
    flags |= RWF_NOAPPEND;
  }
  return flags;
}

ssize_t HostRw(long nr, kiocb* iocb, iov_iter* iter, size_t n, loff_t pos, int flags) {
  const absl::InlinedVector<iovec, 4> segments = iov_iter_next(*iter, n);
  const long moved = RawSyscall(nr, Host(iocb->ki_filp).host_fd, segments.data(), segments.size(), pos, 0, flags);
  if (moved > 0) iov_iter_advance(iter, static_cast<size_t>(moved));
  return moved;
}

ssize_t HostReadRange(kiocb* iocb, iov_iter* iter, size_t n) {
  return HostRw(__NR_preadv2, iocb, iter, n, iocb->ki_pos, /*flags=*/0);
}
ssize_t HostWriteRange(kiocb* iocb, iov_iter* iter, size_t n) {
  return HostRw(__NR_pwritev2, iocb, iter, n, iocb->ki_pos, HostRwFlags(*iocb));
}

loff_t HostSize(file* filp) {
  const int fd = Host(filp).host_fd;
  if (S_ISBLK(filp->f_inode->i_mode)) {
    uint64_t size = 0;
    return RawSyscall(__NR_ioctl, fd, BLKGETSIZE64, &size) == 0 ? static_cast<loff_t>(size) : 0;
  }
  struct stat status;
  return RawSyscall(__NR_fstat, fd, &status) == 0 ? status.st_size : 0;
}

constexpr address_space_operations kHostAops = {HostReadRange, HostWriteRange, HostSize};

ssize_t HostReadIter(kiocb* iocb, iov_iter* iter) {
  if ((iocb->ki_flags & IOCB_DIRECT) != 0) return blockdev_direct_IO(iocb, iter, Inode(iocb->ki_filp).mapping);
  return filemap_read(iocb, iter, Inode(iocb->ki_filp).mapping);
}

ssize_t HostWriteIter(kiocb* iocb, iov_iter* iter) {
  if ((iocb->ki_flags & IOCB_DIRECT) != 0) return blockdev_direct_IO(iocb, iter, Inode(iocb->ki_filp).mapping);
  return filemap_write(iocb, iter, Inode(iocb->ki_filp).mapping);
}

// The device's flush takes the model's time; the real one follows when that is over.
int HostFsync(file* filp, int datasync, fsync_state* state) {
  const HostFile& host = Host(filp);
  if (const int error = blkdev_issue_flush(*host.kernel->disk, nullptr, state); error != 0) return error;
  return static_cast<int>(RawSyscall(datasync != 0 ? __NR_fdatasync : __NR_fsync, host.host_fd));
}

void StopWatchingIfUnwanted(HostFile& host) {
  if (!waitqueue_active(host.wait)) host.kernel->executor.Unwatch(host.watch);
}

void HostReady(Executor::HostWatch& watch, short revents) {
  HostFile& host = *static_cast<HostFile::Watch&>(watch).owner;
  ScopedCurrent in_interrupt(host.kernel->irq);
  get_file(&host);
  // Told once: who still waits for it after that watches again. Otherwise the next poll would find it at once, for
  // nobody.
  host.watch.events = static_cast<short>(host.watch.events & ~revents);
  wake_up_all(host.wait, static_cast<uint32_t>(revents));
  StopWatchingIfUnwanted(host);
  fput(&host);
}

void WatchFor(HostFile& host, short events) {
  if (!Executor::watched(host.watch)) host.watch.events = 0;
  host.kernel->executor.Watch(host.watch);
  host.watch.events = static_cast<short>(host.watch.events | events);
}

// A file without pages: ready or not.
ssize_t StreamIter(kiocb* iocb, iov_iter* iter, long nr, short wanted) {
  HostFile& host = Host(iocb->ki_filp);
  const bool writes = nr == __NR_pwritev2;
  const bool may_wait = (iocb->ki_filp->f_flags & O_NONBLOCK) == 0 && (iocb->ki_flags & IOCB_NOWAIT) == 0;
  // A file that is ready may yet have no room for all of a write, and who sleeps on the host keeps everybody out here.
  // Before Linux 6.4 a pipe cannot be told not to sleep, but one that is ready has room for PIPE_BUF bytes.
  const bool takes_nowait = (iocb->ki_filp->f_mode & FMODE_NOWAIT) != 0;
  const bool in_pieces = writes && may_wait && !takes_nowait && S_ISFIFO(iocb->ki_filp->f_inode->i_mode);
  const int flags = (writes ? HostRwFlags(*iocb) : 0) | (takes_nowait ? RWF_NOWAIT : 0);
  for (;;) {
    if (HostPoll(host.host_fd, wanted) != 0) {
      const loff_t pos = (iocb->ki_filp->f_mode & FMODE_PREAD) != 0 ? iocb->ki_pos : -1;
      const size_t most = in_pieces ? std::min<size_t>(iter->count, PIPE_BUF) : iter->count;
      const ssize_t moved = HostRw(nr, iocb, iter, most, pos, flags);
      const bool is_over = moved != -EAGAIN && !(writes && moved > 0 && iter->count > 0);
      if (is_over || !may_wait) return moved;
      continue;
    }
    if (!may_wait) return -EAGAIN;
    WatchFor(host, wanted);
    if (iocb->ki_wait != nullptr) {
      iocb->ki_waits_for = nullptr;  // something outside the model
      add_wait_queue(host.wait, iocb->ki_wait);
      return -EIOCBRETRY;
    }
    const auto ready = [&] {
      if (HostPoll(host.host_fd, wanted) != 0) return true;
      WatchFor(host, wanted);  // another may have taken what was there
      return false;
    };
    const SleepResult slept = wait_event(host.wait, ready, kNoDeadline, /*interruptible=*/true);
    StopWatchingIfUnwanted(host);
    if (slept != SleepResult::kDone) return -ERESTARTSYS;
  }
}

ssize_t StreamReadIter(kiocb* iocb, iov_iter* iter) { return StreamIter(iocb, iter, __NR_preadv2, POLLIN); }
ssize_t StreamWriteIter(kiocb* iocb, iov_iter* iter) { return StreamIter(iocb, iter, __NR_pwritev2, POLLOUT); }

__poll_t StreamPoll(file* filp, poll_table_struct* pt) {
  HostFile& host = Host(filp);
  poll_wait(filp, &host.wait, pt);
  const auto wanted = static_cast<short>(pt != nullptr && pt->_key != 0 ? pt->_key : POLLIN | POLLOUT | POLLPRI);
  if (waitqueue_active(host.wait)) WatchFor(host, wanted);
  return static_cast<__poll_t>(HostPoll(host.host_fd, wanted));
}

void HostRelease(file* filp) {
  HostFile& host = Host(filp);
  host.kernel->executor.Unwatch(host.watch);
  if (!host.owns_fd) return;
  RawSyscall(__NR_close, host.host_fd);
  host.duplicates->erase(host.host_fd);
}

constexpr file_operations kPagedOps = {.name = "hostfs",
                                       .read_iter = HostReadIter,
                                       .write_iter = HostWriteIter,
                                       .fsync = HostFsync,
                                       .release = HostRelease};
constexpr file_operations kStreamOps = {.name = "host stream",
                                        .read_iter = StreamReadIter,
                                        .write_iter = StreamWriteIter,
                                        .poll = StreamPoll,
                                        .release = HostRelease};
// These two have no write_iter in the kernel.
constexpr file_operations kEventfdOps = {
    .name = "host eventfd", .read_iter = StreamReadIter, .poll = StreamPoll, .release = HostRelease};
constexpr file_operations kDevFullOps = {
    .name = "host /dev/full", .read_iter = StreamReadIter, .poll = StreamPoll, .release = HostRelease};
constexpr file_operations kDirectoryOps = {.name = "host directory", .fsync = HostFsync, .release = HostRelease};

// What the host calls the file behind `fd`: its path, or "anon_inode:[eventfd]" and the like. Points into `target`.
absl::string_view LinkOf(int fd, char (&target)[PATH_MAX]) {
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  const long n = RawSyscall(__NR_readlink, path, target, sizeof(target));
  return absl::string_view(target, n > 0 ? static_cast<size_t>(n) : 0);
}

bool IsEventfd(int fd, const struct stat& status) {
  char target[PATH_MAX];
  return (status.st_mode & S_IFMT) == 0 && LinkOf(fd, target) == "anon_inode:[eventfd]";
}

const file_operations* OperationsOf(int fd, const struct stat& status) {
  if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)) return &kPagedOps;
  if (S_ISDIR(status.st_mode)) return &kDirectoryOps;
  constexpr dev_t kDevFull = (1 << 8) | 7;
  if (S_ISCHR(status.st_mode) && status.st_rdev == kDevFull) return &kDevFullOps;
  return IsEventfd(fd, status) ? &kEventfdOps : &kStreamOps;
}

}  // namespace

// As in the kernel, a counter that is full stays full, and nobody waits for it.
void HostEventfd::signal() {
  const uint64_t one = 1;
  if ((HostPoll(owner.host_fd, POLLOUT) & POLLOUT) != 0) RawSyscall(__NR_write, owner.host_fd, &one, sizeof(one));
}

void HostEventfd::get() { get_file(&owner); }
void HostEventfd::put() { fput(&owner); }

HostFiles::~HostFiles() {
  // tidy: allow hash-order: the order in which references go is not seen
  for (const auto& [fd, host] : by_fd_) fput(host);
}

std::shared_ptr<HostInode> HostFiles::InodeOf(const struct stat& status) {
  std::shared_ptr<HostInode>& slot = inodes_[{status.st_dev, status.st_ino}];
  if (slot == nullptr) {
    slot = std::make_shared<HostInode>(kHostAops);
    // Each file has a region of the modelled device to itself, in the order of their first use.
    slot->mapping.first_sector = (inodes_.size() - 1) * kSectorsPerFile;
    slot->i_mode = status.st_mode;
    slot->mapping.readahead = mpage_readahead;
  }
  return slot;
}

file* HostFiles::fget(int fd) {
  const uint64_t entry = kernel_.entries.load(std::memory_order_relaxed);
  const auto found = by_fd_.find(fd);
  if (found != by_fd_.end() && found->second->seen_by_entry == entry) return get_file(found->second);
  HostFile* const host = Look(fd);
  if (host == nullptr) return nullptr;
  host->seen_by_entry = entry;
  return get_file(host);
}

// The file behind `fd` as the host says it is now. The reference is by_fd_'s.
HostFile* HostFiles::Look(int fd) {
  const long flags = RawSyscall(__NR_fcntl, fd, F_GETFL);
  struct stat status;
  if (flags < 0 || (flags & O_PATH) != 0 || RawSyscall(__NR_fstat, fd, &status) < 0) return nullptr;
  const bool paged = S_ISREG(status.st_mode) || S_ISBLK(status.st_mode);

  HostFile*& slot = by_fd_[fd];
  const unsigned f_flags = static_cast<unsigned>(flags);
  if (slot != nullptr) {
    const bool same = paged ? slot->f_inode == InodeOf(status) : slot->f_op == OperationsOf(fd, status);
    if (same && slot->f_flags == f_flags) return slot;
    fput(slot);
    slot = nullptr;
  }

  auto* const host = new HostFile;
  host->host_fd = fd;
  host->kernel = &kernel_;
  host->duplicates = duplicates_;
  host->f_flags = f_flags;
  host->f_op = OperationsOf(fd, status);
  host->f_id = next_file_id_++;
  char target[PATH_MAX];
  host->f_name = std::string(LinkOf(fd, target));
  if (paged) {
    host->f_inode = InodeOf(status);
  } else {
    host->f_inode = std::make_shared<inode>();
    host->f_inode->i_mode = status.st_mode;
  }
  const int access = flags & O_ACCMODE;
  if (access == O_RDONLY || access == O_RDWR) host->f_mode |= FMODE_READ;
  if (access == O_WRONLY || access == O_RDWR) host->f_mode |= FMODE_WRITE;
  if (paged || S_ISDIR(status.st_mode) || S_ISCHR(status.st_mode)) host->f_mode |= FMODE_PREAD;
  // Asked without moving a byte; tmpfs, for one, refuses.
  const long nowait = RawSyscall((host->f_mode & FMODE_READ) != 0 ? __NR_preadv2 : __NR_pwritev2, fd, nullptr, 0,
                                 paged ? 0L : -1L, 0, RWF_NOWAIT);
  if (nowait == 0) host->f_mode |= FMODE_NOWAIT;
  host->watch.fd = fd;
  host->watch.ready = HostReady;
  host->watch.owner = host;
  slot = host;
  return host;
}

int HostFiles::eventfd_ctx_fdget(int fd, eventfd_ctx** ctx) {
  file* const filp = fget(fd);
  if (filp == nullptr) return -EBADF;
  if (filp->f_op != &kEventfdOps) {
    fput(filp);
    return -EINVAL;
  }
  *ctx = &Host(filp).eventfd;
  return 0;
}

bool HostFiles::WillClose(int fd) {
  if (duplicates_->contains(fd)) return false;
  const auto found = by_fd_.find(fd);
  if (found == by_fd_.end()) return true;
  HostFile* const host = found->second;
  by_fd_.erase(found);
  if (host->f_count > 1) {
    // High up, where no client expects its next fd.
    const long duplicate = RawSyscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 1000);
    if (duplicate >= 0) {
      host->host_fd = static_cast<int>(duplicate);
      host->watch.fd = host->host_fd;
      host->owns_fd = true;
      duplicates_->insert(host->host_fd);
    }
  }
  fput(host);
  return true;
}

std::vector<int> HostFiles::WillCloseRange(unsigned first, unsigned last) {
  const auto in_range = [&](int fd) { return static_cast<unsigned>(fd) >= first && static_cast<unsigned>(fd) <= last; };
  std::set<int> closing;
  for (const auto& [fd, host] : by_fd_) {  // tidy: allow hash-order: into a sorted set
    if (in_range(fd)) closing.insert(fd);
  }
  for (const int fd : closing) WillClose(fd);
  std::vector<int> kept;
  std::copy_if(duplicates_->begin(), duplicates_->end(), std::back_inserter(kept), in_range);
  return kept;
}

// Mirrors: generic_fadvise. No page is ever dirty here.
bool HostFiles::AdviseDontNeed(int fd, loff_t offset, loff_t len) {
  struct stat status;
  if (offset < 0 || len < 0 || RawSyscall(__NR_fstat, fd, &status) < 0) return false;
  const auto found = inodes_.find({status.st_dev, status.st_ino});
  if (found == inodes_.end()) return false;
  loff_t end;
  if (len == 0 || __builtin_add_overflow(offset, len, &end)) end = std::numeric_limits<loff_t>::max();
  // A page of which only a part is not needed stays, but for the last one of the file.
  const uint64_t first = (static_cast<uint64_t>(offset) + kPageSize - 1) >> kPageShift;
  const uint64_t behind = (static_cast<uint64_t>(end) + (end == status.st_size ? kPageSize - 1 : 0)) >> kPageShift;
  if (first < behind) invalidate_mapping_pages(found->second->mapping, first, behind - 1);
  return true;
}

void HostFiles::DropCaches() {
  // tidy: allow hash-order: every entry is treated alike
  for (auto& [key, inode] : inodes_) invalidate_mapping_pages(inode->mapping);
}

}  // namespace aiolab
