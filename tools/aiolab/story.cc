#include "tools/aiolab/story.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace aiolab {
namespace {

constexpr absl::string_view kRequestKey = "req=";

}  // namespace

std::vector<std::string> RequestsOfLine(absl::string_view line) {
  // Fields begin behind the event's name: a task may be called anything.
  const size_t colon = line.find(": ");
  if (colon == absl::string_view::npos) return {};
  for (const absl::string_view field : absl::StrSplit(line.substr(colon + 2), ' ')) {
    if (absl::StartsWith(field, kRequestKey)) {
      return absl::StrSplit(field.substr(kRequestKey.size()), ',', absl::SkipEmpty());
    }
  }
  return {};
}

std::vector<std::string> StoryOf(absl::string_view trace, absl::string_view id) {
  std::vector<std::string> story;
  for (const absl::string_view line : absl::StrSplit(trace, '\n')) {
    const std::vector<std::string> requests = RequestsOfLine(line);
    if (std::find(requests.begin(), requests.end(), id) != requests.end()) story.emplace_back(line);
  }
  return story;
}

std::string MostEventfulRequest(absl::string_view trace) {
  struct Request {
    uint64_t lines = 0;
    size_t first_seen = 0;
  };
  std::map<std::string, Request> requests;
  for (const absl::string_view line : absl::StrSplit(trace, '\n')) {
    for (const std::string& id : RequestsOfLine(line)) {
      if (id == "0") continue;  // the device's own work, a flush for all of them
      const size_t first_seen = requests.size();
      Request& request = requests[id];
      if (request.lines++ == 0) request.first_seen = first_seen;
    }
  }
  const auto most = std::max_element(requests.begin(), requests.end(), [](const auto& a, const auto& b) {
    if (a.second.lines != b.second.lines) return a.second.lines < b.second.lines;
    return a.second.first_seen > b.second.first_seen;
  });
  return most == requests.end() ? "" : most->first;
}

}  // namespace aiolab
