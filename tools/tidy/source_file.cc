#include "tools/tidy/source_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace aiolab::tidy {
namespace {

namespace fs = std::filesystem;

bool IsIdentifierChar(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Blanks comments, and with `strings` the contents of literals too. Line breaks stay where they are.
std::string Blank(absl::string_view text, bool strings) {
  std::string out(text);
  auto blank = [&out](size_t from, size_t to) {
    for (size_t i = from; i < to && i < out.size(); ++i) {
      if (out[i] != '\n') out[i] = ' ';
    }
  };
  size_t i = 0;
  while (i < text.size()) {
    if (absl::StartsWith(text.substr(i), "//")) {
      const size_t end = std::min(text.find('\n', i), text.size());
      blank(i, end);
      i = end;
    } else if (absl::StartsWith(text.substr(i), "/*")) {
      const size_t close = text.find("*/", i + 2);
      const size_t end = close == text.npos ? text.size() : close + 2;
      blank(i, end);
      i = end;
    } else if (absl::StartsWith(text.substr(i), "R\"") && (i == 0 || !IsIdentifierChar(text[i - 1]))) {
      const size_t open = std::min(text.find('(', i), text.size());
      const std::string close_mark = absl::StrCat(")", text.substr(i + 2, open - i - 2), "\"");
      const size_t close = std::min(text.find(close_mark, open), text.size());
      if (strings) blank(open + 1, close);
      i = close + close_mark.size();
    } else if (text[i] == '"' || (text[i] == '\'' && (i == 0 || !IsIdentifierChar(text[i - 1])))) {  // not 1'000
      size_t end = i + 1;
      while (end < text.size() && text[end] != text[i] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
      if (strings) blank(i + 1, end);
      i = end + 1;
    } else {
      ++i;
    }
  }
  return out;
}

std::vector<std::string> Lines(absl::string_view text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

bool IsSource(const fs::path& path) {
  static constexpr absl::string_view kExtensions[] = {".h", ".cc", ".c", ".bzl", ".py", ".sh"};
  const std::string extension = path.extension().string();
  return path.filename() == "BUILD" ||
         std::find(std::begin(kExtensions), std::end(kExtensions), extension) != std::end(kExtensions);
}

bool IsLeftOut(const std::string& path) {
  return (path[0] == '.' && path != ".ci") || absl::StartsWith(path, "bazel-") || path == "tools/bazel";
}

}  // namespace

SourceFile::SourceFile(std::string path, absl::string_view text) : path_(std::move(path)), lines_(Lines(text)) {
  if (IsCpp()) {
    uncommented_ = Lines(Blank(text, /*strings=*/false));
    code_ = Lines(Blank(text, /*strings=*/true));
  } else {
    uncommented_ = code_ = lines_;
  }
}

bool SourceFile::IsUnder(absl::string_view folder) const { return absl::StartsWith(path_, folder); }
bool SourceFile::IsHeader() const { return absl::EndsWith(path_, ".h"); }
bool SourceFile::IsCpp() const { return IsHeader() || absl::EndsWith(path_, ".cc"); }
bool SourceFile::IsBuild() const { return path_ == "BUILD" || absl::EndsWith(path_, "/BUILD"); }

absl::StatusOr<std::vector<SourceFile>> ReadTree(const std::string& root) {
  std::vector<std::string> paths;
  std::error_code error;
  fs::recursive_directory_iterator it(root, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    const std::string path = it->path().lexically_relative(root).generic_string();
    if (IsLeftOut(path)) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file(error) && IsSource(it->path())) {
      paths.push_back(path);
    }
  }
  if (error) return absl::InternalError(absl::StrCat("cannot walk ", root, ": ", error.message()));
  std::sort(paths.begin(), paths.end());

  std::vector<SourceFile> files;
  for (const std::string& path : paths) {
    std::ifstream in(absl::StrCat(root, "/", path), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (!in.good() && !in.eof()) return absl::InternalError(absl::StrCat("cannot read ", root, "/", path));
    files.emplace_back(path, text);
  }
  return files;
}

}  // namespace aiolab::tidy
