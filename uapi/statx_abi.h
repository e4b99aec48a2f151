// What statx tells of atomic writes, which older headers do not name.
#ifndef UAPI_STATX_ABI_H_
#define UAPI_STATX_ABI_H_

#include <linux/stat.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifndef STATX_WRITE_ATOMIC
#define STATX_WRITE_ATOMIC 0x00010000U
#endif
#ifndef STATX_ATTR_WRITE_ATOMIC
#define STATX_ATTR_WRITE_ATOMIC 0x00400000
#endif

namespace aiolab {

// The stx_atomic_write_* fields: bytes, bytes, and how many segments a vector may have.
struct statx_atomic_write {
  uint32_t unit_min = 0;
  uint32_t unit_max = 0;
  uint32_t segments_max = 0;
};

// Behind stx_subvol.
inline constexpr size_t kStatxAtomicWriteOffset = 0xa8;
static_assert(kStatxAtomicWriteOffset + sizeof(statx_atomic_write) <= sizeof(struct statx));

inline void SetAtomicWrite(struct statx* status, const statx_atomic_write& fields) {
  memcpy(reinterpret_cast<char*>(status) + kStatxAtomicWriteOffset, &fields, sizeof(fields));
}
inline statx_atomic_write AtomicWriteOf(const struct statx& status) {
  statx_atomic_write fields;
  memcpy(&fields, reinterpret_cast<const char*>(&status) + kStatxAtomicWriteOffset, sizeof(fields));
  return fields;
}

}  // namespace aiolab

#endif  // UAPI_STATX_ABI_H_
