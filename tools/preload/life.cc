#include "tools/preload/life.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/preload/clock.h"
#include "tools/preload/notes.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/simfs.h"
#include "tools/preload/thread_state.h"
#include "tools/preload/timers.h"
#include "tools/preload/user_memory.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

// Whether execveat would get past the checks after which there is no way back.
bool LooksRunnable(int dirfd, const char* path, int flags) {
  if (path == nullptr) return false;
  struct stat file;
  if (RawSyscall(__NR_newfstatat, dirfd, path, &file, flags & AT_EMPTY_PATH) != 0) return false;
  if (!S_ISREG(file.st_mode)) return false;
  if (path[0] == '\0') return true;
  return RawSyscall(__NR_faccessat2, dirfd, path, X_OK, AT_EACCESS) == 0;
}

}  // namespace

long ExecAt(int dirfd, const char* path, char* const* argv, char* const* envp, int flags) {
  const bool finishes = Active() && LooksRunnable(dirfd, path, flags);
  if (finishes) {
    if (simfs_files.load() != nullptr && OwnsMemory()) {
      AddWarning(absl::StrCat("it executed ", path[0] == '\0' ? "another program" : path,
                              ", which does not see the files under ", TheSimfsSpec()->prefix));
    }
    GiveTimerToHost();
    FinishForExec();
  }
  long ret;
  {
    const ScopedRealTimeStampCounter real_counter;
    ret = dirfd == AT_FDCWD && flags == 0 ? RawSyscall(__NR_execve, path, argv, envp)
                                          : RawSyscall(__NR_execveat, dirfd, path, argv, envp, flags);
  }
  if (finishes) TakeTimerFromHost();
  return ret;
}

namespace {

int Exec(const char* path, char* const* argv, char* const* envp) {
  errno = static_cast<int>(-ExecAt(AT_FDCWD, path, argv, envp, 0));
  return -1;
}

// As execvp looks for `file`: the first in PATH that starts; a script without #! goes to the shell.
int ExecInPath(const char* file, char* const* argv, char* const* envp) {
  if (file == nullptr || *file == '\0') {
    errno = ENOENT;
    return -1;
  }
  const auto try_one = [&](const char* path) {
    Exec(path, argv, envp);
    if (errno != ENOEXEC) return;
    std::vector<char*> shell = {const_cast<char*>("/bin/sh"), const_cast<char*>(path)};
    for (size_t i = 0; argv[0] != nullptr && (i == 0 || shell.back() != nullptr); ++i) shell.push_back(argv[i + 1]);
    if (shell.back() != nullptr) shell.push_back(nullptr);
    Exec("/bin/sh", shell.data(), envp);
    errno = ENOEXEC;
  };
  if (strchr(file, '/') != nullptr) {
    try_one(file);
    return -1;
  }
  const char* variable = getenv("PATH");
  const std::string path = variable != nullptr ? variable : "/bin:/usr/bin";
  bool denied = false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const std::string directory = path.substr(begin, end - begin);
    try_one((directory.empty() ? std::string(file) : directory + "/" + file).c_str());
    denied |= errno == EACCES;
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV &&
        errno != ETIMEDOUT) {
      return -1;
    }
    begin = end + 1;
  }
  errno = denied ? EACCES : ENOENT;
  return -1;
}

// The arguments of execl and its kin, up to the null pointer.
std::vector<char*> Arguments(const char* first, va_list& rest) {
  std::vector<char*> argv = {const_cast<char*>(first)};
  while (argv.back() != nullptr) argv.push_back(va_arg(rest, char*));
  return argv;
}

// What a new thread takes over from its maker.
struct ThreadStart {
  void* (*run)(void*);
  void* argument;
  unsigned char blocked_faults;
};

void* RunThread(void* start) {
  const ThreadStart mine = *static_cast<ThreadStart*>(start);
  free(start);
  Me().blocked_faults = mine.blocked_faults;
  return mine.run(mine.argument);
}

RealFunction<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)> real_pthread_create("pthread_create");
RealFunction<int(thrd_t*, thrd_start_t, void*)> real_thrd_create("thrd_create");
RealFunction<void(int)> real_exit_now("_exit");
RealFunction<int(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const*,
                 char* const*)>
    real_posix_spawn("posix_spawn", "GLIBC_2.15");
RealFunction<int(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const*,
                 char* const*)>
    real_posix_spawnp("posix_spawnp", "GLIBC_2.15");
RealFunction<int(int*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const*,
                 char* const*)>
    real_pidfd_spawn("pidfd_spawn");
RealFunction<int(int*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const*,
                 char* const*)>
    real_pidfd_spawnp("pidfd_spawnp");
RealFunction<int(const char*)> real_system("system");
RealFunction<FILE*(const char*, const char*)> real_popen("popen");
RealFunction<int(pthread_cond_t*, pthread_mutex_t*, const timespec*)> real_cond_timedwait("pthread_cond_timedwait",
                                                                                          "GLIBC_2.3.2");
RealFunction<int(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)> real_cond_clockwait(
    "pthread_cond_clockwait");
RealFunction<int(pthread_mutex_t*, const timespec*)> real_mutex_timedlock("pthread_mutex_timedlock");
RealFunction<int(pthread_mutex_t*, clockid_t, const timespec*)> real_mutex_clocklock("pthread_mutex_clocklock");
RealFunction<int(pthread_rwlock_t*, const timespec*)> real_timedrdlock("pthread_rwlock_timedrdlock");
RealFunction<int(pthread_rwlock_t*, const timespec*)> real_timedwrlock("pthread_rwlock_timedwrlock");
RealFunction<int(pthread_t, void**, const timespec*)> real_timedjoin("pthread_timedjoin_np");
RealFunction<int(sem_t*, const timespec*)> real_sem_timedwait("sem_timedwait");
RealFunction<int(sem_t*, clockid_t, const timespec*)> real_sem_clockwait("sem_clockwait");
RealFunction<ssize_t(mqd_t, char*, size_t, unsigned*, const timespec*)> real_mq_timedreceive("mq_timedreceive");
RealFunction<int(mqd_t, const char*, size_t, unsigned, const timespec*)> real_mq_timedsend("mq_timedsend");
RealFunction<int(int, int, const itimerspec*, itimerspec*)> real_timerfd_settime("timerfd_settime");
RealFunction<int(timer_t, int, const itimerspec*, itimerspec*)> real_timer_settime("timer_settime");

// A moment that the client computed from its own clock, for a function that knows the real one only.
class Moment {
 public:
  Moment(clockid_t clock, const timespec* client) : client_(client) {
    if (client == nullptr || !VirtualClock()) return;
    real_ = RealMoment(clock, *client);
    // An invalid one stays so.
    if (client->tv_nsec >= 0 && client->tv_nsec < kNanosecondsPerSecond) client_ = &real_;
  }
  operator const timespec*() const { return client_; }  // NOLINT: it stands for one

 private:
  const timespec* client_;
  timespec real_ = {};
};

// The clock that pthread_condattr_setclock chose is in the condition's own words; there is no function that tells.
clockid_t ClockOf(const pthread_cond_t* condition) {
  constexpr unsigned kMonotonic = 2;
  return (condition->__data.__wrefs & kMonotonic) != 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

// A timer does not tell its clock either, but no uptime is as large as the time of day.
itimerspec RealTimer(const char* function, const itimerspec& client, int absolute_flag, int flags) {
  itimerspec real = client;
  const bool is_set = client.it_value.tv_sec != 0 || client.it_value.tv_nsec != 0;
  if (is_set) {
    AddWarning(absl::StrCat("a timer of ", function,
                            " runs in real time (alarm and setitimer in the model's): what it brings does not repeat"));
  }
  if ((flags & absolute_flag) != 0 && is_set) {
    real.it_value =
        RealMoment(client.it_value.tv_sec > 1'000'000'000 ? CLOCK_REALTIME : CLOCK_MONOTONIC, client.it_value);
  }
  return real;
}

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

INTERPOSE(int, pthread_create,
          (pthread_t * thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument)) {
  if (!Active()) return real_pthread_create(thread, attributes, run, argument);
  NoteThreadCreation();
  auto* start = static_cast<ThreadStart*>(malloc(sizeof(ThreadStart)));
  if (start == nullptr) return EAGAIN;
  *start = {run, argument, Me().blocked_faults};
  const int error = real_pthread_create(thread, attributes, RunThread, start);
  if (error != 0) free(start);
  return error;
}

INTERPOSE(int, thrd_create, (thrd_t * thread, thrd_start_t run, void* argument)) {
  if (Active()) NoteThreadCreation();
  return real_thrd_create(thread, run, argument);
}

INTERPOSE(void, _exit, (int status)) {
  Finish();
  real_exit_now(status);
}

// The C library's own ends the parent by an _exit that no symbol reaches.
INTERPOSE(int, daemon, (int nochdir, int noclose)) {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child > 0) _exit(0);
  if (setsid() < 0) return -1;
  if (nochdir == 0) (void)!chdir("/");
  if (noclose != 0) return 0;
  const int null = open("/dev/null", O_RDWR);
  if (null < 0) return -1;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
  if (null > STDERR_FILENO) close(null);
  return 0;
}

INTERPOSE(void, _Exit, (int status)) {
  Finish();
  real_exit_now(status);
}

INTERPOSE(int, execve, (const char* path, char* const* argv, char* const* envp)) { return Exec(path, argv, envp); }

INTERPOSE(int, execv, (const char* path, char* const* argv)) { return Exec(path, argv, environ); }

INTERPOSE(int, execvp, (const char* file, char* const* argv)) { return ExecInPath(file, argv, environ); }

INTERPOSE(int, execvpe, (const char* file, char* const* argv, char* const* envp)) {
  return ExecInPath(file, argv, envp);
}

INTERPOSE(int, execveat, (int dirfd, const char* path, char* const* argv, char* const* envp, int flags)) {
  errno = static_cast<int>(-ExecAt(dirfd, path, argv, envp, flags));
  return -1;
}

INTERPOSE(int, fexecve, (int fd, char* const* argv, char* const* envp)) {
  errno = static_cast<int>(-ExecAt(fd, "", argv, envp, AT_EMPTY_PATH));
  return -1;
}

INTERPOSE(int, execl, (const char* path, const char* first, ...)) {
  va_list rest;
  va_start(rest, first);
  const std::vector<char*> argv = Arguments(first, rest);
  va_end(rest);
  return Exec(path, argv.data(), environ);
}

INTERPOSE(int, execlp, (const char* file, const char* first, ...)) {
  va_list rest;
  va_start(rest, first);
  const std::vector<char*> argv = Arguments(first, rest);
  va_end(rest);
  return ExecInPath(file, argv.data(), environ);
}

INTERPOSE(int, execle, (const char* path, const char* first, ...)) {
  va_list rest;
  va_start(rest, first);
  const std::vector<char*> argv = Arguments(first, rest);
  char* const* envp = va_arg(rest, char* const*);
  va_end(rest);
  return Exec(path, argv.data(), envp);
}

INTERPOSE(int, posix_spawn,
          (pid_t * pid, const char* path, const posix_spawn_file_actions_t* actions,
           const posix_spawnattr_t* attributes, char* const* argv, char* const* envp)) {
  const ScopedRealTimeStampCounter real_counter;
  return real_posix_spawn(pid, path, actions, attributes, argv, envp);
}

INTERPOSE(int, posix_spawnp,
          (pid_t * pid, const char* file, const posix_spawn_file_actions_t* actions,
           const posix_spawnattr_t* attributes, char* const* argv, char* const* envp)) {
  const ScopedRealTimeStampCounter real_counter;
  return real_posix_spawnp(pid, file, actions, attributes, argv, envp);
}

// Since glibc 2.39. A client that finds them here has them there, too: it was linked against such a one.
INTERPOSE(int, pidfd_spawn,
          (int* pidfd, const char* path, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes,
           char* const* argv, char* const* envp)) {
  const ScopedRealTimeStampCounter real_counter;
  return real_pidfd_spawn(pidfd, path, actions, attributes, argv, envp);
}

INTERPOSE(int, pidfd_spawnp,
          (int* pidfd, const char* file, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes,
           char* const* argv, char* const* envp)) {
  const ScopedRealTimeStampCounter real_counter;
  return real_pidfd_spawnp(pidfd, file, actions, attributes, argv, envp);
}

INTERPOSE(int, system, (const char* command)) {
  const ScopedRealTimeStampCounter real_counter;
  return real_system(command);
}

INTERPOSE(FILE*, popen, (const char* command, const char* mode)) {
  const ScopedRealTimeStampCounter real_counter;
  return real_popen(command, mode);
}

INTERPOSE(int, pthread_cond_timedwait, (pthread_cond_t * condition, pthread_mutex_t* mutex, const timespec* moment)) {
  return real_cond_timedwait(condition, mutex, Moment(ClockOf(condition), moment));
}

INTERPOSE(int, pthread_cond_clockwait,
          (pthread_cond_t * condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* moment)) {
  return real_cond_clockwait(condition, mutex, clock, Moment(clock, moment));
}

INTERPOSE(int, pthread_mutex_timedlock, (pthread_mutex_t * mutex, const timespec* moment)) {
  return real_mutex_timedlock(mutex, Moment(CLOCK_REALTIME, moment));
}

INTERPOSE(int, pthread_mutex_clocklock, (pthread_mutex_t * mutex, clockid_t clock, const timespec* moment)) {
  return real_mutex_clocklock(mutex, clock, Moment(clock, moment));
}

INTERPOSE(int, pthread_rwlock_timedrdlock, (pthread_rwlock_t * lock, const timespec* moment)) {
  return real_timedrdlock(lock, Moment(CLOCK_REALTIME, moment));
}

INTERPOSE(int, pthread_rwlock_timedwrlock, (pthread_rwlock_t * lock, const timespec* moment)) {
  return real_timedwrlock(lock, Moment(CLOCK_REALTIME, moment));
}

INTERPOSE(int, pthread_timedjoin_np, (pthread_t thread, void** result, const timespec* moment)) {
  return real_timedjoin(thread, result, Moment(CLOCK_REALTIME, moment));
}

INTERPOSE(int, sem_timedwait, (sem_t * semaphore, const timespec* moment)) {
  return real_sem_timedwait(semaphore, Moment(CLOCK_REALTIME, moment));
}

INTERPOSE(int, sem_clockwait, (sem_t * semaphore, clockid_t clock, const timespec* moment)) {
  return real_sem_clockwait(semaphore, clock, Moment(clock, moment));
}

INTERPOSE(ssize_t, mq_timedreceive, (mqd_t queue, char* buf, size_t size, unsigned* priority, const timespec* moment)) {
  return real_mq_timedreceive(queue, buf, size, priority, Moment(CLOCK_REALTIME, moment));
}

INTERPOSE(int, mq_timedsend, (mqd_t queue, const char* buf, size_t size, unsigned priority, const timespec* moment)) {
  return real_mq_timedsend(queue, buf, size, priority, Moment(CLOCK_REALTIME, moment));
}

INTERPOSE(int, timerfd_settime, (int fd, int flags, const itimerspec* timer, itimerspec* old)) {
  itimerspec given;
  if (!VirtualClock() || ReadUser(timer, &given) != 0) return real_timerfd_settime(fd, flags, timer, old);
  const itimerspec real = RealTimer("timerfd_settime", given, TFD_TIMER_ABSTIME, flags);
  return real_timerfd_settime(fd, flags, &real, old);
}

INTERPOSE(int, timer_settime, (timer_t id, int flags, const itimerspec* timer, itimerspec* old)) {
  itimerspec given;
  if (!VirtualClock() || ReadUser(timer, &given) != 0) return real_timer_settime(id, flags, timer, old);
  const itimerspec real = RealTimer("timer_settime", given, TIMER_ABSTIME, flags);
  return real_timer_settime(id, flags, &real, old);
}
