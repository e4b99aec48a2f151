// "Did you mean ...": the word of a list that is nearest to a mistyped one.
#ifndef KERNEL_MODEL_SIM_NEAREST_WORD_H_
#define KERNEL_MODEL_SIM_NEAREST_WORD_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace aiolab {

// How many letters have to be inserted, deleted, replaced or swapped with their neighbour to make `b` of `a`.
size_t EditDistance(absl::string_view a, absl::string_view b);

// The nearest of `words` to `word`, the first of several; empty if none is near enough to be what was meant.
std::string NearestWord(absl::string_view word, const std::vector<std::string>& words);

// What is wrong with a `word` that is none of `words`: the nearest of them, or all.
//
//   there is no setting "sise"; did you mean size?
//   there is no disk "floppy"; there are hdd, nvme, ram, ssd
std::string NoSuchWord(absl::string_view kind, absl::string_view word, const std::vector<std::string>& words);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_NEAREST_WORD_H_
