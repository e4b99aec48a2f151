// What a simulated file's properties look like in the C library's own structs.
#ifndef TOOLS_PRELOAD_SIMFS_STAT_H_
#define TOOLS_PRELOAD_SIMFS_STAT_H_

#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <time.h>

namespace aiolab::preload {

void ToStatvfs(const struct statfs& from, struct statvfs* to);

// pathconf of any simulated file: the value, -1 for none, -1 and EINVAL for a name that there is not.
long SimfsPathconf(int name);

// Two times in microseconds as utimensat takes them; null stays null.
class TimesOfTimevals {
 public:
  explicit TimesOfTimevals(const timeval* times) : given_(times != nullptr) {
    for (int i = 0; given_ && i < 2; ++i) times_[i] = {times[i].tv_sec, times[i].tv_usec * 1000};
  }
  const timespec* get() const { return given_ ? times_ : nullptr; }

 private:
  const bool given_;
  timespec times_[2] = {};
};

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_SIMFS_STAT_H_
