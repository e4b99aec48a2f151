// flock, POSIX locks and open file description locks.
//
// Mirrors: fs/locks.c.
// Differs: one process, so POSIX locks meet only open file description locks; who waits for one in a circle waits for
// ever.
#ifndef KERNEL_MODEL_FS_LOCKS_H_
#define KERNEL_MODEL_FS_LOCKS_H_

#include <fcntl.h>

#include <vector>

#include "kernel_model/fs/fs.h"

namespace aiolab {

struct file_lock {
  const void* owner = nullptr;  // a process for POSIX locks, a file for the others
  bool is_posix = false;
  short type = F_UNLCK;
  loff_t start = 0;
  loff_t end = MAX_LFS_FILESIZE;  // the last byte
};

struct file_lock_context {
  std::vector<file_lock> flc_flock;
  std::vector<file_lock> flc_posix;  // open file description locks too
  wait_queue_head released;
};

// LOCK_SH, LOCK_EX or LOCK_UN, with LOCK_NB or without.
int flock_lock_file(file* filp, int operation);

// F_SETLK, F_SETLKW, F_GETLK and their F_OFD_ counterparts. `process` is the owner of POSIX locks.
int fcntl_setlk(file* filp, int cmd, const struct flock& wanted, const void* process);
int fcntl_getlk(file* filp, int cmd, struct flock* wanted, const void* process);

// The process closes one of its fds of this file.
void locks_remove_posix(file* filp, const void* process);
// The file itself goes away.
void locks_remove_file(file* filp);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_LOCKS_H_
