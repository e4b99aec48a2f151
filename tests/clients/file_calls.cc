// Makes every call on files that a program may make, on a directory that it is given, and prints what came back. What
// it prints does not depend on where that directory is, so two places that behave alike give the same text.
//
//   file_calls --dir=/dev/shm/x              by the C library's functions
//   file_calls --dir=/dev/shm/x --bare=1     by syscall(), where the two take the same arguments
#include <dirent.h>
#include <glob.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <utime.h>

#include <set>

#include "tests/clients/client.h"

namespace {

bool bare = false;
// Volatile: what is wrong with them is the kernel's to find, not the compiler's.
volatile int below_zero = -1;
char* volatile nowhere = reinterpret_cast<char*>(16);
std::string dir;  // NOLINT(runtime/string): it has to be there for every call

// A path in the directory, as it has to be for the call that it is an argument of.
const char* P(const char* name) {
  static std::set<std::string>& kept = *new std::set<std::string>;
  return kept.insert(dir + "/" + name).first->c_str();
}

long Say(const char* call, long ret) {
  const int error = errno;
  if (ret == -1) {
    printf("%s = %s\n", call, strerrorname_np(error));
  } else {
    printf("%s = %ld\n", call, ret);
  }
  return ret;
}

template <typename T>
long Number(T result) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(result);
  } else {
    return result;
  }
}

#define SAY(call) Say(#call, Number(call))
// For a system call that has the name and the arguments of its function.
#define CALL(name, ...) \
  Say(#name "(" #__VA_ARGS__ ")", bare ? syscall(SYS_##name, __VA_ARGS__) : Number(name(__VA_ARGS__)))

void SayStat(const char* what, const struct stat& status) {
  printf("%s: mode %o, links %lu, size %ld, owner %u\n", what, status.st_mode, status.st_nlink,
         S_ISDIR(status.st_mode) ? -1L : static_cast<long>(status.st_size), status.st_uid);
}

void SayText(const char* what, const char* text, size_t size) {
  printf("%s: '%.*s'\n", what, static_cast<int>(size), text);
}

void ReadAndWrite() {
  char buf[64] = {};
  const int fd = static_cast<int>(CALL(open, P("a"), O_RDWR | O_CREAT | O_EXCL, 0644));
  CALL(open, P("a"), O_RDWR | O_CREAT | O_EXCL, 0644);
  CALL(open, P("none"), O_RDONLY, 0);
  CALL(open, P("a/b"), O_RDONLY, 0);
  CALL(open, P("a/"), O_RDONLY, 0);
  CALL(write, fd, "hello, world", 12);
  CALL(lseek, fd, 0, SEEK_CUR);
  CALL(lseek, fd, 7, SEEK_SET);
  CALL(read, fd, buf, 64);
  SayText("read", buf, 5);
  CALL(read, fd, buf, 64);
  CALL(lseek, fd, -3L, SEEK_END);
  CALL(lseek, fd, -30L, SEEK_END);
  CALL(lseek, fd, 5, 77);
  SAY(pwrite(fd, "HE", 2, 0));
  SAY(pread(fd, buf, 5, 0));
  SayText("pread", buf, 5);
  SAY(pread(fd, buf, 5, -1));
  SAY(pread(fd, buf, 5, 100));
  const iovec parts[2] = {{buf, 3}, {buf + 10, 4}};
  CALL(lseek, fd, 0, SEEK_SET);
  CALL(readv, fd, parts, 2);
  SayText("readv", buf + 10, 4);
  CALL(writev, fd, parts, 2);
  SAY(preadv(fd, parts, 2, 2));
  SAY(pwritev(fd, parts, 2, 20));
  SAY(preadv2(fd, parts, 2, 0, 0));
  SAY(preadv2(fd, parts, 2, -1, 0));
  SAY(pwritev2(fd, parts, 2, 0, RWF_DSYNC));
  SAY(pwritev2(fd, parts, 2, 0, RWF_APPEND));
  SAY(preadv(fd, parts, 2, -1));
  CALL(readv, fd, parts, below_zero);
  CALL(read, fd, nullptr, 0);
  CALL(read, fd, nowhere, 8);
  CALL(write, fd, nowhere, 8);
  CALL(lseek, fd, 0, SEEK_END);
  CALL(fsync, fd);
  CALL(fdatasync, fd);
  CALL(syncfs, fd);
  CALL(sync_file_range, fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  SAY(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
  SAY(posix_fadvise(fd, 0, 0, 99));
  CALL(close, fd);
  CALL(close, fd);
  CALL(read, fd, buf, 1);
}

void Sizes() {
  struct stat status;
  const int fd = static_cast<int>(CALL(open, P("size"), O_RDWR | O_CREAT, 0600));
  CALL(ftruncate, fd, 100000);
  CALL(lseek, fd, 0, SEEK_DATA);
  CALL(lseek, fd, 0, SEEK_HOLE);
  CALL(lseek, fd, 100000, SEEK_HOLE);
  SAY(pwrite(fd, "x", 1, 50000));
  CALL(lseek, fd, 0, SEEK_DATA);
  CALL(lseek, fd, 50000, SEEK_HOLE);
  CALL(fallocate, fd, 0, 0, 200000);
  CALL(fstat, fd, &status);
  SayStat("after fallocate", status);
  printf("blocks %ld\n", static_cast<long>(status.st_blocks));
  CALL(fallocate, fd, FALLOC_FL_KEEP_SIZE, 0, 300000);
  CALL(fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 49152, 4096);
  CALL(fallocate, fd, 0, -1L, 10);
  CALL(fallocate, fd, 0, 0, 0);
  SAY(posix_fallocate(fd, 0, 250000));
  SAY(posix_fallocate(fd, 0, 0));
  char byte = 'y';
  SAY(pread(fd, &byte, 1, 50000));
  printf("punched: %d\n", byte);
  CALL(truncate, P("size"), 10);
  CALL(truncate, P("none"), 10);
  CALL(truncate, P(""), 10);
  CALL(ftruncate, fd, -1L);
  CALL(fstat, fd, &status);
  SayStat("after truncate", status);
  CALL(close, fd);
  const int reader = static_cast<int>(CALL(open, P("size"), O_RDONLY));
  CALL(ftruncate, reader, 0);
  CALL(write, reader, "x", 1);
  CALL(fallocate, reader, 0, 0, 10);
  CALL(close, reader);
}

void Names() {
  struct stat status;
  char target[64] = {};
  CALL(mkdir, P("d"), 0755);
  CALL(mkdir, P("d"), 0755);
  CALL(mkdir, P("none/d"), 0755);
  CALL(mkdir, P("d/e"), 0700);
  CALL(rmdir, P("d"));
  CALL(rmdir, P("a"));
  CALL(unlink, P("d"));
  CALL(rename, P("a"), P("d/b"));
  CALL(rename, P("a"), P("d/c"));
  CALL(rename, P("d"), P("d/e/f"));
  CALL(rename, P("size"), P("d"));
  CALL(link, P("d/b"), P("d/hard"));
  CALL(link, P("d/b"), P("d/hard"));
  CALL(link, P("d"), P("d2"));
  CALL(stat, P("d/hard"), &status);
  SayStat("hard link", status);
  CALL(symlink, "b", P("d/soft"));
  CALL(symlink, "nowhere", P("d/dangling"));
  printf("readlink %ld ", CALL(readlink, P("d/soft"), target, sizeof(target)));
  SayText("target", target, 1);
  CALL(readlink, P("d/b"), target, sizeof(target));
  CALL(lstat, P("d/soft"), &status);
  printf("type %o, size %ld\n", status.st_mode & S_IFMT, static_cast<long>(status.st_size));
  CALL(stat, P("d/dangling"), &status);
  CALL(lstat, P("d/dangling"), &status);
  CALL(open, P("d/soft"), O_RDONLY | O_NOFOLLOW, 0);
  CALL(access, P("d/b"), R_OK | W_OK);
  CALL(access, P("d/none"), F_OK);
  SAY(faccessat(AT_FDCWD, P("d/b"), F_OK, 0));
  SAY(euidaccess(P("d/b"), R_OK));
  SAY(remove(P("d/hard")));
  SAY(remove(P("d/e")));
  SAY(remove(P("d/e")));
  CALL(chmod, P("d/b"), 0640);
  CALL(stat, P("d/b"), &status);
  SayStat("chmod", status);
  CALL(chown, P("d/b"), 0, 0);
  CALL(renameat2, AT_FDCWD, P("d/b"), AT_FDCWD, P("d/soft"), RENAME_NOREPLACE);
  CALL(renameat2, AT_FDCWD, P("d/b"), AT_FDCWD, P("d/soft"), RENAME_EXCHANGE);
  CALL(lstat, P("d/soft"), &status);
  SayStat("exchanged", status);
  CALL(mkdir, P((std::string(300, 'n')).c_str()), 0755);
  CALL(stat, "", &status);
  CALL(stat, P("d/."), &status);
  CALL(stat, P("d/../d/./soft"), &status);
  CALL(stat, nowhere, &status);
  CALL(rmdir, P("d/."));
  CALL(unlink, P("d/dangling"));
}

void AtADirectory() {
  struct stat status;
  char text[64] = {};
  const int at = static_cast<int>(CALL(open, P("d"), O_RDONLY | O_DIRECTORY, 0));
  CALL(open, P("size"), O_RDONLY | O_DIRECTORY, 0);
  CALL(open, P("d"), O_WRONLY, 0);
  CALL(read, at, text, 1);
  CALL(write, at, text, 1);
  const int fd = static_cast<int>(CALL(openat, at, "f", O_RDWR | O_CREAT, 0644));
  CALL(mkdirat, at, "sub", 0711);
  CALL(linkat, at, "f", at, "g", 0);
  CALL(symlinkat, "g", at, "h");
  CALL(readlinkat, at, "h", text, sizeof(text));
  CALL(renameat2, at, "g", at, "i", 0);
  SAY(renameat(at, "i", at, "g"));
  SAY(fstatat(at, "sub", &status, 0));
  SayStat("sub", status);
  SAY(fstatat(at, "", &status, AT_EMPTY_PATH));
  SAY(fstatat(fd, "x", &status, 0));
  SAY(fstatat(99, "x", &status, 0));
  struct statx extended = {};
  CALL(statx, at, "f", 0, STATX_BASIC_STATS, &extended);
  printf("statx: mode %o, size %llu\n", extended.stx_mode, extended.stx_size);
  CALL(statx, fd, "", AT_EMPTY_PATH, STATX_SIZE, &extended);
  const timespec times[2] = {{1000, 5}, {2000, 7}};
  CALL(utimensat, at, "f", times, 0);
  SAY(fstat(fd, &status));
  printf("times %ld.%ld %ld.%ld\n", status.st_atim.tv_sec, status.st_atim.tv_nsec, status.st_mtim.tv_sec,
         status.st_mtim.tv_nsec);
  SAY(futimens(fd, times));
  const timeval older[2] = {{10, 20}, {30, 40}};
  SAY(utimes(P("d/f"), older));
  SAY(futimes(fd, older));
  const utimbuf oldest = {1, 2};
  SAY(utime(P("d/f"), &oldest));
  SAY(fstat(fd, &status));
  printf("times %ld %ld\n", status.st_atim.tv_sec, status.st_mtim.tv_sec);
  CALL(fchmod, fd, 0600);
  CALL(fchown, fd, 0, 0);
  SAY(fchmodat(at, "f", 0604, 0));
  CALL(fchownat, at, "f", 0, 0, 0);
  SAY(fstat(fd, &status));
  SayStat("fchmod", status);
  CALL(unlinkat, at, "sub", 0);
  CALL(unlinkat, at, "sub", AT_REMOVEDIR);
  CALL(unlinkat, at, "f", 0);
  SAY(fstat(fd, &status));
  SayStat("unlinked", status);
  CALL(write, fd, "still", 5);
  CALL(close, fd);
  CALL(openat, at, "f", O_RDONLY);
  CALL(close, at);
  CALL(openat, at, "g", O_RDONLY);
}

void Descriptors() {
  char text[8] = {};
  const int fd = static_cast<int>(SAY(open(P("dup"), O_RDWR | O_CREAT | O_CLOEXEC, 0644)));
  CALL(fcntl, fd, F_GETFD, 0);
  CALL(fcntl, fd, F_SETFD, 0);
  CALL(fcntl, fd, F_GETFD, 0);
  printf("flags %lo\n", CALL(fcntl, fd, F_GETFL, 0) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
  CALL(fcntl, fd, F_SETFL, O_APPEND);
  CALL(fcntl, fd, F_SETFL, 0);
  CALL(fcntl, fd, F_DUPFD, 20);
  CALL(fcntl, fd, F_DUPFD_CLOEXEC, 20);
  CALL(fcntl, 21, F_GETFD, 0);
  CALL(fcntl, fd, 9999, 0);
  CALL(dup, fd);
  CALL(write, fd, "abc", 3);
  CALL(lseek, 20, 0, SEEK_CUR);
  CALL(dup2, fd, 30);
  CALL(dup2, fd, fd);
  CALL(dup2, 77, 31);
  CALL(dup3, fd, 31, O_CLOEXEC);
  CALL(dup3, fd, fd, 0);
  CALL(dup2, 1, 30);
  CALL(dup2, fd, 30);
  CALL(lseek, 30, 0, SEEK_SET);
  CALL(close, fd);
  CALL(read, 30, text, 8);
  SayText("by a duplicate", text, 3);
  for (int i = 3; i < 40; ++i) close(i);
  CALL(read, 30, text, 8);
  const int again = static_cast<int>(CALL(open, P("dup"), O_RDWR, 0));
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  CALL(fcntl, again, F_SETLK, &lock);
  CALL(fcntl, again, F_GETLK, &lock);
  printf("lock type %d\n", lock.l_type);
  CALL(flock, again, LOCK_EX | LOCK_NB);
  const int other = static_cast<int>(CALL(open, P("dup"), O_RDWR, 0));
  CALL(flock, other, LOCK_EX | LOCK_NB);
  CALL(flock, again, LOCK_UN);
  CALL(flock, other, LOCK_SH | LOCK_NB);
  SAY(lockf(again, F_TLOCK, 10));
  SAY(lockf(again, F_ULOCK, 0));
  pollfd wait = {again, POLLIN | POLLOUT, 0};
  SAY(poll(&wait, 1, 0));
  printf("revents %d\n", wait.revents);
  const int epoll = epoll_create1(0);
  epoll_event event = {};
  SAY(epoll_ctl(epoll, EPOLL_CTL_ADD, again, &event));
  close(epoll);
  int left = 0;
  CALL(ioctl, again, FIONREAD, &left);
  printf("left %d\n", left);
  CALL(ioctl, again, TIOCGWINSZ, text);
  SAY(isatty(again));
  SAY(close_range(3, 100, 0));
  CALL(lseek, again, 0, SEEK_CUR);
}

void Directories() {
  SAY(chdir(dir.c_str()));
  char cwd[4096];
  printf("getcwd %d\n", getcwd(cwd, sizeof(cwd)) != nullptr && cwd == dir);
  SAY(reinterpret_cast<long>(getcwd(cwd, 2)));
  CALL(mkdir, "list", 0755);
  CALL(chdir, "list");
  for (const char* name : {"one", "two", "three"}) close(open(name, O_CREAT | O_WRONLY, 0644));
  CALL(mkdir, "four", 0755);
  CALL(symlink, "one", "five");
  CALL(rename, "two", "../two");
  struct stat status;
  CALL(stat, "../two", &status);
  CALL(stat, "../../none-here", &status);
  CALL(rename, "../two", "two");
  std::set<std::string> names;
  DIR* stream = opendir(".");
  while (const dirent* entry = readdir(stream)) names.insert(entry->d_name + std::to_string(entry->d_type));
  for (const std::string& name : names) printf("entry %s\n", name.c_str());
  rewinddir(stream);
  SAY(readdir(stream) != nullptr);
  const long place = telldir(stream);
  const std::string next = readdir(stream)->d_name;
  seekdir(stream, place);
  printf("seekdir %d\n", next == readdir(stream)->d_name);
  SAY(dirfd(stream) >= 0);
  SAY(fchdir(dirfd(stream)));
  SAY(fstatat(dirfd(stream), "one", &status, 0));
  SAY(closedir(stream));
  SAY(opendir("none") == nullptr);
  SAY(opendir("one") == nullptr);
  dirent** list = nullptr;
  const int count = scandir(".", &list, nullptr, alphasort);
  for (int i = 0; i < count; ++i) printf("scandir %s\n", list[i]->d_name);
  for (const std::string& pattern : {dir + "/list/t*", std::string("[of]*"), dir + "/list/../*/four/"}) {
    glob_t found = {};
    SAY(glob(pattern.c_str(), 0, nullptr, &found));
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      const std::string path = found.gl_pathv[i];
      printf("glob %s\n", path.compare(0, dir.size(), dir) == 0 ? path.c_str() + dir.size() : path.c_str());
    }
    globfree(&found);
  }
  glob_t none = {};
  SAY(glob(P("list/none*"), 0, nullptr, &none));
  char resolved[4096];
  printf("realpath %d\n", realpath("five", resolved) != nullptr && resolved == dir + "/list/one");
  printf("realpath %d\n", realpath("none", resolved) == nullptr && errno == ENOENT);
  CALL(chdir, "one");
  CALL(chdir, "..");
  CALL(rmdir, "list");
  for (const char* name : {"list/one", "list/two", "list/three", "list/five"}) SAY(unlink(name));
  CALL(rmdir, "list/four");
  CALL(rmdir, "list");
  CALL(chdir, "/");
}

void Streams() {
  char line[64] = {};
  FILE* stream = fopen(P("stream"), "w+");
  SAY(fprintf(stream, "first %d\nsecond\nthird", 1));
  SAY(ftell(stream));
  SAY(fileno(stream) > 2);
  SAY(fflush(stream));
  struct stat status;
  SAY(fstat(fileno(stream), &status));
  SayStat("flushed", status);
  rewind(stream);
  while (fgets(line, sizeof(line), stream) != nullptr) printf("line %s\n", line);
  SAY(feof(stream));
  SAY(fseek(stream, -5, SEEK_END));
  SAY(fgetc(stream));
  SAY(ungetc('X', stream));
  SAY(fputs("", stream));
  SAY(fclose(stream));
  stream = fopen(P("stream"), "a");
  SAY(fwrite("\nfourth", 1, 7, stream));
  SAY(fclose(stream));
  SAY(reinterpret_cast<long>(fopen(P("stream"), "wx")) != 0);
  SAY(reinterpret_cast<long>(fopen(P("none"), "r")) != 0);
  const int fd = open(P("stream"), O_RDONLY);
  stream = fdopen(fd, "r");
  SAY(fread(line, 1, 63, stream));
  SayText("all", line, 27);
  SAY(fileno(stream) == fd);
  SAY(fclose(stream));
  SAY(close(fd));
  char name[4096];
  snprintf(name, sizeof(name), "%s", P("tempXXXXXX"));
  const int made = mkstemp(name);
  SAY(made >= 0);
  SAY(unlink(name));
  snprintf(name, sizeof(name), "%s", P("dirXXXXXX"));
  SAY(mkdtemp(name) != nullptr);
  SAY(rmdir(name));
  snprintf(name, sizeof(name), "%s", P("badXXX"));
  SAY(mkstemp(name));
  SAY(close(made));
}

void Memory() {
  const int fd = open(P("map"), O_RDWR | O_CREAT | O_TRUNC, 0644);
  SAY(write(fd, "mapped bytes", 12));
  char* at = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
  SayText("private", at, 12);
  at[0] = 'M';
  char first = 0;
  SAY(pread(fd, &first, 1, 0));
  printf("file has %c\n", first);
  SAY(munmap(at, 4096));
  SAY(reinterpret_cast<long>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, fd, 100)));
  struct statfs status = {};
  SAY(fstatfs(fd, &status));
  printf("block size %ld, free %d\n", status.f_bsize, status.f_bfree > 0 && status.f_bfree <= status.f_blocks);
  struct statvfs wide = {};
  SAY(statvfs(P("map"), &wide));
  printf("name max %lu\n", wide.f_namemax);
  SAY(statvfs(P("none"), &wide));
  SAY(pathconf(P("map"), _PC_NAME_MAX));
  sync();
  SAY(close(fd));
}

}  // namespace

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {{"bare", 0}});
  bare = options.Get("bare") != 0;
  dir = options.directory();
  umask(022);
  ReadAndWrite();
  Sizes();
  Names();
  AtADirectory();
  Descriptors();
  Directories();
  Streams();
  Memory();
  return 0;
}
