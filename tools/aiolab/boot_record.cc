#include "tools/aiolab/boot_record.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tools/aiolab/files.h"

namespace aiolab {
namespace {

using Json = nlohmann::json;

std::string RecordPath(const std::string& run_dir) { return run_dir + "/power_cut.json"; }
std::string DisksPath(const std::string& run_dir) { return run_dir + "/disks"; }

}  // namespace

absl::Status WriteBootRecord(const std::string& run_dir, const BootRecord& record) {
  if (absl::Status status = ReplaceFile(DisksPath(run_dir), record.saved_disks); !status.ok()) return status;
  const Json json = {
      {"rule", record.rule},
      {"token", record.token},
      {"chooser_state", record.chooser_state},
      {"client_ns", record.client_ns},
      {"ran_ns", record.ran_ns},
      {"machine_start_ns", record.machine_start_ns},
      {"faults", record.faults},
      {"not_replayable_because", record.not_replayable_because},
  };
  return ReplaceFile(RecordPath(run_dir), json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace));
}

// Written by another process of the same build, all of it or nothing.
absl::StatusOr<BootRecord> ReadBootRecord(const std::string& run_dir, bool disks) {
  const absl::StatusOr<std::string> text = ReadFile(RecordPath(run_dir));
  if (!text.ok()) return text.status();
  const Json json = Json::parse(*text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError(absl::StrCat(RecordPath(run_dir), " is no JSON object"));
  BootRecord record;
  json.at("rule").get_to(record.rule);
  json.at("token").get_to(record.token);
  json.at("chooser_state").get_to(record.chooser_state);
  json.at("client_ns").get_to(record.client_ns);
  json.at("ran_ns").get_to(record.ran_ns);
  json.at("machine_start_ns").get_to(record.machine_start_ns);
  json.at("faults").get_to(record.faults);
  json.at("not_replayable_because").get_to(record.not_replayable_because);
  if (!disks) return record;
  absl::StatusOr<std::string> saved = ReadFile(DisksPath(run_dir));
  if (!saved.ok()) return saved.status();
  record.saved_disks = *std::move(saved);
  return record;
}

void RemoveSavedDisks(const std::string& run_dir) {
  std::error_code ignored;
  std::filesystem::remove(DisksPath(run_dir), ignored);
}

}  // namespace aiolab
