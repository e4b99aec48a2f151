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

bool HasUndurable(const Simfs& fs) {
  if (fs.journal.has_changes()) return true;
  for (const auto& [ino, node] : fs.inodes) {
    if (DirtyPages(node->mapping) > 0) return true;
  }
  for (const auto& [name, node] : fs.nodes) {
    if (DirtyPages(*node->i_mapping) > 0) return true;
  }
  return false;
}

void AddFile(const SimfsInode& node, const std::string& path, uint64_t committed, std::vector<Undurable>* found) {
  const auto size = static_cast<uint64_t>(node.i_size);
  if (const uint64_t pages = DirtyPages(node.mapping); pages > 0) {
    found->push_back({Undurable::kData, path, pages * kBlockSize, size});
  } else if (node.datasync_seq > committed && size > 0) {
    found->push_back({Undurable::kSize, path, 0, size});
  }
}

}  // namespace

std::vector<Undurable> FindUndurable(super_block& sb) {
  const auto& fs = static_cast<const Simfs&>(sb);
  std::vector<Undurable> found;
  if (!HasUndurable(fs)) return found;
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
  for (const auto& [name, node] : fs.nodes) {
    const uint64_t pages = DirtyPages(*node->i_mapping);
    if (pages == 0) continue;
    found.push_back(
        {Undurable::kData, absl::StrCat("/", name), pages * kBlockSize, static_cast<uint64_t>(node->i_size)});
  }
  return found;
}

}  // namespace aiolab::simfs
