// A client as one linked some twenty years ago: io_cancel and io_getevents of libaio's first ABI.
#include <errno.h>
#include <libaio.h>

#include <vector>

#include "tests/clients/client.h"

extern "C" {
int old_io_cancel(io_context_t ctx, iocb* request);
int old_io_getevents(io_context_t ctx, long nr, io_event* events, const timespec* timeout);
asm(".symver old_io_cancel, io_cancel@LIBAIO_0.1");
asm(".symver old_io_getevents, io_getevents@LIBAIO_0.1");
}

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {{"blocks", 16}});
  const long blocks = options.Get("blocks");
  const std::string path = options.NewFileName();
  const int fd = client::Open(path);
  io_context_t ctx = nullptr;
  client::Check("io_setup", io_setup(8, &ctx));
  const client::Blocks block = client::NewBlocks(1);
  iocb request;
  io_event events[2];
  const timespec brief = {0, 1000};
  // It waits for one event at least, and for no longer than it is told.
  if (old_io_getevents(ctx, 2, events, &brief) != 0) client::Fail("an event that nobody asked for");
  for (long i = 0; i < 2 * blocks; ++i) {
    const uint64_t number = static_cast<uint64_t>(i % blocks);
    const long long offset = (i % blocks) * static_cast<long long>(client::kBlockSize);
    if (i < blocks) {
      client::FillBlock(block.get(), 0, number);
      io_prep_pwrite(&request, fd, block.get(), client::kBlockSize, offset);
    } else {
      io_prep_pread(&request, fd, block.get(), client::kBlockSize, offset);
    }
    client::SubmitOne(ctx, &request);
    if (client::Check("io_getevents", old_io_getevents(ctx, 2, events, nullptr)) != 1) client::Fail("not one event");
    client::CheckEvent(events[0]);
    if (i >= blocks) client::CheckBlock(block.get(), 0, number);
  }
  // What has ended cannot be cancelled.
  const int cancelled = old_io_cancel(ctx, &request);
  if (cancelled != -EINVAL) client::Fail("io_cancel gave %d", cancelled);
  client::Check("io_destroy", io_destroy(ctx));
  unlink(path.c_str());
  printf("old_libaio: %ld blocks\n", blocks);
  return 0;
}
