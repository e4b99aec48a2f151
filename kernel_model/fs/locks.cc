#include "kernel_model/fs/locks.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "uapi/errno_name.h"
#include "uapi/raw_syscall.h"

namespace aiolab {
namespace {

file_lock_context& ContextOf(inode& node) {
  if (node.i_flctx == nullptr) node.i_flctx = std::make_shared<file_lock_context>();
  return *node.i_flctx;
}

bool Overlap(const file_lock& a, const file_lock& b) { return a.start <= b.end && b.start <= a.end; }

// The first lock of somebody else that keeps `wanted` out.
const file_lock* FindConflict(const std::vector<file_lock>& held, const file_lock& wanted) {
  const auto conflict = std::find_if(held.begin(), held.end(), [&wanted](const file_lock& lock) {
    return lock.owner != wanted.owner && Overlap(lock, wanted) && (lock.type == F_WRLCK || wanted.type == F_WRLCK);
  });
  return conflict == held.end() ? nullptr : &*conflict;
}

// What `owner` has of [wanted.start, wanted.end] becomes wanted.type.
void Replace(std::vector<file_lock>* held, const file_lock& wanted) {
  std::vector<file_lock> left;
  for (const file_lock& lock : *held) {
    if (lock.owner != wanted.owner || !Overlap(lock, wanted)) {
      left.push_back(lock);
      continue;
    }
    if (lock.start < wanted.start) {
      left.push_back(lock);
      left.back().end = wanted.start - 1;
    }
    if (lock.end > wanted.end) {
      left.push_back(lock);
      left.back().start = wanted.end + 1;
    }
  }
  if (wanted.type != F_UNLCK) left.push_back(wanted);
  *held = std::move(left);
}

// Sets the lock, or waits for those in its way if `wait`.
int SetLock(file_lock_context& context, std::vector<file_lock>* held, const file_lock& wanted, bool wait) {
  const auto is_free = [&] { return wanted.type == F_UNLCK || FindConflict(*held, wanted) == nullptr; };
  if (!is_free()) {
    if (!wait) return -EAGAIN;
    const SleepResult slept = wait_event(context.released, is_free, kNoDeadline, /*interruptible=*/true);
    if (slept != SleepResult::kDone) return -ERESTARTSYS;
  }
  Replace(held, wanted);
  wake_up_all(context.released);
  return 0;
}

bool IsOfd(int cmd) { return cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW; }

// Mirrors: flock_to_posix_lock.
int ToFileLock(file* filp, int cmd, const struct flock& user, const void* process, file_lock* lock) {
  loff_t base = 0;
  if (user.l_whence == SEEK_CUR) base = filp->f_pos;
  if (user.l_whence == SEEK_END) base = filp->f_inode->i_size;
  if (user.l_whence != SEEK_SET && user.l_whence != SEEK_CUR && user.l_whence != SEEK_END) return -EINVAL;
  if (user.l_start > MAX_LFS_FILESIZE - base) return -EOVERFLOW;
  lock->start = base + user.l_start;
  if (lock->start < 0) return -EINVAL;
  if (user.l_len > 0) {
    if (user.l_len - 1 > MAX_LFS_FILESIZE - lock->start) return -EOVERFLOW;
    lock->end = lock->start + user.l_len - 1;
  } else if (user.l_len < 0) {
    if (lock->start + user.l_len < 0) return -EINVAL;
    lock->end = lock->start - 1;
    lock->start += user.l_len;
  }
  if (user.l_type != F_RDLCK && user.l_type != F_WRLCK && user.l_type != F_UNLCK) return -EINVAL;
  if (IsOfd(cmd) && user.l_pid != 0) return -EINVAL;
  lock->type = user.l_type;
  lock->is_posix = !IsOfd(cmd);
  lock->owner = lock->is_posix ? process : filp;
  return 0;
}

void RemoveOf(const void* owner, file_lock_context* context) {
  const auto is_owners = [owner](const file_lock& lock) { return lock.owner == owner; };
  for (std::vector<file_lock>* held : {&context->flc_flock, &context->flc_posix}) {
    held->erase(std::remove_if(held->begin(), held->end(), is_owners), held->end());
  }
  wake_up_all(context->released);
}

}  // namespace

int flock_lock_file(file* filp, int operation) {
  file_lock wanted;
  wanted.owner = filp;
  switch (operation & ~LOCK_NB) {
    case LOCK_SH:
      wanted.type = F_RDLCK;
      break;
    case LOCK_EX:
      wanted.type = F_WRLCK;
      break;
    case LOCK_UN:
      break;
    default:
      return -EINVAL;
  }
  if (wanted.type != F_UNLCK && (filp->f_mode & (FMODE_READ | FMODE_WRITE)) == 0) return -EBADF;
  file_lock_context& context = ContextOf(*filp->f_inode);
  // Going from one kind to the other gives up the first, even if the second is not to be had.
  file_lock nothing = wanted;
  nothing.type = F_UNLCK;
  if (FindConflict(context.flc_flock, wanted) != nullptr) Replace(&context.flc_flock, nothing);
  return SetLock(context, &context.flc_flock, wanted, (operation & LOCK_NB) == 0);
}

int fcntl_setlk(file* filp, int cmd, const struct flock& user, const void* process) {
  file_lock wanted;
  if (const int error = ToFileLock(filp, cmd, user, process, &wanted); error != 0) return error;
  if (wanted.type == F_RDLCK && (filp->f_mode & FMODE_READ) == 0) return -EBADF;
  if (wanted.type == F_WRLCK && (filp->f_mode & FMODE_WRITE) == 0) return -EBADF;
  file_lock_context& context = ContextOf(*filp->f_inode);
  return SetLock(context, &context.flc_posix, wanted, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

int fcntl_getlk(file* filp, int cmd, struct flock* user, const void* process) {
  if (user->l_type != F_RDLCK && user->l_type != F_WRLCK && cmd != F_OFD_GETLK) return -EINVAL;
  file_lock wanted;
  if (const int error = ToFileLock(filp, cmd, *user, process, &wanted); error != 0) return error;
  const file_lock* const conflict = FindConflict(ContextOf(*filp->f_inode).flc_posix, wanted);
  if (conflict == nullptr) {
    user->l_type = F_UNLCK;
    return 0;
  }
  user->l_type = conflict->type;
  user->l_whence = SEEK_SET;
  user->l_start = conflict->start;
  user->l_len = conflict->end == MAX_LFS_FILESIZE ? 0 : conflict->end - conflict->start + 1;
  user->l_pid = conflict->is_posix ? static_cast<pid_t>(RawSyscall(__NR_getpid)) : -1;
  return 0;
}

void locks_remove_posix(file* filp, const void* process) {
  if (filp->f_inode != nullptr && filp->f_inode->i_flctx != nullptr) RemoveOf(process, filp->f_inode->i_flctx.get());
}

void locks_remove_file(file* filp) {
  if (filp->f_inode != nullptr && filp->f_inode->i_flctx != nullptr) RemoveOf(filp, filp->f_inode->i_flctx.get());
}

}  // namespace aiolab
