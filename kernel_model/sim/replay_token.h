// A run as text: the answers of its Chooser, and what they are answers to.
//
//   std::string token = EncodeReplayToken({.profile = "retry", .cpus = 4, .rules = ""}, chooser.recording());
//   absl::StatusOr<Chooser::Recording> run = DecodeReplayToken(token, {.profile = "retry", .cpus = 4, .rules = ""});
//
// Format 1: "aiolab1" and base32 (RFC 4648, lower case, no padding) of: the identity; the sites (kind, count, name
// hash); the answers, bit-packed, each with how often it repeats; a CRC-32 of it all.
#ifndef KERNEL_MODEL_SIM_REPLAY_TOKEN_H_
#define KERNEL_MODEL_SIM_REPLAY_TOKEN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernel_model/sim/chooser.h"

namespace aiolab {

// What a recording depends on beside the client: under another identity its answers answer other questions.
struct RunIdentity {
  std::string profile;
  int cpus = 0;
  std::string rules;  // fault rules and seeded bugs, as the user wrote them

  friend bool operator==(const RunIdentity&, const RunIdentity&) = default;
};

std::string EncodeReplayToken(const RunIdentity& identity, const Chooser::Recording& recording);

// INVALID_ARGUMENT if `token` is none, or is damaged; FAILED_PRECONDITION, naming both sides, if it was made under
// another identity or by another version of the format.
absl::StatusOr<Chooser::Recording> DecodeReplayToken(absl::string_view token, const RunIdentity& identity);

}  // namespace aiolab

#endif  // KERNEL_MODEL_SIM_REPLAY_TOKEN_H_
