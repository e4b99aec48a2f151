// The only nondeterminism there is. Whatever a program does not determine (which of two completions lands first, how
// long a request took) is a question put to one Chooser, in call order. A run is its list of answers.
//
//   SeededChooser chooser(/*seed=*/7);
//   uint32_t slot = chooser.Choose(Choice::kLatency, 64, "sim_disk/read");   // 0..63, recorded
//   Recording run = chooser.recording();
//   ReplayChooser again(run, [](const std::string& why) { ... });            // asks the same, answers the same
#ifndef KERNEL_MODEL_SIM_CHOOSER_H_
#define KERNEL_MODEL_SIM_CHOOSER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace aiolab {

// What a question is about. The numbers are part of the replay token's format; 2 is free.
enum class Choice : uint8_t {
  kOrder = 0,     // which of several things that are due at once runs first
  kLatency = 1,   // how long a request takes, as a quantile of the device's distribution
  kSurvival = 3,  // which version of a piece of a disk a power cut leaves, the oldest being 0
  kFault = 4,     // whether a fault rule strikes (0: no), and whatever it leaves open
  kPlace = 5,     // whether a fault of `any` is put here: 0 is none, and what a random chooser mostly says
};

// Thread-compatible: the model asks one question at a time.
class Chooser {
 public:
  // A place that asks, and what it may be answered. Part of the recording: a replay that meets another question has
  // left the run.
  struct Site {
    Choice kind;
    uint32_t count;
    uint16_t name_hash;
    friend bool operator==(const Site&, const Site&) = default;
  };

  struct Answer {
    uint32_t site;  // index into Recording::sites
    uint32_t value;
    friend bool operator==(const Answer&, const Answer&) = default;
  };

  struct Recording {
    std::vector<Site> sites;
    std::vector<Answer> answers;
    friend bool operator==(const Recording&, const Recording&) = default;
  };

  virtual ~Chooser() = default;

  // Returns a number in [0, count). `site` names the asking place; the same place always uses the same name. A question
  // with one possible answer is neither asked nor recorded. Requires: count >= 1.
  uint32_t Choose(Choice kind, uint32_t count, absl::string_view site);

  const Recording& recording() const { return recording_; }
  // Makes room for so many answers: until then, recording one takes no memory.
  void ReserveRecording(size_t answers) { recording_.answers.reserve(answers); }
  // The run began elsewhere: what was asked there comes first in the recording. Requires: nothing was asked yet.
  void GoOnFrom(Recording asked_before) { recording_ = std::move(asked_before); }

  // Sixteen bits of a site's name, the same in every build.
  static uint16_t HashSiteName(absl::string_view site);

 protected:
  // Answers a question with count >= 2. `site.name_hash` identifies `name`.
  virtual uint32_t Pick(const Site& site, absl::string_view name) = 0;

 private:
  uint32_t SiteIndex(const Site& site);

  Recording recording_;
};

// Answers at random, the same way for the same seed on every machine.
class SeededChooser : public Chooser {
 public:
  explicit SeededChooser(uint64_t seed) : state_(seed) {}
  // The seed of a chooser that goes on as this one would.
  uint64_t state() const { return state_; }

 protected:
  uint32_t Pick(const Site& site, absl::string_view name) override;

 private:
  uint64_t state_;
};

// Gives the recorded answers again. The first question that differs from the recorded one (another site, kind or count,
// or one more than were recorded) calls `on_divergence` with what differs; if that returns, every further answer is 0.
class ReplayChooser : public Chooser {
 public:
  // `given`: how many of the answers were given elsewhere, before GoOnFrom().
  ReplayChooser(Recording recorded, std::function<void(const std::string&)> on_divergence, size_t given = 0)
      : recorded_(std::move(recorded)), on_divergence_(std::move(on_divergence)), position_(given) {}

  bool diverged() const { return diverged_; }
  // True once every recorded answer has been given.
  bool finished() const { return position_ == recorded_.answers.size(); }
  // How many have not.
  size_t remaining() const { return recorded_.answers.size() - position_; }

 protected:
  uint32_t Pick(const Site& site, absl::string_view name) override;

 private:
  const Recording recorded_;
  const std::function<void(const std::string&)> on_divergence_;
  size_t position_;
  bool diverged_ = false;
};

// How `kind` is written in messages and traces: "order", "latency", "survival", "fault", "place".
absl::string_view ChoiceName(Choice kind);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_CHOOSER_H_
