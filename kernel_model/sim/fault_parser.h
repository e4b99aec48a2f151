// Fault rules from text.
//
//   rules  = rule {"," rule}                        also one a line; # begins a comment
//   rule   = step {"->" step} | any
//   step   = where ["[" filter {"," filter} "]"] "=" when ":" what
//            behind "->" also: when ":" what, or what, at the place before it
//   when   = ("always" | "nth(n)" | "1in(n)" | "pct(p)" | "every(n)" | "after(n)" | "between(a,b)" |
//             "at(step n)" | "at(time)") ["x"n]     xN: N times at most
//   what   = ["illegal:"] word ["(" argument {"," argument} ")"]   the argument xN: N occasions in a row
//   any    = "any" ["(x"n")"] [":" ("benign" | "hard" | "illegal")] ["(x"n")"]
//
// Numbers take k, m and g (bytes), times ns, us, ms and s.
#ifndef KERNEL_MODEL_SIM_FAULT_PARSER_H_
#define KERNEL_MODEL_SIM_FAULT_PARSER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

struct FaultParseOptions {
  // hold(tag) without a release(tag) is right: a test will call release itself.
  bool released_by_test = false;
};

// Parses and lints. INVALID_ARGUMENT gives the column (from 1; and the line, if there are several), what was expected
// and the nearest right word, then the line itself with a caret under the mistake.
absl::StatusOr<std::vector<FaultRule>> ParseFaultRules(absl::string_view text, FaultParseOptions options = {});

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_FAULT_PARSER_H_
