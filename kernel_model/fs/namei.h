// From names to files; the calls that change names stand in syscalls.h.
//
// Mirrors: fs/namei.c.
// Differs: one process, root: no permissions but what a file itself refuses. Where two errors meet, a name that is too
// long is noticed when the walk gets to it.
//
// Results are 0 or -errno, on behalf of the current task, which may sleep.
#ifndef KERNEL_MODEL_FS_NAMEI_H_
#define KERNEL_MODEL_FS_NAMEI_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "kernel_model/fs/dcache.h"
#include "kernel_model/fs/fs.h"
#include "kernel_model/fs/namespace.h"

namespace aiolab {

// Copies a path of the client. 0, -EFAULT, -ENAMETOOLONG, -ENOENT for an empty one.
int getname(const char* user_path, std::string* name);

// How the last name is looked up.
inline constexpr unsigned LOOKUP_FOLLOW = 0x1;     // if it is a symbolic link, that is followed
inline constexpr unsigned LOOKUP_DIRECTORY = 0x2;  // it has to be a directory
inline constexpr unsigned LOOKUP_EMPTY = 0x4;      // an empty path means `dirfd` itself, of whatever type

// Where `user_path` leads, seen from `dirfd`. 0; -ENOENT, -ENOTDIR, -ELOOP, -EBADF, ...
int user_path_at(int dirfd, const char* user_path, unsigned flags, path* found);
// The same for a path that is in the kernel already.
int kern_path(absl::string_view name, unsigned flags, path* found);

// Finds what open asks for, and makes it if `flags` (O_*) say so; then *created. Everything that open checks by name is
// checked; whether the file itself may be opened so is not.
int path_openat(int dirfd, const char* user_path, unsigned flags, mode_t mode, path* found, bool* created);

// Makes a directory; those above it have to be there. For set-up: not a client's call.
int kern_mkdir(absl::string_view name, mode_t mode);

}  // namespace aiolab

#endif  // KERNEL_MODEL_FS_NAMEI_H_
