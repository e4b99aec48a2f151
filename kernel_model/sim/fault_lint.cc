#include "kernel_model/sim/fault_lint.h"

#include <errno.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernel_model/sim/fault_table.h"
#include "kernel_model/sim/nearest_word.h"
#include "uapi/aio_abi.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr uint32_t kReads = 1u << IOCB_CMD_PREAD | 1u << IOCB_CMD_PREADV;
constexpr uint32_t kWrites = 1u << IOCB_CMD_PWRITE | 1u << IOCB_CMD_PWRITEV;
constexpr uint32_t kFsyncs = 1u << IOCB_CMD_FSYNC | 1u << IOCB_CMD_FDSYNC;

// The word of `what`, as the table has it.
std::string WordOf(const FaultWhat& what) {
  const size_t begin = what.illegal ? absl::string_view("illegal:").size() : 0;
  return what.text.substr(begin, what.text.find('(') - begin);
}

std::string Choices(FaultSite site) { return absl::StrJoin(FaultWordsAt(site), ", "); }

std::string LintCell(const FaultStep& step) {
  const absl::string_view where = FaultSiteInfo(step.site).name;
  const std::string word = WordOf(step.what);
  const std::vector<std::string> words = FaultWordsAt(step.site);
  const FaultCell* const cell = FindFaultCell(step.site, word);
  if (cell == nullptr) {
    const std::string nearest = NearestWord(word, words);
    return absl::StrCat(word, " makes no sense at ", where,
                        nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?"), "; there it can be ",
                        Choices(step.site));
  }
  if (cell->fault_class == FaultClass::kIllegal && !step.what.illegal) {
    return absl::StrCat("no kernel does that at ", where, "; it can be ", Choices(step.site), ", or illegal:", word,
                        " if that is what you want");
  }
  if (cell->fault_class != FaultClass::kIllegal && step.what.illegal && step.what.kind != FaultKind::kShort) {
    return absl::StrCat(word, " at ", where, " is ", FaultClassName(cell->fault_class),
                        ", not illegal; write it without that word");
  }
  return "";
}

// Which operations `what` can happen to at all; 0: every one.
uint32_t OpsOf(const FaultWhat& what) {
  switch (what.kind) {
    case FaultKind::kErrno:
      return !what.illegal &&
                     (what.error == ENOSPC || what.error == EDQUOT || what.error == EFBIG || what.error == EROFS)
                 ? kWrites | kFsyncs
                 : 0;
    case FaultKind::kTorn:
    case FaultKind::kLost:
      return kWrites;
    case FaultKind::kBitrot:
      return kReads;
    case FaultKind::kShort:
    case FaultKind::kMisdirected:
    case FaultKind::kBadSector:
    case FaultKind::kNowaitBlock:
      return kReads | kWrites;
    default:
      return 0;
  }
}

std::string LintOps(const FaultStep& step) {
  const bool device = step.site == FaultSite::kDevice;
  if (step.filter.ops == 0 || (step.site != FaultSite::kComplete && !device)) return "";
  uint32_t possible = OpsOf(step.what);
  if (device && step.what.kind == FaultKind::kLost) possible |= kFsyncs;
  if (device && step.what.kind == FaultKind::kErrno) possible &= ~kFsyncs;
  if (possible == 0 || (possible & step.filter.ops) != 0) return "";
  const absl::string_view ops = possible == kReads               ? "reads"
                                : possible == kWrites            ? "writes"
                                : possible == (kReads | kWrites) ? "reads and writes"
                                                                 : "writes and fsyncs";
  return absl::StrCat(WordOf(step.what), " happens to ", ops, " only, so this rule can never strike");
}

struct FilterName {
  uint32_t bit;
  absl::string_view name;
};
constexpr FilterName kFilterNames[] = {
    {kFaultFilterCtx, "ctx"}, {kFaultFilterTask, "task"}, {kFaultFilterFile, "path and open"}, {kFaultFilterOp, "op"},
    {kFaultFilterFd, "fd"},   {kFaultFilterRange, "off"}, {kFaultFilterSize, "size"},          {kFaultFilterRwf, "rwf"},
};

std::string LintFilters(const FaultStep& step, uint32_t filters) {
  const FaultSiteEntry& site = FaultSiteInfo(step.site);
  const uint32_t wrong = filters & ~site.filters;
  if (wrong == 0) return "";
  std::vector<absl::string_view> good;
  absl::string_view bad;
  for (const FilterName& entry : kFilterNames) {
    if ((site.filters & entry.bit) != 0) good.push_back(entry.name);
    if ((wrong & entry.bit) != 0 && bad.empty()) bad = entry.name;
  }
  return absl::StrCat("the filter ", bad, " means nothing at ", site.name, "; there it can be ",
                      absl::StrJoin(good, ", "));
}

std::string LintWhen(const FaultWhen& when) {
  using Kind = FaultWhen::Kind;
  if ((when.kind == Kind::kNth || when.kind == Kind::kEvery || when.kind == Kind::kOneIn ||
       when.kind == Kind::kAtStep) &&
      when.first == 0) {
    return "occasions are counted from 1";
  }
  if (when.kind == Kind::kBetween && (when.first == 0 || when.first > when.last)) {
    return "between(a,b) needs 1 <= a <= b";
  }
  if (when.kind == Kind::kPct && (when.first == 0 || when.first > 10000)) {
    return "a percentage is more than 0 and at most 100, as in pct(0.5)";
  }
  return "";
}

std::string LintWhat(const FaultStep& step) {
  const FaultWhat& what = step.what;
  if (what.kind == FaultKind::kDelay && what.delay.distribution == FaultDelay::Distribution::kUniform &&
      what.delay.first_ns > what.delay.last_ns) {
    return "delay(uniform a b) needs a <= b";
  }
  if (!what.model.empty() && step.site != FaultSite::kFsync) {
    return "what a failure leaves behind (model=) is a matter of fsync only";
  }
  return "";
}

std::vector<std::string> Tags(const std::vector<FaultRule>& rules, FaultKind kind) {
  std::vector<std::string> tags;
  for (const FaultRule& rule : rules) {
    for (const FaultStep& step : rule.steps) {
      if (step.what.kind == kind) tags.push_back(step.what.tag);
    }
  }
  return tags;
}

std::string FirstNotIn(const std::vector<std::string>& tags, const std::vector<std::string>& others) {
  for (const std::string& tag : tags) {
    if (std::find(others.begin(), others.end(), tag) == others.end()) return tag;
  }
  return "";
}

}  // namespace

FaultMistake LintFaultStep(const FaultStep& step, uint32_t filters, const FaultStepPlaces& places) {
  if (std::string message = LintFilters(step, filters); !message.empty()) return {places.filter, message};
  if (std::string message = LintWhen(step.when); !message.empty()) return {places.when, message};
  if (std::string message = LintCell(step); !message.empty()) return {places.what, message};
  if (std::string message = LintWhat(step); !message.empty()) return {places.what, message};
  return {places.what, LintOps(step)};
}

std::string UnreleasedFaultTag(const std::vector<FaultRule>& rules) {
  return FirstNotIn(Tags(rules, FaultKind::kHold), Tags(rules, FaultKind::kRelease));
}

std::string FaultRuleForSimfs(const std::vector<FaultRule>& rules) {
  for (const FaultRule& rule : rules) {
    for (const FaultStep& step : rule.steps) {
      if (CutsPower(step.what.kind) || !step.what.model.empty()) return rule.text;
    }
  }
  return "";
}

std::string FaultRuleThatReboots(const std::vector<FaultRule>& rules) {
  for (const FaultRule& rule : rules) {
    for (const FaultStep& step : rule.steps) {
      if (step.what.kind == FaultKind::kReboot) return rule.text;
    }
  }
  return "";
}

bool HasFaultRuleAt(const std::vector<FaultRule>& rules, FaultSite site) {
  return std::any_of(rules.begin(), rules.end(), [site](const FaultRule& rule) {
    if (rule.steps.empty()) return !FaultsToPlace(site, rule.any_class).empty();
    return std::any_of(rule.steps.begin(), rule.steps.end(),
                       [site](const FaultStep& step) { return step.site == site; });
  });
}

std::string UnheldFaultTag(const std::vector<FaultRule>& rules) {
  return FirstNotIn(Tags(rules, FaultKind::kRelease), Tags(rules, FaultKind::kHold));
}

}  // namespace aiolab
