// Files, inodes, requests and what can be done with them.
//
// Mirrors: include/linux/fs.h and include/linux/uio.h, as far as the model needs them.
#ifndef KERNEL_MODEL_FS_FS_H_
#define KERNEL_MODEL_FS_FS_H_

#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "kernel_model/kernel/mutex.h"
#include "kernel_model/kernel/rwsem.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/sim/fault_rules.h"

struct statfs;

namespace aiolab {

using __poll_t = uint32_t;
using fmode_t = unsigned;

inline constexpr fmode_t FMODE_READ = 0x1;
inline constexpr fmode_t FMODE_WRITE = 0x2;
inline constexpr fmode_t FMODE_LSEEK = 0x4;
inline constexpr fmode_t FMODE_PREAD = 0x8;  // has a position: pread works
inline constexpr fmode_t FMODE_PWRITE = 0x10;
inline constexpr fmode_t FMODE_CAN_ATOMIC_WRITE = 0x80;
inline constexpr fmode_t FMODE_RANDOM = 0x1000;         // POSIX_FADV_RANDOM: no read-ahead
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

struct dentry;
struct address_space;
struct file;
struct fsync_state;
struct file_lock_context;
struct inode;
struct kiocb;
struct super_block;
struct vfsmount;
struct mm_struct;

// Whether `len` bytes at `address` lie in the client's half of the address space.
bool access_ok(const void* address, size_t len);

// The client's buffers of one request, and how far it has come.
struct iov_iter {
  absl::InlinedVector<iovec, 4> segments;
  size_t segment = 0;         // the current one
  size_t segment_offset = 0;  // bytes of it that are done
  size_t count = 0;           // bytes still to do
  size_t done = 0;            // bytes done
  mm_struct* mm = nullptr;    // whose buffers: a copy under another mm is a bug of the model
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

// What one attempt of a retried request leaves to the next.
struct kiocb_progress {
  kiocb_progress();
  ~kiocb_progress();

  bool holds_i_rwsem = false;         // and keeps it until the request is done
  uint64_t page = ~uint64_t{0};       // the one that it waited for
  loff_t fault_asked_at = -1;         // the position at which the fault rules have been asked
  std::unique_ptr<fsync_state> sync;  // all bytes are written, and this makes them durable
};

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
  kiocb_progress ki_progress;
};

inline bool is_sync_kiocb(const kiocb& iocb) { return iocb.ki_complete == nullptr; }

// Merges RWF_* flags into ki_flags. 0, -EOPNOTSUPP or -EINVAL.
int kiocb_set_rw_flags(kiocb* iocb, int flags, bool write);

// A read or write at an occasion of the fault rules. Valid as long as `iocb` is.
FaultPoint fault_point(const kiocb& iocb, size_t bytes);
// 0, or the -errno with which a buffered request meets the page at its position: one that has to be read first, if
// `read`. Each page is one occasion of a request, however often that comes back to it. `bytes`: how many it has left.
int fault_page(kiocb* iocb, size_t bytes, bool read);

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
  // Begins anew.
  void Begin(wait_queue_entry* leave) {
    wait = leave;
    writeback_passes = 0;
    fault_asked = flush_started = flushed = false;
    error = fault_error = 0;
    fault_model.clear();
    fs_step = 0;
  }

  wait_queue_entry* wait = nullptr;  // null: the caller may sleep
  int writeback_passes = 0;          // of file_write_and_wait_range
  wait_queue_head flush_done;
  bool fault_asked = false;  // vfs_fsync's own
  // A fault rule: the writes that this fsync begins fail so, and leave behind what that error model says.
  int fault_error = 0;
  std::string fault_model;
  bool flush_started = false;
  bool flushed = false;
  int error = 0;
  uint64_t fs_step = 0;  // the file system's own
};

// Where in a directory a readdir is, and who takes its entries.
struct dir_context {
  // A d_type is DT_*. False: there is no room for this entry, which will be asked for again.
  using Emit = absl::FunctionRef<bool(absl::string_view name, uint64_t ino, unsigned d_type)>;
  Emit emit;
  loff_t pos = 0;  // of the next entry; the directory's own business, but 0 is the beginning
};

// Where a sequential reader of a file is, in pages: see mm/readahead.
struct file_ra_state {
  uint64_t start = 0;       // of the last window
  uint64_t size = 0;        // of it
  uint64_t async_size = 0;  // so many before its end is the page whose reader asks for the next window
  uint64_t ra_pages = 32;   // the largest window: 128 KiB. 0: none
  loff_t prev_pos = -1;     // the last byte that was read
};

// fop_flags.
inline constexpr unsigned FOP_BUFFER_WASYNC = 1 << 1;  // buffered writes take RWF_NOWAIT (xfs); else -EOPNOTSUPP (ext4)
inline constexpr unsigned FOP_FAULT_MODELS = 1 << 6;   // knows fsync_state::fault_model
inline constexpr unsigned FOP_DONTCACHE = 1 << 7;      // takes RWF_DONTCACHE

// A null entry means unsupported, as in the kernel. Reads and writes return how many bytes they moved in this attempt,
// -errno, -EIOCBQUEUED (ki_complete will be called) or -EIOCBRETRY (ki_wait is on a wait queue; progress is in the
// iterator and ki_pos).
struct file_operations {
  const char* name = "";  // the file's type, for traces
  unsigned fop_flags = 0;
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
  // The rest is called on a client's task, which may sleep.
  //
  // A new file is about to get its fd. An error keeps it from that, and release is not called.
  int (*open)(inode& node, file* filp) = nullptr;
  // FALLOC_FL_*: range, type and access are checked, what the file cannot do is -EOPNOTSUPP.
  long (*fallocate)(file* filp, int mode, loff_t offset, loff_t len) = nullptr;
  // Emits the entries from ctx->pos on, "." and ".." first, and moves ctx->pos over those that were taken. 0 or -errno.
  int (*iterate)(file* filp, dir_context* ctx) = nullptr;
  // -ENOTTY for a command that it does not know.
  long (*ioctl)(file* filp, unsigned cmd, unsigned long arg) = nullptr;
  // POSIX_FADV_*: the advice is one that exists. Null: taken and ignored.
  int (*fadvise)(file* filp, loff_t offset, loff_t len, int advice) = nullptr;
};

// Which fields of an iattr count.
inline constexpr unsigned ATTR_MODE = 1 << 0;
inline constexpr unsigned ATTR_SIZE = 1 << 3;
inline constexpr unsigned ATTR_ATIME = 1 << 4;
inline constexpr unsigned ATTR_MTIME = 1 << 5;
inline constexpr unsigned ATTR_CTIME = 1 << 6;

// A change of an inode's attributes.
struct iattr {
  unsigned ia_valid = 0;
  mode_t ia_mode = 0;  // the type's bits included
  loff_t ia_size = 0;
  timespec ia_atime = {};
  timespec ia_mtime = {};
  timespec ia_ctime = {};
};

// What stat and statx tell.
struct kstat {
  uint32_t result_mask = 0;  // STATX_*
  mode_t mode = 0;
  unsigned nlink = 0;
  uint64_t ino = 0;
  dev_t dev = 0;
  dev_t rdev = 0;
  loff_t size = 0;
  uint64_t blocks = 0;  // of 512 bytes
  uint32_t blksize = kPageSize;
  timespec atime = {};
  timespec mtime = {};
  timespec ctime = {};
  timespec btime = {};
  uint64_t attributes = 0;  // STATX_ATTR_*
  uint64_t attributes_mask = 0;
  // What a direct request's memory, and its offset and length, have to be a multiple of, bytes; 0: it cannot do
  // O_DIRECT. They count with STATX_DIOALIGN in result_mask.
  uint32_t dio_mem_align = 0;
  uint32_t dio_offset_align = 0;
  // What RWF_ATOMIC may write, bytes; 0: nothing. They count with STATX_WRITE_ATOMIC in result_mask.
  uint32_t atomic_write_unit_min = 0;
  uint32_t atomic_write_unit_max = 0;
  uint64_t mnt_id = 0;
};

// What can be done with the inodes of a file system, on behalf of a client, which may sleep in them. Results are 0 or
// -errno. A null entry means unsupported: -ENOTDIR for lookup, -EPERM for most others.
//
// Names are single, neither "." nor ".."; the caller has looked them up, so create, link, mkdir and symlink never meet
// a name that is taken, nor unlink, rmdir and rename (of the old name) one that is free. Types agree as well: unlink
// gets no directory, rmdir nothing else. No directory is moved below itself. The file system keeps i_nlink, i_size and
// the times of both inodes, and refuses to remove or replace a directory that is not empty: -ENOTEMPTY.
//
// Locks: the caller holds sb.s_dir_lock around everything from lookup to rename, and nothing around the others.
struct inode_operations {
  // Null in `*found`: there is no such name.
  int (*lookup)(inode& dir, absl::string_view name, std::shared_ptr<inode>* found) = nullptr;
  // `mode` has the type's bits, here S_IFREG.
  int (*create)(inode& dir, absl::string_view name, mode_t mode, std::shared_ptr<inode>* made) = nullptr;
  // A file without a name: i_nlink 0. Null: -EOPNOTSUPP.
  int (*tmpfile)(inode& dir, mode_t mode, std::shared_ptr<inode>* made) = nullptr;
  int (*link)(inode& dir, absl::string_view name, inode& target) = nullptr;
  int (*unlink)(inode& dir, absl::string_view name) = nullptr;
  int (*symlink)(inode& dir, absl::string_view name, absl::string_view target) = nullptr;
  int (*mkdir)(inode& dir, absl::string_view name, mode_t mode) = nullptr;  // with S_IFDIR
  int (*rmdir)(inode& dir, absl::string_view name) = nullptr;
  // Replaces the new name if it is taken, by the old one's kind; RENAME_EXCHANGE swaps the two. RENAME_NOREPLACE has
  // been dealt with.
  int (*rename)(inode& old_dir, absl::string_view old_name, inode& new_dir, absl::string_view new_name,
                unsigned flags) = nullptr;
  // Where a symbolic link leads.
  int (*get_link)(inode& node, std::string* target) = nullptr;
  // The change is allowed and possible (setattr_prepare). Null: simple_setattr, which cannot change a size.
  int (*setattr)(inode& node, const iattr& attr) = nullptr;
  // Changes what generic_fillattr has filled in.
  int (*getattr)(const inode& node, kstat* stat) = nullptr;
  // Whether it may be opened for writing (`write`) or reading, mode bits aside: 0 or -EACCES. Null: it may.
  int (*permission)(inode& node, bool write) = nullptr;
};

// Who holds a shared_ptr to an inode holds a reference: open files, names in use, and a file system's own directory or
// inode cache. When a name goes away, the file system drops its own; the last reference ends in evict_inode.
struct inode : std::enable_shared_from_this<inode> {
  virtual ~inode() = default;

  super_block* i_sb = nullptr;  // null: no file system's, as a pipe
  const inode_operations* i_op = nullptr;
  mode_t i_mode = 0;
  loff_t i_size = 0;
  uint64_t i_ino = 0;
  unsigned i_nlink = 1;
  dev_t i_rdev = 0;
  timespec i_atime = {};
  timespec i_mtime = {};
  timespec i_ctime = {};
  timespec i_btime = {};
  address_space* i_mapping = nullptr;          // its pages, if their bytes are in them (filemap.h)
  rw_semaphore i_rwsem;                        // the inode lock
  int i_dio_count = 0;                         // direct requests under way
  wait_queue_head i_dio_wait;                  // woken when that falls to 0
  bool i_dead = false;                         // a removed directory: nothing can be made in it any more
  bool i_linkable = false;                     // from O_TMPFILE, and may get a name
  std::shared_ptr<file_lock_context> i_flctx;  // null: nobody has ever locked it
  fmode_t i_fmode = 0;                         // what the files that openat makes from it can do besides
  uint64_t i_blocks = 0;                       // of 512 bytes
  const file_operations* i_fop = nullptr;      // of the files that openat makes from it
};

// What a file system can do as a whole. A null entry has nothing to do.
struct super_operations {
  // Fills in what statfs tells; f_type and f_fsid too.
  int (*statfs)(super_block& sb, struct statfs* status) = nullptr;
  // The file system is about to be deleted: drops the references that it has to its own inodes, except s_root.
  void (*put_super)(super_block& sb) = nullptr;
  // Writes back everything, data and metadata; with `wait` it is durable on return. On a client's task, which may
  // sleep.
  int (*sync_fs)(super_block& sb, int wait) = nullptr;
  // The last reference to `node` is gone, and so is `node` after this. If its i_nlink is 0, its blocks are free. May be
  // called by whoever ends a request, and so may not sleep: what takes time belongs on a workqueue.
  void (*evict_inode)(inode& node) = nullptr;
};

// A file system that can be mounted. Outlives its inodes.
struct super_block {
  virtual ~super_block() = default;

  std::string s_type;  // "tmpfs", as /proc/mounts has it
  dev_t s_dev = 0;     // given by the mount
  std::shared_ptr<inode> s_root;
  const super_operations* s_op = nullptr;
  // Differs: the kernel has one in each directory (i_rwsem) and one for renames.
  mutex s_dir_lock;
};

// Calls evict_inode and deletes the inode.
void iput_final(inode* node);

// The first reference to an inode of `sb`, with the current time in all its times.
template <typename T>
std::shared_ptr<T> new_inode(super_block& sb, std::unique_ptr<T> node);

// The model's date: kernel_state::realtime_start_ns, and what has passed since.
timespec current_time();
bool TimeBefore(const timespec& a, const timespec& b);

// A read has touched the file: its atime moves as `relatime` has it. O_NOATIME keeps it.
void file_accessed(file* filp);
// A write has.
void file_update_time(file* filp);

// Whether the change may be: 0, -EFBIG for a size beyond the limits, and then SIGXFSZ.
int setattr_prepare(const inode& node, const iattr& attr);
// Changes mode and times as `attr` says.
void setattr_copy(inode& node, const iattr& attr);
// A setattr for what has no size. -EINVAL for ATTR_SIZE.
int simple_setattr(inode& node, const iattr& attr);
// A check and a setattr with ctime set.
int notify_change(inode& node, iattr attr);
void generic_fillattr(const inode& node, kstat* stat);
int vfs_getattr(const inode& node, kstat* stat);

// A place in the tree of names.
struct path {
  std::shared_ptr<vfsmount> mnt;
  std::shared_ptr<dentry> entry;
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
  path f_path;  // empty for what has no name, as a pipe
  std::shared_ptr<inode> f_inode;
  int f_count = 1;
  int64_t f_id = 0;  // as traces name it, by order of opening
  // As it was opened, absolute, for fault rules; empty: it has none. It stays so when the file is renamed, unlike
  // f_path.
  std::string f_name;
  list_head f_ep;  // file_watchers
  file_ra_state f_ra;
  uint64_t f_wb_err = 0;  // which error of writing back this file's fsync has told last: an errseq_t
};

inline file* get_file(file* filp) {
  ++filp->f_count;
  return filp;
}
void fput(file* filp);

inline __poll_t vfs_poll(file* filp, poll_table_struct* pt);

// DEFAULT_POLLMASK: a file without ->poll is always ready.
inline constexpr __poll_t DEFAULT_POLLMASK = 0x1 | 0x4 | 0x40 | 0x100;

// 0, or the -errno with which a fault rule ends the fsync that begins; what `state` says of faults may change.
int fault_fsync(file* filp, fsync_state* state);
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

template <typename T>
std::shared_ptr<T> new_inode(super_block& sb, std::unique_ptr<T> node) {
  node->i_sb = &sb;
  node->i_atime = node->i_mtime = node->i_ctime = node->i_btime = current_time();
  return std::shared_ptr<T>(node.release(), [](T* last) { iput_final(last); });
}

// Something that io_submit's RESFD can signal: an eventfd of the model or of the host.
struct eventfd_ctx {
  virtual ~eventfd_ctx() = default;
  virtual void signal() = 0;
  // Takes one more reference.
  virtual void get() = 0;
  // Gives up one reference.
  virtual void put() = 0;
};

// The fds of a process.
struct files_struct {
  virtual ~files_struct() = default;
  // A reference to the file behind `fd`, or null. An O_PATH fd is no file here.
  virtual file* fget(int fd) = 0;
  // 0 and a reference in `*ctx`; -EBADF, or -EINVAL if `fd` is not an eventfd.
  virtual int eventfd_ctx_fdget(int fd, eventfd_ctx** ctx) = 0;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_FS_H_
