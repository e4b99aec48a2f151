// A fault rule for the length of a scope, in a test that has a Machine.
//
//   ScopedFault f(machine, "submit=nth(2):short(1)");
//   ... the code under test ...
//   EXPECT_TRUE(f.fired());
//
// A rule that never struck fails the test when the scope ends:
//
//   the fault rule submit=nth(2):short(1) never struck: its turn did not come in 1 occasion
//
// and so does a chain of which a later step never did, unless f.AllowUnfired() was called. A rule that does not parse
// fails the test with the parser's message, which names the column. The rules are those of kernel_model/FAULTS.md.
//
// A test that wants an exact order holds completions and lets them go:
//
//   ScopedFault f(machine, "complete[op=write]=nth(1):hold(first)");
//   ... submit two writes ...
//   ASSERT_TRUE(f.AwaitHeld("first"));   // the write is done, and its completion waits
//   ... reap the second one ...
//   EXPECT_EQ(f.Release("first"), 1);
#ifndef TOOLS_TESTING_SCOPED_FAULT_H_
#define TOOLS_TESTING_SCOPED_FAULT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "kernel_model/machine.h"
#include "kernel_model/sim/fault_parser.h"

namespace aiolab {

// Thread-compatible. The machine must outlive it. Not to be used from inside a call on the machine.
class ScopedFault {
 public:
  ScopedFault(Machine& machine, absl::string_view rules) : machine_(machine) {
    absl::StatusOr<std::vector<FaultRule>> parsed = ParseFaultRules(rules, {.released_by_test = true});
    if (!parsed.ok()) {
      ADD_FAILURE() << "a fault rule does not parse: " << parsed.status().message();
      return;
    }
    for (FaultRule& rule : *parsed) rules_.push_back(machine_.AddFaultRule(std::move(rule)));
  }

  ~ScopedFault() {
    for (const int rule : rules_) {
      const FaultRuleCounts counts = machine_.CountsOfFaultRule(rule);
      if (!counts.unfired_because.empty() && !may_be_unfired_) {
        ADD_FAILURE() << "the fault rule " << counts.text
                      << (counts.hits == 0 ? " never struck: " : " did not strike to its end: ")
                      << counts.unfired_because;
      }
      machine_.RemoveFaultRule(rule);
    }
  }
  ScopedFault(const ScopedFault&) = delete;
  ScopedFault& operator=(const ScopedFault&) = delete;

  // Every rule has struck at least once.
  bool fired() const {
    for (const int rule : rules_) {
      if (machine_.CountsOfFaultRule(rule).hits == 0) return false;
    }
    return !rules_.empty();
  }
  // How often they struck, together.
  uint64_t hits() const {
    uint64_t hits = 0;
    for (const int rule : rules_) hits += machine_.CountsOfFaultRule(rule).hits;
    return hits;
  }
  // How many occasions fitted their filters, together.
  uint64_t occasions() const {
    uint64_t occasions = 0;
    for (const int rule : rules_) occasions += machine_.CountsOfFaultRule(rule).occasions;
    return occasions;
  }

  // A rule that never strikes is no failure.
  ScopedFault& AllowUnfired() {
    may_be_unfired_ = true;
    return *this;
  }

  // Runs the model until hold(tag) holds `count` completions. False if it has nothing left to do before that.
  [[nodiscard]] bool AwaitHeld(absl::string_view tag, int count = 1) { return machine_.RunUntilHeld(tag, count); }
  // Lets go of what is held. Returns how many completions that were; they come as the next things that happen.
  int Release(absl::string_view tag) { return machine_.Release(tag); }

 private:
  Machine& machine_;
  std::vector<int> rules_;
  bool may_be_unfired_ = false;
};

}  // namespace aiolab

#endif  // TOOLS_TESTING_SCOPED_FAULT_H_
