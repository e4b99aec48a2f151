// Which kernel this is: the behaviours that differ between kernels, by name, and presets of them.
#ifndef KERNEL_MODEL_PROFILE_H_
#define KERNEL_MODEL_PROFILE_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace aiolab {

struct Profile {
  absl::string_view name;
  absl::string_view meaning;
  // A buffered request that would sleep leaves a wait-queue entry and returns -EIOCBRETRY. Otherwise the client sleeps
  // inside io_submit.
  bool buffered_io_retries;
  // Files whose bytes are in the page cache, in pages of 4096 bytes. Clean ones beyond page_cache_pages_max are
  // dropped; with more than dirty_background_pages dirty the flusher begins, and at dirty_pages writers wait for it.
  // The kernel has shares of the memory in their places; these are 1 GiB, 100 MiB and 200 MiB.
  uint64_t page_cache_pages_max = 262144;
  uint64_t dirty_background_pages = 25600;
  uint64_t dirty_pages = 51200;
};

inline constexpr Profile kProfiles[] = {
    {"retry", "today's calls; buffered I/O is asynchronous by retries, as in the 2.6 retry patches", true},
    {"mainline", "Linux 6.18: buffered I/O completes inside io_submit", false},
};

inline constexpr const Profile& kDefaultProfile = kProfiles[0];

// Null for an unknown name.
inline const Profile* FindProfile(absl::string_view name) {
  for (const Profile& profile : kProfiles) {
    if (profile.name == name) return &profile;
  }
  return nullptr;
}

}  // namespace aiolab

#endif  // KERNEL_MODEL_PROFILE_H_
