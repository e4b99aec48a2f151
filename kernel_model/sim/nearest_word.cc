#include "kernel_model/sim/nearest_word.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace aiolab {

size_t EditDistance(absl::string_view a, absl::string_view b) {
  // distance[i][j] is that of the first i letters of `a` and the first j of `b`.
  std::vector<std::vector<size_t>> distance(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) distance[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) distance[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = distance[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      distance[i][j] = std::min({distance[i - 1][j] + 1, distance[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        distance[i][j] = std::min(distance[i][j], distance[i - 2][j - 2] + 1);
      }
    }
  }
  return distance[a.size()][b.size()];
}

std::string NearestWord(absl::string_view word, const std::vector<std::string>& words) {
  std::string nearest;
  // One mistake in three letters is a slip; more is another word.
  size_t distance_max = std::max<size_t>(1, word.size() / 3);
  for (const std::string& candidate : words) {
    const size_t distance = EditDistance(word, candidate);
    if (distance <= distance_max && (nearest.empty() || distance < EditDistance(word, nearest))) nearest = candidate;
  }
  return nearest;
}

std::string NoSuchWord(absl::string_view kind, absl::string_view word, const std::vector<std::string>& words) {
  const std::string nearest = NearestWord(word, words);
  return absl::StrCat("there is no ", kind, " \"", word, "\"; ",
                      nearest.empty() ? absl::StrCat("there are ", absl::StrJoin(words, ", "))
                                      : absl::StrCat("did you mean ", nearest, "?"));
}

}  // namespace aiolab
