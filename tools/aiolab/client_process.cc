#include "tools/aiolab/client_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tools/aiolab/client_family.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

// The child, or its group, that signals are passed on to, as kill() takes it; 0 while there is none. Set before they
// are let in and cleared before the child is reaped, so that its pid cannot have become someone else's.
volatile sig_atomic_t forward_to_pid = 0;
volatile sig_atomic_t forwarded_signal = 0;

void ForwardSignal(int signal) {
  const int saved_errno = errno;
  if (forward_to_pid != 0 && kill(static_cast<pid_t>(forward_to_pid), signal) == 0) forwarded_signal = signal;
  errno = saved_errno;
}

// Of a signal that the terminal has sent to the child as well.
void NoteSignal(int signal) { forwarded_signal = signal; }

constexpr int kFromTerminal[] = {SIGINT, SIGQUIT};
constexpr int kForwarded[] = {SIGTERM, SIGHUP};

sigset_t GuardedSet() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kFromTerminal) sigaddset(&set, signal);
  for (const int signal : kForwarded) sigaddset(&set, signal);
  return set;
}

// The dispositions of the runner while a program runs. A signal that this process was started to ignore (nohup) stays
// ignored, here and in the program.
class SignalGuard {
 public:
  // Who has its own group does not get what the terminal sends.
  explicit SignalGuard(bool own_group) {
    const sigset_t guarded = GuardedSet();
    sigprocmask(SIG_BLOCK, &guarded, &mask_before_);
    for (const int signal : kFromTerminal) Replace(signal, own_group ? ForwardSignal : NoteSignal);
    for (const int signal : kForwarded) Replace(signal, ForwardSignal);
  }
  ~SignalGuard() { Restore(); }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  // Also called in the child, where it makes no allocation.
  void Restore() {
    for (int i = 0; i < replaced_; ++i) sigaction(before_[i].signal, &before_[i].action, nullptr);
    replaced_ = 0;
    sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
  }

 private:
  struct Before {
    int signal;
    struct sigaction action;
  };

  void Replace(int signal, void (*handler)(int)) {
    Before before = {signal, {}};
    sigaction(signal, nullptr, &before.action);
    if (before.action.sa_handler == SIG_IGN) return;
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
    before_[replaced_++] = before;
  }

  sigset_t mask_before_;
  Before before_[4];
  int replaced_ = 0;
};

std::vector<std::string> Environment(const ProgramSetup& setup) {
  std::map<std::string, std::string> changes = setup.environment;
  std::vector<std::string> result;
  for (char** entry = environ; !setup.only_these && *entry != nullptr; ++entry) {
    const std::string name = std::string(*entry).substr(0, std::string(*entry).find('='));
    const auto change = changes.find(name);
    result.push_back(change == changes.end() ? *entry : absl::StrCat(name, "=", change->second));
    if (change != changes.end()) changes.erase(change);
  }
  for (const auto& [name, value] : changes) result.push_back(absl::StrCat(name, "=", value));
  return result;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// In the child: what is written to `fd` goes to the end of the file. False, with errno, if that cannot be.
bool SendTo(const std::string& path, int fd) {
  if (path.empty()) return true;
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  return file >= 0 && dup2(file, fd) >= 0;
}

// In the child. False, with errno, if there is no /dev/null.
bool StandAlone() {
  setpgid(0, 0);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return null >= 0 && dup2(null, STDIN_FILENO) >= 0;
}

bool PowerIsOff(const ProgramSetup& setup) { return setup.power_is_off != nullptr && setup.power_is_off(); }

// "NAME=value", by which every process of the program is known.
std::string Mark(const ProgramSetup& setup) { return absl::StrCat(setup.mark, "=", setup.environment.at(setup.mark)); }

// It is not waited for yet: its pid stays.
bool HasEnded(pid_t child) {
  siginfo_t info = {};
  if (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0) return errno != EINTR;
  return info.si_pid == child;
}

// Returns when `child` has ended or its machine has no power. False if its time is up.
bool LookUntilTheEnd(pid_t child, const ProgramSetup& setup) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  // Where there is no such fd, poll() only sleeps.
  const int interval_ms = setup.power_is_off == nullptr && fd >= 0 ? 500 : 20;
  pollfd end = {fd, POLLIN, 0};
  int64_t waited_ms = 0;
  bool in_time = true;
  while (in_time && !HasEnded(child) && !PowerIsOff(setup)) {
    if (setup.look != nullptr) setup.look();
    if (poll(&end, 1, interval_ms) == 0) waited_ms += interval_ms;
    in_time = setup.seconds_max == 0 || waited_ms < int64_t{setup.seconds_max} * 1000;
  }
  if (fd >= 0) close(fd);
  if (setup.look != nullptr) setup.look();
  return in_time;
}

ProgramEnd WaitForEnd(pid_t child, const ProgramSetup& setup) {
  ProgramEnd end;
  if (setup.look != nullptr || setup.power_is_off != nullptr || setup.seconds_max > 0) {
    end.timed_out = !LookUntilTheEnd(child, setup);
  }
  if (end.timed_out) kill(static_cast<pid_t>(forward_to_pid), SIGKILL);
  if (PowerIsOff(setup)) end.left = KillFamily(child, Mark(setup));
  siginfo_t info = {};
  while (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  if (setup.own_group) kill(-child, SIGKILL);
  // What comes from here on is for this process.
  const sigset_t guarded = GuardedSet();
  sigprocmask(SIG_BLOCK, &guarded, nullptr);
  forward_to_pid = 0;
  end.passed_on = static_cast<int>(forwarded_signal);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    end.signal = WTERMSIG(status);
  } else {
    end.status = WEXITSTATUS(status);
  }
  return end;
}

}  // namespace

absl::StatusOr<ProgramEnd> RunToItsEnd(const std::string& path, const std::vector<std::string>& argv,
                                       const ProgramSetup& setup) {
  const std::vector<std::string> variables = Environment(setup);
  const std::vector<char*> envp = Pointers(variables);
  const std::vector<char*> args = Pointers(argv);
  int exec_error[2];  // carries execve's errno; closed by its success
  if (pipe2(exec_error, O_CLOEXEC) != 0) return FileError(errno, path, "no pipe for starting it");

  SignalGuard guard(setup.own_group);
  const pid_t child = fork();
  if (child == 0) {
    guard.Restore();
    if ((!setup.own_group || StandAlone()) && SendTo(setup.out, STDOUT_FILENO) && SendTo(setup.err, STDERR_FILENO)) {
      execve(path.c_str(), args.data(), envp.data());
    }
    const int error = errno;
    if (write(exec_error[1], &error, sizeof(error)) < 0) _exit(126);
    _exit(127);
  }
  const int fork_error = errno;
  close(exec_error[1]);
  if (child < 0) {
    close(exec_error[0]);
    return FileError(fork_error, path, "cannot be started");
  }
  if (setup.own_group) setpgid(child, child);  // whoever of the two is first
  forward_to_pid = setup.own_group ? -child : child;
  forwarded_signal = 0;
  const sigset_t guarded = GuardedSet();
  sigprocmask(SIG_UNBLOCK, &guarded, nullptr);

  int error = 0;
  ssize_t size;
  while ((size = read(exec_error[0], &error, sizeof(error))) < 0 && errno == EINTR) {
  }
  close(exec_error[0]);
  const ProgramEnd end = WaitForEnd(child, setup);
  if (size == static_cast<ssize_t>(sizeof(error))) return FileError(error, path, "cannot be started");
  return end;
}

}  // namespace aiolab
