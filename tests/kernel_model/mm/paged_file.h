// The smallest file system that the page cache can serve, for tests: one file, whose page n lies at sector 8 * n (or
// elsewhere, if a test says so), on a disk that stores bytes, fails where it is told to, and writes down what it did.
//
//   class MyTest : public PagedFileTest { ... };
//   const int fd = Open(O_RDWR);                 // the machine's fd of the one file
//   iocb read = Request(IOCB_CMD_PREAD, fd, ...); ASSERT_EQ(Submit(read), 1); EXPECT_EQ(Reap(), 4096);
#ifndef TESTS_KERNEL_MODEL_MM_PAGED_FILE_H_
#define TESTS_KERNEL_MODEL_MM_PAGED_FILE_H_

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernel_model/block/blkdev.h"
#include "kernel_model/emulated_syscalls.h"
#include "kernel_model/fs/iomap.h"
#include "kernel_model/machine.h"
#include "kernel_model/mm/folio.h"
#include "kernel_model/profile.h"

namespace aiolab {

// Every transfer takes 100 us, and any number go on at once.
class ByteDisk : public block_device {
 public:
  void submit(bio* bio) override;

  // "R 0+8", "W 16+8", "WF 0+8" (FUA), "F": op, sector, sectors; in the order in which they came.
  std::vector<std::string> log;
  std::set<sector_t> bad_sectors;  // transfers that touch one fail with -EIO
  bool full = false;               // REQ_NOWAIT fails with -EAGAIN
  int refusals = 0;                // that many have
  bool held = false;               // what comes is not begun before Release()
  void Release();

  std::string Read(sector_t sector, size_t bytes) const;
  void Write(sector_t sector, const std::string& bytes);

 private:
  struct Transfer : Executor::Event {
    ByteDisk* disk;
    bio* under_way;
  };
  void Begin(bio* bio);
  static void End(Executor::Event& event);

  std::map<sector_t, std::array<char, SECTOR_SIZE>> sectors_;
  std::vector<bio*> held_bios_;
};

struct PagedInode : inode {
  PagedInode();

  address_space mapping;
  std::map<uint64_t, block_map::Type> blocks;  // by page; absent: a hole
  std::map<uint64_t, uint64_t> places;         // by page: where its block is, in pages, if it is not the same
  uint64_t room = ~uint64_t{0};                // pages that can still get blocks
  loff_t disk_size = 0;
  std::vector<std::string> ends;  // "0+1 size 4096 error 0"
  bool fsync_fails = false;
};

class PagedFileTest : public testing::Test {
 protected:
  explicit PagedFileTest(Profile profile = *FindProfile("retry"), SeededBug bug = SeededBug::kNone);
  ~PagedFileTest() override;

  int Open(int flags, const file_operations* f_op = nullptr);
  // Puts pages on the disk, 'a's, 'b's and so on, and makes them the file.
  void FillFile(uint64_t pages);
  static std::string PageOf(char c, size_t bytes = kPageSize) { return std::string(bytes, c); }
  // What the disk has of a page of the file.
  std::string OnDisk(uint64_t page) const;

  static iocb Request(uint16_t opcode, int fd, void* buffer, size_t bytes, int64_t offset, int rw_flags = 0);
  long Submit(iocb& iocb);
  int64_t Reap();
  int64_t ResultOf(iocb iocb);
  // The whole of a write or read, by AIO.
  int64_t Write(int fd, const std::string& bytes, int64_t offset, int rw_flags = 0);
  int64_t Read(int fd, std::string* bytes, int64_t offset, int rw_flags = 0);

  // Begins what disk_.held has kept.
  void ReleaseDisk();
  // Lets virtual time pass.
  void Sleep(int64_t ns) { machine_.AdvanceTo(machine_.NowNs() + ns); }
  bool Cached(uint64_t page) { return filemap_get_folio(file_->mapping, page) != nullptr; }
  size_t nr_dirty() const { return file_->mapping.dirty_pages.size(); }
  // An aligned buffer.
  char* Buffer(size_t bytes);

  const Profile profile_;
  ByteDisk disk_;
  SeededChooser chooser_{1};
  std::vector<std::string> findings_;
  Machine machine_;
  EmulatedSyscalls kernel_{machine_};
  aio_context_t ctx_ = 0;
  PagedInode* file_ = nullptr;  // kept by the fds
  int keeper_ = -1;             // the first of them
  std::vector<char*> buffers_;
};

}  // namespace aiolab

#endif  // TESTS_KERNEL_MODEL_MM_PAGED_FILE_H_
