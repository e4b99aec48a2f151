// Polls with io_getevents, min_nr 0 and a timeout of zero, and sleeps in between: it never waits for an event in the
// kernel. libaio itself answers such a poll of an empty ring, so most of them are no system call either.
#include "tests/clients/client.h"
#include "tests/clients/pipeline.h"

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {{"blocks", 64}, {"depth", 8}, {"direct", 0}, {"sleep_us", 200}});
  const std::string path = options.NewFileName();
  client::PipelineConfig config;
  config.submit = io_submit;
  config.fd = client::Open(path, options.Get("direct") != 0);
  config.blocks = options.Get("blocks");
  config.depth = options.Get("depth");
  client::Check("io_setup", io_setup(static_cast<int>(config.depth), &config.ctx));

  client::WriteThenRead(config, [&](const auto& done) {
    for (;;) {
      io_event events[4];
      timespec zero = {};
      const long got = client::Check("io_getevents", io_getevents(config.ctx, 0, 4, events, &zero));
      for (long i = 0; i < got; ++i) done(events[i]);
      if (got > 0) return;
      usleep(static_cast<useconds_t>(options.Get("sleep_us")));
    }
  });

  client::Check("io_destroy", io_destroy(config.ctx));
  unlink(path.c_str());
  printf("sleepy_poller: %ld blocks written and read\n", config.blocks);
  return 0;
}
