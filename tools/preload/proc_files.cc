#include "tools/preload/proc_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tools/preload/process.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

constexpr char kAioNr[] = "/proc/sys/fs/aio-nr";
constexpr char kAioMaxNr[] = "/proc/sys/fs/aio-max-nr";
constexpr size_t kPageBytes = 4096;

// The page of the file that was opened for writing last. A mapping sees what write, fprintf or anything else puts
// there, and needs no fd.
char* written_page = nullptr;
std::string* text_before = nullptr;

bool Writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

unsigned long AioMaxNr() { return Kernel(/*setup=*/false), TheMachine()->mm().aio_max_nr; }

}  // namespace

void ApplyAioMaxNr() {
  if (written_page == nullptr) return;
  // At most a line; the rest of the page is zeros.
  const std::string text(written_page, strnlen(written_page, 32));
  uint64_t number;
  if (text != *text_before && absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &number)) {
    (void)Kernel(/*setup=*/false);
    TheMachine()->mm().aio_max_nr = number;
    *text_before = text;
  }
}

void ForgetProcFiles() { written_page = nullptr; }

long OpenProcFile(const char* path, int flags, bool* ours) {
  *ours = false;
  if (path == nullptr || path[0] != '/' || path[1] != 'p') return 0;
  const bool is_max = strcmp(path, kAioMaxNr) == 0;
  if (!is_max && strcmp(path, kAioNr) != 0) return 0;
  *ours = true;
  if (Writes(flags) && (!is_max || RawSyscall(__NR_geteuid) != 0)) return -EACCES;
  ApplyAioMaxNr();
  const unsigned long number = is_max ? AioMaxNr() : (TheMachine() == nullptr ? 0 : TheMachine()->mm().aio_nr);
  const long fd =
      RawSyscall(__NR_memfd_create, is_max ? "aio-max-nr" : "aio-nr", (flags & O_CLOEXEC) != 0 ? MFD_CLOEXEC : 0);
  if (fd < 0) return fd;
  const std::string text = (flags & O_ACCMODE) == O_WRONLY ? std::string(1, '\0') : absl::StrCat(number, "\n");
  RawSyscall(__NR_pwrite64, fd, text.data(), text.size(), 0);
  if (!Writes(flags)) return fd;
  const long page = RawSyscall(__NR_mmap, nullptr, kPageBytes, PROT_READ, MAP_SHARED, fd, 0);
  if (page > 0) {
    if (written_page != nullptr) RawSyscall(__NR_munmap, written_page, kPageBytes);
    written_page = reinterpret_cast<char*>(page);
    if (text_before == nullptr) text_before = new std::string;
    *text_before = text == std::string(1, '\0') ? "" : text;
  }
  return fd;
}

}  // namespace aiolab::preload
