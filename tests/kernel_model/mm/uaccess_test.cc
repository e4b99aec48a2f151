#include "kernel_model/mm/uaccess.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "gtest/gtest.h"

namespace aiolab {
namespace {

// Two pages, the second of which cannot be touched.
class UaccessTest : public testing::Test {
 protected:
  UaccessTest() {
    InstallFaultHandler(sigaction);
    pages_ = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(pages_, 'x', 4096);
    mprotect(pages_ + 4096, 4096, PROT_NONE);
  }
  ~UaccessTest() override { munmap(pages_, 8192); }

  char* pages_;
};

TEST_F(UaccessTest, AGoodCopyLeavesNothingOver) {
  char buffer[100];
  EXPECT_EQ(CopyPinned(buffer, pages_, sizeof(buffer)), 0u);
  EXPECT_EQ(std::string(buffer, sizeof(buffer)), std::string(100, 'x'));
}

TEST_F(UaccessTest, ABadAddressEndsTheCopyWhereItBegins) {
  char buffer[300] = {};
  EXPECT_EQ(CopyPinned(buffer, pages_ + 4096 - 100, 300), 200u);
  EXPECT_EQ(std::string(buffer, 101), std::string(100, 'x') + '\0');
  EXPECT_EQ(CopyPinned(pages_ + 4096 - 10, buffer, 300), 290u);
  EXPECT_EQ(CopyPinned(nullptr, buffer, 300), 300u);
  EXPECT_EQ(CopyPinned(buffer, reinterpret_cast<void*>(uintptr_t{0xdead} << 47), 8), 8u) << "not even an address";
}

// SIGBUS: a mapping behind the end of its file.
TEST_F(UaccessTest, AMappingBehindTheEndOfItsFileIsABadAddress) {
  const int fd = memfd_create("short", 0);
  ASSERT_EQ(ftruncate(fd, 4096), 0);
  void* const map = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 0);
  char buffer[4];
  EXPECT_EQ(CopyPinned(buffer, static_cast<char*>(map) + 4096, 4), 4u);
  munmap(map, 8192);
  close(fd);
}

sigjmp_buf recover;
int client_faults = 0;

// A fault elsewhere is the client's: its handler, installed before or after, gets it with everything that belongs to
// it.
TEST_F(UaccessTest, AFaultElsewhereGoesToTheClientsHandler) {
  struct sigaction mine = {};
  mine.sa_flags = SA_SIGINFO;
  mine.sa_sigaction = [](int, siginfo_t* info, void*) {
    ++client_faults;
    EXPECT_NE(info->si_addr, nullptr);
    siglongjmp(recover, 1);
  };
  const struct sigaction before = ClientFaultAction(SIGSEGV);
  SetClientFaultAction(SIGSEGV, mine);
  client_faults = 0;
  if (sigsetjmp(recover, 1) == 0) *static_cast<volatile char*>(pages_ + 4096) = 1;
  EXPECT_EQ(client_faults, 1);
  char buffer[4];
  EXPECT_EQ(CopyPinned(buffer, pages_ + 4096, 4), 4u);
  EXPECT_EQ(client_faults, 1) << "a fault of the model's own copies is none of the client's business";
  SetClientFaultAction(SIGSEGV, before);
}

TEST_F(UaccessTest, CopiesOfOtherThreadsSurviveToo) {
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, nullptr,
                [](void* bad) -> void* {
                  char buffer[4];
                  return reinterpret_cast<void*>(CopyPinned(buffer, bad, 4));
                },
                pages_ + 4096),
            0);
  void* left = nullptr;
  pthread_join(thread, &left);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(left), 4u);
}

}  // namespace
}  // namespace aiolab
