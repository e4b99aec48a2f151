// A parent with a context and threads that forks while requests are in flight. The children have contexts of their own,
// one of them after exec; the parent's context is not theirs; the parent's requests complete in the parent.
#include <errno.h>
#include <sys/wait.h>

#include <thread>
#include <vector>

#include "tests/clients/client.h"
#include "tests/clients/pipeline.h"

namespace {

// Writes and reads one file on a context of its own, waiting in io_getevents.
void UseAFile(const client::Options& options, uint64_t file) {
  const std::string path = options.NewFileName();
  client::PipelineConfig config;
  config.submit = io_submit;
  config.fd = client::Open(path);
  config.blocks = options.Get("blocks");
  config.depth = options.Get("depth");
  config.file = file;
  client::Check("io_setup", io_setup(static_cast<int>(config.depth), &config.ctx));
  client::WriteThenRead(config, [&](const auto& done) {
    io_event events[4];
    const long got = client::Check("io_getevents", io_getevents(config.ctx, 1, 4, events, nullptr));
    for (long i = 0; i < got; ++i) done(events[i]);
  });
  client::Check("io_destroy", io_destroy(config.ctx));
  close(config.fd);
  unlink(path.c_str());
}

void UseTwoThreads(const client::Options& options, uint64_t file) {
  std::thread other([&] { UseAFile(options, file); });
  UseAFile(options, file + 1);
  other.join();
}

void WaitForChild(pid_t child) {
  int status = 0;
  client::CheckErrno("waitpid", waitpid(child, &status, 0));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) client::Fail("a child ended with wait status 0x%x", status);
}

}  // namespace

int main(int argc, char** argv) {
  const client::Options options(argc, argv, {{"blocks", 16}, {"depth", 4}, {"children", 3}, {"role", 0}});
  if (options.Get("role") != 0) {  // after exec
    UseTwoThreads(options, /*file=*/100);
    return 0;
  }

  // Requests which are in flight across the forks: reads of an empty pipe cannot be, so polls of one.
  int pipe_ends[2];
  client::CheckErrno("pipe", pipe(pipe_ends));
  io_context_t ctx = nullptr;
  client::Check("io_setup", io_setup(4, &ctx));
  iocb poll = {};
  io_prep_poll(&poll, pipe_ends[0], /*events=POLLIN*/ 1);
  client::SubmitOne(ctx, &poll);

  std::vector<pid_t> children;
  for (long i = 0; i < options.Get("children"); ++i) {
    const auto child = static_cast<pid_t>(client::CheckErrno("fork", fork()));
    if (child == 0) {
      iocb nothing = {};
      iocb* batch[] = {&nothing};
      const int ret = io_submit(ctx, 1, batch);
      if (ret != -EINVAL) client::Fail("a child's io_submit to its parent's context returned %d", ret);
      UseTwoThreads(options, static_cast<uint64_t>(10 * (i + 1)));
      _exit(0);
    }
    children.push_back(child);
  }
  const auto exec_child = static_cast<pid_t>(client::CheckErrno("fork", fork()));
  if (exec_child == 0) {
    std::vector<char*> arguments(argv, argv + argc);
    std::string role = "--role=1";
    arguments.push_back(role.data());
    arguments.push_back(nullptr);
    execv("/proc/self/exe", arguments.data());
    client::Fail("exec: %m");
  }
  children.push_back(exec_child);

  UseTwoThreads(options, /*file=*/0);
  for (const pid_t child : children) WaitForChild(child);
  client::CheckErrno("write", write(pipe_ends[1], "x", 1));
  io_event event;
  if (client::Check("io_getevents", io_getevents(ctx, 1, 1, &event, nullptr)) != 1 || event.obj != &poll) {
    client::Fail("the poll that was in flight across the forks did not complete");
  }
  if ((event.res & 1) == 0) client::Fail("the poll's result 0x%lx has no POLLIN", event.res);
  client::Check("io_destroy", io_destroy(ctx));
  printf("fork_and_threads: %zu children and the parent, two threads each\n", children.size());
  return 0;
}
