// Every cell of the table of faults, on a machine of its own: what the client sees, exactly. The cells are those of
// sim/fault_table.cc; one without a test here fails, and so does the table in kernel_model/FAULTS.md if it is not this
// one.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/machine.h"
#include "kernel_model/sim/fault_table.h"
#include "tools/testing/scoped_fault.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr size_t kBlock = 4096;
constexpr size_t kSector = 512;

// A machine with one context and a file of four blocks, each full of its own letter: a, b, c, d.
class Bench {
 public:
  Bench() {
    EXPECT_EQ(kernel_.io_setup(8, &ctx_), 0);
    fd_ = static_cast<int>(kernel_.openat(AT_FDCWD, "data", O_RDWR | O_CREAT, 0600));
    for (int i = 0; i < 4; ++i) {
      const std::string block(kBlock, static_cast<char>('a' + i));
      EXPECT_EQ(kernel_.pwrite64(fd_, block.data(), kBlock, static_cast<loff_t>(i * kBlock)), kBlock);
    }
  }

  iocb Read(void* buffer, size_t bytes, int64_t offset = 0) { return Request(IOCB_CMD_PREAD, buffer, bytes, offset); }
  iocb Write(const void* buffer, size_t bytes, int64_t offset = 0) {
    return Request(IOCB_CMD_PWRITE, const_cast<void*>(buffer), bytes, offset);
  }
  iocb Request(uint16_t opcode, void* buffer, size_t bytes, int64_t offset) {
    iocb iocb = {};
    iocb.aio_lio_opcode = opcode;
    iocb.aio_fildes = static_cast<uint32_t>(fd_);
    iocb.aio_buf = reinterpret_cast<uint64_t>(buffer);
    iocb.aio_nbytes = bytes;
    iocb.aio_offset = offset;
    iocb.aio_data = static_cast<uint64_t>(++requests_);
    return iocb;
  }
  long Submit(std::vector<iocb*> batch) {
    return kernel_.io_submit(ctx_, static_cast<long>(batch.size()), batch.data());
  }
  long Submit(iocb& one) { return Submit(std::vector<iocb*>{&one}); }
  io_event Reap() {
    io_event event = {};
    EXPECT_EQ(kernel_.io_getevents(ctx_, 1, 1, &event, nullptr), 1);
    return event;
  }
  // The result of one request.
  int64_t Run(iocb one) {
    EXPECT_EQ(Submit(one), 1);
    return Reap().res;
  }
  std::string Contents(size_t bytes = 4 * kBlock, loff_t offset = 0) {
    std::string contents(bytes, '?');
    EXPECT_EQ(kernel_.pread64(fd_, contents.data(), bytes, offset), static_cast<long>(bytes));
    return contents;
  }
  // As a file on a file system that knows RWF_NOWAIT, which tmpfs does not.
  void KnowNowait() { KnowNowait(fd_); }
  void KnowNowait(int fd) {
    Machine::Entry entry(machine_, nullptr);
    file* const filp = machine_.files().fget(fd);
    filp->f_mode |= FMODE_NOWAIT;
    fput(filp);
  }
  // A read past the page cache, as one bio.
  iocb DirectRead(void* buffer) {
    const long direct = kernel_.openat(AT_FDCWD, "data", O_RDWR | O_DIRECT, 0);
    iocb read = Read(buffer, kBlock);
    read.aio_fildes = static_cast<uint32_t>(direct);
    return read;
  }
  // What the trace says since the beginning.
  std::string Trace() {
    machine_.trace().Flush();
    return trace_;
  }

  std::string trace_;
  TextTraceSink sink_{[this](absl::string_view lines) { trace_.append(lines.data(), lines.size()); }};
  SeededChooser chooser_{3};
  std::string stuck_;
  Machine machine_{{.chooser = &chooser_, .trace_sink = &sink_, .on_stuck = [this](const std::string& finding, bool) {
                      stuck_ = finding;
                      return true;
                    }}};
  EmulatedSyscalls kernel_{machine_};
  aio_context_t ctx_ = 0;
  int fd_ = -1;
  int requests_ = 0;
};

// A disk that is written and read as it is: no file system, no page cache. Sectors are filled with letters.
class RawDisk {
 public:
  explicit RawDisk(Bench& b) : b_(b) {
    EXPECT_TRUE(b.machine_.MountSimfs({.path = "/disk", .disk = "nvme,size=4M"}).ok());
    fd_ = static_cast<int>(b.kernel_.openat(AT_FDCWD, "/disk/dev0", O_RDWR | O_DIRECT, 0));
    EXPECT_EQ(Write('a'), kBlock);
    EXPECT_EQ(Write('b', kBlock), kBlock);
  }
  long Write(char letter, loff_t at = 0) {
    memset(buffer_->bytes, letter, kBlock);
    return b_.kernel_.pwrite64(fd_, buffer_->bytes, kBlock, at);
  }
  // The bytes, or the error.
  std::string Read(loff_t at = 0, size_t bytes = kBlock) {
    const long n = b_.kernel_.pread64(fd_, buffer_->bytes, bytes, at);
    return n < 0 ? ErrnoDescription(static_cast<int>(-n)) : std::string(buffer_->bytes, static_cast<size_t>(n));
  }
  long Fsync() { return b_.kernel_.fsync(fd_); }
  iocb AioRead() {
    iocb read = b_.Read(buffer_->bytes, kBlock);
    read.aio_fildes = static_cast<uint32_t>(fd_);
    return read;
  }
  iocb AioWrite() {
    iocb write = AioRead();
    write.aio_lio_opcode = IOCB_CMD_PWRITE;
    return write;
  }

 private:
  Bench& b_;
  int fd_ = -1;
  // Not in place: on ASan's stack an alignment like this is not kept.
  struct alignas(kBlock) Buffer {
    char bytes[2 * kBlock];
  };
  std::unique_ptr<Buffer> buffer_ = std::make_unique<Buffer>();
};

using Scenario = std::function<void(Bench&)>;

// A call that ends with an error once, and is right the next time.
Scenario CallFails(const std::string& rule, int error, std::function<long(Bench&)> call, long right) {
  return [=](Bench& b) {
    ScopedFault f(b.machine_, rule);
    EXPECT_EQ(call(b), -error);
    EXPECT_EQ(call(b), right);
  };
}

// A call that takes at least a millisecond longer.
Scenario CallIsSlow(const std::string& where, std::function<long(Bench&)> call, long right) {
  return [=](Bench& b) {
    ScopedFault f(b.machine_, where + "=nth(1):delay(1ms)");
    const int64_t start_ns = b.machine_.NowNs();
    EXPECT_EQ(call(b), right);
    EXPECT_GE(b.machine_.NowNs() - start_ns, 1'000'000);
  };
}

// A call that lets a held completion go.
Scenario CallReleases(const std::string& where, std::function<long(Bench&)> call, long right) {
  return [=](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):hold(a)," + where + "=nth(2):release(a)");
    char buffer[kBlock];
    iocb read = b.Read(buffer, kBlock);
    if (where == "submit") {
      EXPECT_EQ(call(b), right);  // the request itself, held
    } else {
      EXPECT_EQ(b.Submit(read), 1);
      EXPECT_EQ(call(b), right);
    }
    ASSERT_TRUE(f.AwaitHeld("a"));
    EXPECT_EQ(call(b), right);
    EXPECT_EQ(b.machine_.CountHeld("a"), 0);
    EXPECT_EQ(b.Reap().res, static_cast<int64_t>(kBlock));
  };
}

long Setup(Bench& b) {
  aio_context_t ctx = 0;
  return b.kernel_.io_setup(1, &ctx);
}
// A context of its own each time.
long Destroy(Bench& b) {
  aio_context_t ctx = 0;
  EXPECT_EQ(b.kernel_.io_setup(1, &ctx), 0);
  return b.kernel_.io_destroy(ctx);
}
long SubmitRead(Bench& b) {
  static char buffer[kBlock];
  iocb read = b.Read(buffer, kBlock);
  return b.Submit(read);
}
// Of a POLL of a pipe that stays empty.
long Cancel(Bench& b) {
  int pipe[2];
  EXPECT_EQ(b.kernel_.pipe2(pipe, 0), 0);
  iocb poll = {};
  poll.aio_lio_opcode = IOCB_CMD_POLL;
  poll.aio_fildes = static_cast<uint32_t>(pipe[0]);
  poll.aio_buf = POLLIN;
  EXPECT_EQ(b.Submit(poll), 1);
  io_event event;
  return b.kernel_.io_cancel(b.ctx_, &poll, &event);
}
long GetNothing(Bench& b) {
  io_event event;
  timespec at_once = {};
  return b.kernel_.io_getevents(b.ctx_, 0, 1, &event, &at_once);
}
long PgetNothing(Bench& b) {
  io_event event;
  timespec at_once = {};
  return b.kernel_.io_pgetevents(b.ctx_, 0, 1, &event, &at_once, nullptr);
}

// An accepted request that ends with an error, and the same again that does not. A failed write has written nothing.
Scenario RequestFails(const std::string& what, int error) {
  return [=](Bench& b) {
    ScopedFault f(b.machine_, "complete[op=write]=nth(1):" + what);
    const std::string text(kBlock, 'X');
    EXPECT_EQ(b.Run(b.Write(text.data(), kBlock)), -error);
    EXPECT_EQ(b.Contents(kBlock), std::string(kBlock, 'a'));
    EXPECT_EQ(b.Run(b.Write(text.data(), kBlock)), static_cast<int64_t>(kBlock));
    EXPECT_EQ(b.Contents(kBlock), text);
    EXPECT_THAT(b.Trace(),
                HasSubstr(absl::StrCat("fault: rule=complete[op=write]=nth(1):", what, " hit=1 what=", what)));
  };
}

// A wait for two requests that is interrupted when none, or one, has come.
Scenario WaitEnds(const std::string& where, const std::string& what, long result) {
  return [=](Bench& b) {
    ScopedFault f(b.machine_, where + "=nth(1):" + what);
    char buffers[2][kBlock];
    // Completions at different times, so that there is a first one.
    ScopedFault later(b.machine_, "complete=nth(1):delay(20ms)->delay(50ms)");
    iocb one = b.Read(buffers[0], kBlock);
    iocb two = b.Read(buffers[1], kBlock, kBlock);
    EXPECT_EQ(b.Submit({&one, &two}), 2);
    const auto wait = [&](long min_nr, io_event* events) {
      return where == "getevents" ? b.kernel_.io_getevents(b.ctx_, min_nr, 2, events, nullptr)
                                  : b.kernel_.io_pgetevents(b.ctx_, min_nr, 2, events, nullptr, nullptr);
    };
    io_event events[2];
    EXPECT_EQ(wait(2, events), result);
    const long left = 2 - std::max(result, 0L);
    EXPECT_EQ(wait(left, events), left);
  };
}

// A submit of one iocb that is refused, in the middle of three.
Scenario IocbIsRefused(const std::string& what, int error) {
  return [=](Bench& b) {
    // For a full ring the first, with nothing outstanding, is no occasion.
    ScopedFault f(b.machine_, (what == "eagain" ? "submit_one=nth(1):" : "submit_one=nth(2):") + what);
    char buffers[3][kBlock];
    std::vector<iocb> reads;
    for (int i = 0; i < 3; ++i) reads.push_back(b.Read(buffers[i], kBlock, i * static_cast<int64_t>(kBlock)));
    EXPECT_EQ(b.Submit({&reads[0], &reads[1], &reads[2]}), 1);
    ScopedFault again(b.machine_, "submit_one=nth(1):" + what);
    EXPECT_EQ(b.Submit({&reads[1], &reads[2]}), -error);
    EXPECT_EQ(b.Submit({&reads[1], &reads[2]}), 2);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(b.Reap().res, static_cast<int64_t>(kBlock));
  };
}

Scenario PageFails(const std::string& what, int error) {
  return [=](Bench& b) {
    std::string buffer(3 * kBlock, '?');
    {
      ScopedFault f(b.machine_, "page=nth(1):" + what);
      EXPECT_EQ(b.Run(b.Read(buffer.data(), buffer.size())), -error);
    }
    // After progress it is a short read.
    ScopedFault f(b.machine_, "page[off=8192]=nth(1):" + what);
    EXPECT_EQ(b.Run(b.Read(buffer.data(), buffer.size())), 2 * static_cast<int64_t>(kBlock));
    EXPECT_EQ(buffer, std::string(kBlock, 'a') + std::string(kBlock, 'b') + std::string(kBlock, '?'));
  };
}

Scenario BioFails(const std::string& what, int error) {
  return [=](Bench& b) {
    ScopedFault f(b.machine_, "bio[op=read]=nth(1):" + what);
    alignas(kBlock) char buffer[kBlock];
    const iocb read = b.DirectRead(buffer);
    EXPECT_EQ(b.Run(read), -error);
    EXPECT_EQ(b.Run(read), static_cast<int64_t>(kBlock));
  };
}

std::string Blocks(char letter, size_t bytes = kBlock) { return std::string(bytes, letter); }

Scenario DeviceFails(const std::string& what, int error) {
  return [=](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device[op=read,off=0]=nth(1):" + what);
    EXPECT_EQ(disk.Read(kBlock), Blocks('b'));
    EXPECT_EQ(disk.Read(), ErrnoDescription(error));
    EXPECT_EQ(disk.Read(), Blocks('a'));
  };
}

// The power goes in the middle of a request, and `after` says what its client sees then and how the machine boots. What
// was durable is there.
Scenario LosesPower(const std::string& rule, const std::function<void(Bench& b, RawDisk& disk)>& after) {
  return [=](Bench& b) {
    RawDisk disk(b);
    EXPECT_EQ(disk.Fsync(), 0);
    ScopedFault f(b.machine_, rule);
    iocb write = disk.AioWrite();
    EXPECT_EQ(b.Submit(write), 1);
    after(b, disk);
    char byte = 0;
    const int fd = static_cast<int>(b.kernel_.openat(AT_FDCWD, "/disk/dev0", O_RDONLY, 0));
    EXPECT_EQ(b.kernel_.pread64(fd, &byte, 1, kBlock), 1);
    EXPECT_EQ(byte, 'b');
    EXPECT_EQ(f.hits(), 1);
  };
}

long WaitForOne(Bench& b) {
  io_event event;
  return b.kernel_.io_getevents(b.ctx_, 1, 1, &event, nullptr);
}

// The call that waits for the request gets EIO, as do all after it.
Scenario PowerGoes(const std::string& rule) {
  return LosesPower(rule, [](Bench& b, RawDisk&) {
    EXPECT_EQ(WaitForOne(b), -EIO);
    EXPECT_EQ(SubmitRead(b), -EIO);
    EXPECT_TRUE(b.machine_.power_is_off());
    EXPECT_THAT(b.Trace(), HasSubstr("power_cut"));
    EXPECT_TRUE(b.machine_.Reboot().ok());
  });
}

// The call that waits for the request ends with `error`: EIO, or EINVAL if the power went before that call, which is
// then the first of the next boot.
Scenario Reboots(const std::string& rule, int error) {
  return LosesPower(rule, [error](Bench& b, RawDisk& disk) {
    EXPECT_EQ(WaitForOne(b), -error);
    EXPECT_EQ(disk.Fsync(), -EBADF);
    EXPECT_EQ(SubmitRead(b), -EINVAL);
    EXPECT_FALSE(b.machine_.power_is_off());
    EXPECT_THAT(b.Trace(), ContainsRegex("power_cut.*(\n.*)*boot"));
  });
}

Scenario FsyncFails(const std::string& what, int error) {
  return [=](Bench& b) {
    ScopedFault f(b.machine_, absl::StrCat("fsync[path=*/data]=nth(1):", what, "->", what));
    iocb fsync = {};
    fsync.aio_lio_opcode = IOCB_CMD_FSYNC;
    fsync.aio_fildes = static_cast<uint32_t>(b.fd_);
    EXPECT_EQ(b.Run(fsync), -error);
    EXPECT_EQ(b.kernel_.fsync(b.fd_), -error);
    EXPECT_EQ(b.kernel_.fdatasync(b.fd_), 0);
    EXPECT_EQ(b.Run(fsync), 0);
  };
}

// The kernel's copies that a read of one block makes: ring id, pointer, iocb, key; then the data and the event.
Scenario CopyFails(const std::string& where) {
  return [=](Bench& b) {
    if (where == "copy_from_user") {
      ScopedFault f(b.machine_, "copy_from_user[size=64]=nth(1):efault");  // the iocb
      EXPECT_EQ(SubmitRead(b), -EFAULT);
      EXPECT_EQ(SubmitRead(b), 1);
      EXPECT_EQ(b.Reap().res, static_cast<int64_t>(kBlock));
      return;
    }
    EXPECT_EQ(SubmitRead(b), 1);
    ScopedFault f(b.machine_, "copy_to_user[size=32]=nth(1):efault");  // the event
    io_event event;
    EXPECT_EQ(b.kernel_.io_getevents(b.ctx_, 1, 1, &event, nullptr), -EFAULT);
    EXPECT_EQ(b.Reap().res, static_cast<int64_t>(kBlock));  // nothing is lost
  };
}

iocb WithEventfd(iocb request, long eventfd) {
  request.aio_flags = IOCB_FLAG_RESFD;
  request.aio_resfd = static_cast<uint32_t>(eventfd);
  return request;
}

std::map<std::string, Scenario> MakeScenarios() {
  std::map<std::string, Scenario> s;
  const auto name = [](absl::string_view where, absl::string_view what) { return absl::StrCat(where, "/", what); };

  const struct {
    const char* where;
    std::function<long(Bench&)> call;
    long right;
  } calls[] = {
      {"setup", Setup, 0},          {"destroy", Destroy, 0},
      {"submit", SubmitRead, 1},    {"cancel", Cancel, -EINPROGRESS},
      {"getevents", GetNothing, 0}, {"pgetevents", PgetNothing, 0},
  };
  for (const auto& call : calls) {
    const std::string where = call.where;
    s[name(where, "enosys")] = CallFails(where + "=nth(1):enosys", ENOSYS, call.call, call.right);
    s[name(where, "illegal:errno")] = CallFails(where + "=nth(1):illegal:exdev", EXDEV, call.call, call.right);
    s[name(where, "delay")] = CallIsSlow(where, call.call, call.right);
    s[name(where, "release")] = CallReleases(where, call.call, call.right);
  }
  s["setup/eagain"] = [](Bench& b) {
    CallFails("setup=nth(1):eagain", EAGAIN, Setup, 0)(b);
    EXPECT_THAT(b.Trace(), HasSubstr("ioctx_alloc: ret=-EAGAIN why=aio-max-nr"));
  };
  s["setup/enomem"] = CallFails("setup=nth(1):enomem", ENOMEM, Setup, 0);
  s["setup/eperm"] = CallFails("setup=nth(1):eperm", EPERM, Setup, 0);
  s["cancel/einval"] = CallFails("cancel=nth(1):einval", EINVAL, Cancel, -EINPROGRESS);
  s["submit/eagain"] = [](Bench& b) {
    ScopedFault f(b.machine_, "submit=nth(1):eagain");
    EXPECT_EQ(SubmitRead(b), 1);  // with nothing outstanding there is room
    EXPECT_EQ(SubmitRead(b), -EAGAIN);
    EXPECT_EQ(SubmitRead(b), 1);
  };
  s["submit/short"] = [](Bench& b) {
    ScopedFault f(b.machine_, "submit=nth(1):short(1)");
    char buffers[2][kBlock];
    iocb one = b.Read(buffers[0], kBlock);
    iocb two = b.Read(buffers[1], kBlock, kBlock);
    EXPECT_EQ(b.Submit({&one, &two}), 1);
    EXPECT_EQ(b.Submit({&two}), 1);
    EXPECT_EQ(b.Reap().res + b.Reap().res, 2 * static_cast<int64_t>(kBlock));
  };
  for (const char* where : {"getevents", "pgetevents"}) {
    s[name(where, "eintr")] = WaitEnds(where, "eintr", -EINTR);
    s[name(where, "short")] = WaitEnds(where, "short(1)", 1);
  }

  s["submit_one/eagain"] = [](Bench& b) {
    IocbIsRefused("eagain", EAGAIN)(b);
    EXPECT_THAT(b.Trace(), HasSubstr("aio_get_req: ctx=1 ret=-EAGAIN why=no slot in the ring"));
  };
  s["submit_one/enomem"] = IocbIsRefused("enomem", ENOMEM);
  s["submit_one/einval"] = IocbIsRefused("einval", EINVAL);
  s["submit_one/eopnotsupp"] = IocbIsRefused("eopnotsupp", EOPNOTSUPP);
  s["submit_one/illegal:errno"] = IocbIsRefused("illegal:eio", EIO);
  s["submit_one/nowait-block"] = [](Bench& b) {
    ScopedFault f(b.machine_, "submit_one[rwf=nowait]=nth(1):illegal:nowait-block");
    char buffer[kBlock];
    iocb read = b.Read(buffer, kBlock);
    EXPECT_EQ(b.Submit(read), 1);  // without the flag it is no occasion
    read.aio_rw_flags = RWF_NOWAIT;
    EXPECT_EQ(b.Submit(read), -EAGAIN);
    EXPECT_THAT(b.Trace(), HasSubstr("why=RWF_NOWAIT at submission"));
  };

  for (const char* error : {"eio", "enodata", "etimedout", "enolink", "eremoteio", "eilseq", "estale", "enomem",
                            "enospc", "edquot", "efbig", "erofs", "eintr", "ecanceled", "eagain"}) {
    s[name("complete", error)] = RequestFails(error, ErrnoFromName(error));
  }
  s["complete/illegal:errno"] = RequestFails("illegal:exdev", EXDEV);
  s["complete/nowait-block"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):nowait-block");
    char buffer[kBlock];
    EXPECT_EQ(b.Run(b.Read(buffer, kBlock)), static_cast<int64_t>(kBlock));
    EXPECT_FALSE(f.fired());
    b.KnowNowait();
    iocb read = b.Read(buffer, kBlock);
    read.aio_rw_flags = RWF_NOWAIT;
    EXPECT_EQ(b.Submit(read), 1);
    // The event is there when io_submit returns, as in the kernel.
    timespec at_once = {};
    io_event event = {};
    EXPECT_EQ(b.kernel_.io_getevents(b.ctx_, 1, 1, &event, &at_once), 1);
    EXPECT_EQ(event.res, -EAGAIN);
  };
  s["complete/short"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):short(100)");
    // A vector stops within its second segment, and what lies behind is untouched.
    std::string buffer(kBlock, '?');
    iovec segments[2] = {{buffer.data(), 60}, {buffer.data() + 60, kBlock - 60}};
    EXPECT_EQ(b.Run(b.Request(IOCB_CMD_PREADV, segments, 2, 0)), 100);
    EXPECT_EQ(buffer, std::string(100, 'a') + std::string(kBlock - 100, '?'));
    // A short write, and then no space.
    ScopedFault g(b.machine_, "complete[op=write]=nth(1):short(512)->enospc");
    const std::string text(kBlock, 'X');
    EXPECT_EQ(b.Run(b.Write(text.data(), kBlock)), 512);
    EXPECT_EQ(b.Run(b.Write(text.data() + 512, kBlock - 512, 512)), -ENOSPC);
    EXPECT_EQ(b.Contents(kBlock), std::string(512, 'X') + std::string(kBlock - 512, 'a'));
  };
  s["complete/delay"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):delay(5ms)");
    char buffer[kBlock];
    const int64_t start_ns = b.machine_.NowNs();
    EXPECT_EQ(b.Run(b.Read(buffer, kBlock)), static_cast<int64_t>(kBlock));
    EXPECT_GE(b.machine_.NowNs() - start_ns, 5'000'000);
  };
  s["complete/spike"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):spike(5ms)");
    char buffer[kBlock];
    EXPECT_EQ(SubmitRead(b), 1);
    EXPECT_EQ(SubmitRead(b), 1);
    EXPECT_EQ(GetNothing(b), 0);
    EXPECT_EQ(b.Reap().res + b.Reap().res, 2 * static_cast<int64_t>(kBlock));
    EXPECT_GE(b.machine_.NowNs(), 5'000'000);
    EXPECT_EQ(f.hits(), 2);
    const int64_t over_ns = b.machine_.NowNs();
    EXPECT_EQ(b.Run(b.Read(buffer, kBlock)), static_cast<int64_t>(kBlock));
    EXPECT_LT(b.machine_.NowNs() - over_ns, 1'000'000);
  };
  s["complete/reorder"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):reorder");
    char buffers[3][kBlock];
    // The first is alone, so nothing can overtake it, and it is no occasion.
    EXPECT_EQ(b.Run(b.Read(buffers[0], kBlock)), static_cast<int64_t>(kBlock));
    iocb held = b.Read(buffers[0], kBlock);
    iocb first = b.Read(buffers[1], kBlock);
    iocb second = b.Read(buffers[2], kBlock);
    ScopedFault order(b.machine_, "complete=nth(1):delay(1ms)->always:delay(2ms)");
    EXPECT_EQ(b.Submit({&held, &first, &second}), 3);
    EXPECT_TRUE(order.fired());
    std::vector<uint64_t> came;
    for (int i = 0; i < 3; ++i) came.push_back(b.Reap().data);
    EXPECT_TRUE(f.fired());
    EXPECT_EQ(std::count(came.begin(), came.end(), first.aio_data), 1);
    EXPECT_NE(came.front(), first.aio_data);  // the one that reorder fell to is not the first any more
  };
  s["complete/hold"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):hold(a)");
    char buffers[2][kBlock];
    iocb held = b.Read(buffers[0], kBlock);
    iocb other = b.Read(buffers[1], kBlock);
    EXPECT_EQ(b.Submit({&held, &other}), 2);
    ASSERT_TRUE(f.AwaitHeld("a"));
    EXPECT_EQ(b.Reap().data, other.aio_data);
    EXPECT_EQ(GetNothing(b), 0);
    EXPECT_EQ(f.Release("a"), 1);
    EXPECT_EQ(f.Release("a"), 0);
    EXPECT_EQ(b.Reap().data, held.aio_data);
    // Without a release the run ends with a finding that says who waits for what.
    ScopedFault g(b.machine_, "complete=nth(1):hold(b)");
    EXPECT_EQ(b.Submit(held), 1);
    io_event event;
    EXPECT_EQ(b.kernel_.io_getevents(b.ctx_, 1, 1, &event, nullptr), -EDEADLK);
    EXPECT_THAT(b.stuck_, HasSubstr("waits for release(b)"));
  };
  s["complete/release"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):hold(a),complete=nth(2):release(a)");
    char buffers[2][kBlock];
    iocb held = b.Read(buffers[0], kBlock);
    iocb other = b.Read(buffers[1], kBlock);
    EXPECT_EQ(b.Submit(held), 1);
    ASSERT_TRUE(f.AwaitHeld("a"));
    EXPECT_EQ(b.Submit(other), 1);
    EXPECT_EQ(b.Reap().data, other.aio_data);
    EXPECT_EQ(b.Reap().data, held.aio_data);
  };
  s["complete/bad-sector"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete[off=4096]=nth(1):bad-sector");
    char buffer[2 * kBlock];
    EXPECT_EQ(b.Run(b.Read(buffer, kBlock, kBlock)), -EIO);
    EXPECT_EQ(b.Run(b.Read(buffer, 2 * kBlock)), -EIO);
    EXPECT_EQ(b.Run(b.Read(buffer, kBlock)), static_cast<int64_t>(kBlock));
    EXPECT_EQ(b.Run(b.Read(buffer, kBlock - kSector, kBlock + kSector)), static_cast<int64_t>(kBlock - kSector));
  };
  s["complete/torn"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):torn");
    const std::string text(kBlock, 'X');
    EXPECT_EQ(b.Run(b.Write(text.data(), kBlock)), static_cast<int64_t>(kBlock));
    const std::string contents = b.Contents(kBlock);
    const size_t written = contents.find('a');
    EXPECT_GT(written, 0);
    EXPECT_LT(written, kBlock);
    EXPECT_EQ(written % kSector, 0);
    EXPECT_EQ(contents, std::string(written, 'X') + std::string(kBlock - written, 'a'));
  };
  s["complete/lost"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):lost");
    const std::string text(kBlock, 'X');
    EXPECT_EQ(b.Run(b.Write(text.data(), kBlock)), static_cast<int64_t>(kBlock));
    EXPECT_EQ(b.Contents(kBlock), std::string(kBlock, 'a'));
  };
  s["complete/misdirected"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):misdirected(8192)->misdirected");
    const std::string text(kBlock, 'X');
    EXPECT_EQ(b.Run(b.Write(text.data(), kBlock)), static_cast<int64_t>(kBlock));
    EXPECT_EQ(b.Contents(kBlock), std::string(kBlock, 'a'));
    EXPECT_EQ(b.Contents(kBlock, 2 * kBlock), text);
    std::string buffer(kBlock, '?');
    EXPECT_EQ(b.Run(b.Read(buffer.data(), kBlock)), static_cast<int64_t>(kBlock));
    EXPECT_EQ(buffer, std::string(kBlock, 'b'));
  };
  s["complete/bitrot"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):bitrot");
    std::string buffer(kBlock, '?');
    EXPECT_EQ(b.Run(b.Read(buffer.data(), kBlock)), static_cast<int64_t>(kBlock));
    EXPECT_EQ(std::count(buffer.begin(), buffer.end(), 'a'), static_cast<long>(kBlock - 1));
    EXPECT_EQ(std::count(buffer.begin(), buffer.end(), 'a' ^ 0x10), 1);
    EXPECT_EQ(b.Contents(kBlock), std::string(kBlock, 'a'));
  };
  s["complete/never"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):never");
    EXPECT_EQ(SubmitRead(b), 1);
    io_event event;
    EXPECT_EQ(b.kernel_.io_getevents(b.ctx_, 1, 1, &event, nullptr), -EDEADLK);
    EXPECT_THAT(b.stuck_, HasSubstr("because a fault rule says that it never completes"));
  };
  s["complete/duplicate"] = [](Bench& b) {
    ScopedFault f(b.machine_, "complete=nth(1):illegal:duplicate");
    char buffer[kBlock];
    iocb read = b.Read(buffer, kBlock);
    EXPECT_EQ(b.Submit(read), 1);
    io_event events[2];
    EXPECT_EQ(b.kernel_.io_getevents(b.ctx_, 2, 2, events, nullptr), 2);
    EXPECT_EQ(events[0].data, events[1].data);
    // The ring has as many slots as before.
    for (int i = 0; i < 300; ++i) ASSERT_EQ(b.Run(b.Read(buffer, kBlock)), static_cast<int64_t>(kBlock));
  };

  s["page/eio"] = PageFails("eio", EIO);
  s["page/enomem"] = PageFails("enomem", ENOMEM);
  s["page/enospc"] = [](Bench& b) {
    ScopedFault f(b.machine_, "page[off=4096]=nth(1):enospc");
    std::string buffer(2 * kBlock, 'X');
    EXPECT_EQ(b.Run(b.Write(buffer.data(), buffer.size())), static_cast<int64_t>(kBlock));
    EXPECT_EQ(b.Run(b.Read(buffer.data(), buffer.size())), static_cast<int64_t>(2 * kBlock));
    EXPECT_EQ(buffer, Blocks('X') + Blocks('b'));
    EXPECT_EQ(f.occasions(), 1);  // of which a read is none
  };
  s["page/nowait-block"] = [](Bench& b) {
    ScopedFault f(b.machine_, "page[off=4096]=nth(1):nowait-block");
    char buffer[3 * kBlock];
    EXPECT_EQ(b.Run(b.Read(buffer, sizeof(buffer))), static_cast<int64_t>(sizeof(buffer)));
    b.KnowNowait();
    iocb read = b.Read(buffer, sizeof(buffer));
    read.aio_rw_flags = RWF_NOWAIT;
    EXPECT_EQ(b.Run(read), static_cast<int64_t>(kBlock));
  };

  for (const char* error : {"eio", "enodata", "etimedout"})
    s[name("bio", error)] = BioFails(error, ErrnoFromName(error));
  s["bio/delay"] = [](Bench& b) {
    ScopedFault f(b.machine_, "bio[op=read]=nth(1):delay(5ms)");
    alignas(kBlock) char buffer[kBlock];
    const int64_t start_ns = b.machine_.NowNs();
    EXPECT_EQ(b.Run(b.DirectRead(buffer)), static_cast<int64_t>(kBlock));
    EXPECT_GE(b.machine_.NowNs() - start_ns, 5'000'000);
  };
  // Nobody may see it but by the time that it takes.
  s["request/queue-full"] = [](Bench& b) {
    ScopedFault f(b.machine_, "request[op=read]=nth(1):queue-full");
    alignas(kBlock) char buffer[kBlock];
    const int64_t start_ns = b.machine_.NowNs();
    EXPECT_EQ(b.Run(b.DirectRead(buffer)), static_cast<int64_t>(kBlock));
    EXPECT_GE(b.machine_.NowNs() - start_ns, 200'000);
  };

  for (const char* error : {"eio", "enodata", "etimedout", "enolink", "eremoteio", "eilseq"}) {
    s[name("device", error)] = DeviceFails(error, ErrnoFromName(error));
  }
  s["device/enospc"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):enospc");
    EXPECT_EQ(disk.Read(), Blocks('a'));  // a read is no occasion
    EXPECT_EQ(disk.Write('X'), -ENOSPC);
    EXPECT_EQ(disk.Read(), Blocks('a'));
  };
  s["device/delay"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):delay(5ms)");
    const int64_t start_ns = b.machine_.NowNs();
    EXPECT_EQ(disk.Read(), Blocks('a'));
    EXPECT_GE(b.machine_.NowNs() - start_ns, 5'000'000);
  };
  s["device/spike"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):spike(5ms)");
    iocb one = disk.AioRead();
    iocb two = disk.AioRead();
    const int64_t start_ns = b.machine_.NowNs();
    EXPECT_EQ(b.Submit(one), 1);
    EXPECT_EQ(b.Submit(two), 1);
    EXPECT_EQ(b.Reap().res + b.Reap().res, 2 * static_cast<int64_t>(kBlock));
    EXPECT_GE(b.machine_.NowNs() - start_ns, 5'000'000);
    EXPECT_EQ(f.hits(), 2);
    const int64_t over_ns = b.machine_.NowNs();
    EXPECT_EQ(disk.Read(), Blocks('a'));
    EXPECT_LT(b.machine_.NowNs() - over_ns, 1'000'000);
  };
  s["device/hold"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):hold(a)");
    iocb held = disk.AioRead();
    EXPECT_EQ(b.Submit(held), 1);
    ASSERT_TRUE(f.AwaitHeld("a"));
    EXPECT_EQ(GetNothing(b), 0);
    EXPECT_EQ(f.Release("a"), 1);
    EXPECT_EQ(b.Reap().res, static_cast<int64_t>(kBlock));
  };
  s["device/release"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):hold(a),device=nth(2):release(a)");
    iocb held = disk.AioRead();
    EXPECT_EQ(b.Submit(held), 1);
    EXPECT_EQ(disk.Read(kBlock), Blocks('b'));
    EXPECT_EQ(b.Reap().data, held.aio_data);
  };
  s["device/queue-full"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):queue-full");
    const int64_t start_ns = b.machine_.NowNs();
    EXPECT_EQ(disk.Read(), Blocks('a'));
    EXPECT_GE(b.machine_.NowNs() - start_ns, 3'000'000);
    EXPECT_THAT(b.Trace(), HasSubstr("block_rq_requeue"));
  };
  s["device/bad-sector"] = [](Bench& b) {
    RawDisk disk(b);
    {
      ScopedFault f(b.machine_, "device[off=512]=nth(1):bad-sector");
      EXPECT_EQ(disk.Read(), ErrnoDescription(EIO));
    }
    EXPECT_EQ(disk.Read(), ErrnoDescription(EIO));
    EXPECT_EQ(disk.Read(0, kSector), Blocks('a', kSector));
    EXPECT_EQ(disk.Read(kSector, kSector), ErrnoDescription(EIO));
    EXPECT_EQ(disk.Write('c'), kBlock);
    EXPECT_EQ(disk.Read(), Blocks('c'));
    ScopedFault f(b.machine_, "device[op=write]=nth(1):bad-sector");
    EXPECT_EQ(disk.Write('d'), -EIO);
    EXPECT_EQ(disk.Write('d'), -EIO);
    EXPECT_EQ(disk.Read(), ErrnoDescription(EIO));
  };
  s["device/torn"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):torn");
    EXPECT_EQ(disk.Write('X'), kBlock);
    const std::string contents = disk.Read();
    const size_t written = contents.find('a');
    EXPECT_GT(written, 0);
    EXPECT_LT(written, kBlock);
    EXPECT_EQ(written % kSector, 0);
    EXPECT_EQ(contents, Blocks('X', written) + Blocks('a', kBlock - written));
  };
  s["device/lost"] = [](Bench& b) {
    RawDisk disk(b);
    {
      ScopedFault f(b.machine_, "device=nth(1):lost");
      EXPECT_EQ(disk.Read(), Blocks('a'));  // a read is no occasion
      EXPECT_EQ(disk.Write('X'), kBlock);
      EXPECT_EQ(disk.Read(), Blocks('a'));
    }
    // A flush that is none: what fsync has promised may yet go.
    const SimDisk& below = *b.machine_.DiskOf("/disk");
    const int fd = static_cast<int>(b.kernel_.openat(AT_FDCWD, "/disk/file", O_RDWR | O_CREAT, 0600));
    EXPECT_EQ(b.kernel_.pwrite64(fd, "x", 1, 0), 1);
    EXPECT_EQ(b.kernel_.fsync(fd), 0);
    EXPECT_EQ(below.bytes_at_risk(), 0);
    EXPECT_EQ(b.kernel_.pwrite64(fd, "y", 1, 0), 1);
    ScopedFault f(b.machine_, "device[op=flush]=always:lost");
    EXPECT_EQ(b.kernel_.fsync(fd), 0);
    EXPECT_GT(below.bytes_at_risk(), 0);
  };
  s["device/misdirected"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):misdirected(8192)->misdirected");
    EXPECT_EQ(disk.Write('X'), kBlock);
    EXPECT_EQ(disk.Read(), Blocks('b'));  // the read goes astray, too, by a block
    EXPECT_EQ(disk.Read(), Blocks('a'));
    EXPECT_EQ(disk.Read(2 * kBlock), Blocks('X'));
  };
  s["device/bitrot"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):bitrot");
    const std::string rotten = disk.Read();
    EXPECT_EQ(std::count(rotten.begin(), rotten.end(), 'a'), static_cast<long>(kBlock - 1));
    EXPECT_EQ(std::count(rotten.begin(), rotten.end(), 'a' ^ 0x10), 1);
    EXPECT_EQ(disk.Read(), rotten);
    EXPECT_EQ(disk.Write('c'), kBlock);
    EXPECT_EQ(disk.Read(), Blocks('c'));
  };
  s["device/never"] = [](Bench& b) {
    RawDisk disk(b);
    ScopedFault f(b.machine_, "device=nth(1):never");
    iocb read = disk.AioRead();
    EXPECT_EQ(b.Submit(read), 1);
    io_event event;
    EXPECT_EQ(b.kernel_.io_getevents(b.ctx_, 1, 1, &event, nullptr), -EDEADLK);
    EXPECT_THAT(b.stuck_, HasSubstr("waits for the device, and nothing is under way"));
    b.machine_.PowerCut();  // only that ends it
  };
  s["device/powercut"] = PowerGoes("device=at(step 41):powercut(tear=512)");
  s["complete/powercut"] = PowerGoes("complete=nth(1):powercut");
  s["fsync/powercut"] = [](Bench& b) {
    ScopedFault f(b.machine_, "fsync=nth(1):powercut");
    EXPECT_EQ(b.kernel_.fsync(b.fd_), -EIO);
    EXPECT_EQ(SubmitRead(b), -EIO);
    EXPECT_TRUE(b.machine_.power_is_off());
  };
  s["device/reboot"] = Reboots("device=at(step 41):reboot(tear=512)", EINVAL);
  s["complete/reboot"] = Reboots("complete=nth(1):reboot", EIO);
  s["fsync/reboot"] = [](Bench& b) {
    ScopedFault f(b.machine_, "fsync=nth(1):reboot");
    EXPECT_EQ(b.kernel_.fsync(b.fd_), -EIO);
    EXPECT_EQ(b.kernel_.fsync(b.fd_), -EBADF);
    EXPECT_EQ(SubmitRead(b), -EINVAL);
    EXPECT_FALSE(b.machine_.power_is_off());
  };

  s["fsync/eio"] = FsyncFails("eio", EIO);
  s["fsync/enospc"] = FsyncFails("enospc", ENOSPC);
  s["fsync/edquot"] = FsyncFails("edquot", EDQUOT);

  s["slab/enomem"] = [](Bench& b) {
    {
      ScopedFault f(b.machine_, "slab=nth(1):enomem");
      EXPECT_EQ(SubmitRead(b), -EAGAIN);
      EXPECT_THAT(b.Trace(), HasSubstr("aio_get_req: ctx=1 ret=-EAGAIN why=no memory"));
    }
    {
      ScopedFault f(b.machine_, "slab=nth(1):enomem");
      EXPECT_EQ(Setup(b), -ENOMEM);
    }
    {
      ScopedFault f(b.machine_, "slab=nth(2):enomem");
      iocb fsync = {};
      fsync.aio_lio_opcode = IOCB_CMD_FSYNC;
      fsync.aio_fildes = static_cast<uint32_t>(b.fd_);
      EXPECT_EQ(b.Submit(fsync), -ENOMEM);
    }
    ScopedFault f(b.machine_, "slab=nth(3):enomem");
    char buffer[9];
    iovec segments[9];
    for (int i = 0; i < 9; ++i) segments[i] = {buffer + i, 1};
    EXPECT_EQ(b.Run(b.Request(IOCB_CMD_PREADV, segments, 8, 0)), 8);  // up to eight need no memory
    iocb nine = b.Request(IOCB_CMD_PREADV, segments, 9, 0);
    EXPECT_EQ(b.Submit(nine), -ENOMEM);
  };
  s["ring_mapping/enomem"] = CallFails("ring_mapping=nth(1):enomem", ENOMEM, Setup, 0);
  s["ring_mapping/eagain"] = CallFails("ring_mapping=nth(1):eagain", EAGAIN, Setup, 0);
  s["ring_mapping/eintr"] = CallFails("ring_mapping=nth(1):eintr", EINTR, Setup, 0);
  s["copy_from_user/efault"] = CopyFails("copy_from_user");
  s["copy_to_user/efault"] = CopyFails("copy_to_user");

  s["eventfd/delay"] = [](Bench& b) {
    ScopedFault f(b.machine_, "eventfd=nth(1):delay(5ms)");
    const long eventfd = b.kernel_.eventfd2(0, 0);
    char buffer[kBlock];
    EXPECT_EQ(b.Run(WithEventfd(b.Read(buffer, kBlock), eventfd)), static_cast<int64_t>(kBlock));
    pollfd poll = {static_cast<int>(eventfd), POLLIN, 0};
    timespec at_once = {};
    EXPECT_EQ(b.kernel_.ppoll(&poll, 1, &at_once, nullptr, 0), 0);
    uint64_t count = 0;
    EXPECT_EQ(b.kernel_.read(static_cast<int>(eventfd), &count, sizeof(count)), 8);
    EXPECT_EQ(count, 1);
    EXPECT_GE(b.machine_.NowNs(), 5'000'000);
  };
  s["eventfd/lost"] = [](Bench& b) {
    ScopedFault f(b.machine_, "eventfd=nth(1):illegal:lost");
    const long eventfd = b.kernel_.eventfd2(0, O_NONBLOCK);
    char buffer[kBlock];
    EXPECT_EQ(b.Run(WithEventfd(b.Read(buffer, kBlock), eventfd)), static_cast<int64_t>(kBlock));
    uint64_t count = 0;
    EXPECT_EQ(b.kernel_.read(static_cast<int>(eventfd), &count, sizeof(count)), -EAGAIN);
  };
  s["signal/eintr"] = [](Bench& b) {
    ScopedFault f(b.machine_, "signal=nth(1):eintr->eintr");
    EXPECT_EQ(SubmitRead(b), 1);
    ScopedFault slow(b.machine_, "complete=nth(1):delay(5ms)");
    EXPECT_EQ(SubmitRead(b), 1);
    EXPECT_EQ(b.Reap().res, static_cast<int64_t>(kBlock));
    io_event event;
    EXPECT_EQ(b.kernel_.io_getevents(b.ctx_, 1, 1, &event, nullptr), -EINTR);
    int pipe[2];
    EXPECT_EQ(b.kernel_.pipe2(pipe, 0), 0);
    char byte;
    EXPECT_EQ(b.kernel_.read(pipe[0], &byte, 1), -EINTR);
    EXPECT_EQ(b.Reap().res, static_cast<int64_t>(kBlock));
  };
  return s;
}

const std::map<std::string, Scenario>& Scenarios() {
  static const auto& scenarios = *new std::map<std::string, Scenario>(MakeScenarios());
  return scenarios;
}

std::string CellName(const FaultCell& cell) { return absl::StrCat(FaultSiteInfo(cell.site).name, "/", cell.what); }

// As a test's name can be written.
std::string TestName(const FaultCell& cell) {
  return absl::StrReplaceAll(CellName(cell), {{"/", "_"}, {"-", "_"}, {":", "_"}});
}

class FaultCellTest : public testing::TestWithParam<FaultCell> {};

TEST_P(FaultCellTest, DoesWhatItSays) {
  const auto scenario = Scenarios().find(CellName(GetParam()));
  ASSERT_NE(scenario, Scenarios().end()) << "no test shows " << CellName(GetParam());
  Bench bench;
  scenario->second(bench);
}

INSTANTIATE_TEST_SUITE_P(All, FaultCellTest, testing::ValuesIn(FaultCells().begin(), FaultCells().end()),
                         [](const auto& info) { return TestName(info.param); });

// Who said EAGAIN can be told from the trace alone. Method: each kind on a machine of its own, whose trace has its
// words and none of the others'.
TEST(FaultTraceTest, EachKindOfEagainIsNamed) {
  enum class Says { kCall, kEvent };
  const struct {
    const char* rule;
    const char* words;
    Says says;
  } kinds[] = {
      {"submit_one=nth(1):eagain", "why=no slot in the ring", Says::kCall},
      {"slab=nth(1):enomem", "why=no memory", Says::kCall},
      {"submit_one=nth(1):illegal:nowait-block", "why=RWF_NOWAIT at submission", Says::kCall},
      {"complete=nth(1):nowait-block", "rule=complete=nth(1):nowait-block", Says::kEvent},
      {"request=nth(1):queue-full", "what=queue-full", Says::kEvent},
      {"page=nth(1):nowait-block", "rule=page=nth(1):nowait-block", Says::kEvent},
      {"setup=nth(1):eagain", "why=aio-max-nr", Says::kCall},
  };
  for (const auto& kind : kinds) {
    SCOPED_TRACE(kind.rule);
    Bench b;
    EXPECT_EQ(SubmitRead(b), 1);  // something is outstanding
    ScopedFault f(b.machine_, kind.rule);
    alignas(kBlock) char buffer[kBlock];
    iocb read = absl::StartsWith(kind.rule, "request") ? b.DirectRead(buffer) : b.Read(buffer, kBlock);
    b.KnowNowait(static_cast<int>(read.aio_fildes));
    read.aio_rw_flags = RWF_NOWAIT;
    if (kind.says == Says::kEvent) {
      EXPECT_EQ(b.Submit(read), 1);
      EXPECT_EQ(std::min(b.Reap().res, b.Reap().res), -EAGAIN);
    } else {
      EXPECT_EQ(absl::StartsWith(kind.rule, "setup") ? aiolab::Setup(b) : b.Submit(read), -EAGAIN);
    }
    const std::string trace = b.Trace();
    for (const auto& other : kinds) EXPECT_EQ(absl::StrContains(trace, other.words), &other == &kind) << other.words;
  }
}

TEST(FaultTableTest, NoTestIsForACellThatIsNotThere) {
  for (const auto& [name, scenario] : Scenarios()) {
    const auto cells = FaultCells();
    EXPECT_TRUE(std::any_of(cells.begin(), cells.end(), [&](const auto& cell) { return CellName(cell) == name; }))
        << name;
  }
}

std::string FilterNames(const FaultSiteEntry& site) {
  const struct {
    uint32_t bit;
    const char* name;
  } filters[] = {{kFaultFilterOp, "op"},     {kFaultFilterFd, "fd"},     {kFaultFilterFile, "path, open"},
                 {kFaultFilterRange, "off"}, {kFaultFilterSize, "size"}, {kFaultFilterCtx, "ctx"},
                 {kFaultFilterTask, "task"}, {kFaultFilterRwf, "rwf"}};
  std::string names;
  for (const auto& filter : filters) {
    if ((site.filters & filter.bit) != 0) absl::StrAppend(&names, names.empty() ? "" : ", ", filter.name);
  }
  return names;
}

std::string Table() {
  std::string table = "| where | what | class | `any` | meaning | test |\n|---|---|---|---|---|---|\n";
  for (const FaultCell& cell : FaultCells()) {
    absl::StrAppend(&table, "| `", FaultSiteInfo(cell.site).name, "` | `", cell.what, "` | ",
                    FaultClassName(cell.fault_class), " | ", cell.any.empty() ? "" : absl::StrCat("`", cell.any, "`"),
                    " | ", cell.meaning, " | `", TestName(cell), "` |\n");
  }
  return table;
}

std::string SiteTable() {
  std::string table = "| where | the occasion | filters |\n|---|---|---|\n";
  for (const FaultSiteEntry& site : FaultSites()) {
    if (FaultWordsAt(site.site).empty()) continue;
    absl::StrAppend(&table, "| `", site.name, "` | ", site.meaning, " | ", FilterNames(site), " |\n");
  }
  return table;
}

// The tables in FAULTS.md are these. When this fails, its message is what belongs there.
TEST(FaultTableTest, StandsInTheDocument) {
  std::ifstream file("kernel_model/FAULTS.md");
  std::stringstream text;
  text << file.rdbuf();
  ASSERT_FALSE(text.str().empty());
  EXPECT_TRUE(text.str().find(SiteTable()) != std::string::npos) << SiteTable();
  EXPECT_TRUE(text.str().find(Table()) != std::string::npos) << Table();
}

}  // namespace
}  // namespace aiolab
