#include "tools/aiolab/copy_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr mode_t kPermissions = 07777;

absl::Status Failed(long error, const std::string& path, absl::string_view what) {
  return FileError(static_cast<int>(-error), path, what);
}

// One side of a copy, at one place of its tree.
struct Place {
  FileSyscalls& kernel;
  int dirfd;
  std::string path;  // of that directory, for people

  std::string PathOf(const std::string& name) const { return absl::StrCat(path, "/", name); }
};

class OpenFile {
 public:
  OpenFile(const Place& place, const std::string& name, int flags)
      : kernel_(place.kernel),
        fd_(place.kernel.openat(place.dirfd, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR)) {}
  ~OpenFile() {
    if (fd_ >= 0) kernel_.close(fd());
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return static_cast<int>(fd_); }
  // 0 or -errno.
  long error() const { return std::min(fd_, 0L); }

 private:
  FileSyscalls& kernel_;
  const long fd_;
};

absl::StatusOr<std::set<std::string>> NamesIn(const Place& place) {
  std::set<std::string> names;
  alignas(dirent64) char buffer[32 << 10];
  for (;;) {
    const long size = place.kernel.getdents64(place.dirfd, buffer, sizeof(buffer));
    if (size < 0) return Failed(size, place.path, "cannot be listed");
    if (size == 0) return names;
    for (long at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(buffer + at);
      const absl::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace(name);
      at += entry->d_reclen;
    }
  }
}

bool IsSpecial(mode_t mode) { return !S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode); }

absl::Status RemoveTree(const Place& place, const std::string& name, mode_t mode) {
  if (S_ISDIR(mode)) {
    const OpenFile directory(place, name, O_RDONLY | O_DIRECTORY);
    if (directory.error() != 0) return Failed(directory.error(), place.PathOf(name), "cannot be opened");
    const Place inside = {place.kernel, directory.fd(), place.PathOf(name)};
    const absl::StatusOr<std::set<std::string>> names = NamesIn(inside);
    if (!names.ok()) return names.status();
    for (const std::string& entry : *names) {
      struct stat status;
      const long error = place.kernel.newfstatat(inside.dirfd, entry.c_str(), &status, AT_SYMLINK_NOFOLLOW);
      if (error < 0) return Failed(error, inside.PathOf(entry), "cannot be looked at");
      if (absl::Status removed = RemoveTree(inside, entry, status.st_mode); !removed.ok()) return removed;
    }
  }
  const long error = place.kernel.unlinkat(place.dirfd, name.c_str(), S_ISDIR(mode) ? AT_REMOVEDIR : 0);
  return error < 0 ? Failed(error, place.PathOf(name), "cannot be removed") : absl::OkStatus();
}

class TreeCopier {
 public:
  explicit TreeCopier(const CopyTreeOptions& options) : options_(options) {}

  absl::Status CopyEntries(const Place& from, const Place& to) {
    const absl::StatusOr<std::set<std::string>> names = NamesIn(from);
    if (!names.ok()) return names.status();
    if (options_.remove_others) {
      if (absl::Status removed = RemoveOthers(*names, to); !removed.ok()) return removed;
    }
    for (const std::string& name : *names) {
      if (absl::Status copied = CopyEntry(from, name, to); !copied.ok()) return copied;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status RemoveOthers(const std::set<std::string>& names, const Place& to) {
    const absl::StatusOr<std::set<std::string>> there = NamesIn(to);
    if (!there.ok()) return there.status();
    for (const std::string& name : *there) {
      if (names.count(name) > 0) continue;
      struct stat status;
      const long error = to.kernel.newfstatat(to.dirfd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW);
      if (error < 0) return Failed(error, to.PathOf(name), "cannot be looked at");
      if (IsSpecial(status.st_mode)) continue;
      if (absl::Status removed = RemoveTree(to, name, status.st_mode); !removed.ok()) return removed;
    }
    return absl::OkStatus();
  }

  absl::Status CopyEntry(const Place& from, const std::string& name, const Place& to) {
    struct stat status;
    const long error = from.kernel.newfstatat(from.dirfd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW);
    if (error < 0) return Failed(error, from.PathOf(name), "cannot be looked at");
    if (IsSpecial(status.st_mode)) return absl::OkStatus();
    if (absl::Status made = MakeRoom(to, name, status.st_mode); !made.ok()) return made;
    if (S_ISLNK(status.st_mode)) return CopyLink(from, name, to);
    if (S_ISDIR(status.st_mode)) return CopyDirectory(from, name, to, status.st_mode);
    return CopyFile(from, name, to, status);
  }

  // Sees to it that under `name` there is nothing of another kind than `mode`, and no symbolic link.
  absl::Status MakeRoom(const Place& to, const std::string& name, mode_t mode) {
    struct stat there;
    const long error = to.kernel.newfstatat(to.dirfd, name.c_str(), &there, AT_SYMLINK_NOFOLLOW);
    if (error == -ENOENT) return absl::OkStatus();
    if (error < 0) return Failed(error, to.PathOf(name), "cannot be looked at");
    const bool same_kind = (there.st_mode & S_IFMT) == (mode & S_IFMT);
    if (same_kind && !S_ISLNK(mode)) return absl::OkStatus();
    if ((!same_kind && !options_.remove_others) || IsSpecial(there.st_mode)) {
      return Failed(-EEXIST, to.PathOf(name), "cannot be made, as something of another kind has that name");
    }
    return RemoveTree(to, name, there.st_mode);
  }

  absl::Status CopyLink(const Place& from, const std::string& name, const Place& to) {
    char target[PATH_MAX + 1];
    const long size = from.kernel.readlinkat(from.dirfd, name.c_str(), target, PATH_MAX);
    if (size < 0) return Failed(size, from.PathOf(name), "cannot be read");
    target[size] = '\0';
    const long error = to.kernel.symlinkat(target, to.dirfd, name.c_str());
    return error < 0 ? Failed(error, to.PathOf(name), "cannot be made") : absl::OkStatus();
  }

  absl::Status CopyDirectory(const Place& from, const std::string& name, const Place& to, mode_t mode) {
    const long made = to.kernel.mkdirat(to.dirfd, name.c_str(), S_IRWXU);
    if (made < 0 && made != -EEXIST) return Failed(made, to.PathOf(name), "cannot be made");
    const OpenFile source(from, name, O_RDONLY | O_DIRECTORY);
    if (source.error() != 0) return Failed(source.error(), from.PathOf(name), "cannot be opened");
    const OpenFile target(to, name, O_RDONLY | O_DIRECTORY);
    if (target.error() != 0) return Failed(target.error(), to.PathOf(name), "cannot be opened");
    absl::Status copied =
        CopyEntries({from.kernel, source.fd(), from.PathOf(name)}, {to.kernel, target.fd(), to.PathOf(name)});
    if (!copied.ok()) return copied;
    return SetMode(to, name, target.fd(), mode);
  }

  absl::Status CopyFile(const Place& from, const std::string& name, const Place& to, const struct stat& status) {
    const OpenFile source(from, name, O_RDONLY);
    if (source.error() != 0) return Failed(source.error(), from.PathOf(name), "cannot be opened");
    const OpenFile target(to, name, O_WRONLY | O_CREAT | O_TRUNC);
    if (target.error() != 0) return Failed(target.error(), to.PathOf(name), "cannot be made");
    for (loff_t at = 0; at < status.st_size;) {
      loff_t data = from.kernel.lseek(source.fd(), at, SEEK_DATA);
      if (data == -ENXIO) break;
      // Who knows nothing of holes has none.
      loff_t end = data < 0 ? status.st_size : from.kernel.lseek(source.fd(), data, SEEK_HOLE);
      data = std::max(data, at);
      end = std::clamp(end, data, static_cast<loff_t>(status.st_size));
      if (absl::Status copied = CopyRange(from, source.fd(), name, to, target.fd(), data, end); !copied.ok()) {
        return copied;
      }
      at = std::max(end, at + 1);
    }
    if (const long error = to.kernel.ftruncate(target.fd(), status.st_size); error < 0) {
      return Failed(error, to.PathOf(name), "cannot be given its size");
    }
    return SetMode(to, name, target.fd(), status.st_mode);
  }

  absl::Status CopyRange(const Place& from, int source, const std::string& name, const Place& to, int target,
                         loff_t begin, loff_t end) {
    buffer_.resize(kPieceBytes);
    while (begin < end) {
      const size_t wanted = std::min(kPieceBytes, static_cast<size_t>(end - begin));
      const long size = from.kernel.pread64(source, buffer_.data(), wanted, begin);
      if (size < 0) return Failed(size, from.PathOf(name), "cannot be read");
      if (size == 0) break;  // somebody made it shorter
      for (long done = 0; done < size;) {
        const long written =
            to.kernel.pwrite64(target, buffer_.data() + done, static_cast<size_t>(size - done), begin + done);
        if (written <= 0) return Failed(written == 0 ? -EIO : written, to.PathOf(name), "cannot be written");
        done += written;
      }
      begin += size;
    }
    return absl::OkStatus();
  }

  absl::Status SetMode(const Place& to, const std::string& name, int fd, mode_t mode) {
    const long error = to.kernel.fchmod(fd, mode & kPermissions);
    return error < 0 ? Failed(error, to.PathOf(name), "cannot be given its permissions") : absl::OkStatus();
  }

  const CopyTreeOptions options_;
  std::string buffer_;
};

}  // namespace

absl::Status CopyTree(FileSyscalls& from, const std::string& from_dir, FileSyscalls& to, const std::string& to_dir,
                      const CopyTreeOptions& options) {
  // The directories themselves may be reached by links.
  const auto open = [](FileSyscalls& kernel, const std::string& path) {
    return Place{kernel, static_cast<int>(kernel.openat(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)),
                 path};
  };
  const Place source = open(from, from_dir);
  if (source.dirfd < 0) return Failed(source.dirfd, from_dir, "cannot be opened");
  const Place target = open(to, to_dir);
  const absl::Status copied = target.dirfd < 0 ? Failed(target.dirfd, to_dir, "cannot be opened")
                                               : TreeCopier(options).CopyEntries(source, target);
  from.close(source.dirfd);
  if (target.dirfd >= 0) to.close(target.dirfd);
  return copied;
}

}  // namespace aiolab
