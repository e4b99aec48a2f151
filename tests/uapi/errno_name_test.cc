#include "uapi/errno_name.h"

#include <cerrno>
#include <cstring>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aiolab {
namespace {

TEST(ErrnoNameTest, KnowsOrdinaryAndKernelInternalNumbers) {
  EXPECT_EQ(ErrnoName(EAGAIN), "EAGAIN");
  EXPECT_EQ(ErrnoName(EHWPOISON), "EHWPOISON");
  EXPECT_EQ(ErrnoName(EIOCBQUEUED), "EIOCBQUEUED");
  EXPECT_EQ(ErrnoName(530), "EIOCBRETRY");
  EXPECT_EQ(ErrnoName(0), "0");
  EXPECT_EQ(ErrnoName(4000), "E<4000>");
}

// Every number that the C library can describe has a name here, so a newer system header cannot add one unnoticed.
TEST(ErrnoNameTest, HasANameForEveryErrnoOfTheCLibrary) {
  for (int error = 1; error < 512; ++error) {
    if (strerrorname_np(error) == nullptr) continue;
    EXPECT_EQ(ErrnoFromName(strerrorname_np(error)), error) << strerrorname_np(error);
    EXPECT_EQ(ErrnoName(error), strerrorname_np(error));
  }
}

TEST(ErrnoNameTest, DescribesForPeople) {
  EXPECT_EQ(ErrnoDescription(EAGAIN), "EAGAIN (Resource temporarily unavailable)");
  EXPECT_THAT(ErrnoDescription(EIOCBRETRY), testing::StartsWith("EIOCBRETRY ("));
  EXPECT_THAT(ErrnoDescription(4000), testing::HasSubstr("no such error number"));
}

TEST(ErrnoNameTest, ResultsOutsideTheErrorRangeAreNumbers) {
  EXPECT_EQ(ResultName(4096), "4096");
  EXPECT_EQ(ResultName(-EAGAIN), "-EAGAIN");
  EXPECT_EQ(ResultName(-5000), "-5000");
}

TEST(ErrnoNameTest, NamesAreFoundInAnyCaseAndUnknownOnesAreNot) {
  EXPECT_EQ(ErrnoFromName("eagain"), EAGAIN);
  EXPECT_EQ(ErrnoFromName("EIOCBRETRY"), 530);
  EXPECT_EQ(ErrnoFromName("EAGAIM"), 0);
  EXPECT_EQ(ErrnoFromName(""), 0);
}

}  // namespace
}  // namespace aiolab
