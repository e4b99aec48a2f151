// The model's own files against the real kernel's: the same calls on both, and every result compared.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "kernel_model/sim/chooser.h"
#include "uapi/errno_name.h"
#include "uapi/host_syscalls.h"

namespace aiolab {
namespace {

// What a sequence of calls gave, in words. Fds are not compared, only whether there is one.
class Transcript {
 public:
  explicit Transcript(Syscalls& kernel) : kernel_(kernel) {}
  ~Transcript() {
    for (int fd : fds_) kernel_.close(fd);
  }

  int Fd(const char* what, long result) {
    lines_.push_back(absl::StrCat(what, ": ", result >= 0 ? "an fd" : ResultName(result)));
    if (result >= 0) fds_.push_back(static_cast<int>(result));
    return static_cast<int>(result);
  }
  void Note(const char* what, long result) { lines_.push_back(absl::StrCat(what, ": ", ResultName(result))); }
  void Text(const char* what, const std::string& text) { lines_.push_back(absl::StrCat(what, ": ", text)); }

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  Syscalls& kernel_;
  std::vector<int> fds_;
  std::vector<std::string> lines_;
};

#define NOTE(call) t.Note(#call, k.call)
#define FD(call) t.Fd(#call, k.call)

// One text, so that a failure shows the lines that differ.
std::string LinesOn(Syscalls& kernel, const std::function<void(Transcript&, Syscalls&)>& calls) {
  Transcript transcript(kernel);
  calls(transcript, kernel);
  return absl::StrJoin(transcript.lines(), "\n");
}

void ExpectSameOnBothKernels(const std::function<void(Transcript&, Syscalls&)>& calls) {
  HostSyscalls host;
  SeededChooser chooser(1);
  Machine machine({.chooser = &chooser, .profile = FindProfile("mainline")});
  EmulatedSyscalls model(machine);
  const std::string expected = LinesOn(host, calls);
  EXPECT_EQ(LinesOn(model, calls), expected);
}

char* KernelAddress() { return reinterpret_cast<char*>(0xffff800000000000); }

// Memory of `size` bytes behind which there is none.
char* BytesBeforeHole(size_t size) {
  static char* const pages = [] {
    void* const map = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_EQ(mprotect(static_cast<char*>(map) + 4096, 4096, PROT_NONE), 0);
    return static_cast<char*>(map);
  }();
  return pages + 4096 - size;
}

TEST(ModelFilesTest, EventfdsCountAsTheKernelsDo) {
  ExpectSameOnBothKernels([](Transcript& t, Syscalls& k) {
    NOTE(eventfd2(0, 4));
    const int fd = FD(eventfd2(3, EFD_NONBLOCK | EFD_SEMAPHORE));
    uint64_t count = 0;
    NOTE(read(fd, &count, 8));
    t.Note("count", static_cast<long>(count));
    NOTE(read(fd, &count, 7));
    NOTE(read(fd, BytesBeforeHole(4), 8));
    NOTE(read(fd, &count, 8));
    NOTE(read(fd, &count, 8));
    count = ~uint64_t{0} - 1;
    NOTE(write(fd, &count, 8));
    NOTE(write(fd, &count, 8));
    NOTE(write(fd, &count, 16));
    NOTE(write(fd, &count, 4));
    NOTE(write(fd, BytesBeforeHole(4), 8));
    pollfd request = {fd, POLLIN | POLLOUT, 0};
    timespec at_once = {};
    t.Note("ppoll", k.ppoll(&request, 1, &at_once, nullptr, 0));
    t.Note("revents", request.revents);
    count = ~uint64_t{0};
    NOTE(write(fd, &count, 8));
    NOTE(pread64(fd, &count, 8, 0));
    NOTE(lseek(fd, 0, SEEK_SET));
    NOTE(ftruncate(fd, 0));
    NOTE(fsync(fd));
    NOTE(fcntl(fd, F_GETFL, 0));
  });
}

TEST(ModelFilesTest, PipesHoldAsManyPagesAndMergeAsTheKernelsDo) {
  ExpectSameOnBothKernels([](Transcript& t, Syscalls& k) {
    int fds[2];
    NOTE(pipe2(fds, 1));
    NOTE(pipe2(reinterpret_cast<int*>(KernelAddress()), 0));
    NOTE(pipe2(fds, O_NONBLOCK));
    const int reader = t.Fd("reader", fds[0]), writer = t.Fd("writer", fds[1]);
    std::string page(4096, 'p'), much(70000, 'm'), room(100000, '\0');
    NOTE(read(reader, room.data(), 10));
    NOTE(write(writer, "abc", 3));
    NOTE(write(writer, page.data(), 4096));  // a page of its own
    NOTE(write(writer, page.data(), 4095));  // fits no page that is there
    NOTE(write(writer, "d", 1));             // behind the last
    NOTE(read(reader, BytesBeforeHole(2), 8));
    NOTE(write(writer, BytesBeforeHole(2), 8));
    NOTE(write(writer, much.data(), much.size()));
    NOTE(write(writer, "x", 1));
    NOTE(read(reader, room.data(), 4000));
    NOTE(write(writer, page.data(), 4096));
    NOTE(read(reader, room.data(), room.size()));
    NOTE(lseek(reader, 0, SEEK_SET));
    NOTE(pread64(reader, room.data(), 1, 0));
    NOTE(pread64(reader, room.data(), 1, -1));
    NOTE(read(writer, room.data(), 1));
    NOTE(write(reader, "x", 1));
    NOTE(write(writer, "", 0));
    NOTE(fcntl(reader, F_GETFL, 0));
    NOTE(fcntl(writer, F_GETFL, 0));
  });
}

TEST(ModelFilesTest, PacketPipesLoseWhatAReadLeaves) {
  ExpectSameOnBothKernels([](Transcript& t, Syscalls& k) {
    int fds[2];
    NOTE(pipe2(fds, O_DIRECT | O_NONBLOCK));
    const int reader = t.Fd("reader", fds[0]), writer = t.Fd("writer", fds[1]);
    char room[64] = {};
    NOTE(write(writer, "first", 5));
    NOTE(write(writer, "second", 6));
    NOTE(read(reader, room, 3));
    NOTE(read(reader, room, sizeof(room)));
    t.Text("what", room);
    NOTE(read(reader, room, sizeof(room)));
  });
}

TEST(ModelFilesTest, MemoryFilesSeekAndGrowAsTheKernelsDo) {
  ExpectSameOnBothKernels([](Transcript& t, Syscalls& k) {
    NOTE(memfd_create("x", 0x1000));
    NOTE(memfd_create(KernelAddress(), 0));
    const int fd = FD(memfd_create("", MFD_CLOEXEC));
    NOTE(fcntl(fd, F_GETFL, 0));
    NOTE(fcntl(fd, F_GETFD, 0));
    NOTE(fcntl(fd, F_SETFL, O_DIRECT));
    NOTE(fcntl(fd, 99, 0));
    NOTE(fcntl(fd, F_DUPFD, -1));
    NOTE(lseek(fd, 0, SEEK_DATA));
    NOTE(write(fd, "0123456789", 10));
    NOTE(lseek(fd, 0, SEEK_CUR));
    NOTE(pwrite64(fd, "x", 1, 20000));
    NOTE(lseek(fd, 0, SEEK_END));
    NOTE(lseek(fd, 5, SEEK_DATA));
    NOTE(lseek(fd, 5, SEEK_HOLE));
    NOTE(lseek(fd, 5000, SEEK_DATA));
    NOTE(lseek(fd, 20001, SEEK_DATA));
    NOTE(lseek(fd, -1, SEEK_SET));
    NOTE(lseek(fd, 0, 9));
    NOTE(ftruncate(fd, -1));
    NOTE(ftruncate(fd, 4));
    NOTE(ftruncate(fd, 8));
    char room[16] = {};
    NOTE(pread64(fd, room, sizeof(room), 0));
    t.Text("what", room);
    struct stat attributes;
    NOTE(fstat(fd, &attributes));
    t.Note("size", attributes.st_size);
    t.Note("blocks", attributes.st_blocks);
    t.Note("mode", attributes.st_mode);
    iovec iov[] = {{room, 2}, {room + 2, 2}};
    NOTE(lseek(fd, 1, SEEK_SET));
    NOTE(preadv2(fd, iov, 2, -1, 0));
    NOTE(lseek(fd, 0, SEEK_CUR));
    NOTE(pwritev2(fd, iov, 2, 6, 0));
    NOTE(pwritev2(fd, iov, 2, -2, 0));
    NOTE(pwritev2(fd, iov, -1, 0, 0));
    NOTE(preadv2(fd, iov, 2, 0, RWF_NOWAIT));
    NOTE(read(fd, KernelAddress(), 1));
    NOTE(read(fd, room, static_cast<size_t>(-1)));
    NOTE(close(-1));
    NOTE(dup(-1));
  });
}

TEST(ModelFilesTest, NamesAreFoundMadeAndRefusedAsInTheKernel) {
  ExpectSameOnBothKernels([](Transcript& t, Syscalls& k) {
    const std::string name = absl::StrCat("/dev/shm/model_files_test_", getpid());
    const std::string below = name + "/x", folder = name + "/", long_name = "/dev/shm/" + std::string(256, 'n');
    const auto open = [&](const char* what, const std::string& path, int flags) {
      return t.Fd(what, k.openat(AT_FDCWD, path.c_str(), flags, 0600));
    };
    open("absent", name, O_RDONLY);
    open("folder to make", folder, O_CREAT | O_RDWR);
    const int fd = open("make", name, O_CREAT | O_EXCL | O_RDWR);
    open("make again", name, O_CREAT | O_EXCL | O_RDWR);
    open("below a file", below, O_RDONLY);
    open("a file as a folder", name, O_RDONLY | O_DIRECTORY);
    open("a file with a slash", folder, O_RDONLY);
    open("a folder to write", "/dev/shm", O_RDWR);
    open("a folder to make", "/dev/shm", O_CREAT | O_RDONLY);
    open("no folder", "/dev/shm/none/x", O_CREAT | O_RDWR);
    open("nothing", "", O_RDONLY);
    open("a long name", long_name, O_RDONLY);
    open("dots", absl::StrCat("/dev/./shm/../shm//", name.substr(9)), O_RDONLY);
    open("tmpfile to read", "/dev/shm", O_TMPFILE | O_RDONLY);
    open("tmpfile", "/dev/shm", O_TMPFILE | O_RDWR);
    open("a new folder", name + "2", O_CREAT | O_DIRECTORY | O_RDWR);
    t.Note("bad pointer", k.openat(AT_FDCWD, KernelAddress(), O_RDONLY, 0));
    t.Note("bad dirfd", k.openat(-7, "x", O_RDONLY, 0));
    t.Note("a file as dirfd", k.openat(fd, "x", O_RDONLY, 0));
    const int dir = open("folder", "/dev/shm", O_RDONLY | O_DIRECTORY);
    t.Fd("relative", k.openat(dir, name.c_str() + 9, O_RDONLY, 0));
    char room[8];
    NOTE(read(dir, room, 8));
    NOTE(pread64(dir, room, 8, 0));
    NOTE(write(dir, room, 8));
    NOTE(write(fd, "data", 4));
    const int appending = open("append", name, O_WRONLY | O_APPEND);
    NOTE(pwrite64(appending, "more", 4, 0));
    NOTE(lseek(fd, 0, SEEK_END));
    open("truncate", name, O_WRONLY | O_TRUNC);
    NOTE(lseek(fd, 0, SEEK_END));
    const int path_fd = open("path", name, O_PATH);
    NOTE(read(path_fd, room, 8));
    NOTE(lseek(path_fd, 0, SEEK_SET));
    NOTE(fcntl(path_fd, F_SETFL, 0));
    FD(dup(path_fd));
    NOTE(unlinkat(AT_FDCWD, folder.c_str(), 0));
    NOTE(unlinkat(AT_FDCWD, name.c_str(), 0));
    NOTE(unlinkat(AT_FDCWD, name.c_str(), 0));
  });
}

TEST(ModelFilesTest, DevicesAnswerAsTheKernelsDo) {
  ExpectSameOnBothKernels([](Transcript& t, Syscalls& k) {
    for (const char* path : {"/dev/null", "/dev/zero", "/dev/full"}) {
      const int fd = t.Fd(path, k.openat(AT_FDCWD, path, O_RDWR, 0));
      char room[8] = "1234567";
      NOTE(read(fd, room, 4));
      t.Note("first", room[0]);
      NOTE(write(fd, room, 4));
      NOTE(write(fd, room, 0));
      NOTE(read(fd, BytesBeforeHole(2), 8));
      NOTE(lseek(fd, 5, SEEK_SET));
      NOTE(pread64(fd, room, 4, 100));
      NOTE(pwrite64(fd, room, 4, -1));
      NOTE(fsync(fd));
      NOTE(ftruncate(fd, 0));
      iovec iov = {room, 4};
      NOTE(pwritev2(fd, &iov, 1, -1, 0));
      NOTE(pwritev2(fd, &iov, 1, 0, RWF_NOWAIT));
      NOTE(fcntl(fd, F_SETFL, O_DIRECT));
    }
    const int number = t.Fd("aio-nr", k.openat(AT_FDCWD, "/proc/sys/fs/aio-nr", O_RDONLY, 0));
    char digit;
    NOTE(read(number, &digit, 1));
    NOTE(read(number, &digit, 1));
    t.Note("to write", k.openat(AT_FDCWD, "/proc/sys/fs/aio-nr", O_WRONLY, 0));
  });
}

TEST(ModelFilesTest, EpollRemembersAsTheKernelDoes) {
  ExpectSameOnBothKernels([](Transcript& t, Syscalls& k) {
    NOTE(epoll_create1(1));
    const int set = FD(epoll_create1(0));
    const int level = FD(eventfd2(1, 0)), edge = FD(eventfd2(1, 0)), once = FD(eventfd2(1, 0));
    const int file = FD(memfd_create("x", 0)), outer = FD(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.u64 = 1;
    const auto wait = [&](const char* what, int epfd) {
      epoll_event events[4] = {};
      const long ready = k.epoll_pwait(epfd, events, 4, 0, nullptr, 0);
      t.Note(what, ready);
      for (long i = 0; i < ready; ++i) t.Text("event", absl::StrCat(events[i].events, " of ", events[i].data.u64));
    };
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, file, &event));
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, set, &event));
    NOTE(epoll_ctl(file, EPOLL_CTL_ADD, level, &event));
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, -1, &event));
    NOTE(epoll_ctl(-1, EPOLL_CTL_ADD, level, &event));
    NOTE(epoll_ctl(set, 9, level, &event));
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, level, nullptr));
    NOTE(epoll_ctl(set, EPOLL_CTL_MOD, level, &event));
    NOTE(epoll_ctl(set, EPOLL_CTL_DEL, level, nullptr));
    wait("empty", set);
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, level, &event));
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, level, &event));
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = 2;
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, edge, &event));
    event.events = EPOLLIN | EPOLLONESHOT;
    event.data.u64 = 3;
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, once, &event));
    event.events = EPOLLIN;
    event.data.u64 = 4;
    NOTE(epoll_ctl(outer, EPOLL_CTL_ADD, set, &event));
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, outer, &event));
    wait("outer", outer);
    wait("all", set);
    wait("again", set);
    const uint64_t one = 1;
    NOTE(write(edge, &one, 8));
    NOTE(write(once, &one, 8));
    wait("after writes", set);
    event.events = EPOLLIN | EPOLLONESHOT;
    event.data.u64 = 5;
    NOTE(epoll_ctl(set, EPOLL_CTL_MOD, once, &event));
    wait("after a MOD", set);
    uint64_t count;
    NOTE(read(level, &count, 8));
    wait("after a read", set);
    wait("outer after a read", outer);
    NOTE(epoll_pwait(set, nullptr, 0, 0, nullptr, 0));
    NOTE(epoll_pwait(file, &event, 1, 0, nullptr, 0));
    NOTE(epoll_pwait(-1, &event, 1, 0, nullptr, 0));
    NOTE(lseek(set, 0, SEEK_SET));
    NOTE(read(set, &count, 8));
    // A closed file leaves its set.
    const int gone = static_cast<int>(k.eventfd2(1, 0));
    event.events = EPOLLIN;
    NOTE(epoll_ctl(set, EPOLL_CTL_ADD, gone, &event));
    NOTE(close(gone));
    wait("after a close", set);
  });
}

TEST(ModelFilesTest, PpollChecksItsArgumentsAsTheKernelDoes) {
  ExpectSameOnBothKernels([](Transcript& t, Syscalls& k) {
    const int fd = FD(eventfd2(0, 0));
    pollfd requests[] = {{fd, POLLIN, 0}, {-1, POLLIN, 7}, {12345, POLLIN, 0}, {fd, POLLOUT, 0}};
    timespec at_once = {}, wrong = {0, 1000000000}, soon = {0, 2000000};
    t.Note("mixed", k.ppoll(requests, 4, &at_once, nullptr, 0));
    for (const pollfd& request : requests) t.Note("revents", request.revents);
    t.Note("timeout", k.ppoll(requests, 1, &soon, nullptr, 0));
    t.Note("left", soon.tv_sec + soon.tv_nsec);
    t.Note("wrong timeout", k.ppoll(requests, 1, &wrong, nullptr, 0));
    t.Note("bad timeout", k.ppoll(requests, 1, reinterpret_cast<timespec*>(KernelAddress()), nullptr, 0));
    t.Note("bad fds", k.ppoll(reinterpret_cast<pollfd*>(KernelAddress()), 1, &at_once, nullptr, 0));
    t.Note("too many", k.ppoll(requests, 2000000, &at_once, nullptr, 0));
    sigset_t none;
    sigemptyset(&none);
    t.Note("wrong mask size", k.ppoll(requests, 1, &at_once, &none, 5));
    t.Note("mask", k.ppoll(requests, 1, &at_once, &none, 8));
  });
}

}  // namespace
}  // namespace aiolab
