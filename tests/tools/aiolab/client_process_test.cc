#include "tools/aiolab/client_process.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace aiolab {
namespace {

// From here on, in this process and its children, it is as on a kernel that does not have it.
void TakeAwayPidfdOpen() {
  sock_filter program[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_pidfd_open},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog filter = {4, program};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
  ASSERT_EQ(syscall(SYS_pidfd_open, getpid(), 0), -1);
}

class ClientProcessTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) TakeAwayPidfdOpen();
  }
  static ProgramEnd Run(const std::string& script, const ProgramSetup& setup) {
    return RunToItsEnd("/bin/sh", {"sh", "-c", script}, setup).value();
  }
};

TEST_P(ClientProcessTest, AProgramThatIsLookedAtEndsByItself) {
  int looks = 0;
  ProgramSetup setup;
  setup.look = [&looks] { ++looks; };
  EXPECT_EQ(Run("exit 5", setup).status, 5);
  EXPECT_GE(looks, 1);
}

TEST_P(ClientProcessTest, AProgramIsKilledWhenItsTimeIsUp) {
  ProgramSetup setup;
  setup.seconds_max = 1;
  const ProgramEnd end = Run("exec sleep 20", setup);
  EXPECT_TRUE(end.timed_out);
  EXPECT_EQ(end.signal, SIGKILL);
}

TEST_P(ClientProcessTest, AProgramGoesWithThePower) {
  ProgramSetup setup;
  int asked = 0;
  setup.power_is_off = [&asked] { return ++asked > 3; };
  setup.environment = {{"WHOSE", "ours"}};
  setup.mark = "WHOSE";
  const ProgramEnd end = Run("exec sleep 20", setup);
  EXPECT_EQ(end.signal, SIGKILL);
  EXPECT_TRUE(end.left.empty());
}

// With the system call first: it does not come back.
INSTANTIATE_TEST_SUITE_P(WithPidfdOpen, ClientProcessTest, testing::Values(true));
INSTANTIATE_TEST_SUITE_P(WithoutPidfdOpen, ClientProcessTest, testing::Values(false));

}  // namespace
}  // namespace aiolab
