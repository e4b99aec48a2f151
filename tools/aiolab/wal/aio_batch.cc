#include "tools/aiolab/wal/aio_batch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

namespace wal {
namespace {

std::string Failed(const char* what, long res) {
  return std::string(what) + ": " + strerror(static_cast<int>(-res)) + " (" + std::to_string(res) + ")";
}

const char* NameOf(io_iocb_cmd opcode) {
  switch (opcode) {
    case IO_CMD_PREAD:
      return "read";
    case IO_CMD_PWRITE:
      return "write";
    default:
      return "fdatasync";
  }
}

}  // namespace

AioBatch::AioBatch(int fd, int depth) : fd_(fd), depth_(static_cast<size_t>(depth)) {
  const int ret = io_setup(depth, &ctx_);
  if (ret < 0) setup_error_ = Failed("io_setup", ret);
}

AioBatch::~AioBatch() {
  // Waits for what an error left in flight: the buffers are the caller's, and may go next.
  if (ctx_ != nullptr) io_destroy(ctx_);
}

void AioBatch::AddWrite(const char* bytes, size_t size, long long offset) {
  Add(IO_CMD_PWRITE, const_cast<char*>(bytes), size, offset);
}

void AioBatch::AddRead(char* bytes, size_t size, long long offset) { Add(IO_CMD_PREAD, bytes, size, offset); }

void AioBatch::Add(io_iocb_cmd opcode, char* bytes, size_t size, long long offset) {
  Transfer& transfer = transfers_.emplace_back();
  transfer.opcode = opcode;
  transfer.bytes = bytes;
  transfer.left = size;
  transfer.offset = offset;
  waiting_.push_back(&transfer);
}

void AioBatch::Prepare(Transfer& transfer) {
  if (transfer.opcode == IO_CMD_PREAD) {
    io_prep_pread(&transfer.request, fd_, transfer.bytes, transfer.left, transfer.offset);
  } else if (transfer.opcode == IO_CMD_PWRITE) {
    io_prep_pwrite(&transfer.request, fd_, transfer.bytes, transfer.left, transfer.offset);
  } else {
    io_prep_fdsync(&transfer.request, fd_);
  }
  transfer.request.data = &transfer;
}

std::string AioBatch::Finish() {
  if (!setup_error_.empty()) return setup_error_;
  while (!waiting_.empty() || in_flight_ > 0) {
    std::string error = SubmitWaiting();
    if (error.empty() && in_flight_ > 0) error = Reap(/*min_nr=*/1);
    if (!error.empty()) return error;
  }
  transfers_.clear();
  return "";
}

std::string AioBatch::SubmitWaiting() {
  std::vector<iocb*> batch;
  for (size_t i = 0; i < waiting_.size() && in_flight_ + i < depth_; ++i) {
    Prepare(*waiting_[i]);
    batch.push_back(&waiting_[i]->request);
  }
  if (batch.empty()) return "";
  const int taken = io_submit(ctx_, static_cast<long>(batch.size()), batch.data());
  // With requests in flight, the next completion makes room. With none, waiting would be for ever: give the kernel a
  // moment instead.
  if (taken == -EAGAIN && in_flight_ == 0) usleep(100);
  if (taken == -EAGAIN || taken == -EINTR) return "";
  if (taken < 0) return Failed("io_submit", taken);
  if (taken == 0) return "io_submit took none of its requests and gave no error";
  waiting_.erase(waiting_.begin(), waiting_.begin() + taken);
  in_flight_ += static_cast<size_t>(taken);
  return "";
}

std::string AioBatch::Reap(long min_nr) {
  std::vector<io_event> events(in_flight_);
  const int reaped = io_getevents(ctx_, min_nr, static_cast<long>(events.size()), events.data(), nullptr);
  if (reaped == -EINTR) return "";
  if (reaped < 0) return Failed("io_getevents", reaped);
  for (int i = 0; i < reaped; ++i) {
    --in_flight_;
    std::string error = Complete(*static_cast<Transfer*>(events[i].data), static_cast<long>(events[i].res));
    if (!error.empty()) return error;
  }
  return "";
}

std::string AioBatch::Complete(Transfer& transfer, long res) {
  if (res == -EAGAIN || res == -EINTR) {
    waiting_.push_back(&transfer);
    return "";
  }
  if (res < 0) return Failed(NameOf(transfer.opcode), res);
  const auto count = static_cast<size_t>(res);
  if (count > transfer.left) return std::string(NameOf(transfer.opcode)) + ": more bytes than were asked for";
  transfer.bytes += count;
  transfer.offset += static_cast<long long>(count);
  transfer.left -= count;
  if (transfer.left == 0) return "";
  if (count == 0)
    return std::string(NameOf(transfer.opcode)) + ": no progress at offset " + std::to_string(transfer.offset);
  waiting_.push_back(&transfer);
  return "";
}

std::string AioBatch::DataSync() {
  Add(IO_CMD_FDSYNC, nullptr, 0, 0);
  std::string error = Finish();
  // Kernels before 4.18 know the opcode but have it for no filesystem.
  if (!error.empty() && error == Failed("io_submit", -EINVAL)) {
    waiting_.clear();
    transfers_.clear();
    error = fdatasync(fd_) == 0 ? "" : Failed("fdatasync", -errno);
  }
  return error;
}

}  // namespace wal
