// The embedded default client, on the real kernel.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tools/aiolab/files.h"
#include "tools/aiolab/wal/crc32c.h"
#include "tools/aiolab/wal/log_format.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;

std::string Wal() { return RunfilePath("tools/aiolab/wal/wal"); }

class WalTest : public testing::Test {
 protected:
  void SetUp() override {
    const ProgramResult append = RunProgram({Wal(), "append", log_, "100", "4"});
    ASSERT_EQ(append.status, 0) << append.err;
  }

  // `wal check` says that the log is wrong, and how.
  void ExpectProblem(const std::string& how) {
    const ProgramResult check = RunProgram({Wal(), "check", log_});
    EXPECT_EQ(check.status, 1);
    EXPECT_THAT(check.err, HasSubstr(how));
  }

  void Overwrite(const std::string& path, const std::string& contents) {
    const absl::Status status = ReplaceFile(path, contents);
    ASSERT_TRUE(status.ok()) << status;
  }

  std::string Bytes() { return ReadFile(log_).value(); }

  const std::string log_ = NewTestDirectory() + "/log";
};

TEST_F(WalTest, WhatWasAppendedIsThere) {
  const ProgramResult check = RunProgram({Wal(), "check", log_});
  EXPECT_EQ(check.status, 0) << check.err;
  EXPECT_THAT(check.out, HasSubstr("100 records"));
  EXPECT_THAT(check.out, HasSubstr("all 100 acknowledged ones"));
}

TEST_F(WalTest, TheSameArgumentsGiveTheSameBytes) {
  const std::string first = Bytes();
  ASSERT_EQ(RunProgram({Wal(), "append", log_, "100", "9"}).status, 0);
  EXPECT_EQ(Bytes(), first);
}

TEST_F(WalTest, ShortCompletionsAndBusySubmitsLoseNothing) {
  const ProgramResult append =
      RunProgram({Wal(), "append", log_, "300", "8"},
                 {PreloadEnvironment(RunfilePath("tests/tools/aiolab/libflaky_libaio.so")), ""});
  EXPECT_EQ(append.status, 0) << append.err;
  const ProgramResult check = RunProgram({Wal(), "check", log_});
  EXPECT_EQ(check.status, 0) << check.err;
  EXPECT_THAT(check.out, HasSubstr("all 300 acknowledged ones"));
}

TEST_F(WalTest, CheckSeesAByteThatChanged) {
  std::string bytes = Bytes();
  bytes[bytes.size() - 1] = static_cast<char>(bytes[bytes.size() - 1] ^ 1);
  Overwrite(log_, bytes);
  ExpectProblem("100 records were acknowledged, but only 99 are there: record 100 at offset");
  ExpectProblem("its checksum is wrong");
}

TEST_F(WalTest, CheckSeesAnAcknowledgedRecordThatIsLost) {
  const std::string bytes = Bytes();
  Overwrite(log_, bytes.substr(0, bytes.size() - wal::EncodeRecord(100).size()));
  ExpectProblem("100 records were acknowledged, but only 99 are there");
}

TEST_F(WalTest, CheckSeesRecordsInTheWrongOrder) {
  Overwrite(log_, wal::EncodeRecord(2) + wal::EncodeRecord(1));
  ExpectProblem("record 1 at offset 0: its sequence number is 2");
}

TEST_F(WalTest, CheckSeesAHole) {
  std::string bytes = Bytes();
  bytes.replace(wal::EncodeRecord(1).size(), 16, std::string(16, '\0'));
  Overwrite(log_, bytes);
  ExpectProblem("its sequence number is 0");
}

// A torn record behind the acknowledged ones is what a crash may leave: no problem.
TEST_F(WalTest, CheckForgivesATornTail) {
  Overwrite(log_, Bytes() + wal::EncodeRecord(101).substr(0, 10));
  const ProgramResult check = RunProgram({Wal(), "check", log_});
  EXPECT_EQ(check.status, 0) << check.err;
  EXPECT_THAT(check.out, HasSubstr("100 records"));
}

TEST_F(WalTest, ARotatedLogHasTheSameRecordsAndSaysWhatIsAcknowledged) {
  for (const char* way : {"rotate", "rename-before-fsync"}) {
    const ProgramResult rotate = RunProgram({Wal(), way, log_, "14", "2"});
    EXPECT_EQ(rotate.status, 0) << rotate.err;
    EXPECT_THAT(rotate.out, testing::StartsWith("acknowledged 6\nacknowledged 12\nacknowledged 14\n"));
    const wal::LogCheck check = wal::CheckLog(Bytes());
    EXPECT_EQ(check.records, 14u);
    EXPECT_EQ(check.problem, "");
    EXPECT_FALSE(ReadFile(log_ + ".new").ok());
  }
}

TEST_F(WalTest, MistakesInTheArgumentsAreNamed) {
  EXPECT_THAT(RunProgram({Wal(), "append", log_, "many"}).err, HasSubstr("RECORDS is 'many'"));
  EXPECT_THAT(RunProgram({Wal(), "append", log_, "1", "0"}).err, HasSubstr("DEPTH is '0'"));
  EXPECT_THAT(RunProgram({Wal(), "check", log_ + ".no"}).err, HasSubstr(".no: No such file or directory"));
  EXPECT_THAT(RunProgram({Wal()}).err, HasSubstr("usage: wal append"));
}

TEST_F(WalTest, AFullDiskIsAnErrorNotALoss) {
  ProgramOptions options = {PreloadEnvironment(RunfilePath("tests/tools/aiolab/libflaky_libaio.so")), ""};
  options.environment.push_back({"FLAKY_DISK_FULL", "1"});
  const ProgramResult append = RunProgram({Wal(), "append", log_}, options);
  EXPECT_EQ(append.status, 1);
  EXPECT_THAT(append.err, HasSubstr("write: No space left on device"));
  // What was acknowledged before it is there.
  const ProgramResult check = RunProgram({Wal(), "check", log_});
  EXPECT_EQ(check.status, 0) << check.err;
  EXPECT_THAT(check.out, testing::Not(HasSubstr("all 0 acknowledged")));
}

// The check value of CRC-32C's published parameters.
TEST(Crc32cTest, HasTheCheckValue) {
  EXPECT_EQ(wal::Crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(wal::Crc32c("6789", 4, wal::Crc32c("12345", 5)), 0xe3069283u);
}

TEST(LogFormatTest, PayloadsDifferInLengthAndContent) {
  EXPECT_EQ(wal::PayloadOf(7), wal::PayloadOf(7));
  EXPECT_NE(wal::PayloadOf(7), wal::PayloadOf(8));
  EXPECT_NE(wal::PayloadOf(7).size(), wal::PayloadOf(8).size());
  EXPECT_LE(wal::PayloadOf(9).size(), wal::kPayloadMax);
}

}  // namespace
}  // namespace aiolab
