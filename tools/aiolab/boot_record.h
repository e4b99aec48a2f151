// What a process whose machine lost its power by the fault `reboot` leaves for the next boot: `aiolab run` starts the
// command again, and the first process of that goes on from here.
#ifndef TOOLS_AIOLAB_BOOT_RECORD_H_
#define TOOLS_AIOLAB_BOOT_RECORD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

struct BootRecord {
  std::string rule;              // that cut the power
  std::string token;             // of all that was asked so far, by this boot and those before it
  uint64_t chooser_state = 0;    // SeededChooser::state()
  int64_t client_ns = 0;         // the client's time
  int64_t ran_ns = 0;            // how much of it the machine was there
  int64_t machine_start_ns = 0;  // when that began, by the machine's clock
  std::vector<FaultProgress> faults;
  std::vector<std::string> not_replayable_because;
  std::string saved_disks;  // Machine::SavedDisks()

  friend bool operator==(const BootRecord&, const BootRecord&) = default;
};

// Written last of all that a boot leaves: when it is there, the power is off.
absl::Status WriteBootRecord(const std::string& run_dir, const BootRecord& record);

// NOT_FOUND if the power never went. Without `disks` saved_disks stays empty.
absl::StatusOr<BootRecord> ReadBootRecord(const std::string& run_dir, bool disks);

// Removes the disks, which may be large, and nobody boots from any more.
void RemoveSavedDisks(const std::string& run_dir);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_BOOT_RECORD_H_
