#include "kernel_model/fs/simfs/journal.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <utility>

#include "kernel_model/kernel/sched.h"

namespace aiolab::simfs {
namespace {

// What one bio writes at most.
constexpr uint64_t kBioBlocksMax = 128;

}  // namespace

Journal::Journal(kernel_state& kernel, block_device& bdev, const Image& recovered, Client* client)
    : kernel_(kernel),
      bdev_(bdev),
      client_(client),
      super_(recovered.super),
      committed_seq_(recovered.seq),
      head_(recovered.journal_head),
      ring_used_((recovered.journal_head + super_.journal_blocks - recovered.journal_tail) % super_.journal_blocks),
      checkpoint_area_(recovered.checkpoint_area) {
  // A ring that is full looks like one that is empty.
  if (ring_used_ == 0 && recovered.transactions_replayed > 0) ring_used_ = super_.journal_blocks;
  timer_.run = OnTimer;
  timer_.journal = this;
  INIT_WORK(&work_, OnWork, "simfs_commit");
  work_.journal = this;
}

Journal::~Journal() {
  kernel_.executor.Cancel(timer_);
  list_del_init(&work_.entry);
}

void Journal::Touch() {
  running_.changed = true;
  if (!Executor::armed(timer_)) kernel_.executor.At(timer_, kernel_.executor.NowNs() + kCommitIntervalNs);
  if (running_.records.size() > super_.journal_blocks * kBlockSize / 4) Request(running_seq());
}

std::string* Journal::Change() {
  Touch();
  return &running_.records;
}

void Journal::Free(const std::vector<Blocks>& blocks) {
  if (blocks.empty()) return;
  Touch();
  for (const Blocks& run : blocks) {
    running_.freed.push_back(run);
    running_.freed_blocks += run.length;
  }
}

void Journal::Request(uint64_t seq) {
  wanted_seq_ = std::max(wanted_seq_, seq);
  const bool was_the_parents = state_ != State::kIdle && forks_ != kernel_.forks;
  if (state_ == State::kIdle || was_the_parents) schedule_work(&work_);
}

void Journal::OnTimer(Executor::Event& event) {
  Journal& journal = *static_cast<Timer&>(event).journal;
  ScopedCurrent in_interrupt(journal.kernel_.irq);
  journal.Request(journal.running_seq());
}

void Journal::OnWork(work_struct* work) {
  Journal& journal = *static_cast<Work*>(work)->journal;
  // The parent's bios do not end in a child of fork: it writes them again.
  if (journal.state_ != State::kIdle && journal.forks_ != journal.kernel_.forks) {
    journal.WriteRecords();
    return;
  }
  if (journal.bio_error_ != 0) {
    journal.Abort(std::exchange(journal.bio_error_, 0));
    return;
  }
  switch (journal.state_) {
    case State::kIdle:
      journal.Begin();
      break;
    case State::kRecords:
      journal.WriteSeal();
      break;
    case State::kSeal:
      journal.End();
      break;
  }
}

void Journal::Begin() {
  if (wanted_seq_ <= committed_seq_ || error_ != 0 || !running_.changed) {
    // Whoever wants a transaction without changes has it.
    wake_up_all(done_);
    return;
  }
  kernel_.executor.Cancel(timer_);
  client_->PutTouched(&running_.records);
  committing_ = std::exchange(running_, {});
  const uint64_t blocks = TransactionBlocks(committing_.records.size());
  is_checkpoint_ = blocks > super_.journal_blocks - ring_used_;
  if (is_checkpoint_) {
    BeginCheckpoint();
  } else {
    BeginTransaction(blocks);
  }
  TRACE_EVENT("simfs_commit_start", {{"seq", committed_seq_ + 1},
                                     {"blocks", body_.size() / kBlockSize + 1},
                                     {"to", is_checkpoint_ ? "checkpoint" : "journal"}});
  if (error_ == 0) WriteRecords();
}

void Journal::BeginTransaction(uint64_t blocks) {
  TransactionHeader header = {};
  header.magic = TransactionHeader::kMagic;
  memcpy(header.uuid, super_.uuid, sizeof(header.uuid));
  header.seq = committed_seq_ + 1;
  header.bytes = committing_.records.size();
  header.records_crc = Crc32c(committing_.records);
  Seal(&header);
  body_.assign((blocks - 1) * kBlockSize, '\0');
  memcpy(body_.data(), &header, sizeof(header));
  memcpy(body_.data() + sizeof(header), committing_.records.data(), committing_.records.size());

  CommitBlock commit = {};
  commit.magic = CommitBlock::kMagic;
  memcpy(commit.uuid, super_.uuid, sizeof(commit.uuid));
  commit.seq = header.seq;
  commit.records_crc = header.records_crc;
  Seal(&commit);
  seal_.assign(kBlockSize, '\0');
  memcpy(seal_.data(), &commit, sizeof(commit));
}

// When the ring has no room, the transaction is everything there is, and the ring is empty after it.
void Journal::BeginCheckpoint() {
  body_.clear();
  client_->PutEverything(&body_);
  CheckpointHeader header = {};
  header.magic = CheckpointHeader::kMagic;
  memcpy(header.uuid, super_.uuid, sizeof(header.uuid));
  header.seq = committed_seq_ + 1;
  header.journal_head = head_;
  header.bytes = body_.size();
  header.next_ino = client_->next_ino();
  header.records_crc = Crc32c(body_);
  Seal(&header);
  body_.resize((body_.size() + kBlockSize - 1) / kBlockSize * kBlockSize);
  // Names, extents and inodes are refused before this could be.
  BUG_ON(body_.size() / kBlockSize + 1 > super_.checkpoint_blocks);
  seal_.assign(kBlockSize, '\0');
  memcpy(seal_.data(), &header, sizeof(header));
}

void Journal::WriteRecords() {
  state_ = State::kRecords;
  forks_ = kernel_.forks;
  bios_ = 1;  // so that nothing ends before all are on their way
  bio_error_ = 0;
  const uint64_t blocks = body_.size() / kBlockSize;
  uint64_t done = 0;
  while (done < blocks) {
    uint64_t piece = std::min(blocks - done, kBioBlocksMax);
    uint64_t block;
    if (is_checkpoint_) {
      block = super_.checkpoint_block[1 - checkpoint_area_] + 1 + done;
    } else {
      const uint64_t position = (head_ + done) % super_.journal_blocks;
      piece = std::min(piece, super_.journal_blocks - position);
      block = super_.journal_block + position;
    }
    Write(block, body_.data() + done * kBlockSize, piece, 0);
    done += piece;
  }
  if (--bios_ == 0) schedule_work(&work_);
}

void Journal::WriteSeal() {
  state_ = State::kSeal;
  const uint64_t block = is_checkpoint_
                             ? super_.checkpoint_block[1 - checkpoint_area_]
                             : super_.journal_block + (head_ + body_.size() / kBlockSize) % super_.journal_blocks;
  Write(block, seal_.data(), 1, REQ_PREFLUSH | REQ_FUA);
}

void Journal::Write(uint64_t block, char* from, uint64_t blocks, blk_opf_t flags) {
  const auto bytes = static_cast<uint32_t>(blocks * kBlockSize);
  bio* const bio = bio_alloc(bdev_, REQ_OP_WRITE | REQ_META | REQ_SYNC | flags, block * kSectorsPerBlock, bytes);
  bio->bi_io_vec.push_back({.bv_base = from, .bv_len = bytes});
  bio->bi_private = this;
  bio->bi_end_io = EndBio;
  ++bios_;
  submit_bio(bio);
}

void Journal::EndBio(bio* bio) {
  Journal& journal = *static_cast<Journal*>(bio->bi_private);
  if (bio->bi_status != 0) journal.bio_error_ = bio->bi_status;
  bio_put(bio);
  if (--journal.bios_ == 0) schedule_work(&journal.work_);
}

void Journal::End() {
  if (is_checkpoint_) {
    checkpoint_area_ = 1 - checkpoint_area_;
    ring_used_ = 0;
  } else {
    const uint64_t blocks = body_.size() / kBlockSize + 1;
    head_ = (head_ + blocks) % super_.journal_blocks;
    ring_used_ += blocks;
  }
  state_ = State::kIdle;
  ++committed_seq_;
  TRACE_EVENT("simfs_commit_end", {{"seq", committed_seq_}});
  client_->Release(std::exchange(committing_, {}).freed);
  wake_up_all(done_);
  if (wanted_seq_ > committed_seq_) schedule_work(&work_);
}

// As ext4 does with errors=remount-ro: what is on the disk stays as the last commit left it.
void Journal::Abort(int error) {
  state_ = State::kIdle;
  error_ = error;
  kernel_.executor.Cancel(timer_);
  TRACE_EVENT("simfs_abort", {{"error", error}});
  client_->Aborted(error);
  wake_up_all(done_);
}

}  // namespace aiolab::simfs
