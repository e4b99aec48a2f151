#include "tools/aiolab/client_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

#if defined(__x86_64__)
constexpr int kOwnMachine = EM_X86_64;
constexpr char kOwnMachineName[] = "x86-64";
#elif defined(__aarch64__)
constexpr int kOwnMachine = EM_AARCH64;
constexpr char kOwnMachineName[] = "aarch64";
#endif

// The kernel follows a script to its interpreter five times at most.
constexpr int kInterpretersMax = 5;

constexpr size_t kHeadSize = 256;  // bytes: what the kernel reads of a file to learn what it is

bool IsDirectory(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string WorkingDirectory() {
  std::error_code error;
  return std::filesystem::current_path(error).string();
}

template <typename T>
bool ReadAt(int fd, uint64_t offset, T& value) {
  return pread(fd, &value, sizeof(value), static_cast<off_t>(offset)) == static_cast<ssize_t>(sizeof(value));
}

// PT_INTERP of the 64-bit ELF file `fd`; empty if it has none, or is damaged.
std::string ReadLoader(int fd) {
  Elf64_Ehdr header;
  if (!ReadAt(fd, 0, header) || header.e_phentsize != sizeof(Elf64_Phdr)) return "";
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!ReadAt(fd, header.e_phoff + static_cast<uint64_t>(i) * sizeof(segment), segment)) return "";
    if (segment.p_type != PT_INTERP) continue;
    std::string loader(std::min<uint64_t>(segment.p_filesz, 4096), '\0');
    if (pread(fd, loader.data(), loader.size(), static_cast<off_t>(segment.p_offset)) < 0) return "";
    return loader.c_str();  // it ends at its NUL
  }
  return "";
}

void ReadElfFacts(int fd, absl::string_view head, ProgramFacts& facts) {
  facts.is_elf = true;
  facts.is_64_bit = head[EI_CLASS] == ELFCLASS64;
  facts.is_little_endian = head[EI_DATA] == ELFDATA2LSB;
  // e_machine is at the same place in both classes.
  uint16_t machine = 0;
  std::memcpy(&machine, head.data() + offsetof(Elf64_Ehdr, e_machine), sizeof(machine));
  facts.machine = facts.is_little_endian ? machine : machine >> 8 | (machine & 0xff) << 8;
  if (!facts.is_64_bit || facts.machine != kOwnMachine) return;
  facts.loader = ReadLoader(fd);
  facts.loader_exists = !facts.loader.empty() && access(facts.loader.c_str(), F_OK) == 0;
}

void ReadScriptFacts(absl::string_view head, ProgramFacts& facts) {
  const absl::string_view line = absl::StripAsciiWhitespace(head.substr(2, head.find('\n') - 2));
  const size_t blank = line.find_first_of(" \t");
  facts.interpreter = std::string(line.substr(0, blank));
  if (blank != absl::string_view::npos) {
    facts.interpreter_argument = std::string(absl::StripAsciiWhitespace(line.substr(blank)));
  }
}

std::string MachineName(int machine) {
  switch (machine) {
    case EM_386:
      return "i386";
    case EM_X86_64:
      return "x86-64";
    case EM_ARM:
      return "arm";
    case EM_AARCH64:
      return "aarch64";
    case EM_PPC64:
      return "ppc64";
    case EM_S390:
      return "s390x";
    case EM_RISCV:
      return "riscv";
    default:
      return absl::StrCat("ELF machine ", machine);
  }
}

}  // namespace

absl::StatusOr<std::string> FindClient(const std::string& name, absl::string_view path_variable) {
  if (name.empty()) return absl::NotFoundError("the client's name is empty");
  if (absl::StrContains(name, '/')) {
    if (access(name.c_str(), F_OK) == 0) return name;
    const std::string from = name[0] == '/' ? "" : absl::StrCat(" (seen from ", WorkingDirectory(), ")");
    return absl::NotFoundError(absl::StrCat(name, ": ", strerror(errno), from));
  }
  std::string not_executable;
  for (const absl::string_view directory : absl::StrSplit(path_variable, ':')) {
    const std::string candidate = absl::StrCat(directory.empty() ? "." : directory, "/", name);
    if (access(candidate.c_str(), F_OK) != 0 || IsDirectory(candidate)) continue;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    not_executable = candidate;
  }
  if (!not_executable.empty()) return not_executable;  // CheckClient says what to do
  const bool here = access(name.c_str(), F_OK) == 0;
  return absl::NotFoundError(absl::StrCat(name, ": there is no such program in PATH (", path_variable, ")",
                                          here ? absl::StrCat("; for the one in this directory, say ./", name) : ""));
}

absl::StatusOr<ProgramFacts> ReadProgramFacts(const std::string& path) {
  ProgramFacts facts;
  facts.path = path;
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return FileError(errno, path, "cannot be found");
  facts.mode = status.st_mode;
  facts.is_directory = S_ISDIR(status.st_mode);
  facts.is_executable = access(path.c_str(), X_OK) == 0;
  if (!S_ISREG(status.st_mode)) return facts;
  errno = 0;
  // A capability of another user namespace is EOVERFLOW: it is there all the same.
  facts.has_file_capabilities = getxattr(path.c_str(), "security.capability", nullptr, 0) > 0 || errno == EOVERFLOW;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    // Executable but not readable: the kernel makes such a process undumpable, but loads it. It cannot be judged.
    return FileError(errno, path, "cannot be read, so it cannot be told whether aiolab can run it");
  }
  char buf[kHeadSize] = {};
  const ssize_t size = pread(fd, buf, sizeof(buf), 0);
  const absl::string_view head(buf, size > 0 ? static_cast<size_t>(size) : 0);
  if (absl::StartsWith(head, ELFMAG) && head.size() >= sizeof(Elf32_Ehdr)) {
    ReadElfFacts(fd, head, facts);
  } else if (absl::StartsWith(head, "#!")) {
    ReadScriptFacts(head, facts);
  }
  close(fd);
  return facts;
}

absl::Status JudgeProgram(const ProgramFacts& facts) {
  const auto refuse = [&facts](absl::string_view why) {
    return absl::FailedPreconditionError(absl::StrCat(facts.path, " ", why));
  };
  if (facts.is_directory) return refuse("is a directory; name a program in it");
  if (!S_ISREG(facts.mode)) return refuse("is not a regular file, so it is no program");
  if (!facts.is_executable) {
    return refuse(
        absl::StrCat("is not executable; chmod +x it, or start it by its interpreter: aiolab run -- sh ", facts.path));
  }
  if ((facts.mode & (S_ISUID | S_ISGID)) != 0) {
    return refuse(
        "is set-user-id or set-group-id, and the dynamic loader keeps preload libraries out of such programs; run a "
        "copy "
        "without the bit (cp, then chmod ug-s) as the user that it needs");
  }
  if (facts.has_file_capabilities) {
    return refuse(
        "has file capabilities, and the dynamic loader keeps preload libraries out of such programs; run a copy "
        "without "
        "them (cp drops them) as a user that needs none");
  }
  if (!facts.interpreter.empty()) return absl::OkStatus();
  if (!facts.is_elf) {
    return refuse(
        absl::StrCat("is neither an ELF binary nor a script with a #! line; if it is a shell script, start it "
                     "by its interpreter: aiolab run -- sh ",
                     facts.path));
  }
  const std::string machine = MachineName(facts.machine);
  if (!facts.is_64_bit) {
    return refuse(absl::StrCat("is a 32-bit binary (", machine, "), and aiolab enters 64-bit ", kOwnMachineName,
                               " programs only; build it for 64 bits (without -m32)"));
  }
  if (facts.machine != kOwnMachine) {
    return refuse(absl::StrCat("is a binary for ", machine, ", and this machine is ", kOwnMachineName,
                               "; build it for this machine"));
  }
  if (facts.loader.empty()) {
    return refuse(
        "is a static binary: it has no dynamic loader (no PT_INTERP) that would load aiolab's library into it; link it "
        "dynamically (without -static), or link aiolab's libaio into a test of it");
  }
  if (absl::StrContains(facts.loader, "ld-musl")) {
    return refuse(absl::StrCat("is linked against musl (", facts.loader,
                               "), and aiolab's library needs the GNU C library; build it against that"));
  }
  if (!facts.loader_exists) {
    return refuse(absl::StrCat("needs the dynamic loader ", facts.loader,
                               ", which is not on this machine; install it, "
                               "or build the program here"));
  }
  return absl::OkStatus();
}

absl::Status CheckClient(const std::string& path, absl::string_view path_variable) {
  std::string program = path;
  std::string chain;
  for (int i = 0; i < kInterpretersMax; ++i) {
    const absl::StatusOr<ProgramFacts> facts = ReadProgramFacts(program);
    absl::Status status = facts.ok() ? JudgeProgram(*facts) : facts.status();
    if (!status.ok()) return absl::Status(status.code(), absl::StrCat(chain, status.message()));
    if (facts->interpreter.empty()) return absl::OkStatus();
    absl::StrAppend(&chain, program, " is a script, and its interpreter ");
    program = facts->interpreter;
    // env is looked through: what it starts is the program that counts.
    if (absl::EndsWith(program, "/env") && !facts->interpreter_argument.empty() &&
        !absl::StartsWith(facts->interpreter_argument, "-") && !absl::StrContains(facts->interpreter_argument, '=')) {
      const std::vector<std::string> words = absl::StrSplit(facts->interpreter_argument, ' ');
      const absl::StatusOr<std::string> found = FindClient(words[0], path_variable);
      if (!found.ok()) return absl::Status(found.status().code(), absl::StrCat(chain, found.status().message()));
      program = *found;
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(path,
                                                    " is a script whose interpreter is a script, and so on, more "
                                                    "than the kernel follows"));
}

}  // namespace aiolab
