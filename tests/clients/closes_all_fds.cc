// Closes every descriptor that it did not open, as daemons do: by close_range at its start, and one by one while it has
// a context. Neither may hurt the context, and the lowest free number is the next one to be given out.
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/clients/client.h"
#include "tests/clients/pipeline.h"

namespace {

void UseTheFile(client::PipelineConfig& config, const std::string& path) {
  config.fd = client::Open(path);
  if (config.fd != 3) client::Fail("with all descriptors closed, open gave %d", config.fd);
  client::WriteThenRead(config, [&](const auto& done) {
    io_event events[4];
    const long got = client::Check("io_getevents", io_getevents(config.ctx, 1, 4, events, nullptr));
    for (long i = 0; i < got; ++i) done(events[i]);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {{"blocks", 32}, {"depth", 8}});
  const std::string path = options.NewFileName();
  client::PipelineConfig config;
  config.submit = io_submit;
  config.blocks = options.Get("blocks");
  config.depth = options.Get("depth");

  client::CheckErrno("close_range", syscall(SYS_close_range, 3u, ~0u, 0u));
  client::Check("io_setup", io_setup(static_cast<int>(config.depth), &config.ctx));
  UseTheFile(config, path);

  // By number, on a context that lives.
  rlimit limit;
  client::CheckErrno("getrlimit", getrlimit(RLIMIT_NOFILE, &limit));
  const rlim_t last = limit.rlim_cur < 4096 ? limit.rlim_cur : 4096;
  int closed = 0;
  for (rlim_t fd = 3; fd < last; ++fd) closed += close(static_cast<int>(fd)) == 0;
  if (closed != 1) client::Fail("%d descriptors were open instead of the file's own", closed);
  config.file = 1;
  UseTheFile(config, path);

  // A context made after it, too.
  client::Check("io_destroy", io_destroy(config.ctx));
  config.ctx = nullptr;
  client::CheckErrno("close_range", syscall(SYS_close_range, 3u, ~0u, 0u));
  client::Check("io_setup", io_setup(static_cast<int>(config.depth), &config.ctx));
  config.file = 2;
  UseTheFile(config, path);

  client::Check("io_destroy", io_destroy(config.ctx));
  unlink(path.c_str());
  printf("closes_all_fds: %ld blocks written and read, three times\n", config.blocks);
  return 0;
}
