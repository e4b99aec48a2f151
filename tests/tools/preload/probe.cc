// A client that looks at the system from where the preload library stands: its clocks, signals, files and ends. The
// first argument says which look; it prints what it sees, and exits with 0 if that is right.
#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <fstream>
#include <string>
#include <thread>

extern char** environ;

namespace {

constexpr char kAioMaxNr[] = "/proc/sys/fs/aio-max-nr";

#define EXPECT(condition)                                                     \
  do {                                                                        \
    if (!(condition)) {                                                       \
      printf("probe: line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
      fflush(stdout);                                                         \
      _exit(1);                                                               \
    }                                                                         \
  } while (false)

long IoSetup(unsigned nr, aio_context_t* ctx) { return syscall(SYS_io_setup, nr, ctx); }
long IoSubmit(aio_context_t ctx, iocb* request) {
  iocb* batch[] = {request};
  return syscall(SYS_io_submit, ctx, 1, batch);
}
long IoGetevents(aio_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) {
  return syscall(SYS_io_getevents, ctx, min_nr, nr, events, timeout);
}

aio_context_t NewContext() {
  aio_context_t ctx = 0;
  EXPECT(IoSetup(8, &ctx) == 0);
  return ctx;
}

int64_t Now(clockid_t clock) {
  timespec now;
  EXPECT(clock_gettime(clock, &now) == 0);
  return now.tv_sec * int64_t{1000000000} + now.tv_nsec;
}

std::string Line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Everything that a client can tell the time by; two runs have to print the same.
int Clocks() {
  printf("%ld %ld %ld\n", static_cast<long>(time(nullptr)), static_cast<long>(Now(CLOCK_MONOTONIC)),
         static_cast<long>(clock()));
  NewContext();
  const uint64_t ticks = __rdtsc();
  const int64_t before = Now(CLOCK_MONOTONIC);
  EXPECT(sleep(3600) == 0);
  EXPECT(usleep(500) == 0);
  EXPECT(poll(nullptr, 0, 10) == 0);
  const int64_t slept = Now(CLOCK_MONOTONIC) - before;
  EXPECT(slept > 3600'010'500'000 && slept < 3600'010'600'000);
  timespec until = {(before + slept) / 1000000000 + 10, 0};
  EXPECT(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == 0);
  EXPECT(Now(CLOCK_MONOTONIC) / 1000000000 == until.tv_sec);
  unsigned cpu;
  const auto passed = static_cast<int64_t>(__rdtscp(&cpu) - ticks);
  EXPECT(passed > 3600'000'000'000 && passed < 3700'000'000'000);
  printf("%ld %ld %ld\n", static_cast<long>(passed), static_cast<long>(Now(CLOCK_REALTIME)),
         static_cast<long>(Now(CLOCK_PROCESS_CPUTIME_ID)));
  return 0;
}

// What cpuid says under the model is what the processor says, but for the counter whose rate never varies.
int Cpuid() {
  NewContext();
  if (syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0) == 1) return 0;  // it cannot be trapped here
  for (const unsigned leaf : {0x0u, 0x1u, 0x7u, 0x80000000u, 0x80000007u}) {
    unsigned shown[4];
    unsigned real[4];
    __cpuid_count(leaf, 0, shown[0], shown[1], shown[2], shown[3]);
    EXPECT(syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1) == 0);
    __cpuid_count(leaf, 0, real[0], real[1], real[2], real[3]);
    EXPECT(syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) == 0);
    constexpr unsigned kInitialApicId = 0xffu << 24;  // of the CPU that this runs on by chance
    if (leaf == 0x1) shown[1] = (shown[1] & ~kInitialApicId) | (real[1] & kInitialApicId);
    if (leaf == 0x80000007) real[3] &= ~(1u << 8);
    EXPECT(memcmp(shown, real, sizeof(real)) == 0);
  }
  return 0;
}

uint64_t ticks_in_handler[2];

void ReadTicks(int) {
  ticks_in_handler[0] = __rdtsc();
  ticks_in_handler[1] = __rdtsc();
}

// A look at the time-stamp counter costs time, except where the model has no room to let time pass.
int AlternateStack() {
  NewContext();
  static char memory[16384];
  for (const int flags : {static_cast<int>(SS_DISABLE), 0}) {
    const stack_t stack = {memory, flags, sizeof(memory)};
    EXPECT(sigaltstack(&stack, nullptr) == 0);
    struct sigaction action = {};
    action.sa_handler = ReadTicks;
    action.sa_flags = SA_ONSTACK;
    EXPECT(sigaction(SIGUSR1, &action, nullptr) == 0);
    EXPECT(raise(SIGUSR1) == 0);
    EXPECT((ticks_in_handler[0] == ticks_in_handler[1]) == (flags != SS_DISABLE));
  }
  return 0;
}

// A second thread's clock goes on with the real one, never back, and its timeouts end.
int Threads() {
  NewContext();
  std::thread other([] {
    int64_t last = Now(CLOCK_MONOTONIC);
    const int64_t first = last;
    while (last - first < 20'000'000) {
      const int64_t now = Now(CLOCK_MONOTONIC);
      EXPECT(now >= last);
      last = now;
    }
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    pthread_mutex_lock(&mutex);
    EXPECT(pthread_cond_timedwait(&condition, &mutex, &until) == ETIMEDOUT);
    const int64_t waited = Now(CLOCK_MONOTONIC) - last;
    EXPECT(waited > 900'000'000 && waited < 10'000'000'000);
    NewContext();  // becomes a client
    EXPECT(Now(CLOCK_MONOTONIC) >= last + waited);
  });
  other.join();
  return 0;
}

volatile sig_atomic_t handled = 0;
aio_context_t handlers_context = 0;

// A handler that calls back into AIO: it may not run inside the call that it interrupted.
void Handler(int, siginfo_t* info, void*) {
  io_event event;
  timespec zero = {};
  handled = handled + 1;
  EXPECT(info->si_code == SI_TIMER || info->si_code == SI_USER || info->si_code == SI_TKILL);
  EXPECT(IoGetevents(handlers_context, 0, 1, &event, &zero) == 0);
}

int Signals() {
  handlers_context = NewContext();
  struct sigaction action = {};
  action.sa_sigaction = Handler;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigaddset(&action.sa_mask, SIGSEGV);
  EXPECT(sigaction(SIGALRM, &action, nullptr) == 0);
  struct sigaction old = {};
  EXPECT(sigaction(SIGALRM, nullptr, &old) == 0);
  EXPECT(old.sa_sigaction == Handler && sigismember(&old.sa_mask, SIGSEGV) == 1);

  timer_t timer;
  EXPECT(timer_create(CLOCK_MONOTONIC, nullptr, &timer) == 0);
  const itimerspec soon = {{0, 0}, {0, 50'000'000}};
  io_event event;
  EXPECT(timer_settime(timer, 0, &soon, nullptr) == 0);
  // io_getevents is never restarted.
  EXPECT(IoGetevents(handlers_context, 1, 1, &event, nullptr) == -1 && errno == EINTR);
  EXPECT(handled == 1);
  // The interruption is used up.
  timespec brief = {0, 1000};
  EXPECT(IoGetevents(handlers_context, 1, 1, &event, &brief) == 0);

  EXPECT(timer_settime(timer, 0, &soon, nullptr) == 0);
  int pipe_ends[2];
  EXPECT(pipe(pipe_ends) == 0);
  pollfd poll_pipe = {pipe_ends[0], POLLIN, 0};
  EXPECT(poll(&poll_pipe, 1, -1) == -1 && errno == EINTR);
  EXPECT(handled == 2);

  // ppoll's mask lets in what is blocked before and after.
  sigset_t alarm_only;
  sigset_t none;
  sigemptyset(&none);
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  EXPECT(sigprocmask(SIG_BLOCK, &alarm_only, nullptr) == 0);
  raise(SIGALRM);
  EXPECT(handled == 2);
  const timespec minute = {60, 0};
  EXPECT(ppoll(&poll_pipe, 1, &minute, &none) == -1 && errno == EINTR);
  EXPECT(handled == 3);
  return 0;
}

volatile sig_atomic_t faults = 0;
void* fault_page = nullptr;
void OnFault(int, siginfo_t* info, void*) {
  EXPECT(info->si_addr == fault_page);
  faults = faults + 1;
  mprotect(fault_page, 4096, PROT_READ | PROT_WRITE);
}

// A bad pointer is EFAULT, with all signals blocked and with a handler of the client's own, which gets its own faults.
int Faults() {
  fault_page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct sigaction action = {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO;
  EXPECT(sigaction(SIGSEGV, &action, nullptr) == 0);
  struct sigaction old = {};
  EXPECT(sigaction(SIGSEGV, nullptr, &old) == 0 && old.sa_sigaction == OnFault);
  const aio_context_t ctx = NewContext();
  EXPECT(IoSubmit(ctx, static_cast<iocb*>(fault_page)) == -1 && errno == EFAULT);
  EXPECT(faults == 0);

  sigset_t all;
  sigset_t blocked;
  sigfillset(&all);
  EXPECT(pthread_sigmask(SIG_BLOCK, &all, nullptr) == 0);
  EXPECT(pthread_sigmask(SIG_BLOCK, nullptr, &blocked) == 0 && sigismember(&blocked, SIGSEGV) == 1);
  EXPECT(IoSubmit(ctx, static_cast<iocb*>(fault_page)) == -1 && errno == EFAULT);
  std::thread([ctx] {
    sigset_t inherited;
    EXPECT(pthread_sigmask(SIG_BLOCK, nullptr, &inherited) == 0 && sigismember(&inherited, SIGSEGV) == 1);
    EXPECT(IoSubmit(ctx, static_cast<iocb*>(fault_page)) == -1 && errno == EFAULT);
  }).join();
  EXPECT(pthread_sigmask(SIG_UNBLOCK, &all, nullptr) == 0);

  *static_cast<volatile char*>(fault_page) = 1;
  EXPECT(faults == 1);
  return 0;
}

// Without a handler, a fault of the client's is its end.
int Crash() {
  NewContext();
  *static_cast<volatile char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) = 1;
  return 0;
}

int ProcFiles() {
  EXPECT(Line("/proc/sys/fs/aio-nr") == "0");
  EXPECT(Line(kAioMaxNr) == "65536");
  NewContext();
  EXPECT(Line("/proc/sys/fs/aio-nr") == "8");
  const int fd = open(kAioMaxNr, O_WRONLY);
  EXPECT(fd >= 0 && write(fd, "10\n", 3) == 3 && close(fd) == 0);
  EXPECT(Line(kAioMaxNr) == "10");
  aio_context_t ctx = 0;
  EXPECT(IoSetup(8, &ctx) == -1 && errno == EAGAIN);
  FILE* file = fopen(kAioMaxNr, "w");
  EXPECT(file != nullptr && fprintf(file, "100\n") == 4 && fclose(file) == 0);
  EXPECT(IoSetup(8, &ctx) == 0);
  EXPECT(syscall(SYS_io_uring_setup, 8, nullptr) == -1 && errno == ENOSYS);
  return 0;
}

// A request goes on with the file that it was submitted for, whatever the client does with the fd, and the duplicate by
// which it does so is not the client's.
int ClosesInFlight() {
  const aio_context_t ctx = NewContext();
  const int spare = open("/dev/null", O_RDONLY);
  const auto check = [&](const char* how, auto&& close_it) {
    char path[] = "probe_XXXXXX";
    const int fd = mkstemp(path);
    EXPECT(fd >= 0 && unlink(path) == 0 && write(fd, "mine", 4) == 4);
    char buf[8] = {};
    iocb request = {};
    request.aio_lio_opcode = IOCB_CMD_PREAD;
    request.aio_fildes = static_cast<uint32_t>(fd);
    request.aio_buf = reinterpret_cast<uint64_t>(buf);
    request.aio_nbytes = sizeof(buf);
    EXPECT(IoSubmit(ctx, &request) == 1);
    close_it(fd);
    // The number is another file's by now.
    char other_path[] = "probe_XXXXXX";
    const int other = mkstemp(other_path);
    EXPECT(other >= 0 && unlink(other_path) == 0 && write(other, "no", 2) == 2);
    io_event event;
    EXPECT(IoGetevents(ctx, 1, 1, &event, nullptr) == 1);
    printf("%s: %lld %s\n", how, static_cast<long long>(event.res), buf);
    EXPECT(event.res == 4 && strcmp(buf, "mine") == 0);
    EXPECT(close(other) == 0);
  };
  check("close", [](int fd) { EXPECT(close(fd) == 0); });
  check("SYS_close", [](int fd) { EXPECT(syscall(SYS_close, fd) == 0); });
  check("close_range", [](int fd) { EXPECT(close_range(static_cast<unsigned>(fd), ~0u, 0) == 0); });
  check("closefrom", [](int fd) { closefrom(fd); });
  check("dup2", [&](int fd) { EXPECT(dup2(spare, fd) == fd); });
  check("SYS_dup3", [&](int fd) { EXPECT(syscall(SYS_dup3, spare, fd, O_CLOEXEC) == fd); });
  check("fclose", [](int fd) { EXPECT(fclose(fdopen(fd, "r")) == 0); });
  check("one by one, twice", [](int first) {
    int closed = 0;
    for (int fd = first; fd < 3000; ++fd) closed += close(fd) == 0;
    for (int fd = first; fd < 3000; ++fd) closed += syscall(SYS_close, fd) == 0;
    EXPECT(closed == 1);
  });
  return 0;
}

// Reads both pages of a file until it has told of each kind of advice what that left cached. The report tells how many
// pages had to be brought in.
int Advice() {
  const aio_context_t ctx = NewContext();
  char path[] = "probe_XXXXXX";
  const int fd = mkstemp(path);
  const int same = open(path, O_RDONLY);
  constexpr off_t kSize = 4096 + 100;
  EXPECT(fd >= 0 && same >= 0 && unlink(path) == 0 && ftruncate(fd, kSize) == 0);
  const auto read_pages = [&] {
    for (const off_t pos : {0, 4096}) {
      char buf[100];
      iocb request = {};
      request.aio_lio_opcode = IOCB_CMD_PREAD;
      request.aio_fildes = static_cast<uint32_t>(fd);
      request.aio_buf = reinterpret_cast<uint64_t>(buf);
      request.aio_nbytes = sizeof(buf);
      request.aio_offset = pos;
      EXPECT(IoSubmit(ctx, &request) == 1);
      io_event event;
      EXPECT(IoGetevents(ctx, 1, 1, &event, nullptr) == 1 && event.res == sizeof(buf));
    }
  };
  read_pages();  // 2
  EXPECT(posix_fadvise(fd, 0, 100, POSIX_FADV_DONTNEED) == 0);
  EXPECT(posix_fadvise(fd, 1, 4095, POSIX_FADV_DONTNEED) == 0);
  EXPECT(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
  EXPECT(posix_fadvise(fd, 0, -1, POSIX_FADV_DONTNEED) == EINVAL);
  read_pages();  // 0: no page as a whole was let go
  EXPECT(posix_fadvise(same, 0, 4096, POSIX_FADV_DONTNEED) == 0);
  read_pages();  // 1
  EXPECT(syscall(SYS_fadvise64, fd, 4096, kSize - 4096, POSIX_FADV_DONTNEED) == 0);
  read_pages();  // 1: the rest of the last page is behind the end
  EXPECT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
  read_pages();  // 2
  return 0;
}

void WaitFor(pid_t child, int status) {
  int wait_status;
  EXPECT(waitpid(child, &wait_status, 0) == child);
  EXPECT(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == status);
}

// The ways to start a program, each from a process with a context, which stays usable where the process goes on.
int Exec() {
  const aio_context_t ctx = NewContext();
  char* shell[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>("exit 7"), nullptr};
  pid_t child;
  EXPECT(posix_spawnp(&child, "sh", nullptr, nullptr, shell, environ) == 0);
  WaitFor(child, 7);
  EXPECT(WEXITSTATUS(system("exit 8")) == 8);
  child = vfork();
  if (child == 0) {
    execvp("sh", shell);
    _exit(1);
  }
  WaitFor(child, 7);
  child = fork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", "exit 9", static_cast<char*>(nullptr));
    _exit(1);
  }
  WaitFor(child, 9);
  // One that fails leaves everything as it was.
  EXPECT(execv("/no/such/program", shell) == -1 && errno == ENOENT);
  EXPECT(execvp("no_such_program", shell) == -1 && errno == ENOENT);
  const int zero = open("/dev/zero", O_RDONLY);
  char buf[16];
  iocb request = {};
  request.aio_lio_opcode = IOCB_CMD_PREAD;
  request.aio_fildes = static_cast<uint32_t>(zero);
  request.aio_buf = reinterpret_cast<uint64_t>(buf);
  request.aio_nbytes = sizeof(buf);
  EXPECT(IoSubmit(ctx, &request) == 1);
  io_event event;
  EXPECT(IoGetevents(ctx, 1, 1, &event, nullptr) == 1 && event.res == sizeof(buf));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string look = argc > 1 ? argv[1] : "";
  alarm(0);
  if (look == "clocks") return Clocks();
  if (look == "cpuid") return Cpuid();
  if (look == "alternate_stack") return AlternateStack();
  if (look == "threads") return Threads();
  if (look == "signals") return Signals();
  if (look == "faults") return Faults();
  if (look == "crash") return Crash();
  if (look == "proc_files") return ProcFiles();
  if (look == "exec") return Exec();
  if (look == "advice") return Advice();
  if (look == "closes_in_flight") return ClosesInFlight();
  // The ends of a process: each leaves a report.
  NewContext();
  if (look == "return") return 11;
  if (look == "exit") exit(11);
  if (look == "_exit") _exit(11);
  if (look == "_Exit") _Exit(11);
  if (look == "quick_exit") quick_exit(11);
  if (look == "daemon") return daemon(1, 1);
  if (look == "exit_group") syscall(SYS_exit_group, 11);
  if (look == "execve") execlp("sh", "sh", "-c", "exit 11", static_cast<char*>(nullptr));
  return 1;
}
