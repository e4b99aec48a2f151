// A crash image in words: where the power went, which writes it lost, and which fsync would have kept them.
#ifndef TOOLS_CRASH_CRASH_EXPLANATION_H_
#define TOOLS_CRASH_CRASH_EXPLANATION_H_

#include <string>

#include "absl/strings/string_view.h"
#include "kernel_model/drivers/block/crash_state.h"

namespace aiolab {

// Several lines, each ended. Files are named as the client does, whose file system is mounted on `prefix`; what belongs
// to none is named as the file system's own. For example:
//
//   crash point 31 of 57: before the end of request 31, a write of 4096 bytes (FUA) to the journal
//   lost: nothing that had completed
//   under way: request 31, a write of 4096 bytes (FUA) to the journal: all of it arrived
//   the disk lied: request 12, a flush, which it said was done
//   not durable by then: the data of /data/log (8192 of its 8192 bytes; the image has the file with 0): no fsync or
//     fdatasync of /data/log after they were written
std::string ExplainCrash(const CrashState& state, const CrashState::Selection& image, absl::string_view prefix);

}  // namespace aiolab

#endif  // TOOLS_CRASH_CRASH_EXPLANATION_H_
