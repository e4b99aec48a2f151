#include "tools/aiolab/fault_sources.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernel_model/sim/fault_lint.h"
#include "kernel_model/sim/fault_parser.h"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

absl::Status AddRules(const std::string& source, const std::string& text, std::vector<std::string>& rules) {
  // Whether what one source holds is released by another is asked of all together.
  const absl::StatusOr<std::vector<FaultRule>> parsed = ParseFaultRules(text, {.released_by_test = true});
  if (!parsed.ok()) return absl::InvalidArgumentError(absl::StrCat(source, ": ", parsed.status().message()));
  for (const FaultRule& rule : *parsed) rules.push_back(rule.text);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> CollectFaultRules(const std::string& variable, const std::string& path,
                                              const std::vector<std::string>& flags) {
  std::vector<std::string> rules;
  absl::Status status;
  if (!variable.empty()) status.Update(AddRules(kFaultVariable, variable, rules));
  if (!path.empty()) {
    const absl::StatusOr<std::string> text = ReadFile(path);
    if (!text.ok()) return absl::NotFoundError(absl::StrCat("--fault-file: ", text.status().message()));
    status.Update(AddRules(path, *text, rules));
  }
  for (const std::string& flag : flags) status.Update(AddRules("--fault", flag, rules));
  if (!status.ok()) return status;
  std::string all = absl::StrJoin(rules, ",");
  if (all.empty()) return all;
  const absl::StatusOr<std::vector<FaultRule>> together = ParseFaultRules(all);
  if (!together.ok()) return absl::InvalidArgumentError(absl::StrCat("--fault: ", together.status().message()));
  if (all.size() > kFaultRulesSizeMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--fault: the rules are ", all.size(), " bytes long; ", kFaultRulesSizeMax, " is the most"));
  }
  return all;
}

std::string RuleThatReboots(const std::string& rules) {
  const absl::StatusOr<std::vector<FaultRule>> parsed = ParseFaultRules(rules);
  return parsed.ok() ? FaultRuleThatReboots(*parsed) : "";
}

absl::Status CheckRulesOnHostFiles(const std::string& rules) {
  if (rules.empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<FaultRule>> parsed = ParseFaultRules(rules);
  if (!parsed.ok()) return parsed.status();
  const std::string rule = FaultRuleForSimfs(*parsed);
  if (rule.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--fault: ", rule,
      ": powercut, reboot and model= are about what a disk has kept, and the files are this machine's own; "
      "--simfs=PREFIX puts them on a disk of the model"));
}

}  // namespace aiolab
