// Loads libaio by dlopen long after its start, as Python's ctypes and plug-ins do; nothing of it is linked.
#include <dlfcn.h>

#include "tests/clients/client.h"
#include "tests/clients/pipeline.h"

namespace {

template <typename Function>
Function* Find(void* library, const char* name) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) client::Fail("%s", dlerror());
  return reinterpret_cast<Function*>(symbol);
}

}  // namespace

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {{"blocks", 64}, {"depth", 8}, {"direct", 0}});
  void* library = dlopen("libaio.so.1t64", RTLD_NOW | RTLD_LOCAL);  // as Debian 13 and Ubuntu 24.04 call it
  if (library == nullptr) library = dlopen("libaio.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) client::Fail("%s", dlerror());
  auto* const setup = Find<decltype(io_setup)>(library, "io_setup");
  auto* const destroy = Find<decltype(io_destroy)>(library, "io_destroy");
  auto* const getevents = Find<decltype(io_getevents)>(library, "io_getevents");

  const std::string path = options.NewFileName();
  client::PipelineConfig config;
  config.submit = Find<decltype(io_submit)>(library, "io_submit");
  config.fd = client::Open(path, options.Get("direct") != 0);
  config.blocks = options.Get("blocks");
  config.depth = options.Get("depth");
  client::Check("io_setup", setup(static_cast<int>(config.depth), &config.ctx));
  client::WriteThenRead(config, [&](const auto& done) {
    io_event events[4];
    const long got = client::Check("io_getevents", getevents(config.ctx, 1, 4, events, nullptr));
    for (long i = 0; i < got; ++i) done(events[i]);
  });
  client::Check("io_destroy", destroy(config.ctx));
  unlink(path.c_str());
  printf("dlopen_libaio: %ld blocks written and read\n", config.blocks);
  return 0;
}
