// Runs the conformance tests, and says for each backend how many ran and how many are listed as differences:
//
//   conformance: host 410 tests, 0 known differences
//
// Flags besides GoogleTest's: --backend=NAME runs one backend; --only_known_differences runs the listed tests alone.
#include <cstdio>
#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "tests/conformance/backend.h"
#include "tests/conformance/known_differences.h"

namespace aiolab {
namespace {

struct Options {
  std::string backend;  // empty: all
  bool only_known_differences = false;
};

std::string BackendOf(const testing::TestInfo& test) {
  const std::string name = test.name();
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? "" : name.substr(slash + 1);
}

// Calls `visit` for every test there is, whether it runs or not.
template <typename Visit>
void ForEachTest(Visit visit) {
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) visit(*suite.GetTestInfo(j));
  }
}

// The listed tests of the selected backends, as far as they apply here, by their full names. Says on stderr which ones
// do not exist, and counts them.
std::set<std::string> ListedTests(int* errors) {
  std::set<std::string> all_tests, backends, listed;
  ForEachTest([&](const testing::TestInfo& test) {
    all_tests.insert(absl::StrCat(test.test_suite_name(), ".", test.name()));
    backends.insert(BackendOf(test));
  });
  for (const KnownDifference& difference : KnownDifferences()) {
    if (backends.count(difference.backend) == 0) continue;
    const std::string full_name = absl::StrCat(difference.test, "/", difference.backend);
    if (all_tests.count(full_name) == 0) {
      fprintf(stderr, "known_differences.cc: there is no test %s; take it off the list or mend its name\n",
              full_name.c_str());
      ++*errors;
      continue;
    }
    if (AppliesHere(difference)) listed.insert(full_name);
  }
  return listed;
}

int UnknownBackends() {
  int errors = 0;
  std::set<std::string> names;
  for (const Backend& backend : AllBackends()) names.insert(backend.name);
  for (const KnownDifference& difference : KnownDifferences()) {
    if (names.count(difference.backend) != 0) continue;
    fprintf(stderr, "known_differences.cc: there is no backend '%s' (of %s); there are: %s\n",
            difference.backend.c_str(), difference.test.c_str(), absl::StrJoin(names, ", ").c_str());
    ++errors;
  }
  return errors;
}

void ApplyFilter(const std::set<std::string>& listed, bool only_listed) {
  if (only_listed) {
    GTEST_FLAG_SET(filter, listed.empty() ? "-*" : absl::StrJoin(listed, ":"));
    return;
  }
  if (listed.empty()) return;
  const std::string filter = GTEST_FLAG_GET(filter);
  const char* separator = absl::StrContains(filter, '-') ? ":" : "-";
  GTEST_FLAG_SET(filter, absl::StrCat(filter, separator, absl::StrJoin(listed, ":")));
}

void PrintSummary(const std::set<std::string>& listed) {
  for (const Backend& backend : AllBackends()) {
    int ran = 0;
    ForEachTest([&](const testing::TestInfo& test) { ran += test.should_run() && BackendOf(test) == backend.name; });
    int differences = 0;
    for (const std::string& test : listed) differences += absl::EndsWith(test, absl::StrCat("/", backend.name));
    printf("conformance: %s %d tests, %d known differences\n", backend.name.c_str(), ran, differences);
  }
}

int Main(int argc, char** argv) {
  const int unknown_backends = UnknownBackends();
  Options options;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    absl::string_view arg = argv[i];
    if (absl::ConsumePrefix(&arg, "--backend=")) {
      options.backend = std::string(arg);
    } else if (arg == "--only_known_differences") {
      options.only_known_differences = true;
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  argv[argc] = nullptr;
  if (!options.backend.empty() && !SelectBackend(options.backend)) {
    fprintf(stderr, "--backend=%s: no such backend; there are: %s\n", options.backend.c_str(),
            absl::StrJoin(AllBackends(), ", ", absl::StreamFormatter()).c_str());
    return 2;
  }

  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) {
    fprintf(stderr, "%s: unknown argument; there are --backend=NAME, --only_known_differences and GoogleTest's own\n",
            argv[1]);
    return 2;
  }
  int errors = unknown_backends;
  const std::set<std::string> listed = ListedTests(&errors);
  ApplyFilter(listed, options.only_known_differences);
  const int failed = RUN_ALL_TESTS();
  PrintSummary(listed);
  return errors != 0 ? 1 : failed;
}

}  // namespace
}  // namespace aiolab

int main(int argc, char** argv) { return aiolab::Main(argc, argv); }
