// A write log in the format of the kernel's dm-log-writes target, for replay-log (xfstests' src/log-writes).
//
// Mirrors: drivers/md/dm-log-writes.c (version 1), in format and order: writes stand behind each other as they
// completed, those that a flush did not cover behind the flush.
#ifndef TOOLS_CRASH_DM_LOG_WRITES_H_
#define TOOLS_CRASH_DM_LOG_WRITES_H_

#include <cstdint>
#include <string>

#include "kernel_model/drivers/block/write_log.h"

namespace aiolab {

inline constexpr uint64_t kDmLogWritesMagic = 0x6a736677736872;
inline constexpr uint64_t kDmLogWritesVersion = 1;

// Flags of an entry.
inline constexpr uint64_t kDmLogFlush = 1;
inline constexpr uint64_t kDmLogFua = 2;
inline constexpr uint64_t kDmLogDiscard = 4;
inline constexpr uint64_t kDmLogMark = 8;

// The log of the disk with number `disk`, all numbers little-endian: a superblock, then entries, each followed by its
// data. Marks are named "begin" (the file system is made), "acknowledged N" and "end". Superblock and entries take
// `sector_bytes` each, the logical block of the disk, which is also the unit of sectors.
std::string ToDmLogWrites(const WriteLog& log, uint32_t sector_bytes, uint64_t disk = 0);

}  // namespace aiolab

#endif  // TOOLS_CRASH_DM_LOG_WRITES_H_
