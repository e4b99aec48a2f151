// Fault rules: what goes wrong where, and when. A rule is data (the parser makes it from a line of text); the engine
// counts the occasions and says at each whether a rule strikes.
//
//   submit=nth(2):short(1)                                   the second io_submit takes one iocb
//   complete[op=write,off=4096..8191]=nth(3):short(512)->enospc   and the next write there finds no space
//   any(x2)                                                  two faults that every client has to survive, anywhere
//
// Everything that a rule leaves to chance is a question to the Chooser, so a run with faults replays as any other.
#ifndef KERNEL_MODEL_SIM_FAULT_RULES_H_
#define KERNEL_MODEL_SIM_FAULT_RULES_H_

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel_model/sim/chooser.h"

namespace aiolab {

// Where: the places that ask. FaultSiteName() is the word in a rule.
enum class FaultSite : uint8_t {
  kSetup,  // the system calls, each as a whole
  kDestroy,
  kSubmit,
  kCancel,
  kGetevents,
  kPgetevents,
  kSubmitOne,  // one iocb of an io_submit
  kComplete,   // how one accepted request ends. Decided, and counted, when it is accepted
  kPage,       // a buffered request reaches a page
  kBio,        // a bio is sent to its device
  kRequest,
  kDevice,
  kFsync,  // a file's fsync, by AIO or by system call
  kSlab,   // memory of the kernel's own
  kRingMapping,
  kCopyFromUser,
  kCopyToUser,
  kEventfd,  // a completion signals its eventfd
  kSignal,   // a client is about to sleep in a call that a signal ends
};
inline constexpr int kFaultSites = 19;

// What: how it goes wrong.
enum class FaultKind : uint8_t {
  kNone,
  kErrno,
  kShort,  // only the first part
  kDelay,
  kSpike,    // for a while everything waits until the while is over
  kReorder,  // behind the next completion
  kHold,     // until it is released
  kRelease,
  kTorn,  // a write of which the device keeps the first sectors only, and says all
  kLost,  // a write that is reported and not done; a notification that is not given
  kMisdirected,
  kBitrot,
  kBadSector,
  kNever,
  kNowaitBlock,  // a request that may not wait would have to
  kQueueFull,
  kDuplicate,
  kPowerCut,
  kReboot,
};
using FaultKinds = uint32_t;  // a set of them
constexpr FaultKinds FaultKindBit(FaultKind kind) { return FaultKinds{1} << static_cast<int>(kind); }
inline constexpr FaultKinds kAllFaultKinds = ~FaultKinds{0};
constexpr bool CutsPower(FaultKind kind) { return kind == FaultKind::kPowerCut || kind == FaultKind::kReboot; }

enum class FaultClass : uint8_t {
  kBenign,   // a correct client survives it without anyone noticing
  kHard,     // a correct client may report it, but may not lose data or make wrong data of it
  kIllegal,  // no kernel does it
};

inline constexpr uint16_t kNoFaultOp = 0xffff;

// What is known at an occasion. Strings must outlive the question.
struct FaultPoint {
  uint16_t op = kNoFaultOp;  // IOCB_CMD_*
  int fd = -1;
  absl::string_view path;  // as the file was opened
  int64_t open = 0;        // the file's number by order of opening; 0: no file
  int64_t off = 0;         // bytes
  uint64_t size = 0;       // bytes; iocbs at submit, min_nr at getevents
  int64_t ctx = 0;         // the context's number; 0: none
  int64_t request = 0;     // the request's number; 0: none
  int rwf = 0;             // RWF_* flags
  // Bits, as points are compared at every occasion.
  bool direct : 1 = false;  // O_DIRECT: whole sectors only
  bool others : 1 = false;  // another request of the context is in flight; at submission, or has not been reaped
  bool waits : 1 = true;    // at getevents: the call has to wait, so a signal can end it
  bool reads : 1 = true;    // at page: it has to be read first
  bool bytes : 1 = true;    // at device: they are in the request's memory, and not moved elsewhere when it has ended
  bool models : 1 = false;  // at fsync: the file's file system knows what a failure leaves behind
};

// A question to the engine.
struct FaultOccasion {
  FaultSite site;
  FaultKinds kinds;  // that are asked for
  const FaultPoint& point;
  absl::string_view task;
};

// When it is asked.
struct FaultMoment {
  int64_t now_ns = 0;
  uint64_t step = 0;  // the trace's
};

struct FaultFilter {
  uint32_t ops = 0;  // a bit for each IOCB_CMD_*; 0: all
  int fd = -1;       // -1: all
  std::string path;  // a glob; empty: all
  bool has_off = false;
  int64_t off_first = 0;
  int64_t off_last = std::numeric_limits<int64_t>::max();
  uint64_t size_first = 0;
  uint64_t size_last = std::numeric_limits<uint64_t>::max();
  int64_t ctx = 0;   // 0: all
  std::string task;  // a glob; empty: all
  int rwf = 0;       // flags that have to be there
  int64_t open = 0;  // 0: all
};

struct FaultWhen {
  enum class Kind : uint8_t { kAlways, kNth, kOneIn, kPct, kEvery, kAfter, kBetween, kAtStep, kAtTime };
  Kind kind = Kind::kNth;
  uint64_t first = 1;      // n; a; a step; nanoseconds; hundredths of a percent
  uint64_t last = 0;       // b
  uint64_t times_max = 0;  // xN; 0: no limit of its own
};

struct FaultDelay {
  enum class Distribution : uint8_t { kFixed, kUniform, kExponential };
  Distribution distribution = Distribution::kFixed;
  int64_t first_ns = 0;  // the delay; the least; the mean
  int64_t last_ns = 0;   // the most
};

struct FaultWhat {
  FaultKind kind = FaultKind::kNone;
  int error = 0;  // of kErrno
  // Of kShort, 0: the Chooser says; of kMisdirected, how far; of kPowerCut and kReboot, what the cut leaves whole, 0:
  // the disk says. Bytes.
  uint64_t n = 0;
  FaultDelay delay;      // of kDelay and kSpike
  std::string tag;       // of kHold and kRelease
  std::string model;     // of an fsync's errno: what the failure leaves behind
  uint64_t burst = 1;    // (xN): so many occasions in a row
  bool illegal = false;  // asked for by that word
  std::string text;      // "short(512)", for traces
};

struct FaultStep {
  FaultSite site = FaultSite::kSubmit;
  FaultFilter filter;
  FaultWhen when;
  FaultWhat what;
};

// A chain: each step waits until the one before has struck.
struct FaultRule {
  std::string text;
  std::vector<FaultStep> steps;  // empty for `any`
  FaultClass any_class = FaultClass::kBenign;
  uint64_t any_times = 1;
};

// What strikes at one occasion.
struct Fault {
  FaultKind kind = FaultKind::kNone;
  int error = 0;  // positive, as in errno
  // Of kShort and kTorn: what is left of the occasion's size, at least 1; of kBadSector, which one; else FaultWhat's.
  uint64_t n = 0;
  int64_t delay_ns = 0;  // of kDelay
  int64_t until_ns = 0;  // of kSpike
  const FaultWhat* what = nullptr;
  absl::string_view rule;  // its text
  uint64_t hit = 0;        // of the rule, from 1

  explicit operator bool() const { return kind != FaultKind::kNone; }
};

// What became of a rule.
struct FaultRuleCounts {
  std::string text;
  uint64_t occasions = 0;  // that fitted its filter
  uint64_t hits = 0;
  int64_t first_ns = -1;  // of the hits, in virtual time; -1: none
  int64_t last_ns = -1;
  // Why it never struck, or which step of a chain never did and why, in words; empty if all of it has struck.
  std::string unfired_because = {};
};

// How far a rule has come: enough to go on with it elsewhere, and of no meaning otherwise.
using FaultProgress = std::tuple<size_t, bool, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, int64_t,
                                 int64_t, uint64_t, int64_t>;

class FaultPlace;
struct FaultSlot;
struct InstalledFaultRule;

// Thread-compatible: the model asks one question at a time.
class FaultEngine {
 public:
  explicit FaultEngine(Chooser& chooser);
  ~FaultEngine();
  FaultEngine(const FaultEngine&) = delete;
  FaultEngine& operator=(const FaultEngine&) = delete;

  // Whether a rule is about `site`, and strikes with one of `kinds`. All that a site costs when there is none.
  bool armed(FaultSite site, FaultKinds kinds = kAllFaultKinds) const {
    return (armed_[static_cast<size_t>(site)] & kinds) != 0;
  }

  // Returns a number by which the rule can be asked for and removed. Requires: LintFaultRules() found nothing.
  int Add(FaultRule rule);
  void Remove(int rule);
  FaultRuleCounts counts(int rule) const;
  // Of all rules that are there, in the order of Add().
  std::vector<FaultRuleCounts> AllCounts() const;

  // Until Resume() no rule strikes, and none counts.
  void Pause();
  void Resume();

  // Of all rules, in the order of Add(); and goes on from there, in an engine with the same rules: on another machine,
  // which is this one after a boot and by whose clock it was `later_ns` later. A sector that went bad at `complete` was
  // one of a file that was open before.
  std::vector<FaultProgress> Progress();
  void GoOnFrom(const std::vector<FaultProgress>& progress, int64_t later_ns = 0);

  // Every rule about the place counts the occasion, and the first whose turn it is strikes. Only rules of `kinds` take
  // part.
  Fault Ask(const FaultOccasion& occasion, const FaultMoment& moment);
  // The same where it is known at once that nothing strikes, whenever it is. False: it has to be asked.
  bool Passes(const FaultOccasion& occasion);

  // How long a delay takes this time.
  int64_t DrawDelayNs(const FaultDelay& delay, absl::string_view site);

 private:
  struct Places;
  static FaultRuleCounts CountsOf(const InstalledFaultRule& rule);
  void Reindex();
  bool AskSlot(const FaultSlot& slot, const FaultOccasion& occasion, const FaultMoment& moment, Fault* fault);
  bool ChanceIsDue(InstalledFaultRule& rule, uint64_t chances, uint64_t of);
  bool IsDue(InstalledFaultRule& rule, const FaultStep& step, const FaultMoment& moment);
  bool AskAny(InstalledFaultRule& rule, const FaultOccasion& occasion, const FaultMoment& moment, Fault* fault);
  void Strike(InstalledFaultRule& rule, const FaultWhat& what, absl::string_view choice_site,
              const FaultOccasion& occasion, const FaultMoment& moment, Fault* fault);

  Chooser& chooser_;
  std::array<FaultKinds, kFaultSites> armed_ = {};  // what the rules about each place strike with
  bool paused_ = false;
  int next_id_ = 0;
  std::vector<std::unique_ptr<InstalledFaultRule>> rules_;
  std::unique_ptr<Places> places_;
};

// Whether `pattern` fits all of `text`: * is any characters, also none and also slashes; ? is one.
bool FaultGlobMatches(absl::string_view pattern, absl::string_view text);

// The opcodes that move bytes to a file, and from one.
bool IsFaultWrite(uint16_t op);
bool IsFaultRead(uint16_t op);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_FAULT_RULES_H_
