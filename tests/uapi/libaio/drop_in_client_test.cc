// A real client on the drop-in libaio.
#include <dlfcn.h>

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;

std::string DropInDirectory() {
  const std::string path = RunfilePath("uapi/libaio/libaio.so.1");
  return path.substr(0, path.rfind('/'));
}

// The environment for a program on the drop-in. If that is built with AddressSanitizer, its run-time library has to be
// the program's first: fio does not survive it otherwise.
std::vector<std::pair<std::string, std::string>> DropInEnvironment() {
  std::vector<std::pair<std::string, std::string>> environment = {{"LD_LIBRARY_PATH", DropInDirectory()},
                                                                  SanitizerEnvironment()};
  Dl_info info;
  void* const asan_init = dlsym(RTLD_DEFAULT, "__asan_init");
  if (asan_init != nullptr && dladdr(asan_init, &info) != 0) environment.push_back({"LD_PRELOAD", info.dli_fname});
  return environment;
}

TEST(DropInClientTest, FioLoadsItAndVerifiesItsData) {
  const ProgramOptions with_drop_in = {DropInEnvironment(), NewTestDirectory()};
  ProgramOptions list_libraries = with_drop_in;
  list_libraries.environment.push_back({"LD_TRACE_LOADED_OBJECTS", "1"});
  const ProgramResult loaded = RunProgram({"fio"}, list_libraries);
  ASSERT_EQ(loaded.status, 0) << loaded.err << "(this test needs the package fio)";
  ASSERT_THAT(loaded.out, HasSubstr(" => " + DropInDirectory() + "/libaio.so.1"));

  const ProgramResult fio = RunProgram({"fio", "--name=verify", "--ioengine=libaio", "--rw=randrw", "--bs=4k",
                                        "--size=2m", "--iodepth=16", "--iodepth_batch_submit=4", "--verify=crc32c",
                                        "--verify_fatal=1", "--filename=fio_data", "--output-format=terse"},
                                       with_drop_in);
  EXPECT_EQ(fio.status, 0) << fio.out << fio.err;
  EXPECT_EQ(fio.signal, 0);
}

}  // namespace
}  // namespace aiolab
