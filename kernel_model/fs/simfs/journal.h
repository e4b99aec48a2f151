// Metadata on their way to the disk: the running transaction, and the one that is being committed.
//
// A change of metadata puts records into the running transaction (Change), or marks an inode whose attributes are
// collected when the commit begins (Touch). A commit begins when somebody waits for it (Request), kCommitIntervalNs
// after the first change, or when the ring gets full. While it is written, changes gather in the next transaction.
// Everybody who waits for one of its changes shares the commit.
//
// Data are ordered before metadata because of when records are made: a file's new blocks and its new size get theirs
// when the data are on the device (simfs.h), and the commit block is written with PREFLUSH.
//
// Nothing here sleeps. The steps of a commit are work items, between them the device works.
#ifndef KERNEL_MODEL_FS_SIMFS_JOURNAL_H_
#define KERNEL_MODEL_FS_SIMFS_JOURNAL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "kernel_model/block/blkdev.h"
#include "kernel_model/fs/simfs/extents.h"
#include "kernel_model/fs/simfs/format.h"
#include "kernel_model/fs/simfs/image.h"
#include "kernel_model/kernel/wait.h"
#include "kernel_model/kernel/workqueue.h"

namespace aiolab::simfs {

// How long a change waits for a commit that nobody asks for, as ext4's commit= option.
inline constexpr int64_t kCommitIntervalNs = 5'000'000'000;

class Journal {
 public:
  // The file system whose journal it is.
  class Client {
   public:
    virtual ~Client() = default;
    // Appends what changed without a record of its own, which counts as unchanged after it.
    virtual void PutTouched(std::string* records) = 0;
    // Appends everything there is.
    virtual void PutEverything(std::string* records) = 0;
    virtual uint64_t next_ino() const = 0;
    // Blocks that no committed metadata point at any more.
    virtual void Release(const std::vector<Blocks>& blocks) = 0;
    // The journal cannot be written: nothing will be committed any more.
    virtual void Aborted(int error) = 0;
  };

  Journal(kernel_state& kernel, block_device& bdev, const Image& recovered, Client* client);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // There is something to commit.
  void Touch();
  // The same, and where its records go.
  std::string* Change();
  // Blocks that are free when the running transaction is committed.
  void Free(const std::vector<Blocks>& blocks);
  uint64_t blocks_being_freed() const { return running_.freed_blocks + committing_.freed_blocks; }

  // The number that changes of now are committed under.
  uint64_t running_seq() const { return committed_seq_ + (state_ == State::kIdle ? 1 : 2); }
  uint64_t committed_seq() const { return committed_seq_; }
  // Whether transaction `seq`, not committed yet, will make durable what is on the device now: its seal is still to
  // come.
  bool WillFlushBefore(uint64_t seq) const { return state_ != State::kSeal || seq > committed_seq_ + 1; }
  bool has_changes() const { return running_.changed || state_ != State::kIdle; }
  // 0, or why nothing will be committed any more.
  int error() const { return error_; }

  // Wants everything up to `seq` committed. Whoever waits is woken through done() when the next commit has ended.
  void Request(uint64_t seq);
  wait_queue_head& done() { return done_; }

 private:
  enum class State { kIdle, kRecords, kSeal };
  struct Transaction {
    bool changed = false;
    std::string records;
    std::vector<Blocks> freed;
    uint64_t freed_blocks = 0;
  };
  struct Timer : Executor::Event {
    Journal* journal;
  };
  struct Work : work_struct {
    Journal* journal;
  };

  static void OnTimer(Executor::Event& event);
  static void OnWork(work_struct* work);
  static void EndBio(bio* bio);

  void Begin();
  void BeginTransaction(uint64_t blocks);
  void BeginCheckpoint();
  void WriteRecords();
  void WriteSeal();
  void End();
  void Abort(int error);
  void Write(uint64_t block, char* from, uint64_t blocks, blk_opf_t flags);

  kernel_state& kernel_;
  block_device& bdev_;
  Client* const client_;
  const Superblock super_;

  Transaction running_;
  Transaction committing_;
  State state_ = State::kIdle;
  uint64_t committed_seq_;
  uint64_t wanted_seq_ = 0;
  int error_ = 0;

  uint64_t head_;        // the ring's block where the next transaction begins
  uint64_t ring_used_;   // blocks from the checkpoint's tail to head_
  int checkpoint_area_;  // the one that counts

  // The commit under way.
  bool is_checkpoint_ = false;
  std::string body_;  // the blocks of records
  std::string seal_;  // the block that makes it count
  int forks_ = 0;     // kernel_state::forks of who writes it
  int bios_ = 0;      // not ended
  int bio_error_ = 0;

  Timer timer_;
  Work work_;
  wait_queue_head done_;
};

}  // namespace aiolab::simfs

#endif  // KERNEL_MODEL_FS_SIMFS_JOURNAL_H_
