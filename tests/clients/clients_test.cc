// The clients on the real kernel: each is right there, before it judges another one.
#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Client {
  const char* name;
  std::vector<std::string> larger;  // options for a run that differs from the default one
};

std::string PathOf(const std::string& name) { return RunfilePath("tests/clients/" + name); }

class ClientTest : public testing::TestWithParam<Client> {
 protected:
  ProgramResult Run(std::vector<std::string> options,
                    std::vector<std::pair<std::string, std::string>> environment = {}) {
    options.insert(options.begin(), PathOf(GetParam().name));
    options.push_back("--dir=" + NewTestDirectory());
    return RunProgram(options, {std::move(environment), ""});
  }

  void ExpectRight(const ProgramResult& result) {
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_THAT(result.out, StartsWith(std::string(GetParam().name) + ": "));
    EXPECT_THAT(result.out, EndsWith("\n"));
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1);
  }
};

TEST_P(ClientTest, EndsWellOnTheRealKernel) { ExpectRight(Run({})); }

TEST_P(ClientTest, EndsWellWithOtherSizes) { ExpectRight(Run(GetParam().larger)); }

// A client that would not notice could not judge a kernel. Method: a library between it and libaio which moves its
// reads.
TEST_P(ClientTest, NoticesWrongData) {
  if (std::string(GetParam().name) == "dlopen_libaio") {
    // It asks its own handle for the functions, where no preloaded one is found. It has to notice a broken library
    // instead.
    const std::string directory = NewTestDirectory();
    for (const char* name : {"/libaio.so.1", "/libaio.so.1t64"}) {
      ASSERT_TRUE(CreateFile(directory + name, "no library").ok());
    }
    const ProgramResult result = Run({}, {{"LD_LIBRARY_PATH", directory}});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.err, HasSubstr("dlopen_libaio: " + directory + "/libaio.so.1"));
    return;
  }
  const ProgramResult result = Run({}, PreloadEnvironment(PathOf("libshifts_reads.so")));
  EXPECT_EQ(result.status, 1) << result.out;
  EXPECT_THAT(result.err, HasSubstr(std::string(GetParam().name) + ": block "));
}

TEST_P(ClientTest, RefusesOptionsThatItDoesNotKnow) {
  EXPECT_THAT(Run({"--blokcs=1"}).err, HasSubstr("there is no option --blokcs, only --dir --blocks"));
  EXPECT_THAT(Run({"--blocks=x"}).err, HasSubstr("--blocks=x: it has to be a number"));
  EXPECT_EQ(Run({"blocks"}).status, 1);
}

INSTANTIATE_TEST_SUITE_P(All, ClientTest,
                         testing::Values(Client{"ring_spinner", {"--blocks=500", "--depth=33"}},
                                         Client{"sleepy_poller", {"--blocks=300", "--depth=1", "--sleep_us=1"}},
                                         Client{"four_and_two", {"--blocks=1000", "--events=2"}},
                                         Client{"eventfd_ppoll", {"--blocks=500", "--depth=33"}},
                                         Client{"fork_and_threads", {"--blocks=50", "--children=5", "--depth=9"}},
                                         Client{"dlopen_libaio", {"--blocks=500", "--depth=33"}},
                                         Client{"closes_all_fds", {"--blocks=200", "--depth=1"}}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace aiolab
