// What product code may not use, and what to use instead.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tools/tidy/tidy.h"

namespace aiolab::tidy {
namespace {

enum class Where { kEverywhere, kProduct, kModel };  // kModel: kernel_model/ only

struct Ban {
  const char* rule;
  Where where;
  bool in_strings;                         // look into string literals too
  std::vector<absl::string_view> allowed;  // path prefixes
  std::vector<absl::string_view> tokens;   // whole words; one that begins with '*' may end a longer one
  const char* instead;
};

// Some tokens are written in two parts, so that this file does not break its own rules.
const std::vector<Ban>& Bans() {
  static const auto& bans = *new std::vector<Ban>{
      {"random",
       Where::kProduct,
       false,
       {},
       {"*_distribution<", "*_distribution(", "std::random_device", "std::mt19937", "std::mt19937_64",
        "std::minstd_rand", "std::default_random_engine", "absl::BitGen", "absl::InsecureBitGen", "absl::Uniform",
        "rand(", "random(", "drand48("},
       "is a second source of choice, which no replay token records; ask Chooser::Choose() "
       "(kernel_model/sim/chooser.h)"},
      {"clock",
       Where::kProduct,
       false,
       {"uapi/", "kernel_model/sim/executor", "kernel_model/sim/sim_executor", "kernel_model/sim/live_executor",
        "tools/preload/", "tools/bench/"},
       {"*_clock::now", "clock_gettime(", "gettimeofday(", "absl::Now(", "absl::GetCurrentTimeNanos(", "time(nullptr)",
        "time(NULL)"},
       "reads a clock that no replay repeats; ask Executor::Now() (kernel_model/sim/executor.h)"},
      {"thread",
       Where::kProduct,
       false,
       {"uapi/", "kernel_model/sim/executor", "kernel_model/sim/sim_executor", "kernel_model/sim/live_executor",
        "tools/preload/"},
       {"std::thread", "std::jthread", "std::async", "pthread_create(", "thrd_create("},
       "starts a thread behind the executor's back; queue work on a workqueue, or let the executor start the task"},
      {"pointer",
       Where::kProduct,
       true,
       {"tools/tidy/"},
       {"*%p"},
       "prints an address, which differs between two runs; print the id by first use"},
      {"status",
       Where::kEverywhere,
       false,
       {},
       {"LOG(", "CHECK_OK("},
       "needs absl/log, absent in Abseil 20220623; BUG_ON"},
      {"todo",
       Where::kEverywhere,
       true,
       {},
       {"TO"
        "DO",
        "FIX"
        "ME",
        "XX"
        "X"},
       "is no plan; do it, or say in DIFFERENCES.md what is missing and why"},
      {"skip",
       Where::kEverywhere,
       false,
       {},
       {"GTEST_"
        "SKIP",
        "DISA"
        "BLED_*"},
       "is a test that cannot fail; make it pass, or list the difference by name"},
      {"tls",
       Where::kEverywhere,
       false,
       {},
       {"tls_"
        "model("},
       "reads garbage in the preload library: gold relaxes some accesses to the model of programs; leave it out"},
  };
  return bans;
}

bool IsIdentifierChar(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Whether `token` stands in `line` as a word of its own. A call of somebody's method of that name is none:
// x.time(nullptr).
bool HasToken(absl::string_view line, absl::string_view token) {
  const bool open_left = token.front() == '*';
  const bool open_right = token.back() == '*';
  if (open_left) token.remove_prefix(1);
  if (open_right) token.remove_suffix(1);
  for (size_t at = line.find(token); at != line.npos; at = line.find(token, at + 1)) {
    const char before = at == 0 ? ' ' : line[at - 1];
    const size_t end = at + token.size();
    const char after = end == line.size() ? ' ' : line[end];
    const bool left = open_left || (!IsIdentifierChar(before) && before != '.' && before != '>');
    const bool right = open_right || !IsIdentifierChar(token.back()) || !IsIdentifierChar(after);
    if (left && right) return true;
  }
  return false;
}

bool IsProduct(const SourceFile& file) {
  return file.IsUnder("uapi/") || file.IsUnder("kernel_model/") || file.IsUnder("tools/");
}

bool Applies(const Ban& ban, const SourceFile& file) {
  if (ban.where == Where::kProduct && !IsProduct(file)) return false;
  if (ban.where == Where::kModel && !file.IsUnder("kernel_model/")) return false;
  return std::none_of(ban.allowed.begin(), ban.allowed.end(),
                      [&file](absl::string_view prefix) { return file.IsUnder(prefix); });
}

// Names declared as hash containers in `file`: `absl::flat_hash_map<K, V> name;`.
void AddHashContainers(const SourceFile& file, std::vector<std::string>& names) {
  static constexpr absl::string_view kTypes[] = {"flat_hash_map<",     "flat_hash_set<", "node_hash_map<",
                                                 "node_hash_set<",     "unordered_map<", "unordered_set<",
                                                 "unordered_multimap<"};
  for (absl::string_view line : file.code()) {
    for (absl::string_view type : kTypes) {
      size_t at = line.find(type);
      if (at == line.npos) continue;
      int depth = 0;
      for (at += type.size() - 1; at < line.size(); ++at) {
        if (line[at] == '<') ++depth;
        if (line[at] == '>' && --depth == 0) break;
      }
      size_t begin = at + 1;
      while (begin < line.size() && (line[begin] == '&' || line[begin] == '*' || line[begin] == ' ')) ++begin;
      size_t end = begin;
      while (end < line.size() && IsIdentifierChar(line[end])) ++end;
      if (end > begin) names.emplace_back(line.substr(begin, end - begin));
    }
  }
}

// The last name of what a range-for on `line` walks: "slots_" in `for (auto& s : table->slots_) {`; "" if there is
// none.
std::string RangeForName(absl::string_view line) {
  const size_t loop = line.find("for (");
  if (loop == line.npos) return "";
  const size_t colon = line.find(" : ", loop);
  if (colon == line.npos) return "";
  int depth = 1;
  size_t end = colon + 3;
  while (end < line.size() && depth > 0) {
    if (line[end] == '(') ++depth;
    if (line[end] == ')') --depth;
    ++end;
  }
  size_t last = end - 1;
  while (last > colon && !IsIdentifierChar(line[last])) --last;
  size_t first = last;
  while (first > colon && IsIdentifierChar(line[first - 1])) --first;
  return std::string(line.substr(first, last - first + 1));
}

void CheckHashOrder(const SourceFile& file, const SourceFile* header, std::vector<Finding>& findings) {
  std::vector<std::string> names;
  AddHashContainers(file, names);
  if (header != nullptr) AddHashContainers(*header, names);
  for (size_t i = 0; i < file.code().size(); ++i) {
    const std::string& line = file.code()[i];
    for (const std::string& name : names) {
      if (RangeForName(line) != name && !HasToken(line, absl::StrCat(name, ".begin("))) continue;
      findings.push_back(
          {file.path(), static_cast<int>(i) + 1, "hash-order",
           absl::StrCat("walks ", name,
                        " in hash order, which differs between two runs; use absl::btree_map, a vector or an "
                        "intrusive list, or sort the keys first")});
      break;
    }
  }
}

// Ordered containers keyed by an address are walked in an order that differs between two runs.
bool HasPointerKey(absl::string_view line) {
  for (absl::string_view type : {"std::map<", "std::set<", "absl::btree_map<", "absl::btree_set<", "std::less<"}) {
    size_t at = line.find(type);
    if (at == line.npos) continue;
    const size_t end = line.find_first_of(",<>", at + type.size());
    if (end != line.npos && line[end] != '<' && line[end - 1] == '*') return true;
  }
  return false;
}

bool TracesPointer(absl::string_view line) {
  if (!absl::StrContains(line, "race(") && !absl::StrContains(line, "trace_") && !absl::StrContains(line, "Trace")) {
    return false;
  }
  return HasToken(line, "uintptr_t") || absl::StrContains(line, "void*");
}

// Questions that only a model would ask of itself: "IsSimulated", is_emulated(), in_simulation_.
bool AsksWhetherSimulated(absl::string_view line) {
  const std::string flat = absl::StrReplaceAll(absl::AsciiStrToLower(line), {{"_", ""}});
  for (absl::string_view question :
       {"issimulat", "isemulat", "insimulation", "inemulation", "underemulation", "isfakekernel"}) {
    if (absl::StrContains(flat, question)) return true;
  }
  return false;
}

}  // namespace

void CheckBans(const SourceFile& file, const SourceFile* header, std::vector<Finding>& findings) {
  for (size_t i = 0; i < file.lines().size(); ++i) {
    const int number = static_cast<int>(i) + 1;
    const std::string& code = file.code()[i];
    for (const Ban& ban : Bans()) {
      if (!Applies(ban, file)) continue;
      // Plans hide in comments, formats in strings, everything else in code.
      const std::string& line = ban.rule == absl::string_view("todo") ? file.lines()[i]
                                : ban.in_strings                      ? file.uncommented()[i]
                                                                      : code;
      for (absl::string_view token : ban.tokens) {
        if (!HasToken(line, token)) continue;
        findings.push_back(
            {file.path(), number, ban.rule, absl::StrCat(absl::StrReplaceAll(token, {{"*", ""}}), " ", ban.instead)});
        break;
      }
    }
    if (file.IsCpp() && (absl::StartsWith(file.uncommented()[i], "#include \"absl/log/") ||
                         absl::StartsWith(file.uncommented()[i], "#include \"absl/status/status_matchers.h"))) {
      findings.push_back(
          {file.path(), number, "status", "is absent in Abseil 20220623, which Debian 12 has; BUG_ON or stderr"});
    }
    if (IsProduct(file) && !file.IsUnder("tools/tidy/") && AsksWhetherSimulated(code)) {
      findings.push_back(
          {file.path(), number, "simulated",
           "product code does not ask whether it is simulated; put the difference behind the interface"});
    }
    if (file.IsUnder("kernel_model/") && HasPointerKey(code)) {
      findings.push_back({file.path(), number, "pointer",
                          "orders by address, which differs between two runs; key by an id, or keep a list"});
    }
    if (file.IsUnder("kernel_model/") && TracesPointer(code)) {
      findings.push_back(
          {file.path(), number, "pointer", "traces an address, which differs between two runs; trace an id"});
    }
  }
  if (IsProduct(file) && file.IsCpp()) CheckHashOrder(file, header, findings);
}

}  // namespace aiolab::tidy
