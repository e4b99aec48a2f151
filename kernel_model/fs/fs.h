// Files, inodes, requests and what can be done with them.
//
// Mirrors: include/linux/fs.h and include/linux/uio.h, as far as the model needs them.
#ifndef KERNEL_MODEL_FS_FS_H_
#define KERNEL_MODEL_FS_FS_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/inlined_vector.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

using __poll_t = uint32_t;
using fmode_t = unsigned;

inline constexpr fmode_t FMODE_READ = 0x1;
inline constexpr fmode_t FMODE_WRITE = 0x2;
inline constexpr fmode_t FMODE_LSEEK = 0x4;
inline constexpr fmode_t FMODE_PREAD = 0x8;  // has a position: pread works
inline constexpr fmode_t FMODE_PWRITE = 0x10;
inline constexpr fmode_t FMODE_PATH = 0x4000;           // O_PATH: a place in the tree, no file
inline constexpr fmode_t FMODE_CAN_ODIRECT = 0x400000;  // takes O_DIRECT
inline constexpr fmode_t FMODE_NOWAIT = 0x8000000;      // RWF_NOWAIT means something here

inline constexpr size_t kPageSize = 4096;
inline constexpr unsigned kPageShift = 12;
// No request moves more than this in one go.
inline constexpr size_t MAX_RW_COUNT = 0x7ffff000;
inline constexpr int kUioMaxIov = 1024;

// The largest position of a file.
inline constexpr loff_t MAX_LFS_FILESIZE = 0x7fffffffffffffff;

struct file;
struct inode;
struct kiocb;

// Whether `len` bytes at `address` lie in the client's half of the address space.
bool access_ok(const void* address, size_t len);

// The client's buffers of one request, and how far it has come.
struct iov_iter {
  absl::InlinedVector<iovec, 4> segments;
  size_t segment = 0;         // the current one
  size_t segment_offset = 0;  // bytes of it that are done
  size_t count = 0;           // bytes still to do
  size_t done = 0;            // bytes done
  bool pinned = false;        // the pages are pinned: they can be copied to and from in any context, as a device does
};

// Takes user buffers for up to MAX_RW_COUNT bytes. 0, -EFAULT or -EINVAL.
int import_single_range(void* buf, size_t len, iov_iter* iter);
int import_iovec(const iovec* user_iov, size_t nr_segs, iov_iter* iter);

// Copy `n` bytes between kernel memory and the iterator, which advances. Return how many were copied: fewer at a bad
// address.
size_t copy_to_iter(const void* from, size_t n, iov_iter* iter);
size_t copy_from_iter(void* to, size_t n, iov_iter* iter);
// The same with zeros.
size_t iov_iter_zero(size_t n, iov_iter* iter);
void iov_iter_advance(iov_iter* iter, size_t n);
// Takes back the last `n` bytes of an advance.
void iov_iter_revert(iov_iter* iter, size_t n);
// The buffers of the next `n` bytes, for a call that takes an iovec.
absl::InlinedVector<iovec, 4> iov_iter_next(const iov_iter& iter, size_t n);

// ki_flags. The low bits are the RWF_* flags of the same meaning.
inline constexpr int IOCB_HIPRI = 0x01;
inline constexpr int IOCB_DSYNC = 0x02;
inline constexpr int IOCB_SYNC = 0x04;
inline constexpr int IOCB_NOWAIT = 0x08;
inline constexpr int IOCB_APPEND = 0x10;
inline constexpr int IOCB_ATOMIC = 0x40;
inline constexpr int IOCB_DONTCACHE = 0x80;
inline constexpr int IOCB_NOSIGNAL = 0x100;
inline constexpr int IOCB_DIRECT = 1 << 17;
inline constexpr int IOCB_WRITE = 1 << 18;

// One read or write under way.
struct kiocb {
  file* ki_filp = nullptr;
  loff_t ki_pos = 0;
  int ki_flags = 0;
  // Null: a synchronous call, whose task sleeps where an asynchronous one returns -EIOCBQUEUED.
  void (*ki_complete)(kiocb* iocb, long res) = nullptr;
  // Where a retried request waits; null: this one sleeps instead.
  wait_queue_entry* ki_wait = nullptr;
  // What of the kernel's own it waits for, for the report of a request that never completes. Null: something that the
  // client or the world outside may still do.
  const char* ki_waits_for = nullptr;
  int64_t ki_id = 0;  // as traces name it
};

inline bool is_sync_kiocb(const kiocb& iocb) { return iocb.ki_complete == nullptr; }

// Merges RWF_* flags into ki_flags. 0, -EOPNOTSUPP or -EINVAL.
int kiocb_set_rw_flags(kiocb* iocb, int flags, bool write);

// A read or write at an occasion of the fault rules. Valid as long as `iocb` is.
FaultPoint fault_point(const kiocb& iocb, size_t bytes);
// 0, or the -errno with which a buffered request meets the page at its position.
int fault_page(const kiocb& iocb, size_t bytes);

struct poll_table_struct {
  // Called by ->poll for each wait queue that announces changes.
  void (*_qproc)(file* filp, wait_queue_head* head, poll_table_struct* pt) = nullptr;
  __poll_t _key = 0;  // the events that the caller wants
};
inline void poll_wait(file* filp, wait_queue_head* head, poll_table_struct* pt) {
  if (pt != nullptr && pt->_qproc != nullptr) pt->_qproc(filp, head, pt);
}

// An fsync in steps: a worker cannot sleep, so the flush that it waits for calls it again.
struct fsync_state {
  wait_queue_entry* wait = nullptr;  // null: the caller may sleep
  wait_queue_head flush_done;
  bool flush_started = false;
  bool flushed = false;
  int error = 0;
};

// A null entry means unsupported, as in the kernel. Reads and writes return how many bytes they moved in this attempt,
// -errno, -EIOCBQUEUED (ki_complete will be called) or -EIOCBRETRY (ki_wait is on a wait queue; progress is in the
// iterator and ki_pos).
struct file_operations {
  const char* name = "";  // the file's type, for traces
  ssize_t (*read_iter)(kiocb* iocb, iov_iter* iter) = nullptr;
  ssize_t (*write_iter)(kiocb* iocb, iov_iter* iter) = nullptr;
  // 0, -errno, or -EIOCBRETRY after putting state.wait on a wait queue.
  int (*fsync)(file* filp, int datasync, fsync_state* state) = nullptr;
  __poll_t (*poll)(file* filp, poll_table_struct* pt) = nullptr;
  void (*release)(file* filp) = nullptr;
  // The old style, which AIO cannot use: tried before the iterators by read and write. `ppos` is null for a file
  // without a position.
  ssize_t (*read)(file* filp, char* buf, size_t count, loff_t* ppos) = nullptr;
  ssize_t (*write)(file* filp, const char* buf, size_t count, loff_t* ppos) = nullptr;
  loff_t (*llseek)(file* filp, loff_t offset, int whence) = nullptr;
};

struct inode {
  virtual ~inode() = default;
  // Sets the size. 0, -EINVAL for what is no regular file, -EFBIG.
  virtual int truncate(loff_t size);
  // Whether it may be opened for writing, mode bits aside: 0 or -EACCES.
  virtual int permission(bool write) { return static_cast<void>(write), 0; }

  mode_t i_mode = 0;
  loff_t i_size = 0;
  uint64_t i_ino = 0;
  unsigned i_nlink = 1;
  fmode_t i_fmode = 0;                     // what the files that openat makes from it can do besides
  uint64_t i_blocks = 0;                   // of 512 bytes
  const file_operations* i_fop = nullptr;  // of the files that openat makes from it
};

// Somebody who has to know when a file goes away, without keeping it: an epoll set.
struct file_watcher {
  list_head entry;
  void (*released)(file_watcher* watcher) = nullptr;
};

struct file {
  virtual ~file() = default;
  const file_operations* f_op = nullptr;
  fmode_t f_mode = 0;
  unsigned f_flags = 0;  // O_*
  loff_t f_pos = 0;
  std::shared_ptr<inode> f_inode;
  int f_count = 1;
  int64_t f_id = 0;    // as traces name it, by order of opening
  std::string f_name;  // as it was opened, absolute, for fault rules; empty: it has none
  list_head f_ep;      // file_watchers
};

inline file* get_file(file* filp) {
  ++filp->f_count;
  return filp;
}
void fput(file* filp);

inline __poll_t vfs_poll(file* filp, poll_table_struct* pt);

// DEFAULT_POLLMASK: a file without ->poll is always ready.
inline constexpr __poll_t DEFAULT_POLLMASK = 0x1 | 0x4 | 0x40 | 0x100;

// Calls ->fsync, unless a fault rule makes it fail. Requires: the file has one.
int vfs_fsync(file* filp, int datasync, fsync_state* state);

inline __poll_t vfs_poll(file* filp, poll_table_struct* pt) {
  return filp->f_op->poll == nullptr ? DEFAULT_POLLMASK : filp->f_op->poll(filp, pt);
}

// The ki_flags that O_* flags of the open file mean.
int iocb_flags(const file& filp);

// Checks position and length as the kernel does before it calls the file. A file without a position is asked about 0 by
// read and write, and about aio_offset by AIO. 0 or -EINVAL.
int rw_verify_area(const file& filp, loff_t pos, size_t count);

// What a write to a regular file has to respect: O_APPEND, which moves ki_pos, RLIMIT_FSIZE (-EFBIG and SIGXFSZ) and
// the largest position. Returns how many of the iterator's bytes may be written, or -errno. A later attempt of a
// request that has written something gets 0 at the limit, not an error.
ssize_t generic_write_checks(kiocb* iocb, iov_iter* from);

// Whether a file may be made `size` bytes long: 0, or -EFBIG and SIGXFSZ.
int inode_newsize_ok(const inode& node, loff_t size);

// SEEK_SET, SEEK_CUR and SEEK_END. The new position, or -EINVAL for another whence or a place that no file has.
loff_t generic_file_llseek(file* filp, loff_t offset, int whence);
// For files whose position means nothing.
loff_t noop_llseek(file* filp, loff_t offset, int whence);
int noop_fsync(file* filp, int datasync, fsync_state* state);

// Something that io_submit's RESFD can signal: an eventfd of the model or of the host.
struct eventfd_ctx {
  virtual ~eventfd_ctx() = default;
  virtual void signal() = 0;
};

// The fds of a process.
struct files_struct {
  virtual ~files_struct() = default;
  // A reference to the file behind `fd`, or null. An O_PATH fd is no file here.
  virtual file* fget(int fd) = 0;
  // -EBADF or -EINVAL if `fd` is not an eventfd.
  virtual int eventfd_ctx_fdget(int fd, std::shared_ptr<eventfd_ctx>* ctx) = 0;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_FS_H_
