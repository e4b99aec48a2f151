// Where a kernel is known to behave unlike Linux 6.18, on which the suite was written: an emulated one, until it is
// mended, or an older real one, which lacks what came later. The list may only shrink.
#ifndef TESTS_CONFORMANCE_KNOWN_DIFFERENCES_H_
#define TESTS_CONFORMANCE_KNOWN_DIFFERENCES_H_

#include <string>
#include <vector>

namespace aiolab {

struct KnownDifference {
  std::string backend;  // Backend::name
  std::string test;     // without the backend: "SynchronousTest.ABufferedReadIsDoneWhenSubmitReturns"
  std::string reason;   // what the backend does instead, and why

  // "6.18": only where the real kernel underneath is older than that. Empty: always.
  std::string before_kernel = "";
};

// False if the real kernel is too young for `difference`.
bool AppliesHere(const KnownDifference& difference);

// Everything that is known. A test named here does not run on its backend, if the difference applies here. A test or
// backend named here which does not exist is an error of the whole run; `--only_known_differences` runs the listed
// tests and nothing else: one that passes has to leave the list.
const std::vector<KnownDifference>& KnownDifferences();

}  // namespace aiolab

#endif  // TESTS_CONFORMANCE_KNOWN_DIFFERENCES_H_
