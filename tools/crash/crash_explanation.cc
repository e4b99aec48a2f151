#include "tools/crash/crash_explanation.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "kernel_model/fs/simfs/image.h"
#include "kernel_model/machine.h"
#include "tools/crash/crash_recorder.h"

namespace aiolab {
namespace {

// Lines of each kind.
constexpr size_t kLinesMax = 8;

// How far ahead the name of a block is looked for.
constexpr int kCommitsMax = 32;

bool ReadDisk(const SectorStore& store, simfs::Image* image) {
  std::string problem;
  const auto read = [&store](uint64_t first, uint64_t blocks, char* to) {
    store.Read(first * simfs::kSectorsPerBlock, absl::MakeSpan(to, blocks * simfs::kBlockSize));
    return 0;
  };
  return simfs::ReadImage(read, image, &problem) == 0;
}

// Which file a block of the disk belongs to.
class BlockNames {
 public:
  BlockNames(const CrashState& state, absl::string_view prefix) : prefix_(prefix) {
    SectorStore store;
    state.CopyTo(state.Newest(), &store);
    AddFiles(store);
    // A block may be known only to metadata that had not arrived by then, or never will be.
    CrashState later(state.log(), SimDiskParameters{});
    int commits = 0;
    for (uint64_t point = state.point(); point < later.last_point(); ++point) {
      const LoggedRequest& request = state.log().requests[point];
      const bool commits_now = request.fua || request.kind == DiskObserver::Kind::kFlush;
      if (point + 1 < later.last_point() && (!commits_now || ++commits > kCommitsMax)) continue;
      later.MoveTo(point + 1);
      later.CopyTo(later.Newest(), &store);
      AddFiles(store);
    }
  }

  // "/data/log at offset 8192", "/data/dev0 at offset 0", "the journal", "sector 17".
  std::string NameOf(uint64_t sector) const {
    if (sector >= DiskObserver::kSectorsPerDisk) {
      return absl::StrCat(DeviceName(), " at offset ", sector % DiskObserver::kSectorsPerDisk * 512);
    }
    const uint64_t block = sector / simfs::kSectorsPerBlock;
    const auto next = pieces_.upper_bound(block);
    if (next != pieces_.begin()) {
      const auto& [first, piece] = *std::prev(next);
      if (block < first + piece.blocks) {
        const uint64_t offset = (piece.logical + block - first) * simfs::kBlockSize;
        return absl::StrCat(piece.file, " at offset ", offset + sector % simfs::kSectorsPerBlock * 512);
      }
    }
    if (super_.blocks == 0) return absl::StrCat("sector ", sector);
    if (block == 0) return "the superblock";
    if (block >= super_.journal_block && block < super_.journal_block + super_.journal_blocks) return "the journal";
    for (const uint64_t area : super_.checkpoint_block) {
      if (block >= area && block < area + super_.checkpoint_blocks) return "a checkpoint of the metadata";
    }
    return absl::StrCat("a file that no metadata on the disk name, sector ", sector);
  }
  std::string DeviceName() const { return absl::StrCat(prefix_, "/", kDeviceNode); }

 private:
  struct Piece {
    uint64_t blocks;
    uint64_t logical;
    std::string file;
  };

  void AddFiles(const SectorStore& store) {
    simfs::Image image;
    if (!ReadDisk(store, &image)) return;
    super_ = image.super;
    std::vector<std::pair<uint64_t, std::string>> directories = {{simfs::kRootIno, std::string(prefix_)}};
    while (!directories.empty()) {
      const auto [dir, path] = directories.back();
      directories.pop_back();
      for (const auto& [name, ino] : image.inodes[dir].entries) {
        const simfs::ImageInode& inode = image.inodes[ino];
        const std::string at = absl::StrCat(path, "/", name);
        if (S_ISDIR(inode.attributes.mode)) directories.emplace_back(ino, at);
        for (const auto& [logical, extent] : inode.extents.extents()) {
          pieces_.emplace(extent.physical, Piece{extent.length, logical, at});  // the earliest is the nearest
        }
      }
    }
  }

  const absl::string_view prefix_;
  simfs::Superblock super_ = {};
  std::map<uint64_t, Piece> pieces_;  // by first block
};

std::string RequestText(const CrashState& state, uint64_t index, const BlockNames& names) {
  const LoggedRequest& request = state.log().requests[index];
  const std::string bytes = absl::StrCat(request.sectors * 512, " bytes", request.fua ? " (FUA)" : "");
  switch (request.kind) {
    case DiskObserver::Kind::kFlush:
      return absl::StrCat("request ", index, ", a flush", request.disk() == 0 ? "" : " of " + names.DeviceName());
    case DiskObserver::Kind::kWrite:
      return absl::StrCat("request ", index, ", a write of ", bytes, " to ", names.NameOf(request.sector));
    default:
      return absl::StrCat("request ", index, ", a discard of ", bytes, " of ", names.NameOf(request.sector));
  }
}

// Of each write: units that it changed, and those in which a power cut left something older.
struct Survival {
  uint64_t units = 0;
  uint64_t lost = 0;
};

std::vector<Survival> SurvivalOfWrites(const CrashState& state, const CrashState::Selection& image) {
  std::vector<Survival> writes(state.writes().size());
  for (size_t i = 0; i < state.units().size(); ++i) {
    const CrashState::Unit& unit = state.units()[i];
    // The writes whose bytes are in the version that was left.
    std::vector<bool> there(unit.touches, false);
    for (uint32_t at = image[i]; at != 0; at = state.version(unit, at).parent) {
      for (uint32_t touched = 0; touched < unit.touches; ++touched) {
        if (state.touch(unit, touched).write == state.version(unit, at).write) there[touched] = true;
      }
    }
    uint32_t newest = 0;  // touches up to here count as there: overwritten is not lost
    for (uint32_t touched = 0; touched < unit.touches; ++touched) {
      if (there[touched] || state.touch(unit, touched).version == image[i]) newest = touched + 1;
    }
    for (uint32_t touched = 0; touched < unit.touches; ++touched) {
      Survival& write = writes[state.touch(unit, touched).write];
      ++write.units;
      const bool in_flight = state.writes()[state.touch(unit, touched).write].in_flight;
      if (in_flight ? !there[touched] : touched >= newest) ++write.lost;
    }
  }
  return writes;
}

std::string PartText(const Survival& survival, absl::string_view all, absl::string_view none, absl::string_view part) {
  if (survival.lost == survival.units) return std::string(all);
  if (survival.lost == 0) return std::string(none);
  return absl::StrCat(survival.lost, " of ", survival.units, " ", part);
}

class Lines {
 public:
  explicit Lines(std::string head, std::string nothing = "") : head_(std::move(head)), nothing_(std::move(nothing)) {}
  bool empty() const { return count_ == 0; }
  void Add(absl::string_view line) {
    if (++count_ <= kLinesMax) absl::StrAppend(&text_, text_.empty() ? head_ : "  ", line, "\n");
  }
  std::string Text() const {
    if (count_ == 0) return nothing_.empty() ? "" : absl::StrCat(head_, nothing_, "\n");
    if (count_ > kLinesMax) return absl::StrCat(text_, "  and ", count_ - kLinesMax, " more\n");
    return text_;
  }

 private:
  const std::string head_;
  const std::string nothing_;
  size_t count_ = 0;
  std::string text_;
};

void AddWrites(const CrashState& state, const CrashState::Selection& image, const BlockNames& names, Lines* lost,
               Lines* under_way) {
  const std::vector<Survival> survival = SurvivalOfWrites(state, image);
  const std::string unit = absl::StrCat("atomic units of ", state.unit_sectors() * 512, " bytes");
  for (size_t i = 0; i < survival.size(); ++i) {
    const CrashState::Write& write = state.writes()[i];
    const std::string what = RequestText(state, write.request, names);
    if (write.in_flight) {
      under_way->Add(absl::StrCat(
          what, ": ",
          PartText(survival[i], "it did not arrive", "all of it arrived", absl::StrCat(unit, " did not arrive"))));
    } else if (survival[i].lost > 0) {
      lost->Add(absl::StrCat(what, ": ", PartText(survival[i], "all of it", "", unit)));
    }
  }
}

void AddLies(const CrashState& state, const BlockNames& names, Lines* lied) {
  for (uint64_t i = 0; i < state.point(); ++i) {
    if (!state.log().requests[i].lost) continue;
    lied->Add(absl::StrCat(RequestText(state, i, names), ", which it said was done"));
  }
}

// When the file system knows of nothing that was not durable.
std::string NothingMissing(bool lost, bool lied) {
  if (lied) return "nothing, as far as the file system was told";
  if (lost) return "what the disk had in its cache: no fsync or fdatasync came after those writes";
  return "nothing: all files were on the disk as the client saw them";
}

// "which the image has with 0 bytes"; empty if there is nothing to say.
std::string InImage(const simfs::Image& image, const std::string& path, uint64_t size) {
  uint64_t ino = simfs::kRootIno;
  for (const absl::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    const auto inode = image.inodes.find(ino);
    if (inode == image.inodes.end()) return "";
    const auto entry = inode->second.entries.find(name);
    if (entry == inode->second.entries.end()) return "; the image has no such file";
    ino = entry->second;
  }
  const auto inode = image.inodes.find(ino);
  if (inode == image.inodes.end() || inode->second.attributes.size == size) return "";
  return absl::StrCat("; the image has the file with ", inode->second.attributes.size, " bytes");
}

std::string MissingSync(const simfs::Undurable& one, const std::string& path, const std::string& in_image) {
  switch (one.what) {
    case simfs::Undurable::kData:
      return absl::StrCat("the data of ", path, " (", std::min(one.bytes, one.size), " of ", one.size, " bytes",
                          in_image, "): no fsync or fdatasync of ", path, " after they were written");
    case simfs::Undurable::kSize:
      return absl::StrCat("the size of ", path, " (", one.size, " bytes", in_image,
                          "), or where its data lie: no fsync or fdatasync of ", path, " after it grew");
    case simfs::Undurable::kName:
      return absl::StrCat("the name ", path, in_image, ": no fsync of its directory ", path.substr(0, path.rfind('/')),
                          " after it was made");
    case simfs::Undurable::kGone:
      return absl::StrCat("the removal of ", path, in_image, ": no fsync of its directory ",
                          path.substr(0, path.rfind('/')), " after it");
    case simfs::Undurable::kFailed:
      return absl::StrCat("data of ", path,
                          ": writing them back failed, and no later fsync tries it again, only a new write does");
    case simfs::Undurable::kStopped:
      return "what was changed since a write to the journal failed: the file system commits nothing any more";
  }
  return "";
}

}  // namespace

std::string ExplainCrash(const CrashState& state, const CrashState::Selection& image, absl::string_view prefix) {
  const BlockNames names(state, prefix);
  std::string text = absl::StrCat("crash point ", state.point(), " of ", state.log().last_crash_point, ": ");
  if (state.point() == state.log().last_crash_point) {
    absl::StrAppend(&text, "after the client's end\n");
  } else {
    absl::StrAppend(&text, "before the end of ", RequestText(state, state.point(), names), "\n");
  }
  Lines lost("lost: ", "nothing that had completed");
  Lines under_way("under way: ");
  Lines lied("the disk lied: ");
  AddWrites(state, image, names, &lost, &under_way);
  AddLies(state, names, &lied);
  absl::StrAppend(&text, lost.Text(), under_way.Text(), lied.Text());

  const LogMark* const mark = state.log().MarkAt(state.point());
  SectorStore store;
  state.CopyTo(image, &store);
  simfs::Image found;
  const bool readable = ReadDisk(store, &found);
  Lines missing("not durable by then: ", NothingMissing(!lost.empty(), !lied.empty()));
  for (const simfs::Undurable& one : DecodeUndurable(mark == nullptr ? "" : mark->note)) {
    const bool compare = readable && one.what != simfs::Undurable::kGone && one.path != absl::StrCat("/", kDeviceNode);
    missing.Add(MissingSync(one, absl::StrCat(prefix, one.path), compare ? InImage(found, one.path, one.size) : ""));
  }
  return text + missing.Text();
}

}  // namespace aiolab
