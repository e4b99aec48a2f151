// A client that meets signals. The first argument says how; what is wrong it prints, and exits with 1.
//
//   signal_probe die SIGNAL       submits a write to the file "written" and raises SIGNAL
//   signal_probe actions          looks at the actions of all signals, and changes some
//   signal_probe alarms           is waked by timers from all kinds of waits
//   signal_probe alarm_in_an_hour
//   signal_probe bad_pointers     hands them to all kinds of waits
//   signal_probe waits            waits for an event that nobody will bring, and has itself killed after 4 s
//   signal_probe ends_with N      makes 20,000 calls, and exits with N
//   signal_probe exec SCRIPT      ignores SIGTERM and SIGBUS and lets sh run SCRIPT in its place
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // some of these functions are as old as their clients

namespace {

#define EXPECT(condition)                                                            \
  do {                                                                               \
    if (!(condition)) {                                                              \
      printf("signal_probe: line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
      fflush(stdout);                                                                \
      _exit(1);                                                                      \
    }                                                                                \
  } while (false)

aio_context_t NewContext() {
  aio_context_t ctx = 0;
  EXPECT(syscall(SYS_io_setup, 8, &ctx) == 0);
  return ctx;
}

int Die(int signal) {
  const aio_context_t ctx = NewContext();
  const int fd = open("written", O_RDWR | O_CREAT | O_TRUNC, 0600);
  EXPECT(fd >= 0);
  static char text[] = "in flight";
  iocb request = {};
  request.aio_lio_opcode = IOCB_CMD_PWRITE;
  request.aio_fildes = static_cast<uint32_t>(fd);
  request.aio_buf = reinterpret_cast<uint64_t>(text);
  request.aio_nbytes = strlen(text);
  iocb* batch[] = {&request};
  EXPECT(syscall(SYS_io_submit, ctx, 1, batch) == 1);
  if (signal == SIGABRT) abort();
  if (signal == SIGSEGV) {
    *static_cast<volatile char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) = 1;
  }
  if (signal == SIGTRAP) asm volatile("int3");
  if (signal == SIGILL) asm volatile("ud2");
  kill(getpid(), signal);
  return 1;
}

void Handler(int) {}

// What the client sees of its actions is what it set, before and after the first context.
int Actions() {
  for (int round = 0; round < 2; ++round) {
    for (int signo = 1; signo < 65; ++signo) {
      struct sigaction action;
      memset(&action, 0, sizeof(action));
      action.sa_handler = SIG_ERR;
      if (signo == 32 || signo == 33) continue;  // the C library's own
      EXPECT(sigaction(signo, nullptr, &action) == 0);
      constexpr int kRestorer = 0x04000000;  // the C library's own affair
      EXPECT(action.sa_handler == SIG_DFL && (action.sa_flags & ~kRestorer) == 0);
      EXPECT(sigisemptyset(&action.sa_mask));
    }
    EXPECT(signal(SIGUSR1, Handler) == SIG_DFL);
    EXPECT(signal(SIGUSR1, SIG_IGN) == Handler);
    EXPECT(raise(SIGUSR1) == 0);
    EXPECT(sigset(SIGUSR1, SIG_DFL) == SIG_IGN);
    EXPECT(sigset(SIGUSR1, SIG_HOLD) == SIG_DFL);
    EXPECT(raise(SIGUSR1) == 0);
    EXPECT(sigignore(SIGUSR1) == 0);
    EXPECT(sigset(SIGUSR1, SIG_DFL) == SIG_HOLD);
    EXPECT(ssignal(SIGUSR1, SIG_DFL) == SIG_DFL);
    struct sigaction once = {};
    once.sa_handler = Handler;
    once.sa_flags = static_cast<int>(SA_RESETHAND);
    EXPECT(sigaction(SIGUSR2, &once, nullptr) == 0 && raise(SIGUSR2) == 0);
    EXPECT(signal(SIGUSR2, SIG_DFL) == SIG_DFL);
    for (const int signo : {SIGUSR1, SIGUSR2}) {
      const struct sigaction none = {};
      EXPECT(sigaction(signo, &none, nullptr) == 0);
    }
    NewContext();
  }
  return 0;
}

int64_t NowMs() {
  timespec now;
  EXPECT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

volatile sig_atomic_t alarms = 0;
void OnAlarm(int) { alarms = alarms + 1; }

void HandleAlarm(int flags) {
  struct sigaction action = {};
  action.sa_handler = OnAlarm;
  action.sa_flags = flags;
  EXPECT(sigaction(SIGALRM, &action, nullptr) == 0);
}

void SetTimer(int ms, int interval_ms = 0) {
  const itimerval timer = {{0, interval_ms * 1000}, {0, ms * 1000}};
  EXPECT(setitimer(ITIMER_REAL, &timer, nullptr) == 0);
}

// `wait` is ended by an alarm in 100 ms, by its own clock.
template <typename Wait>
void EndsByAlarm(Wait wait) {
  const int before = alarms;
  const int64_t start_ms = NowMs();
  SetTimer(100);
  wait();
  const int64_t passed_ms = NowMs() - start_ms;
  if (passed_ms < 99 || passed_ms > 5000) printf("%ld ms\n", static_cast<long>(passed_ms));
  EXPECT(passed_ms >= 99 && passed_ms <= 5000);
  EXPECT(alarms == before + 1);
}

pid_t ChildThatEndsIn(int ms) {
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < ms / 10; ++i) poll(nullptr, 0, 10);
    _exit(0);
  }
  return child;
}

int Alarms() {
  HandleAlarm(0);
  SetTimer(900);
  const aio_context_t ctx = NewContext();
  itimerval left;
  EXPECT(getitimer(ITIMER_REAL, &left) == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_usec > 100'000);
  EXPECT(alarm(0) == 1);
  EXPECT(getitimer(ITIMER_REAL, &left) == 0 && left.it_value.tv_usec == 0);
  const itimerval bad = {{0, 0}, {0, 1'000'000}};
  EXPECT(setitimer(ITIMER_REAL, &bad, nullptr) == -1 && errno == EINVAL);

  io_event event;
  EndsByAlarm([&] { EXPECT(syscall(SYS_io_getevents, ctx, 1, 1, &event, nullptr) == -1 && errno == EINTR); });
  EndsByAlarm([] { EXPECT(pause() == -1 && errno == EINTR); });
  EndsByAlarm([] { EXPECT(usleep(900'000) == -1 && errno == EINTR); });
  int ends[2];
  EXPECT(pipe(ends) == 0);
  char c;
  EndsByAlarm([&] { EXPECT(read(ends[0], &c, 1) == -1 && errno == EINTR); });
  pollfd poll_pipe = {ends[0], POLLIN, 0};
  EndsByAlarm([&] { EXPECT(poll(&poll_pipe, 1, 60'000) == -1 && errno == EINTR); });
  EndsByAlarm([] {
    const int before = alarms;
    while (alarms == before) {
    }
  });

  // Every 40 ms, until it is stopped.
  const int before = alarms;
  SetTimer(40, 40);
  for (int i = 0; i < 3; ++i) EXPECT(pause() == -1 && errno == EINTR);
  SetTimer(0);
  EXPECT(alarms >= before + 3);

  // Blocked, it is waited for by name.
  sigset_t alarm_only;
  sigset_t mask;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  EXPECT(sigprocmask(SIG_BLOCK, &alarm_only, &mask) == 0);
  EndsByAlarm([&] { EXPECT(sigsuspend(&mask) == -1 && errno == EINTR); });
  int signo = 0;
  SetTimer(100);
  EXPECT(sigwait(&alarm_only, &signo) == 0 && signo == SIGALRM);
  SetTimer(100);
  siginfo_t info;
  const timespec minute = {60, 0};
  EXPECT(sigtimedwait(&alarm_only, &info, &minute) == SIGALRM && info.si_signo == SIGALRM);
  const timespec brief = {0, 1'000'000};
  EXPECT(sigtimedwait(&alarm_only, &info, &brief) == -1 && errno == EAGAIN);
  EXPECT(sigprocmask(SIG_SETMASK, &mask, nullptr) == 0);

  // waitpid goes on behind a handler with SA_RESTART, and only behind such a one.
  pid_t child = ChildThatEndsIn(400);
  int status = 0;
  EndsByAlarm([&] { EXPECT(waitpid(child, &status, 0) == -1 && errno == EINTR); });
  HandleAlarm(SA_RESTART);
  EndsByAlarm([&] { EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status)); });
  child = ChildThatEndsIn(200);
  EndsByAlarm([&] { EXPECT(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED) == 0 && info.si_pid == child); });
  child = ChildThatEndsIn(200);
  info.si_pid = 0;
  EndsByAlarm([&] { EXPECT(syscall(SYS_waitid, P_PID, child, &info, WEXITED, nullptr) == 0 && info.si_pid == child); });
  EXPECT(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
  return 0;
}

int AlarmInAnHour() {
  HandleAlarm(0);
  const aio_context_t ctx = NewContext();
  io_event event;
  const int64_t start_ms = NowMs();
  alarm(3600);
  EXPECT(syscall(SYS_io_getevents, ctx, 1, 1, &event, nullptr) == -1 && errno == EINTR);
  const int64_t passed_ms = NowMs() - start_ms;
  EXPECT(passed_ms >= 3'600'000 && passed_ms < 3'601'000);
  alarm(60);
  EXPECT(sleep(100) == 40);
  EXPECT(alarms == 2);
  return 0;
}

int BadPointers() {
  NewContext();
  void* const bad = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#define EXPECT_EFAULT(call) EXPECT((call) == -1 && errno == EFAULT)
  EXPECT_EFAULT(nanosleep(static_cast<timespec*>(bad), nullptr));
  EXPECT(clock_nanosleep(CLOCK_MONOTONIC, 0, static_cast<timespec*>(bad), nullptr) == EFAULT);
  EXPECT_EFAULT(poll(static_cast<pollfd*>(bad), 1, 10));
  const timespec brief = {0, 1000};
  EXPECT_EFAULT(syscall(SYS_ppoll, nullptr, 0, bad, nullptr, 8));
  EXPECT_EFAULT(syscall(SYS_ppoll, nullptr, 0, &brief, bad, 8));
  EXPECT(syscall(SYS_ppoll, nullptr, 0, &brief, bad, 4) == -1 && errno == EINVAL);
  EXPECT_EFAULT(ppoll(nullptr, 0, &brief, static_cast<sigset_t*>(bad)));
  EXPECT_EFAULT(select(1, static_cast<fd_set*>(bad), nullptr, nullptr, nullptr));
  EXPECT_EFAULT(pselect(1, nullptr, static_cast<fd_set*>(bad), nullptr, &brief, nullptr));
  sigset_t none;
  sigemptyset(&none);
  EXPECT_EFAULT(sigtimedwait(&none, nullptr, static_cast<timespec*>(bad)));
  EXPECT_EFAULT(setitimer(ITIMER_REAL, static_cast<itimerval*>(bad), nullptr));
  EXPECT_EFAULT(getitimer(ITIMER_REAL, static_cast<itimerval*>(bad)));
  EXPECT_EFAULT(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad));
  EXPECT_EFAULT(syscall(SYS_gettimeofday, bad, nullptr));
  EXPECT_EFAULT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, nullptr, 8));
  EXPECT_EFAULT(syscall(SYS_rt_sigaction, SIGUSR1, bad, nullptr, 8));
  return 0;
}

int Waits() {
  const aio_context_t ctx = NewContext();
  const pid_t self = getpid();
  if (fork() == 0) {
    for (int i = 0; i < 400; ++i) poll(nullptr, 0, 10);
    kill(self, SIGTERM);
    _exit(0);
  }
  io_event events[3];
  syscall(SYS_io_getevents, ctx, 3, 3, events, nullptr);
  return 1;
}

int EndsWith(int status) {
  const aio_context_t ctx = NewContext();
  io_event event;
  timespec zero = {};
  for (int i = 0; i < 20'000; ++i) EXPECT(syscall(SYS_io_getevents, ctx, 0, 1, &event, &zero) == 0);
  return status;
}

int Exec(const char* script) {
  NewContext();
  signal(SIGTERM, SIG_IGN);
  signal(SIGBUS, SIG_IGN);
  alarm(2);
  execlp("sh", "sh", "-c", script, static_cast<char*>(nullptr));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "";
  if (how == "die" && argc == 3) return Die(atoi(argv[2]));
  if (how == "actions") return Actions();
  if (how == "ends_with" && argc == 3) return EndsWith(atoi(argv[2]));
  if (how == "waits") return Waits();
  if (how == "bad_pointers") return BadPointers();
  if (how == "alarms") return Alarms();
  if (how == "alarm_in_an_hour") return AlarmInAnHour();
  if (how == "exec" && argc == 3) return Exec(argv[2]);
  return 1;
}
