#include "kernel_model/sim/fault_parser.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "kernel_model/sim/fault_lint.h"
#include "kernel_model/sim/fault_table.h"
#include "kernel_model/sim/fault_values.h"
#include "kernel_model/sim/nearest_word.h"
#include "uapi/aio_abi.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

template <typename Entries>
std::vector<std::string> NamesOf(const Entries& entries) {
  std::vector<std::string> names;
  for (const auto& entry : entries) names.emplace_back(entry.name);
  return names;
}

// "; did you mean submit? It can be setup, submit, ..."
std::string Suggest(absl::string_view word, const std::vector<std::string>& words) {
  const std::string nearest = NearestWord(word, words);
  return absl::StrCat(nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?"), "; it can be ",
                      absl::StrJoin(words, ", "));
}

class Parser {
 public:
  Parser(absl::string_view text, FaultParseOptions options) : text_(text), options_(options) {}

  absl::StatusOr<std::vector<FaultRule>> Parse() {
    std::vector<FaultRule> rules;
    for (SkipSeparators(); at_ < text_.size() && status_.ok(); SkipSeparators()) {
      rules.push_back(ParseRule());
      SkipBlanks();
      if (status_.ok() && at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' && text_[at_] != '#') {
        Fail(at_, absl::StrCat("'", text_.substr(at_, 1), "' is not expected behind a rule; it can be , or ->"));
      }
    }
    if (status_.ok() && rules.empty()) Fail(0, "there is no rule; one is, for example, submit=nth(2):short(1)");
    if (status_.ok()) CheckTags(rules);
    if (!status_.ok()) return status_;
    return rules;
  }

 private:
  struct Step {
    FaultStep step;
    uint32_t filters = 0;
    FaultStepPlaces places;
  };
  struct Argument {
    absl::string_view text;
    size_t place;
  };

  void Fail(size_t place, absl::string_view message) {
    if (!status_.ok()) return;
    place = std::min(place, text_.size());
    const size_t line_start = place == 0 ? 0 : text_.rfind('\n', place - 1) + 1;  // npos + 1 is 0
    const size_t line_end = std::min(text_.find('\n', place), text_.size());
    const auto line_number = std::count(text_.begin(), text_.begin() + static_cast<long>(line_start), '\n') + 1;
    const bool several = text_.find('\n') < text_.size() - 1;
    status_ = absl::InvalidArgumentError(absl::StrCat(
        several ? absl::StrCat("line ", line_number, ", ") : "", "column ", place - line_start + 1, ": ", message,
        "\n  ", text_.substr(line_start, line_end - line_start), "\n  ", std::string(place - line_start, ' '), "^"));
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool Looking(absl::string_view what) const {
    return absl::StartsWith(text_.substr(std::min(at_, text_.size())), what);
  }
  void SkipBlanks() {
    while (Peek() == ' ' || Peek() == '\t' || Peek() == '\r') ++at_;
  }
  void SkipSeparators() {
    for (;; ++at_) {
      SkipBlanks();
      if (Peek() == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      if (Peek() != '\n' && Peek() != ',') return;
    }
  }
  // Letters, digits, - and _.
  absl::string_view Word() {
    SkipBlanks();
    const size_t begin = at_;
    while (absl::ascii_isalnum(static_cast<unsigned char>(Peek())) || Peek() == '_' ||
           (Peek() == '-' && !Looking("->"))) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  bool Expect(char wanted, absl::string_view behind) {
    SkipBlanks();
    if (Peek() == wanted) {
      ++at_;
      return true;
    }
    Fail(at_, absl::StrCat("'", std::string(1, wanted), "' is missing behind ", behind,
                           "; a rule is where[filter]=when:what"));
    return false;
  }
  // What stands in parentheses, split at commas and stripped.
  std::vector<Argument> Arguments() {
    std::vector<Argument> arguments;
    SkipBlanks();
    if (Peek() != '(') return arguments;
    const size_t open = at_++;
    const size_t close = std::min(text_.find(')', at_), text_.find('\n', at_));
    if (close == absl::string_view::npos || text_[close] != ')') {
      Fail(open, "this ( has no )");
      return arguments;
    }
    while (at_ <= close) {
      const size_t end = std::min(close, text_.find(',', at_));
      while (at_ < end && text_[at_] == ' ') ++at_;
      arguments.push_back({absl::StripAsciiWhitespace(text_.substr(at_, end - at_)), at_});
      at_ = end + 1;
    }
    if (arguments.size() == 1 && arguments[0].text.empty()) arguments.clear();
    return arguments;
  }

  FaultRule ParseRule() {
    FaultRule rule;
    const size_t begin = at_;
    if (Looking("any") && IsAny()) {
      ParseAny(rule);
    } else {
      Step before;
      for (bool first = true; status_.ok(); first = false) {
        Step step = ParseStep(first ? nullptr : &before);
        if (!status_.ok()) break;
        const FaultMistake mistake = LintFaultStep(step.step, step.filters, step.places);
        if (!mistake.message.empty()) Fail(mistake.place, mistake.message);
        rule.steps.push_back(step.step);
        before = std::move(step);
        SkipBlanks();
        if (!Looking("->")) break;
        at_ += 2;
      }
    }
    rule.text = std::string(absl::StripAsciiWhitespace(text_.substr(begin, at_ - begin)));
    return rule;
  }

  // "any", not a word that begins so.
  bool IsAny() const {
    const char next = at_ + 3 < text_.size() ? text_[at_ + 3] : ',';
    return !absl::ascii_isalnum(static_cast<unsigned char>(next)) && next != '_' && next != '=' && next != '[';
  }

  void ParseAny(FaultRule& rule) {
    at_ += 3;
    const auto times = [&] {
      for (const Argument& argument : Arguments()) {
        if (!ParseTimes(argument.text, &rule.any_times)) {
          Fail(argument.place, "any takes how many faults there are to be, as in any(x2)");
        }
      }
    };
    times();
    SkipBlanks();
    if (Peek() != ':') return;
    ++at_;
    SkipBlanks();
    const size_t place = at_;
    const absl::string_view word = Word();
    if (word == "hard") {
      rule.any_class = FaultClass::kHard;
    } else if (word == "illegal") {
      rule.any_class = FaultClass::kIllegal;
    } else if (word != "benign") {
      Fail(place, absl::StrCat("there is no class '", word, "'", Suggest(word, {"benign", "hard", "illegal"})));
    }
    times();
  }

  // Whether the text up to the next , or -> has an = outside brackets: then it names its own place.
  bool NamesItsPlace() const {
    int depth = 0;
    for (size_t i = at_; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '[' || c == '(') ++depth;
      if (c == ']' || c == ')') --depth;
      if (depth > 0) continue;
      if (c == '=') return true;
      if (c == ',' || c == '\n' || absl::StartsWith(text_.substr(i), "->")) return false;
    }
    return false;
  }

  Step ParseStep(const Step* before) {
    Step step;
    SkipBlanks();
    if (before == nullptr || NamesItsPlace()) {
      ParseWhere(step);
      if (!status_.ok() || !Expect('=', "the place")) return step;
    } else {
      step.step.site = before->step.site;
      step.step.filter = before->step.filter;
      step.filters = before->filters;
      step.places = before->places;
    }
    SkipBlanks();
    step.places.when = at_;
    if (before != nullptr && !LooksLikeWhen()) {
      ParseWhat(step);  // the next time
      return step;
    }
    ParseWhen(step.step.when);
    if (status_.ok() && Expect(':', "when")) ParseWhat(step);
    return step;
  }

  void ParseWhere(Step& step) {
    step.places.where = at_;
    const absl::string_view written = Word();
    const absl::string_view word = absl::StripPrefix(written, "io_");
    const auto sites = FaultSites();
    const auto found =
        std::find_if(sites.begin(), sites.end(), [word](const auto& entry) { return entry.name == word; });
    if (found == sites.end()) {
      std::vector<std::string> names = NamesOf(sites);
      names.emplace_back("any");
      return Fail(step.places.where, written.empty()
                                         ? absl::StrCat("a place is missing; it can be ", absl::StrJoin(names, ", "))
                                         : absl::StrCat("there is no place '", written, "'", Suggest(written, names)));
    }
    step.step.site = found->site;
    SkipBlanks();
    step.places.filter = at_;
    if (Peek() != '[') return;
    const size_t open = at_++;
    for (;;) {
      ParseFilter(step);
      if (!status_.ok()) return;
      SkipBlanks();
      if (Peek() == ']') break;
      if (Peek() != ',') return Fail(at_ < text_.size() ? at_ : open, "a ] is missing behind the filters");
      ++at_;
    }
    ++at_;
  }

  void ParseFilter(Step& step) {
    SkipBlanks();
    const size_t place = at_;
    const absl::string_view name = Word();
    const auto known = std::find_if(std::begin(kFaultFilters), std::end(kFaultFilters),
                                    [name](const auto& f) { return f.name == name; });
    if (known == std::end(kFaultFilters)) {
      return Fail(place, absl::StrCat("there is no filter '", name, "'", Suggest(name, NamesOf(kFaultFilters))));
    }
    if ((FaultSiteInfo(step.step.site).filters & known->bits) == 0) step.places.filter = place;
    step.filters |= known->bits;
    if (!Expect('=', "the filter's name")) return;
    SkipBlanks();
    const size_t value_place = at_;
    const size_t end = std::min({text_.find(',', at_), text_.find(']', at_), text_.find('\n', at_), text_.size()});
    const absl::string_view value = absl::StripAsciiWhitespace(text_.substr(at_, end - at_));
    at_ = end;
    if (value.empty()) return Fail(value_place, absl::StrCat("the filter ", name, " has no value"));
    SetFilter(name, value, value_place, step.step.filter);
  }

  void SetFilter(absl::string_view name, absl::string_view value, size_t place, FaultFilter& filter) {
    uint64_t number = 0;
    if (name == "path" || name == "task") {
      std::string& glob = name == "path" ? filter.path : filter.task;
      glob = std::string(value);
      // task=2 is client/2.
      if (name == "task" && ParseFaultSize(value, &number)) glob = absl::StrCat("client/", number);
    } else if (name == "op" || name == "rwf") {
      const bool op = name == "op";
      uint32_t bits = 0;
      for (const FaultBits& entry : kFaultOps) {
        if (op && entry.name == value) bits = entry.bits;
      }
      for (const FaultBits& entry : kFaultRwf) {
        if (!op && entry.name == value) bits = entry.bits;
      }
      if (bits == 0) {
        return Fail(place, absl::StrCat("there is no ", op ? "operation" : "flag", " '", value, "'",
                                        Suggest(value, op ? NamesOf(kFaultOps) : NamesOf(kFaultRwf))));
      }
      if (op) {
        filter.ops |= bits;
      } else {
        filter.rwf |= static_cast<int>(bits);
      }
    } else if (name == "off" || name == "size") {
      const size_t dots = value.find("..");
      uint64_t last = 0;
      const bool right =
          dots == absl::string_view::npos
              ? ParseFaultSize(value, &number) && ParseFaultSize(value, &last)
              : ParseFaultSize(value.substr(0, dots), &number) && ParseFaultSize(value.substr(dots + 2), &last);
      if (!right || number > last) {
        return Fail(place, absl::StrCat("'", value, "' is no range of bytes; one is 4096..8191, 4k..64k or 512"));
      }
      if (name == "off") {
        filter.has_off = true;
        filter.off_first = static_cast<int64_t>(number);
        filter.off_last = static_cast<int64_t>(last);
      } else {
        filter.size_first = number;
        filter.size_last = last;
      }
    } else {
      if (!ParseFaultSize(value, &number) || number > 1'000'000'000 || (name != "fd" && number == 0)) {
        return Fail(place, absl::StrCat("'", value, "' is no number", name == "fd" ? "" : " from 1 up", ", which ",
                                        name, " needs"));
      }
      if (name == "fd") filter.fd = static_cast<int>(number);
      if (name == "ctx") filter.ctx = static_cast<int64_t>(number);
      if (name == "open") filter.open = static_cast<int64_t>(number);
    }
  }

  bool LooksLikeWhen() {
    const size_t before = at_;
    const absl::string_view word = Word();
    at_ = before;
    return std::find(FaultWhenWords().begin(), FaultWhenWords().end(), word) != FaultWhenWords().end();
  }

  static bool ParseTimes(absl::string_view text, uint64_t* times) {
    return absl::ConsumePrefix(&text, "x") && ParseFaultSize(text, times) && *times > 0;
  }

  void ParseWhen(FaultWhen& when) {
    using Kind = FaultWhen::Kind;
    const size_t place = at_;
    const absl::string_view word = Word();
    const std::vector<std::string>& words = FaultWhenWords();
    if (std::find(words.begin(), words.end(), word) == words.end()) {
      return Fail(place, word.empty() ? absl::StrCat("when is missing; it can be ", absl::StrJoin(words, ", "))
                                      : absl::StrCat("there is no when '", word, "'", Suggest(word, words)));
    }
    const std::vector<Argument> arguments = Arguments();
    const auto number = [&](size_t i, uint64_t* value) {
      if (i < arguments.size() && ParseFaultSize(arguments[i].text, value)) return;
      Fail(i < arguments.size() ? arguments[i].place : place,
           absl::StrCat(word, " needs ", i == 0 ? "a number" : "two numbers", ", as in ", FaultWhenExample(word)));
    };
    const size_t wanted = word == "always" ? 0 : word == "between" ? 2 : 1;
    if (arguments.size() > wanted) {
      return Fail(arguments[wanted].place, absl::StrCat(word, " takes no more than in ", FaultWhenExample(word)));
    }
    if (word == "always") {
      when.kind = Kind::kAlways;
    } else if (word == "pct") {
      when.kind = Kind::kPct;
      double percent = 0;
      if (arguments.empty() || !absl::SimpleAtod(arguments[0].text, &percent) || !(percent > 0) || percent > 100) {
        return Fail(arguments.empty() ? place : arguments[0].place,
                    "a percentage is more than 0 and at most 100, as in pct(0.5)");
      }
      when.first = std::max<uint64_t>(1, static_cast<uint64_t>(percent * 100 + 0.5));
    } else if (word == "at") {
      ParseAt(arguments, place, when);
    } else {
      when.kind = word == "nth"     ? Kind::kNth
                  : word == "1in"   ? Kind::kOneIn
                  : word == "every" ? Kind::kEvery
                  : word == "after" ? Kind::kAfter
                                    : Kind::kBetween;
      number(0, &when.first);
      if (when.kind == Kind::kBetween) number(1, &when.last);
      if (when.kind == Kind::kOneIn && when.first > 0xffffffff)
        Fail(arguments[0].place, "1in(n) takes up to 4294967295");
    }
    SkipBlanks();
    if (status_.ok() && Peek() == 'x') {
      const size_t times_place = at_;
      if (!ParseTimes(Word(), &when.times_max)) Fail(times_place, "how often at most is written x3");
    }
  }

  void ParseAt(const std::vector<Argument>& arguments, size_t place, FaultWhen& when) {
    if (arguments.empty()) return Fail(place, "at needs a step or a time, as in at(step 41) or at(10ms)");
    absl::string_view text = arguments[0].text;
    int64_t time_ns = 0;
    if (absl::ConsumePrefix(&text, "step")) {
      when.kind = FaultWhen::Kind::kAtStep;
      if (ParseFaultSize(absl::StripAsciiWhitespace(text), &when.first)) return;
    } else if (ParseFaultTime(text, &time_ns)) {
      when.kind = FaultWhen::Kind::kAtTime;
      when.first = static_cast<uint64_t>(time_ns);
      return;
    }
    Fail(arguments[0].place, "at needs a step or a time, as in at(step 41) or at(10ms)");
  }

  void ParseWhat(Step& parsed) {
    FaultWhat& what = parsed.step.what;
    SkipBlanks();
    const size_t place = parsed.places.what = at_;
    if (Looking("illegal:")) {
      what.illegal = true;
      at_ += absl::string_view("illegal:").size();
    }
    const absl::string_view word = Word();
    what.kind = FaultKindFromWord(word);
    if (what.kind == FaultKind::kErrno) what.error = ErrnoFromName(word);
    constexpr int kErrnosMax = 512;  // above are the kernel's own
    if (what.kind == FaultKind::kNone || what.error >= kErrnosMax) {
      const std::vector<std::string> here = FaultWordsAt(parsed.step.site);
      std::string nearest = NearestWord(word, here);
      if (nearest.empty()) nearest = NearestWord(word, AllFaultWords());
      return Fail(place,
                  word.empty()
                      ? absl::StrCat("what goes wrong is missing; at ", FaultSiteInfo(parsed.step.site).name,
                                     " it can be ", absl::StrJoin(here, ", "))
                      : absl::StrCat("there is no fault '", word, "'",
                                     nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?"), "; at ",
                                     FaultSiteInfo(parsed.step.site).name, " it can be ", absl::StrJoin(here, ", ")));
    }
    bool has_argument = false;
    for (const Argument& argument : Arguments()) {
      if (ParseTimes(argument.text, &what.burst)) continue;
      if (has_argument || !SetArgument(argument.text, what)) {
        return Fail(argument.place,
                    absl::StrCat("'", argument.text, "' is not what ", word, " takes: ", FaultArgumentHelp(what.kind)));
      }
      has_argument = true;
    }
    const bool needs = what.kind == FaultKind::kDelay || what.kind == FaultKind::kSpike ||
                       what.kind == FaultKind::kHold || what.kind == FaultKind::kRelease;
    if (status_.ok() && needs && !has_argument) {
      return Fail(place, absl::StrCat(word, " lacks its argument: ", FaultArgumentHelp(what.kind)));
    }
    what.text = std::string(absl::StripAsciiWhitespace(text_.substr(place, at_ - place)));
  }

  static bool SetArgument(absl::string_view text, FaultWhat& what) {
    switch (what.kind) {
      case FaultKind::kShort:
      case FaultKind::kMisdirected:
        return ParseFaultSize(text, &what.n) && what.n > 0;
      case FaultKind::kDelay:
        return ParseFaultDelay(text, &what.delay);
      case FaultKind::kSpike:
        return ParseFaultDelay(text, &what.delay) && what.delay.distribution == FaultDelay::Distribution::kFixed;
      case FaultKind::kHold:
      case FaultKind::kRelease:
        what.tag = std::string(text);
        return IsFaultTag(text);
      case FaultKind::kPowerCut:
      case FaultKind::kReboot:
        return ParseFaultTear(text, &what.n);
      case FaultKind::kErrno:
        if (!absl::ConsumePrefix(&text, "model=")) return false;
        what.model = std::string(text);
        return std::find(FaultModelWords().begin(), FaultModelWords().end(), what.model) != FaultModelWords().end();
      default:
        return false;
    }
  }

  void CheckTags(const std::vector<FaultRule>& rules) {
    if (options_.released_by_test) return;
    const std::string unreleased = UnreleasedFaultTag(rules);
    if (!unreleased.empty()) {
      const std::string written = absl::StrCat("hold(", unreleased, ")");
      return Fail(std::min(text_.find(written), text_.size()),
                  absl::StrCat("nobody releases it; add a rule such as getevents=nth(2):release(", unreleased, ")"));
    }
    const std::string unheld = UnheldFaultTag(rules);
    if (!unheld.empty()) {
      const std::string written = absl::StrCat("release(", unheld, ")");
      Fail(std::min(text_.find(written), text_.size()),
           absl::StrCat("nothing is held by that name; add a rule such as complete=nth(1):hold(", unheld, ")"));
    }
  }

  const absl::string_view text_;
  const FaultParseOptions options_;
  size_t at_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<std::vector<FaultRule>> ParseFaultRules(absl::string_view text, FaultParseOptions options) {
  return Parser(text, options).Parse();
}

}  // namespace aiolab
