// Sleeps in ppoll on an eventfd that the requests name (resfd), reads it, and takes the events out of the ring by
// itself: it never calls io_getevents, as qemu does.
#include <poll.h>
#include <sys/eventfd.h>

#include "tests/clients/client.h"
#include "tests/clients/pipeline.h"
#include "tests/clients/user_ring.h"

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {{"blocks", 64}, {"depth", 8}, {"direct", 0}});
  const std::string path = options.NewFileName();
  client::PipelineConfig config;
  config.submit = io_submit;
  config.fd = client::Open(path, options.Get("direct") != 0);
  config.blocks = options.Get("blocks");
  config.depth = options.Get("depth");
  config.eventfd = static_cast<int>(client::CheckErrno("eventfd", eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)));
  client::Check("io_setup", io_setup(static_cast<int>(config.depth), &config.ctx));
  client::UserRing* ring = client::UserRing::Of(config.ctx);

  uint64_t signalled = 0;
  const auto read_eventfd = [&] {
    uint64_t count = 0;
    if (read(config.eventfd, &count, sizeof(count)) == sizeof(count)) {
      signalled += count;
    } else if (errno != EAGAIN) {
      client::Fail("read of the eventfd: %m");
    }
  };
  client::WriteThenRead(config, [&](const auto& done) {
    io_event event;
    // A look at the ring first: the eventfd may have been read for an event that came after the last look.
    while (!ring->Take(event)) {
      pollfd poll = {config.eventfd, POLLIN, 0};
      const timespec timeout = {30, 0};
      const long ready = client::CheckErrno("ppoll", ppoll(&poll, 1, &timeout, nullptr));
      if (ready == 0) client::Fail("ppoll slept 30 s with requests in flight");
      read_eventfd();
    }
    do {
      done(event);
    } while (ring->Take(event));
  });
  read_eventfd();

  // The eventfd is signalled behind the event, so the last signal may be a moment away.
  const uint64_t requests = 2 * static_cast<uint64_t>(config.blocks);
  for (int i = 0; i < 1000 && signalled < requests; ++i) {
    usleep(1000);
    read_eventfd();
  }
  if (signalled != requests) {
    client::Fail("the eventfd counted %llu completions of %llu", static_cast<unsigned long long>(signalled),
                 static_cast<unsigned long long>(requests));
  }
  client::Check("io_destroy", io_destroy(config.ctx));
  unlink(path.c_str());
  printf("eventfd_ppoll: %ld blocks written and read, %llu signals\n", config.blocks,
         static_cast<unsigned long long>(signalled));
  return 0;
}
