// The drop-in libaio: the versions that clients were linked against.
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tests/uapi/libaio/recording_kernel.h"

namespace aiolab {
namespace {

using ::testing::ElementsAre;

std::string DropInPath() { return RunfilePath("uapi/libaio/libaio.so.1"); }

struct Version {
  const char* name;
  const char* version;
  bool is_default;  // what a client linked today gets
};

constexpr Version kVersions[] = {
    {"io_queue_init", "LIBAIO_0.1", true},  {"io_queue_release", "LIBAIO_0.1", true},
    {"io_queue_run", "LIBAIO_0.1", true},   {"io_submit", "LIBAIO_0.1", true},
    {"io_queue_wait", "LIBAIO_0.1", false}, {"io_cancel", "LIBAIO_0.1", false},
    {"io_getevents", "LIBAIO_0.1", false},  {"io_setup", "LIBAIO_0.4", true},
    {"io_destroy", "LIBAIO_0.4", true},     {"io_cancel", "LIBAIO_0.4", true},
    {"io_getevents", "LIBAIO_0.4", true},   {"io_queue_wait", "LIBAIO_0.4", true},
    {"io_pgetevents", "LIBAIO_0.5", true},
};

void ExpectEveryVersion(void* library) {
  for (const Version& version : kVersions) {
    SCOPED_TRACE(testing::Message() << version.name << "@" << version.version);
    void* symbol = dlvsym(library, version.name, version.version);
    EXPECT_NE(symbol, nullptr);
    EXPECT_EQ(symbol == dlsym(library, version.name), version.is_default);
  }
}

class DropInTest : public testing::Test {
 protected:
  void SetUp() override {
    library_ = dlopen(DropInPath().c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << dlerror();
    install_ = reinterpret_cast<void (*)(AioSyscalls*)>(
        dlvsym(library_, "_ZN6aiolab15InstallSyscallsEPNS_11AioSyscallsE", "AIOLAB_1"));
    ASSERT_NE(install_, nullptr) << dlerror();
  }

  void TearDown() override { dlclose(library_); }

  void* library_ = nullptr;
  void (*install_)(AioSyscalls*) = nullptr;
};

TEST_F(DropInTest, HasEverySymbolAtItsVersion) { ExpectEveryVersion(library_); }

// Guards the table above: the library that it was written from has the same.
TEST(SystemLibraryTest, HasTheSameVersions) {
  void* system = dlopen("libaio.so.1t64", RTLD_NOW | RTLD_LOCAL);
  if (system == nullptr) system = dlopen("libaio.so.1", RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(system, nullptr) << dlerror() << " (install the package libaio1t64 or libaio1)";
  ExpectEveryVersion(system);
  // The loader takes a soname that it has already for the same library.
  EXPECT_EQ(dlvsym(system, "_ZN6aiolab15InstallSyscallsEPNS_11AioSyscallsE", "AIOLAB_1"), nullptr)
      << "that is our own library, not the system's";
  dlclose(system);
}

TEST_F(DropInTest, OldAndNewGeteventsTakeTheirOwnArguments) {
  RecordingKernel kernel;
  install_(kernel.syscalls());
  void* const ctx = reinterpret_cast<void*>(0x5000);
  void* const events = reinterpret_cast<void*>(0x6000);
  timespec timeout = {4, 0};
  const auto current = reinterpret_cast<int (*)(void*, long, long, void*, timespec*)>(dlsym(library_, "io_getevents"));
  const auto old =
      reinterpret_cast<int (*)(void*, long, void*, const timespec*)>(dlvsym(library_, "io_getevents", "LIBAIO_0.1"));

  EXPECT_EQ(current(ctx, 3, 7, events, &timeout), 0);
  EXPECT_EQ(old(ctx, 7, events, &timeout), 0);
  install_(nullptr);

  ASSERT_EQ(kernel.calls.size(), 2u);
  EXPECT_THAT(kernel.calls[0].arguments, ElementsAre(0x5000, 3, 7, 0x6000));
  EXPECT_THAT(kernel.calls[1].arguments, ElementsAre(0x5000, 1, 7, 0x6000));
}

TEST_F(DropInTest, OldCancelNeedsNoEvent) {
  RecordingKernel kernel;
  install_(kernel.syscalls());
  const auto old = reinterpret_cast<int (*)(void*, void*)>(dlvsym(library_, "io_cancel", "LIBAIO_0.1"));
  EXPECT_EQ(old(reinterpret_cast<void*>(0x5000), reinterpret_cast<void*>(0x7000)), 0);
  install_(nullptr);

  ASSERT_EQ(kernel.calls.size(), 1u);
  EXPECT_THAT(kernel.calls[0].arguments, ElementsAre(0x5000, 0x7000, testing::Ne(0u)));
}

TEST_F(DropInTest, ReachesTheRealKernelIfNothingIsInstalled) {
  const auto io_destroy = reinterpret_cast<int (*)(void*)>(dlsym(library_, "io_destroy"));
  EXPECT_EQ(io_destroy(nullptr), -EINVAL);
}

}  // namespace
}  // namespace aiolab
