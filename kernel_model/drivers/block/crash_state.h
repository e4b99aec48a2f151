// What a power cut at one point of a write log can leave on the disk.
//
//   CrashState state(log, parameters);
//   state.MoveTo(17);                       // the instant before request 17 of the log completes
//   CrashState::Selection newest = state.Newest();
//   state.CopyTo(newest, &store);           // the disk on which nothing was lost
//
// By the contract of a block device with a volatile cache: what had completed when a flush began is durable once the
// flush has ended, a write with FUA when it has; without a cache every write is when it has completed. Of all others
// each atomic unit of the disk is decided by itself: it holds its durable bytes, or what one of the writes since made
// of it. Requests that were under way may have arrived, in whole, in part or not at all. What the cache has no room for
// is durable, the oldest first. WriteCache::PowerCut() draws from the same set.
//
// The disks of a log are of one kind, each with a cache of its own, and lose their power together: an image is of all
// of them, at the sectors that the log gives them.
#ifndef KERNEL_MODEL_DRIVERS_BLOCK_CRASH_STATE_H_
#define KERNEL_MODEL_DRIVERS_BLOCK_CRASH_STATE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "kernel_model/drivers/block/sector_store.h"
#include "kernel_model/drivers/block/sim_disk_parameters.h"
#include "kernel_model/drivers/block/write_log.h"

namespace aiolab {

class CrashState {
 public:
  // The log must outlive this. It begins with empty disks.
  CrashState(const WriteLog& log, const SimDiskParameters& disk);

  // Points go from 0 to last_point(), which is behind the last request. Requires: point >= this->point().
  void MoveTo(uint64_t point);
  uint64_t point() const { return point_; }
  uint64_t last_point() const { return log_.requests.size(); }
  const WriteLog& log() const { return log_; }

  // A write that a power cut can take back or tear, or a piece of a discard.
  struct Write {
    uint64_t request;  // index into the log
    uint64_t sector;
    uint64_t sectors;
    bool in_flight;
  };
  // In the order of completion, those in flight last.
  const std::vector<Write>& writes() const { return writes_; }

  // An atomic unit of which more than one version is possible. All of them differ.
  struct Unit {
    uint64_t number;  // its first sector is that times unit_sectors()
    uint32_t first_version;
    uint32_t versions;  // at least 2
    uint32_t first_touch;
    uint32_t touches;
  };
  // Version 0 is what is durable; another is its parent with one write on top.
  struct Version {
    uint32_t parent;  // of the same unit
    uint32_t write;   // index into writes()
    uint64_t digest;  // to be added to that of the durable disk
  };
  // A write that covers a part of a unit, in the order of writes().
  struct Touch {
    uint32_t write;
    uint32_t version;  // what it made of the unit
  };
  uint32_t unit_sectors() const { return unit_sectors_; }
  const std::vector<Unit>& units() const { return units_; }
  const Version& version(const Unit& unit, uint32_t index) const { return versions_[unit.first_version + index]; }
  const Touch& touch(const Unit& unit, uint32_t index) const { return touches_[unit.first_touch + index]; }

  // An image: the version of each unit, by its place in units(). Two that differ are different images.
  using Selection = std::vector<uint32_t>;
  Selection Durable() const { return Selection(units_.size(), 0); }
  // All that had completed, and nothing that was under way.
  Selection Newest() const;
  // Those of writes() for which `there` is true, whole.
  Selection Of(const std::vector<bool>& there) const;

  // Equal for equal contents of the disk, at whatever points; different, as good as always, for different ones.
  uint64_t DigestOf(const Selection& selection) const;
  uint64_t durable_digest() const { return durable_digest_; }
  void CopyTo(const Selection& selection, SectorStore* to) const;

  // How many images there are, as a power of ten; and exactly, if that is at most `max`, else max + 1.
  double images_log10() const;
  uint64_t CountImages(uint64_t max) const;

 private:
  void Complete(uint64_t index);
  void AddVolatile(uint64_t index);
  void Flush(const LoggedRequest& flush);
  void Evict(uint64_t disk);
  void MakeDurable(const Write& write);
  void Fold(const Write& write, uint64_t first, uint64_t end);
  void SetDurable(uint64_t sector, const char* bytes, uint64_t hash);
  std::vector<std::pair<uint64_t, uint64_t>> PiecesOf(const LoggedRequest& request) const;
  bool IsSettled(uint64_t unit, const Write& write) const;
  const char* BytesOf(const Write& write, uint64_t sector) const;
  uint64_t HashOf(const Write& write, uint64_t sector);
  uint64_t DurableHash(uint64_t sector) const;
  void Build();
  void BuildUnit(uint64_t number, const std::pair<uint64_t, uint32_t>* touches, size_t count);
  uint64_t HashIn(const Unit& unit, uint32_t version, uint64_t sector);
  uint32_t AddVersion(Unit* unit, uint32_t parent, uint32_t write);

  const WriteLog& log_;
  const uint32_t unit_sectors_;
  const uint64_t cache_bytes_;
  uint64_t point_ = 0;

  SectorStore durable_;
  absl::flat_hash_map<uint64_t, uint64_t> durable_hashes_;  // by sector; zeros are not here
  uint64_t durable_digest_ = 0;
  std::deque<Write> volatile_;                   // completed, and not durable as a whole
  std::map<uint64_t, uint64_t> volatile_bytes_;  // by disk
  std::map<uint64_t, uint64_t> settled_;         // by unit: its writes up to this request are durable
  std::set<uint64_t> in_flight_;                 // by index
  std::vector<uint64_t> by_beginning_;           // the requests in the order in which they were given to the disk
  size_t begun_ = 0;                             // of by_beginning_
  std::vector<std::vector<uint64_t>> hashes_;    // of each request's sectors, when first asked for

  std::vector<Write> writes_;
  std::vector<Unit> units_;
  std::vector<Version> versions_;
  std::vector<Touch> touches_;
};

}  // namespace aiolab

#endif  // KERNEL_MODEL_DRIVERS_BLOCK_CRASH_STATE_H_
