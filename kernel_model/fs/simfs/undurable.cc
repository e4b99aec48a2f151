// What fsync has not been called for.
#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel_model/fs/simfs/super.h"
#include "kernel_model/mm/folio.h"

namespace aiolab::simfs {
namespace {

uint64_t DirtyPages(const address_space& mapping) {
  return mapping.dirty_pages.size() + mapping.writeback_pages.size();
}

bool HasUndurable(const address_space& mapping) { return DirtyPages(mapping) > 0 || mapping.wb_err != 0; }

bool HasUndurable(const Simfs& fs) {
  if (fs.journal.has_changes() || fs.journal.error() != 0) return true;
  for (const auto& [ino, node] : fs.inodes) {
    if (HasUndurable(node->mapping)) return true;
  }
  for (const auto& [name, node] : fs.nodes) {
    if (HasUndurable(*node->i_mapping)) return true;
  }
  return false;
}

void AddData(const inode& node, const std::string& path, std::vector<Undurable>* found) {
  const auto size = static_cast<uint64_t>(node.i_size);
  if (const uint64_t pages = DirtyPages(*node.i_mapping); pages > 0) {
    found->push_back({Undurable::kData, path, pages * kBlockSize, size});
  }
  if (node.i_mapping->wb_err != 0) found->push_back({Undurable::kFailed, path, 0, size});
}

void AddFile(const SimfsInode& node, const std::string& path, uint64_t committed, std::vector<Undurable>* found) {
  AddData(node, path, found);
  if (DirtyPages(node.mapping) == 0 && node.datasync_seq > committed && node.i_size > 0) {
    found->push_back({Undurable::kSize, path, 0, static_cast<uint64_t>(node.i_size)});
  }
}

}  // namespace

std::vector<Undurable> FindUndurable(super_block& sb) {
  const auto& fs = static_cast<const Simfs&>(sb);
  std::vector<Undurable> found;
  if (!HasUndurable(fs)) return found;
  if (fs.journal.error() != 0) found.push_back({Undurable::kStopped, "", 0, 0});
  const uint64_t committed = fs.journal.committed_seq();
  std::vector<std::pair<std::string, const SimfsInode*>> directories = {{"", &SIMFS_I(*fs.s_root)}};
  while (!directories.empty()) {
    const auto [path, dir] = std::move(directories.back());
    directories.pop_back();
    for (const auto& [name, seq] : dir->removed) {
      if (seq > committed) found.push_back({Undurable::kGone, absl::StrCat(path, "/", name), 0, 0});
    }
    for (const auto& [name, entry] : dir->entries) {
      const SimfsInode& node = SIMFS_I(*entry.node);
      const std::string at = absl::StrCat(path, "/", name);
      if (S_ISREG(node.i_mode)) AddFile(node, at, committed, &found);
      if (entry.seq > committed) found.push_back({Undurable::kName, at, 0, static_cast<uint64_t>(node.i_size)});
      if (S_ISDIR(node.i_mode)) directories.emplace_back(at, &node);
    }
  }
  for (const auto& [name, node] : fs.nodes) AddData(*node, absl::StrCat("/", name), &found);
  return found;
}

}  // namespace aiolab::simfs
