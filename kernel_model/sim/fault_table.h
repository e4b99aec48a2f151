// The vocabulary of fault rules: every where and what, which of them make sense together, and of which class that is.
// The lint, `any` and the table in kernel_model/FAULTS.md all come from here.
#ifndef KERNEL_MODEL_SIM_FAULT_TABLE_H_
#define KERNEL_MODEL_SIM_FAULT_TABLE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernel_model/sim/fault_rules.h"

namespace aiolab {

// Filters, as bits.
inline constexpr uint32_t kFaultFilterCtx = 1;
inline constexpr uint32_t kFaultFilterTask = 2;
inline constexpr uint32_t kFaultFilterFile = 4;    // path and open
inline constexpr uint32_t kFaultFilterOp = 8;      // op
inline constexpr uint32_t kFaultFilterFd = 16;     // fd
inline constexpr uint32_t kFaultFilterRange = 32;  // off
inline constexpr uint32_t kFaultFilterSize = 64;   // size
inline constexpr uint32_t kFaultFilterRwf = 128;   // rwf

struct FaultSiteEntry {
  FaultSite site;
  absl::string_view name;  // in a rule
  uint32_t filters;        // that mean something here
  absl::string_view meaning;
};
absl::Span<const FaultSiteEntry> FaultSites();  // in the order of FaultSite
const FaultSiteEntry& FaultSiteInfo(FaultSite site);

// One cell of where and what.
struct FaultCell {
  FaultSite site;
  absl::string_view what;  // a word, or an errno in lower case without the E before its name: "eio"
  FaultClass fault_class;
  // How `any` writes it; empty if it never places it: it needs a partner, or it is a lie of the medium, which only a
  // client with checksums can notice.
  absl::string_view any;
  absl::string_view meaning;
};
absl::Span<const FaultCell> FaultCells();
// Null if the two make no sense together. For an errno that the kernel never returns at a site which can be made to
// return any, that is the cell with the word "illegal:errno".
const FaultCell* FindFaultCell(FaultSite site, absl::string_view what);

// The words for what is no errno, with the kinds; "eio" and its like are kErrno.
FaultKind FaultKindFromWord(absl::string_view word);
// The words that make sense at `site`, without the illegal ones.
std::vector<std::string> FaultWordsAt(FaultSite site);
// Every word, errnos of FaultCells() included.
std::vector<std::string> AllFaultWords();

// What `any` may place at `site`.
absl::Span<const FaultWhat> FaultsToPlace(FaultSite site, FaultClass fault_class);

absl::string_view FaultClassName(FaultClass fault_class);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_FAULT_TABLE_H_
