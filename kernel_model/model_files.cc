#include "kernel_model/model_files.h"

#include <utility>

#include "kernel_model/drivers/char/mem.h"
#include "kernel_model/fs/aio.h"
#include "kernel_model/fs/direct_io.h"
#include "kernel_model/fs/mpage.h"
#include "kernel_model/fs/namei.h"
#include "kernel_model/fs/proc_sysctl.h"
#include "kernel_model/mm/shmem.h"

namespace aiolab {

std::unique_ptr<ModelFiles> MakeModelFiles(const Profile& profile) {
  // Where buffered I/O is retried, there has to be something to wait for.
  const shmem_backing backing = profile.buffered_io_retries
                                    ? shmem_backing{.readahead = mpage_readahead, .direct_IO = blockdev_direct_IO}
                                    : shmem_backing{};
  auto tree = std::make_unique<FileTree>([backing](mode_t mode) { return shmem_get_inode(mode, backing); });
  for (const char* path : {"/tmp", "/dev", "/dev/shm", "/proc", "/proc/sys", "/proc/sys/fs"}) tree->AddDirectory(path);
  tree->Add("/dev/null", MakeDevNull());
  tree->Add("/dev/zero", MakeDevZero());
  tree->Add("/dev/full", MakeDevFull());
  tree->Add("/proc/sys/fs/aio-nr", MakeSysctl(&mm_struct::aio_nr, /*writable=*/false));
  tree->Add("/proc/sys/fs/aio-max-nr", MakeSysctl(&mm_struct::aio_max_nr, /*writable=*/true));
  tree->set_working_directory("/tmp");
  return std::make_unique<ModelFiles>(std::move(tree));
}

}  // namespace aiolab
