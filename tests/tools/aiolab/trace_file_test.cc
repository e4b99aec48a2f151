#include "tools/aiolab/trace_file.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;
using ::testing::StrEq;

class TraceFileTest : public testing::Test {
 protected:
  const std::string directory_ = NewTestDirectory();
  const std::string path_ = directory_ + "/trace";
  const std::string tail_ = TailPath(directory_, 1);
};

// More than the tail holds, line by line.
std::string AppendMany(TraceFile& trace) {
  std::string all;
  for (int i = 0; i < 50'000; ++i) {
    const std::string line = absl::StrCat("[", i, "] a line of some length, as those of a trace are\n");
    trace.Append(line);
    all += line;
  }
  return all;
}

TEST_F(TraceFileTest, WhatIsFlushedIsInTheFile) {
  ASSERT_TRUE(CreateFile(path_, "an older and longer trace").ok());
  TraceFile trace(path_, tail_);
  trace.Append("one\n");
  trace.Append("two\n");
  trace.Flush();
  EXPECT_EQ(ReadFile(path_).value(), "one\ntwo\n");
  EXPECT_TRUE(RecoverTrace(path_, tail_).ok());
  EXPECT_EQ(ReadFile(path_).value(), "one\ntwo\n");
}

TEST_F(TraceFileTest, AProcessThatIsKilledLosesNothing) {
  const pid_t child = fork();
  if (child == 0) {
    TraceFile trace(path_, tail_);
    AppendMany(trace);
    kill(getpid(), SIGKILL);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(RecoverTrace(path_, tail_).ok());
  TraceFile whole(path_ + ".whole", tail_ + ".whole");
  const std::string all = AppendMany(whole);
  whole.Flush();
  EXPECT_TRUE(ReadFile(path_).value() == all);
  EXPECT_TRUE(ReadFile(path_ + ".whole").value() == all);
}

// As if the kill came between the write to the trace and the note that it is there.
TEST_F(TraceFileTest, WhatIsInTheFileAlreadyIsNotThereTwice) {
  TraceFile trace(path_, tail_);
  trace.Append("one\n");
  trace.Flush();
  trace.Append("two\n");
  ASSERT_TRUE(ReplaceFile(path_, "one\ntw").ok());
  EXPECT_TRUE(RecoverTrace(path_, tail_).ok());
  EXPECT_EQ(ReadFile(path_).value(), "one\ntwo\n");
}

TEST_F(TraceFileTest, WithoutATailFileTheTraceIsWrittenAllTheSame) {
  TraceFile trace(path_, directory_ + "/no/such/directory/tail");
  trace.Append("one\n");
  trace.Flush();
  EXPECT_EQ(ReadFile(path_).value(), "one\n");
}

TEST_F(TraceFileTest, AFullDiskIsSaid) {
  TraceFile trace("/dev/full", tail_);
  EXPECT_EQ(trace.error(), "");
  trace.Append("one\n");
  trace.Flush();
  EXPECT_THAT(trace.error(), StrEq("/dev/full: cannot be written: ENOSPC (No space left on device)"));
  AppendMany(trace);

  TraceFile killed("/dev/full", tail_);
  killed.Append("one\n");
  EXPECT_THAT(std::string(RecoverTrace("/dev/full", tail_).message()), HasSubstr("ENOSPC"));
}

TEST_F(TraceFileTest, AFileThatCannotBeOpenedIsSaid) {
  const TraceFile trace(directory_, tail_);
  EXPECT_FALSE(trace.begun());
  EXPECT_THAT(trace.error(), HasSubstr("cannot be written: EISDIR"));
}

}  // namespace
}  // namespace aiolab
