// The words and values inside a fault rule: operations, flags, sizes, times.
#ifndef KERNEL_MODEL_SIM_FAULT_VALUES_H_
#define KERNEL_MODEL_SIM_FAULT_VALUES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel_model/sim/fault_rules.h"
#include "kernel_model/sim/fault_table.h"
#include "uapi/aio_abi.h"

namespace aiolab {

struct FaultBits {
  absl::string_view name;
  uint32_t bits;
};

constexpr uint32_t FaultOpBit(int opcode) { return 1u << opcode; }
inline constexpr FaultBits kFaultOps[] = {
    {"read", FaultOpBit(IOCB_CMD_PREAD) | FaultOpBit(IOCB_CMD_PREADV)},
    {"write", FaultOpBit(IOCB_CMD_PWRITE) | FaultOpBit(IOCB_CMD_PWRITEV)},
    {"pread", FaultOpBit(IOCB_CMD_PREAD)},
    {"preadv", FaultOpBit(IOCB_CMD_PREADV)},
    {"pwrite", FaultOpBit(IOCB_CMD_PWRITE)},
    {"pwritev", FaultOpBit(IOCB_CMD_PWRITEV)},
    {"fsync", FaultOpBit(IOCB_CMD_FSYNC) | FaultOpBit(IOCB_CMD_FDSYNC)},
    {"fdsync", FaultOpBit(IOCB_CMD_FDSYNC)},
    {"flush", FaultOpBit(IOCB_CMD_FSYNC)},
    {"poll", FaultOpBit(IOCB_CMD_POLL)},
};

inline constexpr FaultBits kFaultRwf[] = {
    {"hipri", RWF_HIPRI}, {"dsync", RWF_DSYNC}, {"sync", RWF_SYNC}, {"nowait", RWF_NOWAIT}, {"append", RWF_APPEND},
};

inline constexpr FaultBits kFaultFilters[] = {
    {"op", kFaultFilterOp},     {"fd", kFaultFilterFd},     {"path", kFaultFilterFile},
    {"open", kFaultFilterFile}, {"off", kFaultFilterRange}, {"size", kFaultFilterSize},
    {"ctx", kFaultFilterCtx},   {"task", kFaultFilterTask}, {"rwf", kFaultFilterRwf},
};

// "4096", "64k". False if it is no such number, or larger than 2^62.
bool ParseFaultSize(absl::string_view text, uint64_t* value);
// "10us", "1.5ms"; up to a day.
bool ParseFaultTime(absl::string_view text, int64_t* time_ns);
// "2ms", "uniform 1ms 5ms", "exp 2ms".
bool ParseFaultDelay(absl::string_view text, FaultDelay* delay);

// A name of letters, digits, - and _.
bool IsFaultTag(absl::string_view text);
// "tear=4k": a power of two from 512 to 1m.
bool ParseFaultTear(absl::string_view text, uint64_t* bytes);

// "always", "nth", ...
const std::vector<std::string>& FaultWhenWords();
// What a failed fsync leaves behind: "ext4-ordered", ...
const std::vector<std::string>& FaultModelWords();

// How `word` is written, as a when.
absl::string_view FaultWhenExample(absl::string_view word);
// What stands in the parentheses behind a fault of this kind.
std::string FaultArgumentHelp(FaultKind kind);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_FAULT_VALUES_H_
