#include "tools/aiolab/client_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

// The child that signals are passed on to; 0 while there is none. Set before SIGTERM and SIGHUP are let in and cleared
// before the child is reaped, so that its pid cannot have become someone else's.
volatile sig_atomic_t forward_to_pid = 0;

void ForwardSignal(int signal) {
  const int saved_errno = errno;
  if (forward_to_pid > 0) kill(static_cast<pid_t>(forward_to_pid), signal);
  errno = saved_errno;
}

constexpr int kIgnored[] = {SIGINT, SIGQUIT};
constexpr int kForwarded[] = {SIGTERM, SIGHUP};

sigset_t ForwardedSet() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kForwarded) sigaddset(&set, signal);
  return set;
}

// The dispositions of the runner while a program runs. A signal that this process was started to ignore (nohup) stays
// ignored, here and in the program.
class SignalGuard {
 public:
  SignalGuard() {
    const sigset_t forwarded = ForwardedSet();
    sigprocmask(SIG_BLOCK, &forwarded, &mask_before_);
    for (const int signal : kIgnored) Replace(signal, SIG_IGN);
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

// `ancestor` and all that it and its children have started, parents before their children: none sees the others go.
void KillFamily(pid_t ancestor) {
  std::multimap<pid_t, pid_t> children;
  std::error_code ignored;
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    pid_t pid;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    const std::string stat = ReadFile(entry.path().string() + "/stat").value_or("");
    // "pid (command) state parent ..."; the command may be anything.
    const std::vector<absl::string_view> words =
        absl::StrSplit(absl::string_view(stat).substr(stat.rfind(')') + 1), ' ');
    pid_t parent;
    if (words.size() > 2 && absl::SimpleAtoi(words[2], &parent)) children.emplace(parent, pid);
  }
  std::vector<pid_t> family = {ancestor};
  for (size_t i = 0; i < family.size(); ++i) {
    const auto [begin, end] = children.equal_range(family[i]);
    for (auto child = begin; child != end; ++child) family.push_back(child->second);
  }
  for (const pid_t member : family) kill(member, SIGKILL);
}

// Returns when `child` has ended, or at once if the system has no such fd.
void LookUntilTheEnd(pid_t child, const ProgramSetup& setup) {
  constexpr int kLookIntervalMs = 500;
  constexpr int kPowerIntervalMs = 20;
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  if (fd < 0) return;
  pollfd end = {fd, POLLIN, 0};
  int until_look_ms = 0;
  const int interval_ms = setup.power_is_off == nullptr ? kLookIntervalMs : kPowerIntervalMs;
  for (int ready = 0; ready == 0 || (ready < 0 && errno == EINTR); ready = poll(&end, 1, interval_ms)) {
    if (setup.power_is_off != nullptr && setup.power_is_off()) KillFamily(child);
    if (setup.look != nullptr && until_look_ms <= 0) {
      setup.look();
      until_look_ms = kLookIntervalMs;
    }
    until_look_ms -= interval_ms;
  }
  close(fd);
  if (setup.look != nullptr) setup.look();
}

ProgramEnd WaitForEnd(pid_t child, const ProgramSetup& setup) {
  if (setup.look != nullptr || setup.power_is_off != nullptr) LookUntilTheEnd(child, setup);
  siginfo_t info = {};
  while (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  forward_to_pid = 0;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ProgramEnd end;
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

  SignalGuard guard;
  const pid_t child = fork();
  if (child == 0) {
    guard.Restore();
    if (SendTo(setup.out, STDOUT_FILENO) && SendTo(setup.err, STDERR_FILENO))
      execve(path.c_str(), args.data(), envp.data());
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
  forward_to_pid = child;
  const sigset_t forwarded = ForwardedSet();
  sigprocmask(SIG_UNBLOCK, &forwarded, nullptr);

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
