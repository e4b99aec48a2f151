#include "tools/tidy/tidy.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace aiolab::tidy {
namespace {

constexpr size_t kColumnsMax = 120;
constexpr size_t kFileLinesMax = 500;

struct LongFile {
  absl::string_view path;
  absl::string_view reason;
};

constexpr LongFile kLongFiles[] = {
    {"kernel_model/fs/aio.cc", "keeps the functions of fs/aio.c in the kernel's order, in one place"},
    {"tests/kernel_model/fault_cells_test.cc",
     "one short test for each cell of one table, which a reader looks up by name"},
};

// Characters, not bytes.
size_t Columns(absl::string_view line) {
  return std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

void CheckIncludeGuard(const SourceFile& file, std::vector<Finding>& findings) {
  const std::string guard =
      absl::StrCat(absl::AsciiStrToUpper(absl::StrReplaceAll(file.path(), {{"/", "_"}, {".", "_"}, {"-", "_"}})), "_");
  const std::string ifndef = absl::StrCat("#ifndef ", guard);
  const auto at = std::find(file.lines().begin(), file.lines().end(), ifndef);
  if (at != file.lines().end() && at + 1 != file.lines().end() && at[1] == absl::StrCat("#define ", guard)) return;
  findings.push_back({file.path(), 1, "guard", absl::StrCat("has no include guard ", guard)});
}

// Whether line `number` of `file`, or the one before it, says why `rule` is broken there.
bool IsAllowed(const SourceFile& file, int number, absl::string_view rule) {
  const std::string mark = absl::StrCat("tidy: allow ", rule, ": ");
  for (int line = std::max(number - 1, 1); line <= number && line <= static_cast<int>(file.lines().size()); ++line) {
    const std::string& text = file.lines()[line - 1];
    const size_t at = text.find(mark);
    if (at != text.npos && text.size() >= at + mark.size() + 10) return true;  // a reason, not a word
  }
  return false;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Finding& finding) {
  return out << finding.path << ":" << finding.line << ": [" << finding.rule << "] " << finding.message;
}

void CheckLooks(const SourceFile& file, std::vector<Finding>& findings) {
  for (size_t i = 0; i < file.lines().size(); ++i) {
    const std::string& line = file.lines()[i];
    const int number = static_cast<int>(i) + 1;
    if (absl::StrContains(line, '\t')) {
      findings.push_back({file.path(), number, "tab", "holds a tab; two spaces"});
    }
    if (Columns(line) > kColumnsMax) {
      findings.push_back(
          {file.path(), number, "columns", absl::StrCat("has ", Columns(line), " columns; ", kColumnsMax, " at most")});
    }
  }
  if (file.IsHeader()) CheckIncludeGuard(file, findings);
  const bool may_be_long = std::any_of(std::begin(kLongFiles), std::end(kLongFiles),
                                       [&file](const LongFile& allowed) { return allowed.path == file.path(); });
  if (file.lines().size() > kFileLinesMax && !may_be_long) {
    findings.push_back({file.path(), static_cast<int>(file.lines().size()), "length",
                        absl::StrCat("has ", file.lines().size(), " lines; ", kFileLinesMax,
                                     " at most: split it by concept, or name it in kLongFiles with a reason")});
  }
}

std::vector<Finding> CheckTree(const std::vector<SourceFile>& files) {
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    const std::string header_path = absl::StrCat(absl::StripSuffix(file.path(), ".cc"), ".h");
    const auto header = std::find_if(files.begin(), files.end(), [&header_path, &file](const SourceFile& other) {
      return other.path() == header_path && &other != &file;
    });
    std::vector<Finding> all;
    CheckLayers(file, all);
    CheckBans(file, header == files.end() ? nullptr : &*header, all);
    CheckLooks(file, all);
    for (Finding& finding : all) {
      if (!IsAllowed(file, finding.line, finding.rule)) findings.push_back(std::move(finding));
    }
  }
  return findings;
}

}  // namespace aiolab::tidy
