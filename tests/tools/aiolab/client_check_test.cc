#include "tools/aiolab/client_check.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/subprocess/subprocess.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr char kPath[] = "/usr/bin:/bin";

class ClientCheckTest : public testing::Test {
 protected:
  // Makes an executable file and returns its path.
  std::string Program(const std::string& name, const std::string& contents, mode_t mode = 0755) {
    const std::string path = directory_ + "/" + name;
    EXPECT_TRUE(CreateFile(path, contents).ok());
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }

  std::string CopyOf(const std::string& program, mode_t mode) {
    return Program("copy", ReadFile(program).value(), mode);
  }

  // An ELF file of nothing but a header.
  std::string ElfHeader(unsigned char elf_class, uint16_t machine, bool big_endian = false) {
    Elf64_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = elf_class;
    header.e_ident[EI_DATA] = big_endian ? ELFDATA2MSB : ELFDATA2LSB;
    header.e_machine = big_endian ? static_cast<uint16_t>(machine << 8 | machine >> 8) : machine;
    return std::string(reinterpret_cast<const char*>(&header), sizeof(header));
  }

  std::string ErrorFor(const std::string& path) {
    const absl::Status status = CheckClient(path, kPath);
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  }

  const std::string directory_ = NewTestDirectory();
};

TEST_F(ClientCheckTest, OrdinaryProgramsAndScriptsAreRight) {
  EXPECT_TRUE(CheckClient("/bin/sh", kPath).ok()) << CheckClient("/bin/sh", kPath);
  EXPECT_TRUE(CheckClient(Program("a", "#!/bin/sh\nexit 0\n"), kPath).ok());
  EXPECT_TRUE(CheckClient(Program("b", "#! /usr/bin/env sh\n"), kPath).ok());
  EXPECT_TRUE(CheckClient(Program("c", "#!/bin/sh -e"), kPath).ok());
}

TEST_F(ClientCheckTest, AStaticBinaryIsRefused) {
  EXPECT_THAT(ErrorFor(RunfilePath("tests/tools/aiolab/static_client")),
              MatchesRegex(".*/static_client is a static binary: .*without -static.*"));
}

TEST_F(ClientCheckTest, SetIdBinariesAreRefused) {
  EXPECT_THAT(ErrorFor(CopyOf("/bin/true", 04755)), HasSubstr("set-user-id"));
  ASSERT_EQ(unlink((directory_ + "/copy").c_str()), 0);
  EXPECT_THAT(ErrorFor(CopyOf("/bin/true", 02755)), HasSubstr("set-group-id"));
}

TEST_F(ClientCheckTest, OtherKindsOfBinariesAreRefused) {
  EXPECT_THAT(ErrorFor(Program("i386", ElfHeader(ELFCLASS32, EM_386))), HasSubstr("is a 32-bit binary (i386)"));
  EXPECT_THAT(ErrorFor(Program("x32", ElfHeader(ELFCLASS32, EM_X86_64))), HasSubstr("is a 32-bit binary (x86-64)"));
  EXPECT_THAT(ErrorFor(Program("riscv", ElfHeader(ELFCLASS64, EM_RISCV))), HasSubstr("is a binary for riscv"));
  EXPECT_THAT(ErrorFor(Program("s390x", ElfHeader(ELFCLASS64, EM_S390, /*big_endian=*/true))),
              HasSubstr("is a binary for s390x"));
}

TEST_F(ClientCheckTest, WhatIsNoProgramIsRefused) {
  EXPECT_THAT(ErrorFor(directory_), HasSubstr("is a directory"));
  EXPECT_THAT(ErrorFor("/dev/null"), HasSubstr("is not a regular file"));
  EXPECT_THAT(ErrorFor(Program("text", "exit 0\n")), HasSubstr("is neither an ELF binary nor a script"));
  EXPECT_THAT(ErrorFor(Program("empty", "")), HasSubstr("is neither an ELF binary nor a script"));
  EXPECT_THAT(ErrorFor(Program("plain", "#!/bin/sh\n", 0644)), HasSubstr("is not executable; chmod +x it"));
  EXPECT_THAT(ErrorFor(directory_ + "/none"), HasSubstr("ENOENT"));
}

TEST_F(ClientCheckTest, AScriptIsAsGoodAsItsInterpreter) {
  const std::string interpreter = RunfilePath("tests/tools/aiolab/static_client");
  // The kernel reads 256 bytes of a script; the runfiles' path may be longer.
  ASSERT_EQ(symlink(interpreter.c_str(), (directory_ + "/i").c_str()), 0);
  const std::string script = Program("script", "#!" + directory_ + "/i -x\n");
  EXPECT_THAT(ErrorFor(script), MatchesRegex(".*/script is a script, and its interpreter .*/i is a static binary.*"));
  EXPECT_THAT(ErrorFor(Program("lost", "#!/no/such/interpreter\n")),
              HasSubstr("is a script, and its interpreter /no/such/interpreter: cannot be found"));
  EXPECT_THAT(ErrorFor(Program("lost_env", "#!/usr/bin/env no_such_program_here\n")),
              HasSubstr("no_such_program_here: there is no such program in PATH"));
  EXPECT_THAT(ErrorFor(Program("self", "#!" + directory_ + "/self\n")), HasSubstr("more than the kernel follows"));
}

// Facts that a test cannot bring about without privileges.
TEST(JudgeProgramTest, CapabilitiesAndForeignLoadersAreRefused) {
  absl::StatusOr<ProgramFacts> facts = ReadProgramFacts("/bin/true");
  ASSERT_TRUE(facts.ok());
  ASSERT_TRUE(JudgeProgram(*facts).ok()) << JudgeProgram(*facts);

  ProgramFacts changed = *facts;
  changed.has_file_capabilities = true;
  EXPECT_THAT(std::string(JudgeProgram(changed).message()), HasSubstr("/bin/true has file capabilities"));
  changed = *facts;
  changed.loader = "/lib/ld-musl-x86_64.so.1";
  EXPECT_THAT(std::string(JudgeProgram(changed).message()), HasSubstr("is linked against musl"));
  changed = *facts;
  changed.loader_exists = false;
  EXPECT_THAT(std::string(JudgeProgram(changed).message()), HasSubstr("needs the dynamic loader " + facts->loader));
}

TEST_F(ClientCheckTest, NamesAreFoundAsAShellFindsThem) {
  const std::string first = directory_ + "/first";
  const std::string second = directory_ + "/second";
  ASSERT_EQ(mkdir(first.c_str(), 0755), 0);
  ASSERT_EQ(mkdir(second.c_str(), 0755), 0);
  ASSERT_EQ(mkdir((first + "/tool").c_str(), 0755), 0);  // a directory is no program
  Program("second/tool", "#!/bin/sh\n");
  Program("first/data", "#!/bin/sh\n", 0644);
  Program("second/data", "#!/bin/sh\n");
  Program("first/only_data", "#!/bin/sh\n", 0644);
  const std::string path = first + ":" + second;

  EXPECT_EQ(FindClient("tool", path).value(), second + "/tool");
  EXPECT_EQ(FindClient("data", path).value(), second + "/data");
  EXPECT_EQ(FindClient("only_data", path).value(), first + "/only_data");
  EXPECT_EQ(FindClient(first + "/data", path).value(), first + "/data");
  EXPECT_THAT(std::string(FindClient("nothing", path).status().message()),
              HasSubstr("nothing: there is no such program in PATH (" + path + ")"));
  EXPECT_FALSE(FindClient("", path).ok());

  ASSERT_EQ(chdir(second.c_str()), 0);
  EXPECT_THAT(std::string(FindClient("tool", first).status().message()), HasSubstr("say ./tool"));
}

}  // namespace
}  // namespace aiolab
