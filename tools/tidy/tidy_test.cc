// The house rules: the tree keeps them, and each is seen to fire on a bad snippet.
#include "tools/tidy/tidy.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aiolab::tidy {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The rules that `text`, standing at `path`, breaks.
std::vector<std::string> RulesBrokenBy(const std::string& path, const std::string& text) {
  std::vector<std::string> rules;
  for (const Finding& finding : CheckTree({SourceFile(path, text)})) rules.push_back(finding.rule);
  return rules;
}

// Bazel links the data file WORKSPACE to the tree; the tree is not an input, so BUILD tags this test to run every time.
std::string RootOfTheTree() {
  const std::string link = absl::StrCat(std::getenv("TEST_SRCDIR"), "/", std::getenv("TEST_WORKSPACE"), "/WORKSPACE");
  return std::filesystem::canonical(link).parent_path().string();
}

TEST(TidyTest, TheTreeKeepsTheHouseRules) {
  const absl::StatusOr<std::vector<SourceFile>> files = ReadTree(RootOfTheTree());
  ASSERT_TRUE(files.ok()) << files.status();
  std::vector<std::string> paths;
  for (const SourceFile& file : *files) paths.push_back(file.path());
  ASSERT_GE(files->size(), 20u) << "this is not the whole tree: " << RootOfTheTree() << ": "
                                << absl::StrJoin(paths, " ");
  for (const char* path :
       {"uapi/aio_abi.h", "uapi/BUILD", "tests/uapi/errno_name_test.cc", "tools/tidy/tidy_test.cc"}) {
    EXPECT_THAT(paths, Contains(path)) << "under " << RootOfTheTree();
  }

  const std::vector<Finding> findings = CheckTree(*files);
  for (const Finding& finding : findings) ADD_FAILURE() << finding;
  RecordProperty("files", static_cast<int>(files->size()));
}

struct Case {
  const char* name;
  const char* path;
  const char* text;
  const char* rule;  // "" if the text is as it should be
};

class TidyRuleTest : public testing::TestWithParam<Case> {};

TEST_P(TidyRuleTest, FiresWhereItShouldAndNowhereElse) {
  const Case& c = GetParam();
  if (*c.rule == '\0') {
    EXPECT_THAT(RulesBrokenBy(c.path, c.text), IsEmpty());
  } else {
    EXPECT_THAT(RulesBrokenBy(c.path, c.text), ElementsAre(c.rule));
  }
}

constexpr Case kLayerCases[] = {
    {"UapiUsesTheModel", "uapi/a.cc", "#include \"kernel_model/sim/chooser.h\"\n", "layers"},
    {"SimUsesFs", "kernel_model/sim/a.cc", "#include \"kernel_model/fs/aio.h\"\n", "layers"},
    {"SimUsesUapi", "kernel_model/sim/a.cc", "#include \"uapi/errno_name.h\"\n", ""},
    {"MmUsesBlock", "kernel_model/mm/a.cc", "#include \"kernel_model/block/bio.h\"\n", "layers"},
    {"BlockUsesDrivers", "kernel_model/block/a.cc", "#include \"kernel_model/drivers/block/sim_disk.h\"\n", "layers"},
    {"FsUsesDrivers", "kernel_model/fs/a.cc", "#include \"kernel_model/drivers/block/sim_disk.h\"\n", "layers"},
    {"FsUsesMachine", "kernel_model/fs/a.cc", "#include \"kernel_model/machine.h\"\n", "layers"},
    {"FsUsesProfileAndBlock", "kernel_model/fs/a.cc",
     "#include \"kernel_model/profile.h\"\n#include \"kernel_model/block/bio.h\"\n", ""},
    {"MachineUsesDrivers", "kernel_model/machine.cc", "#include \"kernel_model/drivers/block/sim_disk.h\"\n", ""},
    {"ModelUsesTools", "kernel_model/machine.cc", "#include \"tools/testing/explore.h\"\n", "layers"},
    {"ModelUsesGoogleTest", "kernel_model/fs/a.cc", "#include \"gtest/gtest.h\"\n", "layers"},
    {"ToolsUseTests", "tools/aiolab/a.cc", "#include \"tests/conformance/fixture.h\"\n", "layers"},
    {"TestsUseEverything", "tests/a_test.cc", "#include \"tools/testing/explore.h\"\n", ""},
    {"BuildOfFsNamesDrivers", "kernel_model/fs/BUILD", "    deps = [\"//kernel_model/drivers/block:sim_disk\"],\n",
     "layers"},
    {"BuildOfFsNamesMachine", "kernel_model/fs/BUILD", "    deps = [\n        \"//kernel_model:machine\",\n    ],\n",
     "layers"},
    {"BuildOfFsNamesProfile", "kernel_model/fs/BUILD", "    deps = [\"//kernel_model:profile\"],\n", ""},
    {"BuildOfUapiNamesAPackage", "uapi/BUILD", "    deps = [\"//kernel_model\"],\n", "layers"},
    {"BuildNamesGoogleTest", "kernel_model/fs/BUILD", "    deps = [\"@com_google_googletest//:gtest\"],\n", "layers"},
    {"VisibilityIsNoDependency", "kernel_model/fs/BUILD",
     "package(default_visibility = [\n    \"//tests:__subpackages__\",\n])\n", ""},
    {"DependencyAfterVisibility", "kernel_model/fs/BUILD",
     "    visibility = [\n        \"//tests:__pkg__\",\n    ],\n    deps = [\"//tests:fixture\"],\n", "layers"},
};

constexpr Case kBanCases[] = {
    {"RangeForOverHash", "kernel_model/a.cc",
     "absl::flat_hash_map<int, std::vector<int>> slots_;\nfor (const auto& s : this->slots_) {\n", "hash-order"},
    {"BeginOfHash", "kernel_model/a.cc", "std::unordered_set<int> ids;\nauto it = ids.begin();\n", "hash-order"},
    {"LookUpInHash", "kernel_model/a.cc", "absl::flat_hash_map<int, int> ids;\nauto it = ids.find(3);\n", ""},
    {"RangeForOverVector", "kernel_model/a.cc", "std::vector<int> ids;\nfor (int id : ids) {\n", ""},
    {"Distribution", "kernel_model/a.cc", "std::uniform_int_distribution<int> d(0, 1);\n", "random"},
    {"BitGen", "kernel_model/a.cc", "absl::BitGen gen;\n", "random"},
    {"RandomDevice", "tools/aiolab/a.cc", "std::random_device device;\n", "random"},
    {"Rand", "kernel_model/a.cc", "int x = rand();\n", "random"},
    {"MethodCalledRand", "kernel_model/a.cc", "int x = chooser.rand();\n", ""},
    {"ChronoClock", "kernel_model/a.cc", "auto t = std::chrono::steady_clock::now();\n", "clock"},
    {"ClockGettime", "kernel_model/fs/a.cc", "clock_gettime(CLOCK_MONOTONIC, &ts);\n", "clock"},
    {"ClockInTheExecutor", "kernel_model/sim/live_executor.cc", "clock_gettime(CLOCK_MONOTONIC, &ts);\n", ""},
    {"ClockInPreload", "tools/preload/a.cc", "clock_gettime(CLOCK_MONOTONIC, &ts);\n", ""},
    {"ClockInAComment", "kernel_model/a.cc", "// clock_gettime(2) is the client's.\n/* rand() */\n", ""},
    {"ClockInAString", "kernel_model/a.cc", "const char* name = \"clock_gettime()\";\n", ""},
    {"ClockAfterARawString", "kernel_model/a.cc", "f(R\"(\"//)\", absl::Now());\n", "clock"},
    {"Thread", "kernel_model/fs/a.cc", "std::thread worker(f);\n", "thread"},
    {"PthreadCreate", "tools/aiolab/a.cc", "pthread_create(&t, nullptr, f, nullptr);\n", "thread"},
    {"ThreadInATest", "tests/a_test.cc", "std::thread worker(f);\n", ""},
    {"ThisThread", "kernel_model/a.cc", "std::this_thread::yield();\n", ""},
    {"PrintsAPointer", "kernel_model/a.cc", "printf(\"ctx %p\\n\", ctx);\n", "pointer"},
    {"TracesAPointer", "kernel_model/a.cc", "Trace(\"iocb\", reinterpret_cast<uintptr_t>(iocb));\n", "pointer"},
    {"PointerAsKey", "kernel_model/a.cc", "std::map<kioctx*, int> users;\n", "pointer"},
    {"PointerAsValue", "kernel_model/a.cc", "std::map<int, kioctx*> contexts;\n", ""},
    {"AsksWhetherSimulated", "kernel_model/a.cc", "if (machine.is_simulated()) return 0;\n", "simulated"},
    {"AbslLog", "tools/aiolab/a.cc", "#include \"absl/log/check.h\"\n", "status"},
    {"Plan", "kernel_model/a.cc",
     "int x;  // TO"
     "DO: more\n",
     "todo"},
    {"SkippedTest", "tests/a_test.cc",
     "GTEST_"
     "SKIP();\n",
     "skip"},
    {"DisabledTest", "tests/a_test.cc",
     "TEST(A, DISA"
     "BLED_B) {}\n",
     "skip"},
    {"TlsModel", "tools/preload/a.cc",
     "thread_local int a __attribute__((tls_"
     "model(\"initial-exec\")));\n",
     "tls"},
    {"ReasonGiven", "kernel_model/a.cc",
     "// tidy: allow clock: measures the model itself, not the run\nauto t = absl::Now();\n", ""},
    {"NoReasonGiven", "kernel_model/a.cc", "auto t = absl::Now();  // tidy: allow clock: \n", "clock"},
    {"ReasonForAnotherRule", "kernel_model/a.cc", "auto t = absl::Now();  // tidy: allow thread: it is a reason\n",
     "clock"},
};

constexpr Case kLookCases[] = {
    {"Tab", "uapi/a.cc", "\tint x;\n", "tab"},
    {"NoGuard", "uapi/a.h", "int x;\n", "guard"},
    {"GuardOfAnotherFile", "uapi/a.h", "#ifndef UAPI_B_H_\n#define UAPI_B_H_\n#endif\n", "guard"},
    {"Guard", "uapi/a.h", "#ifndef UAPI_A_H_\n#define UAPI_A_H_\n#endif\n", ""},
};

std::string CaseName(const testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Layers, TidyRuleTest, testing::ValuesIn(kLayerCases), CaseName);
INSTANTIATE_TEST_SUITE_P(Bans, TidyRuleTest, testing::ValuesIn(kBanCases), CaseName);
INSTANTIATE_TEST_SUITE_P(Looks, TidyRuleTest, testing::ValuesIn(kLookCases), CaseName);

TEST(TidyTest, ALineMayHave120ColumnsCountedInCharacters) {
  EXPECT_THAT(RulesBrokenBy("uapi/a.cc", std::string(120, 'x')), IsEmpty());
  EXPECT_THAT(RulesBrokenBy("uapi/a.cc", std::string(121, 'x')), ElementsAre("columns"));
  EXPECT_THAT(RulesBrokenBy("uapi/a.cc", std::string(119, 'x') + "\xc3\xa4"), IsEmpty());
}

TEST(TidyTest, AFileMayHave500LinesUnlessItIsNamedAsLonger) {
  std::string text;
  for (int line = 0; line < 500; ++line) text += "\n";
  EXPECT_THAT(RulesBrokenBy("uapi/a.cc", text), IsEmpty());
  EXPECT_THAT(RulesBrokenBy("uapi/a.cc", text + "\n"), ElementsAre("length"));
  EXPECT_THAT(RulesBrokenBy("kernel_model/fs/aio.cc", text + "\n"), IsEmpty());
}

TEST(TidyTest, AHashContainerDeclaredInTheHeaderIsKnownInTheSource) {
  const std::vector<Finding> findings = CheckTree({SourceFile("kernel_model/a.cc", "for (auto& slot : slots_) {\n"),
                                                   SourceFile("kernel_model/a.h",
                                                              "#ifndef KERNEL_MODEL_A_H_\n#define KERNEL_MODEL_A_H_\n"
                                                              "absl::flat_hash_map<int, int> slots_;\n#endif\n")});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].path, "kernel_model/a.cc");
  EXPECT_EQ(findings[0].line, 1);
  EXPECT_EQ(findings[0].rule, "hash-order");
}

TEST(TidyTest, ATreeThatCannotBeReadIsAnError) { EXPECT_FALSE(ReadTree("/nonexistent").ok()); }

}  // namespace
}  // namespace aiolab::tidy
