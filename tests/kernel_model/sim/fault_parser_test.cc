// What the grammar of fault rules means, and what it says to a mistake.
#include "kernel_model/sim/fault_parser.h"

#include <errno.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/sim/fault_lint.h"
#include "uapi/aio_abi.h"

namespace aiolab {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

FaultRule Parsed(absl::string_view text) {
  const absl::StatusOr<std::vector<FaultRule>> rules = ParseFaultRules(text);
  EXPECT_TRUE(rules.ok()) << rules.status().message();
  return rules.ok() ? rules->front() : FaultRule{};
}

FaultStep OnlyStep(absl::string_view text) {
  const FaultRule rule = Parsed(text);
  EXPECT_EQ(rule.steps.size(), 1) << text;
  return rule.steps.empty() ? FaultStep{} : rule.steps[0];
}

struct Mistake {
  const char* rule;
  int column;
  const char* message;  // what it has to say
};

class MistakeTest : public testing::TestWithParam<Mistake> {};

TEST_P(MistakeTest, IsNamedWithItsColumnAndTheRightWord) {
  const absl::Status status = ParseFaultRules(GetParam().rule).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string message(status.message());
  EXPECT_THAT(message, StartsWith(absl::StrCat("column ", GetParam().column, ": ")));
  EXPECT_THAT(message, HasSubstr(GetParam().message));
  // The line, and a caret under the column.
  EXPECT_THAT(message, HasSubstr(absl::StrCat("\n  ", GetParam().rule, "\n")));
  EXPECT_THAT(message, testing::EndsWith(absl::StrCat("\n  ", std::string(GetParam().column - 1, ' '), "^")));
}

INSTANTIATE_TEST_SUITE_P(
    All, MistakeTest,
    testing::Values(
        Mistake{"", 1, "there is no rule"},
        Mistake{"=nth(1):eio", 1, "a place is missing; it can be setup, destroy, submit"},
        Mistake{"sumbit=nth(1):eagain", 1, "there is no place 'sumbit'; did you mean submit?"},
        Mistake{"submit=nth(1):eagain,complet=always:eio", 22, "did you mean complete?"},
        Mistake{"submit", 7, "'=' is missing behind the place"},
        Mistake{"submit=nth(1)", 14, "':' is missing behind when"},
        Mistake{"submit=", 8, "when is missing; it can be always, nth"},
        Mistake{"submit=nht(1):eagain", 8, "there is no when 'nht'; did you mean nth?"},
        Mistake{"submit=nth:eagain", 8, "nth needs a number, as in nth(3)"},
        Mistake{"submit=nth(x):eagain", 12, "nth needs a number, as in nth(3)"},
        Mistake{"submit=nth(1,2):eagain", 14, "nth takes no more than in nth(3)"},
        Mistake{"submit=nth(0):eagain", 8, "occasions are counted from 1"},
        Mistake{"submit=1in(0):eagain", 8, "occasions are counted from 1"},
        Mistake{"submit=between(5):eagain", 8, "between needs two numbers, as in between(3,5)"},
        Mistake{"submit=between(5,3):eagain", 8, "needs 1 <= a <= b"},
        Mistake{"submit=pct(101):eagain", 12, "at most 100, as in pct(0.5)"},
        Mistake{"submit=pct(0):eagain", 12, "more than 0"},
        Mistake{"submit=at(noon):eagain", 11, "a step or a time, as in at(step 41) or at(10ms)"},
        Mistake{"submit=at(step x):eagain", 11, "a step or a time"},
        Mistake{"submit=always x0:eagain", 15, "how often at most is written x3"},
        Mistake{"submit=nth(1:eagain", 11, "this ( has no )"},
        Mistake{"submit=nth(1):", 15, "what goes wrong is missing; at submit it can be short, eagain"},
        Mistake{"submit=nth(1):shrot(1)", 15, "there is no fault 'shrot'; did you mean short?"},
        Mistake{"complete=nth(1):enoscp", 17, "did you mean enospc?"},
        Mistake{"submit=nth(1):short(0)", 21, "'0' is not what short takes: how much is left, 1 or more"},
        Mistake{"submit=nth(1):eagain(5)", 22, "how often in a row, as in eagain(x5)"},
        Mistake{"complete=nth(1):delay", 17, "delay lacks its argument: a time, as in delay(2ms)"},
        Mistake{"complete=nth(1):delay(2)", 23, "a time, as in delay(2ms)"},
        Mistake{"complete=nth(1):delay(uniform 5ms 1ms)", 17, "needs a <= b"},
        Mistake{"complete=nth(1):hold", 17, "hold lacks its argument: a name"},
        Mistake{"complete=nth(1):hold(a)", 17, "nobody releases it; add a rule such as getevents=nth(2):release(a)"},
        Mistake{"getevents=nth(1):release(b)", 18, "nothing is held by that name"},
        Mistake{"fsync=nth(1):eio(model=zfs)", 18, "as in eio(model=xfs)"},
        Mistake{"complete=nth(1):eio(model=xfs)", 17, "a matter of fsync only"},
        Mistake{"device=nth(1):powercut(tear=500)", 24, "a power of two from 512 to 1m, as in powercut(tear=4k)"},
        Mistake{"submit=nth(1):powercut", 15, "powercut makes no sense at submit"},
        Mistake{"submit=nth(1):reboot", 15, "reboot makes no sense at submit"},
        Mistake{"device=nth(1):reboot(tear=500)", 22, "a power of two from 512 to 1m, as in reboot(tear=4k)"},
        Mistake{"device[op=read]=nth(1):lost", 24, "lost happens to writes and fsyncs only"},
        Mistake{"device[path=x]=nth(1):eio", 8, "the filter path and open means nothing at device"},
        Mistake{"complete[of=1]=nth(1):eio", 10, "there is no filter 'of'; did you mean op?"},
        Mistake{"complete[op=wirte]=nth(1):eio", 13, "there is no operation 'wirte'; did you mean write?"},
        Mistake{"complete[rwf=nowiat]=nth(1):eagain", 14, "there is no flag 'nowiat'; did you mean nowait?"},
        Mistake{"complete[off=9..1]=nth(1):eio", 14, "'9..1' is no range of bytes; one is 4096..8191"},
        Mistake{"complete[ctx=0]=nth(1):eio", 14, "'0' is no number from 1 up, which ctx needs"},
        Mistake{"complete[fd=]=nth(1):eio", 13, "the filter fd has no value"},
        Mistake{"complete[op=write=nth(1):eio", 13, "there is no operation 'write=nth(1):eio'"},
        Mistake{"submit[op=write]=nth(1):eagain", 8,
                "the filter op means nothing at submit; there it can be ctx, task, size"},
        Mistake{"submit=nth(1):eio", 15, "no kernel does that at submit; it can be short, eagain"},
        Mistake{"submit=nth(1):eio", 15, "or illegal:eio if that is what you want"},
        Mistake{"getevents=nth(1):hold(a)", 18, "hold makes no sense at getevents"},
        Mistake{"slab=nth(1):eio", 13, "eio makes no sense at slab; there it can be enomem"},
        Mistake{"submit_one[rwf=nowait]=always:nowait-block", 31, "illegal:nowait-block if that is what you want"},
        Mistake{"complete=nth(1):duplicate", 17, "illegal:duplicate if that is what you want"},
        Mistake{"complete=nth(1):illegal:eio", 17, "eio at complete is hard, not illegal"},
        Mistake{"complete=nth(1):eiocbretry", 17, "there is no fault 'eiocbretry'"},
        Mistake{"complete[op=read]=nth(1):enospc", 26,
                "enospc happens to writes and fsyncs only, so this rule can never"},
        Mistake{"complete[op=poll]=nth(1):short(1)", 26, "short happens to reads and writes only"},
        Mistake{"complete[op=write]=nth(1):bitrot", 27, "bitrot happens to reads only"},
        Mistake{"complete=nth(1):short(1)->enospcc", 27, "did you mean enospc?"},
        Mistake{"submit=nth(1):eagain;complete=nth(1):eio", 21, "';' is not expected behind a rule; it can be , or ->"},
        Mistake{"any:hrad", 5, "there is no class 'hrad'; did you mean hard?"}, Mistake{"any(2)", 5, "as in any(x2)"}));

TEST(FaultParserTest, AMistakeInAFileIsNamedWithItsLine) {
  const absl::Status status = ParseFaultRules("# weather\nsubmit=nth(1):eagain\n\n  complete=nth(1):shrot\n").status();
  EXPECT_THAT(std::string(status.message()), StartsWith("line 4, column 19: there is no fault 'shrot'"));
}

TEST(FaultParserTest, RulesAreSeparatedByCommasAndLines) {
  const auto rules = ParseFaultRules("# two, and one\nsubmit=nth(1):eagain, slab=nth(2):enomem # why\n\nany\n");
  ASSERT_TRUE(rules.ok()) << rules.status().message();
  ASSERT_EQ(rules->size(), 3);
  EXPECT_EQ((*rules)[0].text, "submit=nth(1):eagain");
  EXPECT_EQ((*rules)[1].text, "slab=nth(2):enomem");
  EXPECT_EQ((*rules)[2].text, "any");
}

TEST(FaultParserTest, EveryFilterIsUnderstood) {
  const FaultFilter filter =
      OnlyStep("complete[op=read,fd=3,path=/tmp/*.db,off=4k..8191,size=512,ctx=2,task=1,rwf=nowait,open=5]=always:eio")
          .filter;
  EXPECT_EQ(filter.ops, 1u << IOCB_CMD_PREAD | 1u << IOCB_CMD_PREADV);
  EXPECT_EQ(filter.fd, 3);
  EXPECT_EQ(filter.path, "/tmp/*.db");
  EXPECT_EQ(filter.off_first, 4096);
  EXPECT_EQ(filter.off_last, 8191);
  EXPECT_EQ(filter.size_first, 512);
  EXPECT_EQ(filter.size_last, 512);
  EXPECT_EQ(filter.ctx, 2);
  EXPECT_EQ(filter.task, "client/1");
  EXPECT_EQ(filter.rwf, static_cast<int>(RWF_NOWAIT));
  EXPECT_EQ(filter.open, 5);
}

TEST(FaultParserTest, EveryWhenIsUnderstood) {
  using Kind = FaultWhen::Kind;
  struct {
    const char* text;
    Kind kind;
    uint64_t first, last, times_max;
  } const cases[] = {
      {"always", Kind::kAlways, 1, 0, 0},          {"nth(3)", Kind::kNth, 3, 0, 0},
      {"1in(50) x2", Kind::kOneIn, 50, 0, 2},      {"pct(0.5)", Kind::kPct, 50, 0, 0},
      {"every(10)x3", Kind::kEvery, 10, 0, 3},     {"after(100)", Kind::kAfter, 100, 0, 0},
      {"between(3,5)", Kind::kBetween, 3, 5, 0},   {"at(step 41)", Kind::kAtStep, 41, 0, 0},
      {"at(1.5ms)", Kind::kAtTime, 1500000, 0, 0},
  };
  for (const auto& expected : cases) {
    const FaultWhen when = OnlyStep(absl::StrCat("submit=", expected.text, ":eagain")).when;
    EXPECT_EQ(when.kind, expected.kind) << expected.text;
    EXPECT_EQ(when.first, expected.first) << expected.text;
    EXPECT_EQ(when.last, expected.last) << expected.text;
    EXPECT_EQ(when.times_max, expected.times_max) << expected.text;
  }
}

TEST(FaultParserTest, WhatTakesItsArguments) {
  EXPECT_EQ(OnlyStep("submit=always:eagain(x5)").what.burst, 5);
  EXPECT_EQ(OnlyStep("submit=always:eagain(x5)").what.error, EAGAIN);
  EXPECT_EQ(OnlyStep("complete=always:short(4k)").what.n, 4096);
  EXPECT_EQ(OnlyStep("complete=always:short").what.n, 0);
  EXPECT_EQ(OnlyStep("complete=always:misdirected(512)").what.n, 512);
  EXPECT_EQ(OnlyStep("device=nth(1):powercut(tear=4k)").what.n, 4096);
  EXPECT_EQ(OnlyStep("device=nth(1):powercut").what.n, 0);
  EXPECT_EQ(OnlyStep("device=nth(1):reboot(tear=4k)").what.n, 4096);
  EXPECT_EQ(OnlyStep("fsync=nth(1):eio(model=ext4-ordered)").what.model, "ext4-ordered");
  EXPECT_TRUE(OnlyStep("complete=nth(1):illegal:duplicate").what.illegal);
  const FaultDelay exponential = OnlyStep("complete=always:delay(exp 2ms)").what.delay;
  EXPECT_EQ(exponential.distribution, FaultDelay::Distribution::kExponential);
  EXPECT_EQ(exponential.first_ns, 2'000'000);
  const FaultDelay uniform = OnlyStep("complete=always:delay(uniform 1us 3ms)").what.delay;
  EXPECT_EQ(uniform.distribution, FaultDelay::Distribution::kUniform);
  EXPECT_EQ(uniform.first_ns, 1'000);
  EXPECT_EQ(uniform.last_ns, 3'000'000);
}

TEST(FaultParserTest, AStepBehindAnArrowIsAtThePlaceBeforeIt) {
  const FaultRule rule = Parsed("complete[op=write]=nth(2):short(512)->enospc->nth(3):eio->slab=nth(1):enomem");
  ASSERT_EQ(rule.steps.size(), 4);
  EXPECT_EQ(rule.steps[1].site, FaultSite::kComplete);
  EXPECT_EQ(rule.steps[1].filter.ops, 1u << IOCB_CMD_PWRITE | 1u << IOCB_CMD_PWRITEV);
  EXPECT_EQ(rule.steps[1].when.first, 1);
  EXPECT_EQ(rule.steps[1].what.error, ENOSPC);
  EXPECT_EQ(rule.steps[2].when.first, 3);
  EXPECT_EQ(rule.steps[3].site, FaultSite::kSlab);
}

TEST(FaultParserTest, AnyHasAClassAndACount) {
  EXPECT_EQ(Parsed("any").any_class, FaultClass::kBenign);
  EXPECT_EQ(Parsed("any").any_times, 1);
  EXPECT_EQ(Parsed("any:hard").any_class, FaultClass::kHard);
  EXPECT_EQ(Parsed("any(x2)").any_times, 2);
  EXPECT_EQ(Parsed("any:illegal(x3)").any_class, FaultClass::kIllegal);
  EXPECT_EQ(Parsed("any:illegal(x3)").any_times, 3);
}

TEST(FaultParserTest, PowerCutsAndErrorModelsTakeAFileSystemOfTheModel) {
  EXPECT_EQ(FaultRuleForSimfs({Parsed("submit=nth(1):eagain"), Parsed("device=nth(2):powercut")}),
            "device=nth(2):powercut");
  EXPECT_EQ(FaultRuleForSimfs({Parsed("fsync=nth(2):eio(model=xfs)")}), "fsync=nth(2):eio(model=xfs)");
  EXPECT_EQ(FaultRuleForSimfs({Parsed("fsync=nth(2):eio"), Parsed("any:hard")}), "");
}

TEST(FaultParserTest, ARuleHasAllThePlacesOfItsChain) {
  EXPECT_TRUE(HasFaultRuleAt({Parsed("submit=nth(1):eagain->fsync=nth(1):eio")}, FaultSite::kFsync));
  EXPECT_FALSE(HasFaultRuleAt({Parsed("submit=nth(1):eagain")}, FaultSite::kFsync));
  EXPECT_TRUE(HasFaultRuleAt({Parsed("any:hard")}, FaultSite::kFsync));
  EXPECT_FALSE(HasFaultRuleAt({Parsed("any")}, FaultSite::kFsync));
}

TEST(FaultParserTest, ASystemCallMayBeNamedInFull) {
  EXPECT_EQ(OnlyStep("io_submit=nth(1):eagain").site, FaultSite::kSubmit);
}

}  // namespace
}  // namespace aiolab
