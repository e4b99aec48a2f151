// A disk: bytes, the time that it takes to move them, and what is left of them when the power goes.
//
//   SimDisk disk(kernel, *ParseSimDisk("nvme,size=1G"));
//   bio* bio = bio_alloc(disk, REQ_OP_WRITE, sector, size);   // see block/bio.h
//
// The bytes of a request move when it completes, written ones too: until then its memory must stay. A bio whose bv_base
// is null, or that has no bio_vec, takes the time and moves nothing.
//
// With a volatile cache a write is durable when a FLUSH that began after its end has ended, when REQ_FUA was on it, or
// when the cache had no more room for it.
#ifndef KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_H_
#define KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernel_model/block/blk_mq.h"
#include "kernel_model/drivers/block/sector_store.h"
#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "kernel_model/drivers/block/write_cache.h"
#include "kernel_model/kernel/fault_inject.h"

namespace aiolab {

// Sees what reaches a disk, or several, in the order in which it completes.
class DiskObserver {
 public:
  enum class Kind { kWrite, kFlush, kDiscard, kWriteZeroes };
  // More than any disk has: of several disks, the sectors of the one with number n begin at n times this.
  static constexpr sector_t kSectorsPerDisk = sector_t{1} << 56;

  struct Entry {
    Kind kind = Kind::kWrite;
    int64_t time_ns = 0;
    sector_t sector = 0;
    uint64_t sectors = 0;
    absl::string_view bytes = {};  // of a write that is not lost
    bool fua = false;
    // How many entries came before this one's request was given to its disk: it was under way while all that followed
    // completed. A flush covers those of its disk that came before.
    uint64_t began = 0;
    // The disk said that it had done this, and had not: a fault rule, or a seeded bug. Of a torn or misdirected write
    // that is what did not arrive where it should; what arrived is another entry.
    bool lost = false;
  };
  virtual ~DiskObserver() = default;
  // A request that succeeded. `entry.bytes` is valid during the call.
  virtual void OnRequest(const Entry& entry) = 0;
  // A disk is about to lose its power: what it keeps, no entry tells.
  virtual void OnPowerCut() {}

 private:
  friend class SimDisk;
  uint64_t entries_ = 0;  // so far
};

class SimDisk : public block_device {
 public:
  explicit SimDisk(kernel_state& kernel, const SimDiskParameters& parameters = {});
  ~SimDisk() override;

  void queue_rq(request* rq) override;

  const SimDiskParameters& parameters() const { return parameters_; }
  request_queue& queue() { return queue_; }
  // The bytes as the next read would find them.
  const SectorStore& bytes() const { return bytes_; }
  // Has the bytes of `contents` from sector `first` on, durably. Requires: nothing was written yet.
  void Load(const SectorStore& contents, sector_t first) { bytes_.CopyFrom(contents, first, bd_nr_sectors); }
  // What a disk is when its power is off: its bytes and what is wrong with them, for another one of its kind. Restore()
  // takes that off the front of `*saved`; false if it is not there. Requires: nothing was written yet.
  void Save(std::string* saved) const;
  bool Restore(absl::string_view* saved);
  // How many written bytes are not durable.
  uint64_t bytes_at_risk() const { return cache_.bytes_waiting(); }

  // The power goes. Everything durable stays; of each atomic unit that was written since, by a request that had ended
  // or was in flight, the Chooser says which version is left. No request is left, in the queue or in flight, and no bio
  // ends; `drop` gets each of them, and puts it (DropBio in block/bio.h). Requires: no task sleeps for a request here,
  // and the memory of the requests in flight is still there. `tear_bytes` replaces the atomic unit, if it is not 0: a
  // power of two of at least 512.
  void PowerCut(DropBio drop, uint32_t tear_bytes = 0);
  // The requests alone are forgotten, as in the child of a fork.
  void ForgetRequests(DropBio drop);

  // Sectors whose bytes cannot be read, until they are written or taken off this list. Their bytes stay what they were.
  struct BadSectors {
    sector_t first;
    uint64_t count;
    // Writes fail as well; otherwise a write makes the sectors that it covers good.
    bool writes_fail = false;
    friend bool operator==(const BadSectors&, const BadSectors&) = default;
  };
  void AddBadSectors(const BadSectors& bad) { bad_sectors_.push_back(bad); }
  void ClearBadSectors() { bad_sectors_.clear(); }
  const std::vector<BadSectors>& bad_sectors() const { return bad_sectors_; }

  // Bits that read as if they had changed on the medium, until their sector is written or they are taken off this list.
  struct RottenBit {
    sector_t sector;
    uint32_t byte;  // in the sector; 0x10 of it is wrong
    friend bool operator==(const RottenBit&, const RottenBit&) = default;
  };
  void ClearBitRot() { bit_rot_.clear(); }
  const std::vector<RottenBit>& bit_rot() const { return bit_rot_; }

  // Null: none. Must outlive the disk or be taken back. `number` is the disk's among those that it sees.
  void set_observer(DiskObserver* observer, uint32_t number = 0) {
    observer_ = observer;
    observed_first_ = number * DiskObserver::kSectorsPerDisk;
  }

 private:
  struct Completion : Executor::Event {
    SimDisk* disk;
    request* done;
    uint64_t cache_position;  // of a flush: what it covers
    uint64_t began;           // for the observer
  };
  static void Complete(Executor::Event& event);
  // What a fault rule makes of a request's bytes: an error, kLost, kTorn or kMisdirected (`n` bytes).
  struct RequestFault {
    FaultKind kind = FaultKind::kNone;
    int error = 0;
    uint64_t n = 0;
  };

  // sim_disk_fault.cc: what fault rules make of a request.
  struct HeldRequest;
  bool FaultTakesOver(request* rq);
  void NoteFault(const request& rq, const Fault& fault);
  bool HoldBack(request* rq, const Fault& timing);
  RequestFault TakeFault(const request& rq);
  sector_t Misdirected(const RequestFault& fault, sector_t first, uint64_t sectors) const;
  void RotOneBit(const request& rq);
  void ShowBitRot(sector_t first, absl::Span<char> bytes) const;

  // sim_disk_service.cc: when it is done.
  void Start(request* rq);
  void StartNearest();
  int64_t ServiceEndNs(const request& rq, int64_t latency_ns);
  int64_t PositioningNs(sector_t sector) const;
  void MoveHead(const request& rq);
  bool NeedsMedium(const request& rq) const;

  // sim_disk.cc: what it does.
  int Transfer(request& rq, uint64_t cache_position);
  int TransferBio(bio& bio, bool write, const RequestFault& fault);
  int WriteRequest(request& rq, const RequestFault& fault);
  int CheckBadSectors(const request& rq);
  void Store(const request& rq, sector_t first, const RequestFault& fault);
  void Observe(DiskObserver::Entry entry);
  bool Mechanical() const { return parameters_.rotation_ns > 0; }

  kernel_state& kernel_;
  const SimDiskParameters parameters_;
  request_queue queue_;
  SectorStore bytes_;
  WriteCache cache_;
  std::string staging_;  // bytes on their way between a request's memory and the disk
  std::vector<BadSectors> bad_sectors_;
  std::vector<RottenBit> bit_rot_;
  DiskObserver* observer_ = nullptr;
  sector_t observed_first_ = 0;    // what the observer calls sector 0
  uint64_t completing_began_ = 0;  // of the request that completes now

  // By tag, of requests in flight. Both are empty unless a fault rule has struck.
  absl::flat_hash_map<int, RequestFault> faults_;
  absl::flat_hash_map<int, std::unique_ptr<held_back>> held_;

  list_head in_flight_;  // in the order of issue
  std::vector<std::unique_ptr<Completion>> completions_;
  std::vector<Completion*> idle_completions_;  // kept, so that a request costs no allocation

  // All in the executor's time.
  std::vector<int64_t> channel_free_ns_;
  int64_t read_link_free_ns_ = 0;
  int64_t write_link_free_ns_ = 0;
  int64_t written_back_ns_ = 0;  // when the cache will be empty
  list_head waiting_for_head_;
  bool head_busy_ = false;
  sector_t head_sector_ = 0;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_BLOCK_SIM_DISK_H_
