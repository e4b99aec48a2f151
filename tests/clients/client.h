// What the clients in this folder share: options, a file of known blocks, and how they say that something is wrong.
//
// Each client is an ordinary program on the system's libaio. It exits with 0 and one line on standard output if
// everything that it wrote and read was right, and with 1 and a line on standard error if not. It runs on any kernel,
// real or not.
#ifndef TESTS_CLIENTS_CLIENT_H_
#define TESTS_CLIENTS_CLIENT_H_

#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>

namespace client {

inline constexpr size_t kBlockSize = 4096;  // bytes

inline std::string& Name() {
  static std::string& name = *new std::string("client");
  return name;
}

// Says what is wrong and ends the process.
[[noreturn]] __attribute__((format(printf, 1, 2))) inline void Fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "%s: ", Name().c_str());
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  _exit(1);
}

// Fails unless `ret`, what `call` returned, is >= 0. For functions that return -errno.
inline long Check(const char* call, long ret) {
  if (ret < 0) Fail("%s: %s", call, strerror(static_cast<int>(-ret)));
  return ret;
}

// The same for functions that set errno.
inline long CheckErrno(const char* call, long ret) {
  if (ret < 0) Fail("%s: %m", call);
  return ret;
}

// The options of a client: numbers by name, with defaults, changed by --name=NUMBER; and --dir=DIRECTORY for its files
// (default: TEST_TMPDIR, TMPDIR or /tmp).
class Options {
 public:
  Options(int argc, char** argv, std::map<std::string, long> numbers) : numbers_(std::move(numbers)) {
    const std::string program = argv[0];
    Name() = program.substr(program.rfind('/') + 1);
    for (const char* variable : {"TMPDIR", "TEST_TMPDIR"}) {
      if (const char* value = getenv(variable); value != nullptr) directory_ = value;
    }
    for (int i = 1; i < argc; ++i) Parse(argv[i]);
  }

  long Get(const std::string& name) const { return numbers_.at(name); }
  const std::string& directory() const { return directory_; }

  // A file that nobody else has.
  std::string NewFileName() const {
    std::string path = directory_ + "/" + Name() + ".XXXXXX";
    const int fd = mkstemp(path.data());
    if (fd < 0) Fail("%s: %m", path.c_str());
    close(fd);
    return path;
  }

 private:
  void Parse(const std::string& argument) {
    const size_t equals = argument.find('=');
    if (argument.rfind("--", 0) != 0 || equals == std::string::npos) Fail("%s is not --name=value", argument.c_str());
    const std::string name = argument.substr(2, equals - 2);
    const std::string value = argument.substr(equals + 1);
    if (name == "dir") {
      directory_ = value;
      return;
    }
    const auto number = numbers_.find(name);
    if (number == numbers_.end()) {
      std::string known = "--dir";
      for (const auto& [known_name, unused] : numbers_) known += " --" + known_name;
      Fail("there is no option --%s, only %s", name.c_str(), known.c_str());
    }
    char* end = nullptr;
    number->second = strtol(value.c_str(), &end, 10);
    if (value.empty() || *end != '\0' || number->second < 0 || number->second > 1'000'000) {
      Fail("--%s=%s: it has to be a number from 0 to 1000000", name.c_str(), value.c_str());
    }
  }

  std::map<std::string, long> numbers_;
  std::string directory_ = "/tmp";
};

// Block-sized memory, aligned for O_DIRECT.
struct FreeDeleter {
  void operator()(char* memory) const { free(memory); }
};
using Blocks = std::unique_ptr<char, FreeDeleter>;
inline Blocks NewBlocks(size_t count) {
  return Blocks(static_cast<char*>(aligned_alloc(kBlockSize, (count == 0 ? 1 : count) * kBlockSize)));
}

// What block `number` of file `file` holds: no two blocks are alike, and none looks like itself shifted.
inline void FillBlock(char* block, uint64_t file, uint64_t number) {
  for (size_t offset = 0; offset < kBlockSize; offset += sizeof(uint64_t)) {
    uint64_t word = (file << 48 ^ number << 16 ^ offset) + 0x9e3779b97f4a7c15u;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word ^= word >> 27;
    memcpy(block + offset, &word, sizeof(word));
  }
}

inline void CheckBlock(const char* block, uint64_t file, uint64_t number) {
  alignas(8) char right[kBlockSize];
  FillBlock(right, file, number);
  for (size_t i = 0; i < kBlockSize; ++i) {
    if (block[i] != right[i]) {
      Fail("block %llu of file %llu is wrong from byte %zu on", static_cast<unsigned long long>(number),
           static_cast<unsigned long long>(file), i);
    }
  }
}

// Opens `path`, with O_DIRECT if `direct`.
inline int Open(const std::string& path, bool direct = false) {
  return static_cast<int>(
      CheckErrno(path.c_str(), open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | (direct ? O_DIRECT : 0), 0600)));
}

// Submits one request, again for as long as there is no room (EAGAIN), giving up after ten seconds without any.
inline void SubmitOne(io_context_t ctx, iocb* request) {
  for (int i = 0; i < 100'000; ++i) {
    const int taken = io_submit(ctx, 1, &request);
    if (taken == 1) return;
    if (taken == 0) Fail("io_submit took none of one request");
    if (taken != -EAGAIN) Check("io_submit", taken);
    usleep(100);
  }
  Fail("io_submit: EAGAIN for ten seconds");
}

// Fails unless `event` is a whole block.
inline void CheckEvent(const io_event& event) {
  const long res = static_cast<long>(event.res);
  if (res < 0) Fail("a request failed: %s", strerror(static_cast<int>(-res)));
  if (res != static_cast<long>(kBlockSize)) Fail("a request moved %ld bytes of %zu", res, kBlockSize);
  if (event.res2 != 0) Fail("res2 is %ld", static_cast<long>(event.res2));
}

}  // namespace client

#endif  // TESTS_CLIENTS_CLIENT_H_
