// Matchers for results in the kernel's convention and for completion events. A failure names the errors:
//
//   EXPECT_THAT(aio().io_destroy(0), FailsWith(EBADF));
//     Expected: fails with EBADF (Bad file descriptor)
//       Actual: -22, which is -EINVAL
//
//   EXPECT_THAT(ReapOne(ctx), IsEvent(&read, 512));
//     Expected: the event of iocb 0x7ffd10 with res 512
//       Actual: {data 0, obj 0x7ffd10, res -EIO, res2 0}
#ifndef TESTS_CONFORMANCE_MATCHERS_H_
#define TESTS_CONFORMANCE_MATCHERS_H_

#include <cstdint>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "uapi/aio_abi.h"
#include "uapi/errno_name.h"

// In the namespace of the struct, where GoogleTest looks for it.
inline void PrintTo(const io_event& event, std::ostream* os) {
  *os << "{data " << event.data << ", obj 0x" << std::hex << event.obj << std::dec << ", res "
      << aiolab::ResultName(static_cast<long>(event.res)) << ", res2 " << event.res2 << "}";
}

namespace aiolab {

// A long that is -`error`.
MATCHER_P(FailsWith, error, absl::StrCat(negation ? "does not fail with " : "fails with ", ErrnoDescription(error))) {
  *result_listener << "which is " << ResultName(static_cast<long>(arg));
  return static_cast<long>(arg) == -static_cast<long>(error);
}

// An io_event of the iocb at `obj`, with that result (>= 0 or -errno), and with 0 in res2 as every kernel since 2.6 has
// it.
MATCHER_P2(IsEvent, obj, res,
           absl::StrCat(negation ? "is not" : "is", " the event of iocb 0x",
                        absl::Hex(reinterpret_cast<uintptr_t>(obj)), " with res ",
                        ResultName(static_cast<long>(res)))) {
  return arg.obj == reinterpret_cast<uintptr_t>(obj) && static_cast<long>(arg.res) == static_cast<long>(res) &&
         arg.res2 == 0;
}

}  // namespace aiolab

#endif  // TESTS_CONFORMANCE_MATCHERS_H_
