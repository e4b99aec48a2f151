// Who may depend on whom, from the labels in BUILD files and from #include lines.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "tools/tidy/tidy.h"

namespace aiolab::tidy {
namespace {

struct Layer {
  const char* prefix;  // of a path, or of a label as a path: //a/b:c is a/b/c
  std::vector<absl::string_view> may_use;
};

// The first prefix that fits counts.
const std::vector<Layer>& Layers() {
  static const auto& layers = *new std::vector<Layer>{
      {"uapi/", {"uapi/"}},
      {"kernel_model/sim/", {"uapi/", "kernel_model/sim/"}},
      {"kernel_model/profile", {"uapi/", "kernel_model/profile"}},
      {"kernel_model/kernel/",
       {"uapi/", "kernel_model/sim/", "kernel_model/profile", "kernel_model/kernel/", "kernel_model/mm/"}},
      // fs/fs is the kernel's include/linux/fs.h, which all of them share; fs/libfs is what tmpfs has its directories
      // from.
      {"kernel_model/mm/",
       {"uapi/", "kernel_model/sim/", "kernel_model/profile", "kernel_model/kernel/", "kernel_model/mm/",
        "kernel_model/fs/fs", "kernel_model/fs/libfs"}},
      {"kernel_model/block/",
       {"uapi/", "kernel_model/sim/", "kernel_model/profile", "kernel_model/kernel/", "kernel_model/mm/",
        "kernel_model/block/", "kernel_model/fs/fs"}},
      {"kernel_model/drivers/",
       {"uapi/", "kernel_model/sim/", "kernel_model/profile", "kernel_model/kernel/", "kernel_model/mm/",
        "kernel_model/block/", "kernel_model/drivers/", "kernel_model/fs/fs"}},
      {"kernel_model/fs/",
       {"uapi/", "kernel_model/sim/", "kernel_model/profile", "kernel_model/kernel/", "kernel_model/mm/",
        "kernel_model/block/", "kernel_model/fs/"}},
      {"kernel_model/", {"uapi/", "kernel_model/"}},
      {"tools/", {"uapi/", "kernel_model/", "tools/"}},
      {"tests/", {"uapi/", "kernel_model/", "tools/", "tests/"}},
  };
  return layers;
}

const Layer* LayerOf(absl::string_view path) {
  for (const Layer& layer : Layers()) {
    if (absl::StartsWith(path, layer.prefix)) return &layer;
  }
  return nullptr;
}

// The quoted strings of `line`.
std::vector<std::string> Quoted(absl::string_view line) {
  std::vector<std::string> quoted;
  for (size_t open = line.find('"'); open != line.npos; open = line.find('"', open)) {
    const size_t close = line.find('"', open + 1);
    if (close == line.npos) break;
    quoted.emplace_back(line.substr(open + 1, close - open - 1));
    open = close + 1;
  }
  return quoted;
}

void CheckUse(const SourceFile& file, int line, absl::string_view what, absl::string_view target,
              std::vector<Finding>& findings) {
  const Layer* const user = LayerOf(file.path());
  if (user == nullptr) return;
  const bool is_product = file.IsUnder("uapi/") || file.IsUnder("kernel_model/");
  if (is_product && (absl::StartsWith(target, "gtest/") || absl::StartsWith(target, "gmock/") ||
                     absl::StartsWith(target, "@com_google_googletest"))) {
    findings.push_back({file.path(), line, "layers",
                        absl::StrCat(what, " brings GoogleTest into ", user->prefix,
                                     ", which is product code; what a user's test links lives in tools/testing/")});
    return;
  }
  if (LayerOf(target) == nullptr) return;
  const auto fits = [target](absl::string_view prefix) { return absl::StartsWith(target, prefix); };
  if (std::any_of(user->may_use.begin(), user->may_use.end(), fits)) return;
  findings.push_back({file.path(), line, "layers",
                      absl::StrCat(what, ": ", user->prefix, " may depend only on ", absl::StrJoin(user->may_use, ", "),
                                   "; completion flows upward by callback, everything else downward")});
}

// Labels that name no dependency: who may see a target, and what is loaded.
bool NamesNoDependency(absl::string_view line) {
  return absl::StrContains(line, "visibility") || absl::StartsWith(line, "load(");
}

}  // namespace

void CheckLayers(const SourceFile& file, std::vector<Finding>& findings) {
  bool in_visibility = false;  // inside a list of several lines
  for (size_t i = 0; i < file.lines().size(); ++i) {
    const std::string& line = file.uncommented()[i];
    const int number = static_cast<int>(i) + 1;
    if (file.IsCpp() && absl::StartsWith(line, "#include \"")) {
      for (const std::string& header : Quoted(line)) CheckUse(file, number, line, header, findings);
    } else if (file.IsBuild()) {
      if (NamesNoDependency(line)) in_visibility = !absl::StrContains(line, "]") && absl::StrContains(line, "[");
      if (!in_visibility && !NamesNoDependency(line)) {
        for (const std::string& label : Quoted(line.substr(0, line.find('#')))) {
          if (absl::StartsWith(label, "@com_google_googletest")) CheckUse(file, number, label, label, findings);
          if (!absl::StartsWith(label, "//")) continue;
          std::string path(absl::StripPrefix(label, "//"));
          const size_t colon = path.find(':');
          if (colon == path.npos) {
            path += '/';  // //a/b is a/b:b
          } else {
            path[colon] = '/';
          }
          CheckUse(file, number, label, path, findings);
        }
      }
      if (in_visibility && absl::StrContains(line, "]")) in_visibility = false;
    }
  }
}

}  // namespace aiolab::tidy
