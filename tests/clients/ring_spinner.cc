// Submits, then spins on the ring's tail in memory until the events are there: between io_submit and io_submit it makes
// no system call at all, as fio does with userspace_reap.
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
  client::Check("io_setup", io_setup(static_cast<int>(config.depth), &config.ctx));
  client::UserRing* ring = client::UserRing::Of(config.ctx);

  client::WriteThenRead(config, [&](const auto& done) {
    io_event event;
    while (!ring->Take(event)) {
    }
    do {
      done(event);
    } while (ring->Take(event));
  });

  client::Check("io_destroy", io_destroy(config.ctx));
  unlink(path.c_str());
  printf("ring_spinner: %ld blocks written and read\n", config.blocks);
  return 0;
}
