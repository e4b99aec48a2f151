#include "tools/aiolab/client_family.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

constexpr int kLookEveryMs = 2;
constexpr int kWaitMsMax = 5000;

struct Process {
  pid_t parent = 0;
  std::string start_time;  // a pid that is used again has another
  bool marked = false;
};

using Processes = std::map<pid_t, Process>;

// False if nothing of it is left but its status.
bool ReadProcess(const std::string& directory, const std::string& mark, Process* process) {
  const std::string stat = ReadFile(directory + "/stat").value_or("");
  // "pid (command) state parent ..."; the command may be anything.
  const size_t end_of_command = stat.rfind(") ");
  if (end_of_command == std::string::npos) return false;
  const std::vector<absl::string_view> words = absl::StrSplit(absl::string_view(stat).substr(end_of_command + 2), ' ');
  if (words.size() < 20 || !absl::SimpleAtoi(words[1], &process->parent)) return false;
  // The first thread may have ended before others, and they hold what the process holds.
  int threads;
  if (!absl::SimpleAtoi(words[17], &threads)) return false;
  if ((words[0] == "Z" || words[0] == "X") && threads <= 1) return false;
  process->start_time = std::string(words[19]);
  const std::string environment = ReadFile(directory + "/environ").value_or("");
  const std::vector<absl::string_view> entries = absl::StrSplit(environment, '\0');
  process->marked = std::find(entries.begin(), entries.end(), mark) != entries.end();
  return true;
}

Processes ReadProcesses(const std::string& mark) {
  Processes processes;
  std::error_code ignored;
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    pid_t pid;
    Process process;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    if (ReadProcess(entry.path().string(), mark, &process)) processes[pid] = std::move(process);
  }
  return processes;
}

bool IsMarked(const Processes& processes, pid_t pid) {
  const auto found = processes.find(pid);
  return found != processes.end() && found->second.marked;
}

// Parents before their children.
std::vector<pid_t> FamilyAmong(const Processes& processes, pid_t ancestor) {
  std::vector<pid_t> family;
  if (processes.contains(ancestor)) family.push_back(ancestor);
  std::multimap<pid_t, pid_t> children;
  for (const auto& [pid, process] : processes) {
    const bool is_orphan = process.marked && pid != ancestor && process.parent != ancestor;
    if (is_orphan && !IsMarked(processes, process.parent)) {
      family.push_back(pid);
    } else {
      children.emplace(process.parent, pid);
    }
  }
  for (size_t i = 0; i < family.size(); ++i) {
    const auto [begin, end] = children.equal_range(family[i]);
    for (auto child = begin; child != end; ++child) family.push_back(child->second);
  }
  return family;
}

}  // namespace

std::vector<pid_t> KillFamily(pid_t ancestor, const std::string& mark) {
  std::map<pid_t, std::string> killed;  // and when each was started
  int looks_in_vain = 0;
  for (int waited_ms = 0;; waited_ms += kLookEveryMs) {
    const Processes processes = ReadProcesses(mark);
    std::vector<pid_t> left = FamilyAmong(processes, ancestor);
    for (const pid_t pid : left) {
      kill(pid, SIGKILL);
      killed[pid] = processes.at(pid).start_time;
    }
    // Who is about to go has lost its environment, but not its locks yet.
    for (const auto& [pid, start_time] : killed) {
      const auto found = processes.find(pid);
      const bool is_there = found != processes.end() && found->second.start_time == start_time;
      if (is_there && std::find(left.begin(), left.end(), pid) == left.end()) left.push_back(pid);
    }
    // Who executes a program has no environment for a moment: one look is not enough.
    looks_in_vain = left.empty() ? looks_in_vain + 1 : 0;
    if (looks_in_vain == 2 || waited_ms >= kWaitMsMax) return left;
    poll(nullptr, 0, kLookEveryMs);
  }
}

}  // namespace aiolab
