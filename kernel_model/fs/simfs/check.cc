// What fsck would find.
#include <sys/stat.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel_model/fs/simfs/image.h"

namespace aiolab::simfs {
namespace {

// Every block belongs to one file at most, and to none that is not for data.
void CheckBlocks(const Image& image, std::vector<std::string>* problems) {
  FreeSpace free;
  const Blocks data = {image.super.first_data_block, image.super.blocks - image.super.first_data_block};
  free.Release(data);
  uint64_t used = 0;
  for (const auto& [ino, inode] : image.inodes) {
    uint64_t end = 0;
    uint64_t blocks = 0;
    for (const auto& [logical, extent] : inode.extents.extents()) {
      if (logical < end) problems->push_back(absl::StrCat("inode ", ino, ": two extents have block ", logical));
      end = logical + extent.length;
      blocks += extent.length;
      if (!free.Take({extent.physical, extent.length})) {
        problems->push_back(absl::StrCat("inode ", ino, ": blocks ", extent.physical, " to ",
                                         extent.physical + extent.length - 1,
                                         " of the disk are another file's, or no data blocks"));
      }
    }
    if (blocks != inode.extents.blocks()) {
      problems->push_back(absl::StrCat("inode ", ino, ": ", blocks, " blocks, counted as ", inode.extents.blocks()));
    }
    if (blocks > 0 && !S_ISREG(inode.attributes.mode)) {
      problems->push_back(absl::StrCat("inode ", ino, ": has blocks and is no regular file"));
    }
    used += blocks;
  }
  if (problems->empty() && free.free_blocks() + used != data.length) {
    problems->push_back(absl::StrCat(free.free_blocks(), " free and ", used, " used blocks of ", data.length));
  }
}

// Every name leads to an inode, every directory has one name and can be reached from the root, and links add up.
void CheckNames(const Image& image, std::vector<std::string>* problems) {
  std::map<uint64_t, uint64_t> links;
  std::map<uint64_t, uint64_t> parents;  // of directories
  for (const auto& [dir, inode] : image.inodes) {
    if (!inode.entries.empty() && !S_ISDIR(inode.attributes.mode)) {
      problems->push_back(absl::StrCat("inode ", dir, ": has names and is no directory"));
    }
    if (S_ISDIR(inode.attributes.mode) && inode.attributes.nlink > 0) links[dir] += 1;  // its own "."
    for (const auto& [name, ino] : inode.entries) {
      const auto target = image.inodes.find(ino);
      if (target == image.inodes.end()) {
        problems->push_back(
            absl::StrCat("inode ", dir, ": name \"", name, "\" leads to inode ", ino, ", which there is not"));
        continue;
      }
      links[ino] += 1;
      if (!S_ISDIR(target->second.attributes.mode)) continue;
      links[dir] += 1;  // its ".."
      if (!parents.emplace(ino, dir).second) {
        problems->push_back(absl::StrCat("inode ", ino, ": a directory with two names"));
      }
    }
  }
  for (const auto& [ino, inode] : image.inodes) {
    const uint64_t expected = links[ino] + (ino == kRootIno ? 1 : 0);  // the root's ".." is itself
    if (inode.attributes.nlink != expected) {
      problems->push_back(
          absl::StrCat("inode ", ino, ": ", inode.attributes.nlink, " links, and ", expected, " names lead to it"));
    }
    if (!S_ISDIR(inode.attributes.mode) || inode.attributes.nlink == 0) continue;
    std::set<uint64_t> seen;
    uint64_t at = ino;
    while (at != kRootIno && seen.insert(at).second && parents.count(at) != 0) at = parents[at];
    if (at != kRootIno) problems->push_back(absl::StrCat("inode ", ino, ": a directory that the root does not reach"));
  }
}

}  // namespace

std::vector<std::string> Check(const Image& image) {
  std::vector<std::string> problems;
  const auto root = image.inodes.find(kRootIno);
  if (root == image.inodes.end() || !S_ISDIR(root->second.attributes.mode)) {
    problems.push_back("there is no root directory");
  }
  for (const auto& [ino, inode] : image.inodes) {
    switch (inode.attributes.mode & S_IFMT) {
      case S_IFREG:
      case S_IFDIR:
      case S_IFLNK:
        break;
      default:
        problems.push_back(absl::StrCat("inode ", ino, ": mode ", inode.attributes.mode, " is of no known type"));
    }
  }
  CheckBlocks(image, &problems);
  CheckNames(image, &problems);
  return problems;
}

}  // namespace aiolab::simfs
