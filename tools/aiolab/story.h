// One request's way through a text trace, from submit to reap.
//
// A trace line is `[step] time_ns task cpu event: key=value key=value ...`; the events of a request carry req=ID, and
// one that stands for several carries req=ID,ID,...
#ifndef TOOLS_AIOLAB_STORY_H_
#define TOOLS_AIOLAB_STORY_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace aiolab {

// The ids in the req= field of `line`; empty if it has none.
std::vector<std::string> RequestsOfLine(absl::string_view line);

// The lines of `trace` that belong to request `id`, in order.
std::vector<std::string> StoryOf(absl::string_view trace, absl::string_view id);

// The request worth telling about: the one with most lines, the first of several; empty if no line names a request.
std::string MostEventfulRequest(absl::string_view trace);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_STORY_H_
