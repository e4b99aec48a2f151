// For `aiolab crash`: what reaches the simulated disk goes to a file of the run, together with how much the client had
// written to its standard output by then. It is all there even if the process is killed.
#ifndef TOOLS_PRELOAD_WRITE_RECORDING_H_
#define TOOLS_PRELOAD_WRITE_RECORDING_H_

#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/fs/fs.h"
#include "tools/aiolab/simfs_spec.h"

namespace aiolab::preload {

// Of the disk that is about to get a file system. Null if the run records nothing; then the others do nothing.
DiskObserver* NewWriteRecording(const SimfsSpec& spec);
// The file system is mounted.
void WriteRecordingBegins(super_block& sb);
// The process has this rank; until then what is recorded is in memory.
void WriteRecordingGoesTo(int rank);
// At the process's end, outside the model: what the client has not written back follows, behind the last crash point.
void FinishWriteRecording();
// Before a fork, outside the model, and in its child, whose files are a copy of its own: what is recorded of them goes
// on behind what was recorded until then, under another rank. A child that came by another way than fork() records
// nothing.
void WriteRecordingBeforeFork();
void WriteRecordingInChild();

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_WRITE_RECORDING_H_
