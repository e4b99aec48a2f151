// Where an emulated kernel is known to behave unlike the real one. The list may only shrink.
#ifndef TESTS_CONFORMANCE_KNOWN_DIFFERENCES_H_
#define TESTS_CONFORMANCE_KNOWN_DIFFERENCES_H_

#include <string>
#include <vector>

namespace aiolab {

struct KnownDifference {
  std::string backend;  // Backend::name
  std::string test;     // without the backend: "SynchronousTest.ABufferedReadIsDoneWhenSubmitReturns"
  std::string reason;   // what the backend does instead, and why
};

// The test does not run on that backend. A test or backend named here which does not exist is an error of the whole
// run;
// `--only_known_differences` runs the listed tests and nothing else: one that passes has to leave the list.
const std::vector<KnownDifference>& KnownDifferences();

}  // namespace aiolab

#endif  // TESTS_CONFORMANCE_KNOWN_DIFFERENCES_H_
