#include "tests/kernel_model/mm/paged_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernel_model/fs/file_table.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr int64_t kTransferNs = 100'000;
constexpr uint64_t kSectorsPerPage = kPageSize / SECTOR_SIZE;

PagedInode& PagedOf(inode& node) { return static_cast<PagedInode&>(node); }

bool HasRoom(PagedInode& file, uint64_t page) {
  if (file.blocks.count(page) > 0) return true;
  if (file.room == 0) return false;
  --file.room;
  return true;
}

block_map::Type KindOf(const PagedInode& file, uint64_t page) {
  const auto found = file.blocks.find(page);
  return found == file.blocks.end() ? block_map::kHole : found->second;
}

uint64_t PlaceOf(const PagedInode& file, uint64_t page) {
  const auto found = file.places.find(page);
  return found == file.places.end() ? page : found->second;
}

int MapBlocks(inode& node, uint64_t index, uint64_t nr, bool allocate, block_map* map) {
  PagedInode& file = PagedOf(node);
  if (allocate) {
    for (uint64_t page = index; page < index + nr; ++page) {
      block_map::Type kind = KindOf(file, page);
      if (kind == block_map::kMapped || kind == block_map::kUnwritten) continue;
      if (!HasRoom(file, page)) {
        if (page == index) return -ENOSPC;
        nr = page - index;
        break;
      }
      file.blocks[page] = block_map::kUnwritten;
    }
  }
  map->type = KindOf(file, index);
  map->sector = PlaceOf(file, index) * kSectorsPerPage;
  map->nr_pages = 1;
  while (map->nr_pages < nr && KindOf(file, index + map->nr_pages) == map->type &&
         PlaceOf(file, index + map->nr_pages) == PlaceOf(file, index) + map->nr_pages) {
    ++map->nr_pages;
  }
  return 0;
}

int Reserve(inode& node, uint64_t first, uint64_t nr) {
  PagedInode& file = PagedOf(node);
  for (uint64_t page = first; page < first + nr; ++page) {
    if (!HasRoom(file, page)) return -ENOSPC;
    file.blocks.emplace(page, block_map::kDelayed);
  }
  return 0;
}

void EndWrite(inode& node, uint64_t first, uint64_t nr, loff_t new_disk_size, int error) {
  PagedInode& file = PagedOf(node);
  file.ends.push_back(absl::StrCat(first, "+", nr, " size ", new_disk_size, " error ", ResultName(error)));
  if (error != 0) return;
  for (uint64_t page = first; page < first + nr; ++page) file.blocks[page] = block_map::kMapped;
  file.disk_size = std::max(file.disk_size, new_disk_size);
}

constexpr address_space_operations kPagedAops = {.map_blocks = MapBlocks, .reserve = Reserve, .end_write = EndWrite};

int PagedFsync(file* filp, int, fsync_state* state) {
  if (state->fs_step == 0) {
    const int error = file_write_and_wait_range(filp, 0, ~uint64_t{0}, state);
    if (error != 0) return error;
    state->fs_step = 1;
  }
  PagedInode& file = PagedOf(*filp->f_inode);
  if (file.fsync_fails) return -EIO;
  return blkdev_issue_flush(*file.mapping.bdev, nullptr, state);
}

constexpr file_operations kPagedFops = {
    .name = "paged",
    .fop_flags = FOP_DONTCACHE,
    .read_iter = generic_file_read_iter,
    .write_iter = generic_file_write_iter,
    .fsync = PagedFsync,
    .llseek = generic_file_llseek,
};

}  // namespace

void ByteDisk::submit(bio* bio) {
  if ((bio->bi_opf & REQ_NOWAIT) != 0 && full) {
    ++refusals;
    bio->bi_status = -EAGAIN;
    bio->bi_end_io(bio);
    return;
  }
  const std::string what = bio->bi_size == 0          ? "F"
                           : op_is_write(bio->bi_opf) ? absl::StrCat("W", (bio->bi_opf & REQ_FUA) != 0 ? "F" : "",
                                                                     (bio->bi_opf & REQ_ATOMIC) != 0 ? "U" : "")
                                                      : "R";
  log.push_back(bio->bi_size == 0 ? what : absl::StrCat(what, " ", bio->bi_sector, "+", bio->bi_size >> SECTOR_SHIFT));
  if (held) {
    held_bios_.push_back(bio);
  } else {
    Begin(bio);
  }
}

void ByteDisk::Release() {
  held = false;
  std::vector<bio*> bios;
  bios.swap(held_bios_);
  for (bio* bio : bios) Begin(bio);
}

void ByteDisk::Begin(bio* bio) {
  auto* const transfer = new Transfer;
  transfer->run = End;
  transfer->disk = this;
  transfer->under_way = bio;
  Executor& executor = current_kernel().executor;
  executor.At(*transfer, executor.NowNs() + kTransferNs);
}

void ByteDisk::End(Executor::Event& event) {
  const std::unique_ptr<Transfer> transfer(static_cast<Transfer*>(&event));
  ByteDisk& disk = *transfer->disk;
  bio* const bio = transfer->under_way;
  ScopedCurrent in_interrupt(bio->bi_inode != nullptr ? bio->bi_inode->i_mapping->vm->kernel.irq
                                                      : current_kernel().irq);
  sector_t sector = bio->bi_sector;
  const auto bad = disk.bad_sectors.lower_bound(sector);
  if (bad != disk.bad_sectors.end() && *bad < sector + (bio->bi_size >> SECTOR_SHIFT)) {
    bio->bi_status = -EIO;
  } else {
    for (const bio_vec& piece : bio->bi_io_vec) {
      for (uint32_t at = 0; at < piece.bv_len; at += SECTOR_SIZE, ++sector) {
        std::array<char, SECTOR_SIZE>& stored = disk.sectors_[sector];
        char* const memory = piece.bv_base + at;
        const size_t lost = op_is_write(bio->bi_opf) ? CopyPinned(stored.data(), memory, SECTOR_SIZE)
                                                     : CopyPinned(memory, stored.data(), SECTOR_SIZE);
        if (lost > 0) bio->bi_status = -EFAULT;
      }
    }
  }
  bio->bi_end_io(bio);
}

std::string ByteDisk::Read(sector_t sector, size_t bytes) const {
  std::string read;
  for (; read.size() < bytes; ++sector) {
    const auto found = sectors_.find(sector);
    read += found == sectors_.end() ? std::string(SECTOR_SIZE, '\0') : std::string(found->second.data(), SECTOR_SIZE);
  }
  return read;
}

void ByteDisk::Write(sector_t sector, const std::string& bytes) {
  for (size_t at = 0; at < bytes.size(); at += SECTOR_SIZE) memcpy(sectors_[sector++].data(), &bytes[at], SECTOR_SIZE);
}

PagedInode::PagedInode() : mapping(kPagedAops) { i_mode = S_IFREG | 0600; }

PagedFileTest::PagedFileTest(Profile profile, SeededBug bug)
    : profile_(profile),
      machine_({.chooser = &chooser_,
                .profile = &profile_,
                .bug = bug,
                .on_stuck = [this](const std::string& finding, bool) {
                  findings_.push_back(finding);
                  return true;
                }}) {
  EXPECT_EQ(kernel_.io_setup(64, &ctx_), 0);
  {
    Machine::Entry entry(machine_, nullptr);
    auto node = std::make_shared<PagedInode>();
    file_ = node.get();
    mapping_limits limits;
    limits.atomic_write_unit_min = 4096;
    limits.atomic_write_unit_max = 16384;
    iomap_init_mapping(file_->mapping, node, disk_, limits);
    auto* const filp = new file;
    filp->f_op = &kPagedFops;
    filp->f_inode = std::move(node);
    keeper_ = current_files().Install(filp, /*close_on_exec=*/false);
  }
}

PagedFileTest::~PagedFileTest() {
  ReleaseDisk();
  for (char* buffer : buffers_) free(buffer);
}

void PagedFileTest::ReleaseDisk() {
  Machine::Entry entry(machine_, nullptr);
  disk_.Release();
}

int PagedFileTest::Open(int flags, const file_operations* f_op) {
  Machine::Entry entry(machine_, nullptr);
  FileRef first = fdget(keeper_);
  auto* const filp = new file;
  filp->f_op = f_op == nullptr ? &kPagedFops : f_op;
  filp->f_inode = first->f_inode;
  filp->f_flags = static_cast<unsigned>(flags);
  filp->f_mode = FMODE_READ | FMODE_WRITE | FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
  EXPECT_EQ(generic_file_open(*filp->f_inode, filp), 0);
  return current_files().Install(filp, /*close_on_exec=*/false);
}

void PagedFileTest::FillFile(uint64_t pages) {
  for (uint64_t page = 0; page < pages; ++page) {
    disk_.Write(PlaceOf(*file_, page) * kSectorsPerPage, PageOf(static_cast<char>('a' + page % 26)));
    file_->blocks[page] = block_map::kMapped;
  }
  file_->i_size = file_->disk_size = static_cast<loff_t>(pages * kPageSize);
}

std::string PagedFileTest::OnDisk(uint64_t page) const {
  return disk_.Read(PlaceOf(*file_, page) * kSectorsPerPage, kPageSize);
}

iocb PagedFileTest::Request(uint16_t opcode, int fd, void* buffer, size_t bytes, int64_t offset, int rw_flags) {
  iocb iocb = {};
  iocb.aio_lio_opcode = opcode;
  iocb.aio_fildes = static_cast<uint32_t>(fd);
  iocb.aio_buf = reinterpret_cast<uint64_t>(buffer);
  iocb.aio_nbytes = bytes;
  iocb.aio_offset = offset;
  iocb.aio_rw_flags = rw_flags;
  return iocb;
}

long PagedFileTest::Submit(iocb& iocb) {
  struct iocb* batch[] = {&iocb};
  return kernel_.io_submit(ctx_, 1, batch);
}

int64_t PagedFileTest::Reap() {
  io_event event;
  const long reaped = kernel_.io_getevents(ctx_, 1, 1, &event, nullptr);
  EXPECT_EQ(reaped, 1);
  return reaped == 1 ? event.res : reaped;
}

int64_t PagedFileTest::ResultOf(iocb iocb) {
  const long submitted = Submit(iocb);
  return submitted == 1 ? Reap() : submitted;
}

int64_t PagedFileTest::Write(int fd, const std::string& bytes, int64_t offset, int rw_flags) {
  char* const buffer = Buffer(bytes.size());
  memcpy(buffer, bytes.data(), bytes.size());
  return ResultOf(Request(IOCB_CMD_PWRITE, fd, buffer, bytes.size(), offset, rw_flags));
}

int64_t PagedFileTest::Read(int fd, std::string* bytes, int64_t offset, int rw_flags) {
  char* const buffer = Buffer(bytes->size());
  const int64_t result = ResultOf(Request(IOCB_CMD_PREAD, fd, buffer, bytes->size(), offset, rw_flags));
  bytes->assign(buffer, result > 0 ? static_cast<size_t>(result) : 0);
  return result;
}

char* PagedFileTest::Buffer(size_t bytes) {
  void* memory = nullptr;
  EXPECT_EQ(posix_memalign(&memory, kPageSize, std::max<size_t>(bytes, 1)), 0);
  memset(memory, '-', bytes);
  buffers_.push_back(static_cast<char*>(memory));
  return buffers_.back();
}

}  // namespace aiolab
