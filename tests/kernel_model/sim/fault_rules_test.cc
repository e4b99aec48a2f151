// When the engine lets a rule strike.
#include "kernel_model/sim/fault_rules.h"

#include <errno.h>

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_model/sim/fault_parser.h"
#include "uapi/aio_abi.h"

namespace aiolab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FaultRulesTest : public testing::Test {
 protected:
  int Add(absl::string_view text) {
    auto rules = ParseFaultRules(text, {.released_by_test = true});
    EXPECT_TRUE(rules.ok()) << rules.status().message();
    int id = 0;
    for (FaultRule& rule : *rules) id = engine_.Add(std::move(rule));
    return id;
  }
  // As a client that has something outstanding.
  Fault Ask(FaultSite site, FaultPoint point = {}) {
    point.others = true;
    return engine_.Ask({site, kAllFaultKinds, point, task_}, {now_ns_, step_});
  }
  // At which of `occasions` io_submits of 8 iocbs a rule struck, from 1.
  std::vector<int> Strikes(int occasions, FaultSite site = FaultSite::kSubmit) {
    std::vector<int> strikes;
    FaultPoint point;
    point.size = 8;
    point.others = true;
    for (int i = 1; i <= occasions; ++i) {
      if (Ask(site, point)) strikes.push_back(i);
    }
    return strikes;
  }
  static FaultPoint Request(uint16_t op, int64_t off = 0, uint64_t size = 4096) {
    FaultPoint point;
    point.op = op;
    point.off = off;
    point.size = size;
    return point;
  }

  SeededChooser chooser_{7};
  FaultEngine engine_{chooser_};
  int64_t now_ns_ = 0;
  uint64_t step_ = 0;
  absl::string_view task_ = "client/1";
};

// Method: the same questions, once to one engine and once to two of which the second goes on from the first.
TEST_F(FaultRulesTest, AnEngineGoesOnFromWhereAnotherWas) {
  constexpr char kRules[] = "submit=every(5)x3:short(1),submit=nth(2):eagain(x2)->nth(9):eagain,submit=pct(20):eagain";
  Add(kRules);
  std::vector<int> whole = Strikes(20);
  SeededChooser chooser(7);
  FaultEngine before(chooser);
  FaultEngine after(chooser);
  const absl::StatusOr<std::vector<FaultRule>> rules = ParseFaultRules(kRules);
  for (const FaultRule& rule : *rules) {
    before.Add(rule);
    after.Add(rule);
  }
  FaultPoint point;
  point.size = 8;
  point.others = true;
  std::vector<int> halves;
  for (int i = 1; i <= 20; ++i) {
    if (i == 6) after.GoOnFrom(before.Progress());
    FaultEngine& engine = i < 6 ? before : after;
    if (engine.Ask({FaultSite::kSubmit, kAllFaultKinds, point, task_}, {now_ns_, step_})) halves.push_back(i);
  }
  EXPECT_GE(whole.size(), 6);
  EXPECT_EQ(halves, whole);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(after.AllCounts()[i].hits, engine_.AllCounts()[i].hits);
    EXPECT_EQ(after.AllCounts()[i].occasions, engine_.AllCounts()[i].occasions);
  }
}

TEST_F(FaultRulesTest, WithoutARuleNothingIsArmed) {
  EXPECT_FALSE(engine_.armed(FaultSite::kSubmit));
  const int rule = Add("submit=always:eagain");
  EXPECT_TRUE(engine_.armed(FaultSite::kSubmit));
  EXPECT_TRUE(engine_.armed(FaultSite::kSubmit, FaultKindBit(FaultKind::kErrno)));
  EXPECT_FALSE(engine_.armed(FaultSite::kSubmit, FaultKindBit(FaultKind::kShort)));
  EXPECT_FALSE(engine_.armed(FaultSite::kComplete));
  engine_.Remove(rule);
  EXPECT_FALSE(engine_.armed(FaultSite::kSubmit));
}

TEST_F(FaultRulesTest, WhatComesInAPauseIsNotCounted) {
  const int rule = Add("submit=nth(2):eagain");
  EXPECT_FALSE(Ask(FaultSite::kSubmit));
  engine_.Pause();
  Add("cancel=always:einval");
  EXPECT_FALSE(engine_.armed(FaultSite::kSubmit));
  EXPECT_FALSE(engine_.armed(FaultSite::kCancel));
  engine_.Resume();
  EXPECT_EQ(engine_.counts(rule).occasions, 1);
  EXPECT_TRUE(Ask(FaultSite::kSubmit));
}

TEST_F(FaultRulesTest, AlwaysStrikesEveryTime) {
  Add("submit=always:eagain");
  EXPECT_THAT(Strikes(3), ElementsAre(1, 2, 3));
}

TEST_F(FaultRulesTest, NthStrikesOnce) {
  Add("submit=nth(3):eagain");
  EXPECT_THAT(Strikes(9), ElementsAre(3));
}

TEST_F(FaultRulesTest, EveryStrikesAgainAndAgain) {
  Add("submit=every(3):eagain");
  EXPECT_THAT(Strikes(9), ElementsAre(3, 6, 9));
}

TEST_F(FaultRulesTest, AfterStrikesFromThenOn) {
  Add("submit=after(3):eagain");
  EXPECT_THAT(Strikes(6), ElementsAre(4, 5, 6));
}

TEST_F(FaultRulesTest, BetweenStrikesInARange) {
  Add("submit=between(2,4):eagain");
  EXPECT_THAT(Strikes(6), ElementsAre(2, 3, 4));
}

TEST_F(FaultRulesTest, TimesIsALimit) {
  Add("submit=every(2) x2:eagain");
  EXPECT_THAT(Strikes(9), ElementsAre(2, 4));
}

TEST_F(FaultRulesTest, ABurstStrikesSeveralTimesInARow) {
  Add("submit=every(4) x2:eagain(x3)");
  EXPECT_THAT(Strikes(12), ElementsAre(4, 5, 6, 8, 9, 10));
}

TEST_F(FaultRulesTest, AtTimeStrikesAtTheFirstOccasionFromThen) {
  Add("submit=at(10us):eagain");
  now_ns_ = 9'999;
  EXPECT_FALSE(Ask(FaultSite::kSubmit));
  now_ns_ = 10'500;
  EXPECT_TRUE(Ask(FaultSite::kSubmit));
  EXPECT_FALSE(Ask(FaultSite::kSubmit));
}

TEST_F(FaultRulesTest, AtStepStrikesAtTheFirstOccasionFromThen) {
  Add("submit=at(step 41):eagain");
  step_ = 40;
  EXPECT_FALSE(Ask(FaultSite::kSubmit));
  step_ = 44;
  EXPECT_TRUE(Ask(FaultSite::kSubmit));
  EXPECT_FALSE(Ask(FaultSite::kSubmit));
}

// The shares are those of the rule within a wide margin, and each wait is in the recording.
TEST_F(FaultRulesTest, ChancesAreQuestionsToTheChooser) {
  Add("submit=1in(10):eagain");
  const size_t strikes = Strikes(2000).size();
  EXPECT_GT(strikes, 140);
  EXPECT_LT(strikes, 260);
  EXPECT_EQ(chooser_.recording().answers.size(), strikes + 1);

  Add("cancel=pct(2.5):einval");
  const size_t percent = Strikes(4000, FaultSite::kCancel).size();
  EXPECT_GT(percent, 60);
  EXPECT_LT(percent, 140);

  // The recording alone gives the same strikes again.
  ReplayChooser replay(chooser_.recording(), [](const std::string& why) { ADD_FAILURE() << why; });
  FaultEngine again(replay);
  again.Add(ParseFaultRules("submit=1in(10):eagain")->front());
  size_t replayed = 0;
  FaultPoint point;
  point.others = true;
  for (int i = 0; i < 2000; ++i) {
    if (again.Ask({FaultSite::kSubmit, kAllFaultKinds, point, "client/1"}, {})) ++replayed;
  }
  EXPECT_EQ(replayed, strikes);
}

TEST_F(FaultRulesTest, AFilterCountsOnlyWhatFits) {
  const int rule = Add("complete[op=write,off=4096..8191]=nth(2):eio");
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD, 4096)));
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE, 0)));
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE, 8192)));
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE, 0, 4097)));
  EXPECT_TRUE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITEV, 8191)));
  EXPECT_EQ(engine_.counts(rule).occasions, 2);
}

TEST_F(FaultRulesTest, EveryFilterTells) {
  const struct {
    const char* filter;
    void (*fit)(FaultPoint& point);
  } cases[] = {
      {"fd=5", [](FaultPoint& point) { point.fd = 5; }},
      {"path=/tmp/*.db", [](FaultPoint& point) { point.path = "/tmp/a/b.db"; }},
      {"open=2", [](FaultPoint& point) { point.open = 2; }},
      {"size=512..1k", [](FaultPoint& point) { point.size = 1024; }},
      {"ctx=3", [](FaultPoint& point) { point.ctx = 3; }},
      {"rwf=nowait", [](FaultPoint& point) { point.rwf = RWF_NOWAIT | RWF_DSYNC; }},
  };
  for (const auto& tested : cases) {
    const int rule = Add(std::string("complete[") + tested.filter + "]=always:eio");
    FaultPoint point = Request(IOCB_CMD_PREAD);
    point.path = "/tmp/other";
    EXPECT_FALSE(Ask(FaultSite::kComplete, point)) << tested.filter;
    tested.fit(point);
    EXPECT_TRUE(Ask(FaultSite::kComplete, point)) << tested.filter;
    engine_.Remove(rule);
  }
}

TEST_F(FaultRulesTest, ATaskIsToldFromAnother) {
  Add("complete[task=client/2]=always:eio");
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD)));
  task_ = "client/2";
  EXPECT_TRUE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD)));
}

// What cannot happen to a request is no occasion: a read does not run out of space.
TEST_F(FaultRulesTest, WhatCannotHappenIsNoOccasion) {
  const int rule = Add("complete=nth(1):enospc");
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD)));
  EXPECT_THAT(engine_.counts(rule).unfired_because, HasSubstr("it can happen to none of them"));
  EXPECT_TRUE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE)));
}

TEST_F(FaultRulesTest, ShortIsShorterThanTheOccasion) {
  Add("complete=always:short(512)");
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD, 0, 512)));
  EXPECT_EQ(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD, 0, 513)).n, 512);
  Add("getevents=always:short");
  for (int i = 0; i < 50; ++i) {
    FaultPoint point;
    point.size = 4;
    const uint64_t n = Ask(FaultSite::kGetevents, point).n;
    EXPECT_GE(n, 1);
    EXPECT_LE(n, 3);
  }
}

TEST_F(FaultRulesTest, AShortDirectTransferIsOfWholeSectors) {
  Add("complete=always:short");
  std::set<uint64_t> lengths;
  for (int i = 0; i < 200; ++i) {
    FaultPoint direct = Request(IOCB_CMD_PWRITE);
    direct.direct = true;
    lengths.insert(Ask(FaultSite::kComplete, direct).n);
  }
  EXPECT_THAT(lengths, ElementsAre(512, 1024, 1536, 2048, 2560, 3072, 3584));
}

TEST_F(FaultRulesTest, AChainGoesOnWhenAStepHasStruck) {
  Add("complete[op=write]=nth(2):short(512)->enospc->cancel=nth(1):einval");
  EXPECT_FALSE(Ask(FaultSite::kCancel));
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE)));
  EXPECT_EQ(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE)).kind, FaultKind::kShort);
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD)));
  EXPECT_EQ(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE)).error, ENOSPC);
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE)));
  EXPECT_EQ(Ask(FaultSite::kCancel).error, EINVAL);
  EXPECT_FALSE(Ask(FaultSite::kCancel));
}

// However the occasions before it mix, a rule strikes at its turn. Method: runs of occasions that are alike, and single
// ones, against a count by hand.
TEST_F(FaultRulesTest, ARulesTurnDoesNotDependOnWhatElseComes) {
  const auto everything = [](const FaultPoint&) { return true; };
  const auto writes = [](const FaultPoint& point) { return point.op == IOCB_CMD_PWRITE; };
  const struct {
    const char* rule;
    bool (*fits)(const FaultPoint& point);
    bool (*due)(int count);
  } cases[] = {
      {"complete=nth(300):eio", everything, [](int count) { return count == 300; }},
      {"complete[op=write]=every(17):eio", writes, [](int count) { return count % 17 == 0; }},
      {"complete=between(100,104):eio", everything, [](int count) { return count >= 100 && count <= 104; }},
      {"complete[size=512]=nth(40):eio", [](const FaultPoint& point) { return point.size == 512; },
       [](int count) { return count == 40; }},
      {"complete[off=4096]=nth(30):eio", [](const FaultPoint& point) { return point.off == 4096; },
       [](int count) { return count == 30; }},
      {"complete=nth(50):enospc", writes, [](int count) { return count == 50; }},
      {"complete=after(1000) x3:eio", everything, [](int count) { return count > 1000 && count <= 1003; }},
  };
  for (const auto& c : cases) {
    const int rule = Add(c.rule);
    int count = 0;
    for (int i = 0; i < 1200; ++i) {
      FaultPoint point =
          Request(i / 11 % 3 == 0 ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD, i % 5 * 4096, i % 100 < 70 ? 512 : 64 + i);
      count += c.fits(point);
      EXPECT_EQ(static_cast<bool>(Ask(FaultSite::kComplete, point)), c.fits(point) && c.due(count)) << c.rule << i;
    }
    EXPECT_EQ(engine_.counts(rule).occasions, count) << c.rule;
    engine_.Remove(rule);
  }
}

// Two rules that are due at once: the first strikes, and the second at the next occasion, so that neither is lost.
// Method: more kinds of occasions than are remembered, in runs of any length, all of which the rule counts; so its
// number comes together from all of them.
TEST_F(FaultRulesTest, ARuleCountsOverAllKindsOfOccasions) {
  const struct {
    const char* rule;
    bool (*due)(int count);
  } cases[] = {
      {"complete=every(100):eio", [](int count) { return count % 100 == 0; }},
      {"complete=nth(777):eio", [](int count) { return count == 777; }},
      {"complete=every(50):eio(x3)", [](int count) { return count >= 50 && count % 50 < 3; }},
      {"complete=between(300,310):eio", [](int count) { return count >= 300 && count <= 310; }},
      {"complete=after(200) x2:eio", [](int count) { return count == 201 || count == 202; }},
      {"complete=every(90) x2:eio", [](int count) { return count == 90 || count == 180; }},
      {"complete=nth(60):eio->nth(400):eio", [](int count) { return count == 60 || count == 460; }},
      {"complete=every(40):bad-sector", [](int count) { return count >= 40; }},  // of all files, on the same sector
  };
  SeededChooser mix(3);
  for (const auto& c : cases) {
    const int rule = Add(c.rule);
    int count = 0;
    while (count < 3000) {
      FaultPoint point = Request(IOCB_CMD_PWRITE);
      point.ctx = mix.Choose(Choice::kOrder, 12, "which") + 1;
      for (uint32_t left = mix.Choose(Choice::kOrder, 120, "how often"); left > 0; --left) {
        ++count;
        EXPECT_EQ(static_cast<bool>(Ask(FaultSite::kComplete, point)), c.due(count)) << c.rule << " at " << count;
      }
    }
    EXPECT_EQ(engine_.counts(rule).occasions, count) << c.rule;
    engine_.Remove(rule);
  }
}

TEST_F(FaultRulesTest, ARuleWhoseTurnIsTakenStrikesNext) {
  Add("submit=nth(2):eagain,submit=nth(2):enosys");
  EXPECT_FALSE(Ask(FaultSite::kSubmit));
  EXPECT_EQ(Ask(FaultSite::kSubmit).error, EAGAIN);
  EXPECT_EQ(Ask(FaultSite::kSubmit).error, ENOSYS);
  EXPECT_FALSE(Ask(FaultSite::kSubmit));
}

TEST_F(FaultRulesTest, ABadSectorStaysBad) {
  Add("complete[off=4096]=nth(1):bad-sector");
  EXPECT_EQ(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD, 4096)).error, EIO);
  EXPECT_TRUE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD, 4096, 512)));
  EXPECT_TRUE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE, 0, 8192)));
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD, 4608, 512)));
}

TEST_F(FaultRulesTest, ASpikeDelaysEverythingUntilItIsOver) {
  Add("complete=nth(2):spike(1ms)");
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD)));
  now_ns_ = 500;
  EXPECT_EQ(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD)).until_ns, 1'000'500);
  now_ns_ = 900'000;
  EXPECT_EQ(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD)).until_ns, 1'000'500);
  now_ns_ = 1'000'500;
  EXPECT_FALSE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD)));
}

TEST_F(FaultRulesTest, DelaysKeepToTheirDistribution) {
  Add("complete[op=read]=always:delay(uniform 1ms 3ms),complete[op=write]=always:delay(exp 2ms)");
  int64_t sum_ns = 0;
  for (int i = 0; i < 1000; ++i) {
    const int64_t uniform_ns = Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD)).delay_ns;
    EXPECT_GE(uniform_ns, 1'000'000);
    EXPECT_LE(uniform_ns, 3'000'000);
    sum_ns += Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE)).delay_ns;
  }
  EXPECT_GT(sum_ns / 1000, 1'800'000);
  EXPECT_LT(sum_ns / 1000, 2'200'000);
}

TEST_F(FaultRulesTest, AnyPlacesAsManyFaultsAsItSays) {
  Add("any(x2)");
  EXPECT_TRUE(engine_.armed(FaultSite::kSubmit));
  EXPECT_TRUE(engine_.armed(FaultSite::kGetevents));
  size_t strikes = 0;
  for (int i = 0; i < 2000; ++i) strikes += Strikes(1).size();
  EXPECT_EQ(strikes, 2);
  EXPECT_FALSE(engine_.armed(FaultSite::kSubmit));
  EXPECT_FALSE(engine_.armed(FaultSite::kGetevents));
}

// An exhaustive search sees one question an occasion: nothing, or one of the faults that fit.
TEST_F(FaultRulesTest, AnyAsksOneQuestionWhoseZeroIsNoFault) {
  Add("any:hard");
  FaultPoint read = Request(IOCB_CMD_PREAD);
  Ask(FaultSite::kComplete, read);
  ASSERT_EQ(chooser_.recording().sites.size(), 1);
  EXPECT_EQ(chooser_.recording().sites[0].kind, Choice::kPlace);
  EXPECT_EQ(chooser_.recording().sites[0].count, 2);  // no fault, eio
  Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE));
  ASSERT_EQ(chooser_.recording().sites.size(), 2);
  EXPECT_EQ(chooser_.recording().sites[1].count, 3);  // no fault, eio, enospc
}

TEST_F(FaultRulesTest, ARuleThatNeverStruckSaysWhy) {
  const int no_op = Add("complete[op=fsync]=nth(1):eio");
  const int too_late = Add("complete=nth(5):eio");
  Ask(FaultSite::kComplete, Request(IOCB_CMD_PREAD));
  EXPECT_EQ(engine_.counts(no_op).unfired_because, "nothing that fits it was there");
  EXPECT_EQ(engine_.counts(too_late).unfired_because, "its turn did not come in 1 occasion");
}

TEST_F(FaultRulesTest, AChainThatDidNotComeToItsEndSaysAtWhichStepItWaits) {
  const int chain = Add("complete[op=write]=nth(1):short(512)->enospc");
  EXPECT_EQ(engine_.counts(chain).unfired_because, "nothing that fits it was there");
  EXPECT_TRUE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE)));
  EXPECT_EQ(engine_.counts(chain).unfired_because, "its step 2, enospc: nothing that fits it was there");
  EXPECT_TRUE(Ask(FaultSite::kComplete, Request(IOCB_CMD_PWRITE)));
  EXPECT_EQ(engine_.counts(chain).unfired_because, "");
}

TEST_F(FaultRulesTest, AChainThatWaitsForTheRestOfItsFirstStepSaysSo) {
  const int times = Add("submit=always x3:eagain->short(1)");
  const int burst = Add("cancel=nth(1):einval(x5)->enosys");
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(Ask(FaultSite::kSubmit));
    EXPECT_TRUE(Ask(FaultSite::kCancel));
  }
  EXPECT_EQ(engine_.counts(times).unfired_because, "its step 1, eagain: it struck 2 of 3 times");
  EXPECT_EQ(engine_.counts(burst).unfired_because, "its step 1, einval(x5): it struck 2 of 5 times");
}

TEST_F(FaultRulesTest, AGlobFitsAllOfTheText) {
  EXPECT_TRUE(FaultGlobMatches("/tmp/*.db", "/tmp/x/y.db"));
  EXPECT_FALSE(FaultGlobMatches("/tmp/*.db", "/tmp/x.dbx"));
  EXPECT_TRUE(FaultGlobMatches("*a*b", "xxaxbb"));
  EXPECT_FALSE(FaultGlobMatches("?", ""));
  EXPECT_TRUE(FaultGlobMatches("**", ""));
}

}  // namespace
}  // namespace aiolab
