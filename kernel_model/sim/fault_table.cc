#include "kernel_model/sim/fault_table.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr uint32_t kCall = kFaultFilterCtx | kFaultFilterTask;
constexpr uint32_t kRequestOf = kFaultFilterCtx | kFaultFilterTask | kFaultFilterFile | kFaultFilterOp |
                                kFaultFilterFd | kFaultFilterRange | kFaultFilterSize | kFaultFilterRwf;
constexpr uint32_t kTransfer =
    kFaultFilterTask | kFaultFilterFile | kFaultFilterOp | kFaultFilterRange | kFaultFilterSize | kFaultFilterRwf;

constexpr FaultSiteEntry kSites[] = {
    {FaultSite::kSetup, "setup", kFaultFilterTask, "io_setup"},
    {FaultSite::kDestroy, "destroy", kCall, "io_destroy"},
    {FaultSite::kSubmit, "submit", kCall | kFaultFilterSize, "io_submit as a whole; size is the number of iocbs"},
    {FaultSite::kCancel, "cancel", kCall, "io_cancel"},
    {FaultSite::kGetevents, "getevents", kCall | kFaultFilterSize, "io_getevents; size is min_nr"},
    {FaultSite::kPgetevents, "pgetevents", kCall | kFaultFilterSize, "io_pgetevents; size is min_nr"},
    {FaultSite::kSubmitOne, "submit_one", kRequestOf, "one iocb of an io_submit, before it is accepted"},
    {FaultSite::kComplete, "complete", kRequestOf,
     "how an accepted request ends; requests are counted in the order in which they were accepted"},
    {FaultSite::kPage, "page", kTransfer,
     "a buffered read reaches a page that is not in the cache, or a write one that is not dirty"},
    {FaultSite::kBio, "bio", kFaultFilterTask | kFaultFilterOp | kFaultFilterRange | kFaultFilterSize,
     "a bio is sent to its device; off and size are of the device, in bytes"},
    {FaultSite::kRequest, "request", kFaultFilterOp | kFaultFilterRange | kFaultFilterSize,
     "a request waits for a place in the device's queue"},
    {FaultSite::kDevice, "device", kFaultFilterOp | kFaultFilterRange | kFaultFilterSize,
     "a request reaches its device; off and size are of the device, in bytes"},
    {FaultSite::kFsync, "fsync", kFaultFilterTask | kFaultFilterFile, "an fsync, by io_submit or by system call"},
    {FaultSite::kSlab, "slab", kFaultFilterTask, "the kernel takes memory for itself"},
    {FaultSite::kRingMapping, "ring_mapping", kFaultFilterTask, "io_setup maps the ring"},
    {FaultSite::kCopyFromUser, "copy_from_user", kFaultFilterTask | kFaultFilterSize,
     "the kernel reads the client's memory"},
    {FaultSite::kCopyToUser, "copy_to_user", kFaultFilterTask | kFaultFilterSize,
     "the kernel writes the client's memory"},
    {FaultSite::kEventfd, "eventfd", kRequestOf, "a completion signals its eventfd"},
    {FaultSite::kSignal, "signal", kFaultFilterTask, "a client is about to sleep in a call that a signal can end"},
};
static_assert(std::size(kSites) == kFaultSites);

constexpr FaultClass kBenign = FaultClass::kBenign;
constexpr FaultClass kHard = FaultClass::kHard;
constexpr FaultClass kIllegal = FaultClass::kIllegal;

constexpr absl::string_view kNoSyscall = "the call is not there: seccomp, or a kernel without CONFIG_AIO";
constexpr absl::string_view kSlowCall = "the call takes longer";
constexpr absl::string_view kReleases = "lets go of what hold(tag) holds";
constexpr absl::string_view kNoKernel = "an error that no kernel returns here";
constexpr absl::string_view kDeviceError = "the device or the file system fails";
constexpr absl::string_view kPowerGoes =
    "the power goes: of what is not durable the Chooser says what is left, in pieces of tear=BYTES";
constexpr absl::string_view kPowerComesBack = "as powercut, and then the machine boots from what is left";

constexpr FaultCell kCells[] = {
    {FaultSite::kSetup, "eagain", kHard, "eagain", "aio-max-nr is reached"},
    {FaultSite::kSetup, "enomem", kHard, "enomem", "no memory for the context"},
    {FaultSite::kSetup, "enosys", kHard, "", kNoSyscall},
    {FaultSite::kSetup, "eperm", kHard, "", kNoSyscall},
    {FaultSite::kSetup, "delay", kBenign, "delay(exp 100us)", kSlowCall},
    {FaultSite::kSetup, "release", kBenign, "", kReleases},
    {FaultSite::kSetup, "illegal:errno", kIllegal, "", kNoKernel},

    {FaultSite::kDestroy, "enosys", kHard, "", kNoSyscall},
    {FaultSite::kDestroy, "delay", kBenign, "delay(exp 100us)", kSlowCall},
    {FaultSite::kDestroy, "release", kBenign, "", kReleases},
    {FaultSite::kDestroy, "illegal:errno", kIllegal, "", kNoKernel},

    {FaultSite::kSubmit, "short", kBenign, "short", "the first iocbs are taken, and the rest is not looked at"},
    {FaultSite::kSubmit, "eagain", kBenign, "eagain", "none is taken. With nothing outstanding it is no occasion"},
    {FaultSite::kSubmit, "enosys", kHard, "", kNoSyscall},
    {FaultSite::kSubmit, "delay", kBenign, "delay(exp 100us)", kSlowCall},
    {FaultSite::kSubmit, "release", kBenign, "", kReleases},
    {FaultSite::kSubmit, "illegal:errno", kIllegal, "", kNoKernel},

    {FaultSite::kCancel, "einval", kBenign, "einval", "the request cannot be cancelled, or has just ended"},
    {FaultSite::kCancel, "enosys", kHard, "", kNoSyscall},
    {FaultSite::kCancel, "delay", kBenign, "delay(exp 100us)", kSlowCall},
    {FaultSite::kCancel, "release", kBenign, "", kReleases},
    {FaultSite::kCancel, "illegal:errno", kIllegal, "", kNoKernel},

    {FaultSite::kGetevents, "eintr", kBenign, "eintr",
     "a signal ends the wait: EINTR, or the events so far. Calls that need not wait are no occasion"},
    {FaultSite::kGetevents, "short", kBenign, "short", "a signal ends the wait when so many events are there"},
    {FaultSite::kGetevents, "enosys", kHard, "", kNoSyscall},
    {FaultSite::kGetevents, "delay", kBenign, "delay(exp 100us)", kSlowCall},
    {FaultSite::kGetevents, "release", kBenign, "", kReleases},
    {FaultSite::kGetevents, "illegal:errno", kIllegal, "", kNoKernel},

    {FaultSite::kPgetevents, "eintr", kBenign, "eintr",
     "a signal ends the wait: EINTR, or the events so far. Calls that need not wait are no occasion"},
    {FaultSite::kPgetevents, "short", kBenign, "short", "a signal ends the wait when so many events are there"},
    {FaultSite::kPgetevents, "enosys", kHard, "", kNoSyscall},
    {FaultSite::kPgetevents, "delay", kBenign, "delay(exp 100us)", kSlowCall},
    {FaultSite::kPgetevents, "release", kBenign, "", kReleases},
    {FaultSite::kPgetevents, "illegal:errno", kIllegal, "", kNoKernel},

    {FaultSite::kSubmitOne, "eagain", kBenign, "eagain",
     "no slot in the ring. With nothing outstanding it is no occasion"},
    {FaultSite::kSubmitOne, "enomem", kHard, "enomem", "no memory for the request"},
    {FaultSite::kSubmitOne, "einval", kHard, "", "this kernel or this file does not know the operation"},
    {FaultSite::kSubmitOne, "eopnotsupp", kHard, "", "this kernel or this file does not know the flag"},
    {FaultSite::kSubmitOne, "nowait-block", kIllegal, "",
     "EAGAIN for RWF_NOWAIT from io_submit itself: the kernel always says it in the completion"},
    {FaultSite::kSubmitOne, "illegal:errno", kIllegal, "", kNoKernel},

    {FaultSite::kComplete, "eio", kHard, "eio", kDeviceError},
    {FaultSite::kComplete, "enodata", kHard, "", "the medium cannot be read"},
    {FaultSite::kComplete, "etimedout", kHard, "", kDeviceError},
    {FaultSite::kComplete, "enolink", kHard, "", "the way to the device is gone"},
    {FaultSite::kComplete, "eremoteio", kHard, "", "the device refuses"},
    {FaultSite::kComplete, "eilseq", kHard, "", "the device finds a wrong checksum"},
    {FaultSite::kComplete, "estale", kHard, "", "the file is gone from its server"},
    {FaultSite::kComplete, "enomem", kHard, "", "no memory on the way"},
    {FaultSite::kComplete, "enospc", kHard, "enospc", "a write or fsync finds no space"},
    {FaultSite::kComplete, "edquot", kHard, "", "a write or fsync finds the quota used up"},
    {FaultSite::kComplete, "efbig", kHard, "", "a write ends beyond the largest file"},
    {FaultSite::kComplete, "erofs", kHard, "", "the file system has become read-only"},
    {FaultSite::kComplete, "eintr", kHard, "", "a signal ended the request: network file systems"},
    {FaultSite::kComplete, "ecanceled", kHard, "", "the request was cancelled"},
    {FaultSite::kComplete, "eagain", kHard, "", "the request would have to wait; with rwf=nowait that is benign"},
    {FaultSite::kComplete, "nowait-block", kBenign, "nowait-block", "-EAGAIN for a request with RWF_NOWAIT"},
    {FaultSite::kComplete, "short", kBenign, "short", "only the first bytes are moved, within a segment too"},
    {FaultSite::kComplete, "delay", kBenign, "delay(exp 2ms)", "the completion comes later"},
    {FaultSite::kComplete, "spike", kBenign, "", "from now on completions wait until the time is over"},
    {FaultSite::kComplete, "reorder", kBenign, "reorder", "the completion comes behind the next one"},
    {FaultSite::kComplete, "hold", kBenign, "", "the completion waits for release(tag)"},
    {FaultSite::kComplete, "release", kBenign, "", kReleases},
    {FaultSite::kComplete, "bad-sector", kHard, "", "EIO, now and for every later request that touches the sector"},
    {FaultSite::kComplete, "torn", kHard, "", "of a write only the first sectors reach the file; success is reported"},
    {FaultSite::kComplete, "lost", kHard, "", "a write does not reach the file; success is reported"},
    {FaultSite::kComplete, "misdirected", kHard, "", "the bytes go to, or come from, another place of the file"},
    {FaultSite::kComplete, "bitrot", kHard, "", "one bit of what was read is wrong"},
    {FaultSite::kComplete, "never", kHard, "", "the request never completes"},
    {FaultSite::kComplete, "powercut", kHard, "", kPowerGoes},
    {FaultSite::kComplete, "reboot", kHard, "", kPowerComesBack},
    {FaultSite::kComplete, "duplicate", kIllegal, "duplicate", "the event comes twice"},
    {FaultSite::kComplete, "illegal:errno", kIllegal, "", kNoKernel},

    {FaultSite::kPage, "eio", kHard, "eio", "the page cannot be read: an error, or a short transfer after progress"},
    {FaultSite::kPage, "enomem", kHard, "", "no memory for the page"},
    {FaultSite::kPage, "enospc", kHard, "", "no space for the page of a write"},
    {FaultSite::kPage, "nowait-block", kBenign, "nowait-block", "for a request with RWF_NOWAIT the page is not there"},

    {FaultSite::kBio, "eio", kHard, "eio", kDeviceError},
    {FaultSite::kBio, "enodata", kHard, "", "the medium cannot be read"},
    {FaultSite::kBio, "etimedout", kHard, "", kDeviceError},
    {FaultSite::kBio, "delay", kBenign, "delay(exp 1ms)", "the bio reaches the device later"},

    {FaultSite::kRequest, "queue-full", kBenign, "queue-full",
     "no request is free: -EAGAIN for RWF_NOWAIT, other clients sleep for one"},

    {FaultSite::kDevice, "eio", kHard, "eio", "the device fails, and moves nothing"},
    {FaultSite::kDevice, "enodata", kHard, "", "the medium cannot be read"},
    {FaultSite::kDevice, "etimedout", kHard, "", "the device does not answer in time"},
    {FaultSite::kDevice, "enolink", kHard, "", "the way to the device is gone"},
    {FaultSite::kDevice, "eremoteio", kHard, "", "the device refuses"},
    {FaultSite::kDevice, "eilseq", kHard, "", "the device finds a wrong checksum"},
    {FaultSite::kDevice, "enospc", kHard, "", "a write finds no space: a thin volume whose pool is full"},
    {FaultSite::kDevice, "delay", kBenign, "delay(exp 1ms)", "the device begins the request later"},
    {FaultSite::kDevice, "spike", kBenign, "", "from now on requests wait until the time is over"},
    {FaultSite::kDevice, "hold", kBenign, "", "the request waits in the device for release(tag)"},
    {FaultSite::kDevice, "release", kBenign, "", kReleases},
    {FaultSite::kDevice, "queue-full", kBenign, "queue-full",
     "the device has no room: the request goes back to its queue and is sent again 3 ms later"},
    {FaultSite::kDevice, "bad-sector", kHard, "",
     "EIO, and for every later request that touches the sector. After a read a write mends it, after a write nothing"},
    {FaultSite::kDevice, "torn", kHard, "", "of a write only the first sectors reach the medium; success is reported"},
    {FaultSite::kDevice, "lost", kHard, "", "a write or flush is reported and not done"},
    {FaultSite::kDevice, "misdirected", kHard, "", "the bytes go to, or come from, another place of the device"},
    {FaultSite::kDevice, "bitrot", kHard, "", "one bit of what is read has changed on the medium, until it is written"},
    {FaultSite::kDevice, "never", kHard, "", "the device never answers"},
    {FaultSite::kDevice, "powercut", kHard, "", kPowerGoes},
    {FaultSite::kDevice, "reboot", kHard, "", kPowerComesBack},

    {FaultSite::kFsync, "eio", kHard, "eio",
     "fsync fails once, and nothing is flushed; with model= the dirty pages are lost as that file system loses them"},
    {FaultSite::kFsync, "enospc", kHard, "", "fsync finds no space for what was written before"},
    {FaultSite::kFsync, "edquot", kHard, "", "fsync finds the quota used up"},
    {FaultSite::kFsync, "powercut", kHard, "", kPowerGoes},
    {FaultSite::kFsync, "reboot", kHard, "", kPowerComesBack},

    {FaultSite::kSlab, "enomem", kHard, "enomem",
     "no memory: EAGAIN from io_submit for a request, ENOMEM elsewhere (io_setup, a long vector, an fsync)"},

    {FaultSite::kRingMapping, "enomem", kHard, "enomem", "no room for the ring"},
    {FaultSite::kRingMapping, "eagain", kHard, "", "no file for the ring"},
    {FaultSite::kRingMapping, "eintr", kHard, "", "a fatal signal"},

    {FaultSite::kCopyFromUser, "efault", kHard, "", "the client's memory has gone away"},
    {FaultSite::kCopyToUser, "efault", kHard, "", "the client's memory has gone away"},

    {FaultSite::kEventfd, "delay", kBenign, "delay(exp 100us)", "the notification comes after the event"},
    {FaultSite::kEventfd, "lost", kIllegal, "", "the notification never comes"},

    {FaultSite::kSignal, "eintr", kBenign, "eintr", "a signal ends the sleep"},
};

struct Word {
  absl::string_view word;
  FaultKind kind;
};
constexpr Word kWords[] = {
    {"short", FaultKind::kShort},
    {"delay", FaultKind::kDelay},
    {"spike", FaultKind::kSpike},
    {"reorder", FaultKind::kReorder},
    {"hold", FaultKind::kHold},
    {"release", FaultKind::kRelease},
    {"torn", FaultKind::kTorn},
    {"lost", FaultKind::kLost},
    {"misdirected", FaultKind::kMisdirected},
    {"bitrot", FaultKind::kBitrot},
    {"bad-sector", FaultKind::kBadSector},
    {"never", FaultKind::kNever},
    {"nowait-block", FaultKind::kNowaitBlock},
    {"queue-full", FaultKind::kQueueFull},
    {"duplicate", FaultKind::kDuplicate},
    {"powercut", FaultKind::kPowerCut},
    {"reboot", FaultKind::kReboot},
};

// `any` has few words of its own; the parser stands above this file.
FaultWhat WhatToPlace(const FaultCell& cell) {
  FaultWhat what;
  what.text = std::string(cell.any);
  what.kind = FaultKindFromWord(cell.what);
  if (what.kind == FaultKind::kErrno) what.error = ErrnoFromName(cell.what);
  if (what.kind == FaultKind::kDelay) {
    what.delay.distribution = FaultDelay::Distribution::kExponential;
    what.delay.first_ns = absl::StrContains(cell.any, "2ms")   ? 2'000'000
                          : absl::StrContains(cell.any, "1ms") ? 1'000'000
                                                               : 100'000;
  }
  return what;
}

}  // namespace

absl::Span<const FaultSiteEntry> FaultSites() { return kSites; }

const FaultSiteEntry& FaultSiteInfo(FaultSite site) { return kSites[static_cast<size_t>(site)]; }

absl::Span<const FaultCell> FaultCells() { return kCells; }

const FaultCell* FindFaultCell(FaultSite site, absl::string_view what) {
  const FaultCell* any_errno = nullptr;
  for (const FaultCell& cell : kCells) {
    if (cell.site != site) continue;
    if (cell.what == what) return &cell;
    if (cell.what == "illegal:errno") any_errno = &cell;
  }
  return FaultKindFromWord(what) == FaultKind::kErrno ? any_errno : nullptr;
}

FaultKind FaultKindFromWord(absl::string_view word) {
  for (const Word& entry : kWords) {
    if (entry.word == word) return entry.kind;
  }
  return ErrnoFromName(word) != 0 ? FaultKind::kErrno : FaultKind::kNone;
}

std::vector<std::string> FaultWordsAt(FaultSite site) {
  std::vector<std::string> words;
  for (const FaultCell& cell : kCells) {
    if (cell.site == site && cell.fault_class != kIllegal) words.emplace_back(cell.what);
  }
  return words;
}

std::vector<std::string> AllFaultWords() {
  std::vector<std::string> words;
  for (const Word& entry : kWords) words.emplace_back(entry.word);
  for (const FaultCell& cell : kCells) {
    const std::string word(cell.what);
    if (cell.what != "illegal:errno" && std::find(words.begin(), words.end(), word) == words.end()) {
      words.push_back(word);
    }
  }
  return words;
}

absl::Span<const FaultWhat> FaultsToPlace(FaultSite site, FaultClass fault_class) {
  constexpr size_t kClasses = 3;
  static const auto& all = *new std::array<std::vector<FaultWhat>, kFaultSites * kClasses>([] {
    std::array<std::vector<FaultWhat>, kFaultSites * kClasses> lists;
    for (const FaultCell& cell : kCells) {
      if (cell.any.empty()) continue;
      lists[static_cast<size_t>(cell.site) * kClasses + static_cast<size_t>(cell.fault_class)].push_back(
          WhatToPlace(cell));
    }
    return lists;
  }());
  return all[static_cast<size_t>(site) * kClasses + static_cast<size_t>(fault_class)];
}

absl::string_view FaultClassName(FaultClass fault_class) {
  switch (fault_class) {
    case FaultClass::kBenign:
      return "benign";
    case FaultClass::kHard:
      return "hard";
    case FaultClass::kIllegal:
      return "illegal";
  }
  return "unknown";
}

}  // namespace aiolab
