// One context, four threads that submit and two that reap, as a storage engine's I/O threads do. Every request has to
// be seen exactly once, by whichever thread: even blocks are read, odd ones written, and the file is checked at the
// end.
#include <atomic>
#include <thread>
#include <vector>

#include "tests/clients/client.h"

namespace {

struct Request {
  iocb request = {};
  long block = 0;
  std::atomic<bool> submitted{false};
  std::atomic<int> seen{0};
};

struct Shared {
  io_context_t ctx = nullptr;
  int fd = -1;
  std::vector<Request> requests;
  client::Blocks memory;
  std::atomic<size_t> seen{0};

  explicit Shared(size_t count) : requests(count), memory(client::NewBlocks(count)) {}
  char* MemoryOf(long block) { return memory.get() + static_cast<size_t>(block) * client::kBlockSize; }
};

bool IsWrite(long block) { return block % 2 == 1; }

void Submit(Shared& shared, size_t first, size_t step) {
  for (size_t i = first; i < shared.requests.size(); i += step) {
    Request& request = shared.requests[i];
    request.block = static_cast<long>(i);
    char* block = shared.MemoryOf(request.block);
    const long long offset = static_cast<long long>(i * client::kBlockSize);
    if (IsWrite(request.block)) {
      client::FillBlock(block, /*file=*/0, i);
      io_prep_pwrite(&request.request, shared.fd, block, client::kBlockSize, offset);
    } else {
      io_prep_pread(&request.request, shared.fd, block, client::kBlockSize, offset);
    }
    request.request.data = &request;
    request.submitted.store(true, std::memory_order_release);
    client::SubmitOne(shared.ctx, &request.request);
  }
}

void Reap(Shared& shared) {
  // A reaper may find that the other one took the last event, so it cannot wait for ever.
  while (shared.seen.load() < shared.requests.size()) {
    io_event events[8];
    timespec timeout = {0, 20'000'000};
    const long got = client::Check("io_getevents", io_getevents(shared.ctx, 1, 8, events, &timeout));
    for (long i = 0; i < got; ++i) {
      Request* request = static_cast<Request*>(events[i].data);
      if (!request->submitted.load(std::memory_order_acquire)) client::Fail("an event of a request not yet submitted");
      client::CheckEvent(events[i]);
      if (request->seen.fetch_add(1) != 0) client::Fail("the event of block %ld was seen twice", request->block);
      if (!IsWrite(request->block)) {
        client::CheckBlock(shared.MemoryOf(request->block), /*file=*/0, static_cast<uint64_t>(request->block));
      }
      shared.seen.fetch_add(1);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  constexpr size_t kSubmitters = 4;
  constexpr size_t kReapers = 2;
  const client::Options options(argc, argv, {{"blocks", 200}, {"events", 16}, {"direct", 0}});
  const std::string path = options.NewFileName();
  Shared shared(static_cast<size_t>(options.Get("blocks")));
  const int plain = client::Open(path);
  const client::Blocks block = client::NewBlocks(1);
  for (size_t i = 0; i < shared.requests.size(); i += 2) {
    client::FillBlock(block.get(), /*file=*/0, i);
    client::CheckErrno("pwrite",
                       pwrite(plain, block.get(), client::kBlockSize, static_cast<off_t>(i * client::kBlockSize)));
  }
  shared.fd = client::Open(path, options.Get("direct") != 0);
  client::Check("io_setup", io_setup(static_cast<int>(options.Get("events")), &shared.ctx));

  std::vector<std::thread> threads;
  for (size_t i = 0; i < kReapers; ++i) threads.emplace_back([&] { Reap(shared); });
  for (size_t i = 0; i < kSubmitters; ++i) threads.emplace_back([&, i] { Submit(shared, i, kSubmitters); });
  for (std::thread& thread : threads) thread.join();

  io_event extra;
  timespec zero = {};
  if (io_getevents(shared.ctx, 0, 1, &extra, &zero) != 0) client::Fail("there is an event too many");
  client::Check("io_destroy", io_destroy(shared.ctx));
  for (size_t i = 0; i < shared.requests.size(); ++i) {
    client::CheckErrno("pread",
                       pread(plain, block.get(), client::kBlockSize, static_cast<off_t>(i * client::kBlockSize)));
    client::CheckBlock(block.get(), /*file=*/0, i);
  }
  unlink(path.c_str());
  printf("four_and_two: %zu requests, each seen once\n", shared.requests.size());
  return 0;
}
