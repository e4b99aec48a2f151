// RunReport as JSON. In a file of its own: nlohmann's header is most of what a build of run_protocol spends.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tools/aiolab/run_protocol.h"

namespace aiolab {
namespace {

using Json = nlohmann::json;

// Reads one report key by key; the first mistake is kept.
class Reader {
 public:
  explicit Reader(const Json& object) : object_(object) {}

  template <typename T>
  void Read(const char* key, bool (Json::*is_right)() const noexcept, const char* wanted, T& value) {
    const Json* found = Find(key);
    if (found == nullptr) return;
    if (!(found->*is_right)()) return Fail(absl::StrCat("'", key, "' has to be ", wanted));
    found->get_to(value);
  }
  void Read(const char* key, std::string& value) { Read(key, &Json::is_string, "a string", value); }
  void Read(const char* key, bool& value) { Read(key, &Json::is_boolean, "true or false", value); }
  void Read(const char* key, int& value) { Read(key, &Json::is_number_integer, "a whole number", value); }
  void Read(const char* key, int64_t& value) { Read(key, &Json::is_number_integer, "a whole number", value); }
  void Read(const char* key, uint64_t& value) {
    Read(key, &Json::is_number_unsigned, "a whole number of at least 0", value);
  }

  void Read(const char* key, std::vector<std::string>& value) {
    const Json* found = Find(key);
    if (found == nullptr) return;
    if (!found->is_array()) return Fail(absl::StrCat("'", key, "' has to be a list of strings"));
    for (const Json& element : *found) {
      if (!element.is_string()) return Fail(absl::StrCat("'", key, "' has to be a list of strings"));
      value.push_back(element.get<std::string>());
    }
  }

  void Read(const char* key, std::map<std::string, std::map<std::string, uint64_t>>& value) {
    const Json* found = Find(key);
    if (found == nullptr) return;
    if (!found->is_object()) return Fail(absl::StrCat("'", key, "' has to be an object by opcode"));
    for (const auto& [opcode, results] : found->items()) {
      if (!results.is_object()) return Fail(absl::StrCat("'", key, "': '", opcode, "' has to be an object by result"));
      for (const auto& [result, count] : results.items()) {
        if (!count.is_number_unsigned()) {
          return Fail(absl::StrCat("'", key, "': '", opcode, "': '", result, "' has to be a count"));
        }
        value[opcode][result] = count.get<uint64_t>();
      }
    }
  }

  void Read(const char* key, SimfsReport& value) {
    const Json* found = Find(key);
    if (found == nullptr) return;
    if (!found->is_object()) return Fail(absl::StrCat("'", key, "' has to be an object of counts"));
    Reader inner(*found);
    inner.Read("files", value.files);
    inner.Read("bytes_written", value.bytes_written);
    inner.Read("disk_requests", value.disk_requests);
    inner.Read("merges", value.merges);
    inner.Read("flushes", value.flushes);
    if (!inner.status().ok()) Fail(absl::StrCat("'", key, "': ", inner.status().message()));
  }

  void Read(const char* key, std::vector<FaultHits>& value) {
    const Json* found = Find(key);
    if (found == nullptr) return;
    if (!found->is_array()) return Fail(absl::StrCat("'", key, "' has to be a list of rules"));
    for (const Json& element : *found) {
      Reader rule(element);
      FaultHits& hits = value.emplace_back();
      rule.Read("rule", hits.rule);
      rule.Read("occasions", hits.occasions);
      rule.Read("hits", hits.hits);
      rule.Read("first_ns", hits.first_ns);
      rule.Read("last_ns", hits.last_ns);
      rule.Read("unfired_because", hits.unfired_because);
      if (!rule.status().ok()) return Fail(absl::StrCat("'", key, "': ", rule.status().message()));
    }
  }

  const absl::Status& status() const { return status_; }

 private:
  const Json* Find(const char* key) {
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    Fail(absl::StrCat("'", key, "' is missing"));
    return nullptr;
  }

  void Fail(absl::string_view message) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(message);
  }

  const Json& object_;
  absl::Status status_;
};

}  // namespace

std::string RunReportToJson(const RunReport& report) {
  Json faults = Json::array();
  for (const FaultHits& hits : report.faults) {
    faults.push_back({{"rule", hits.rule},
                      {"occasions", hits.occasions},
                      {"hits", hits.hits},
                      {"first_ns", hits.first_ns},
                      {"last_ns", hits.last_ns},
                      {"unfired_because", hits.unfired_because}});
  }
  const Json json = {
      {"rank", report.rank},
      {"command", report.command},
      {"operations", report.operations},
      {"retries", report.retries},
      {"kicks", report.kicks},
      {"plugs", report.plugs},
      {"bios", report.bios},
      {"simfs",
       {{"files", report.simfs.files},
        {"bytes_written", report.simfs.bytes_written},
        {"disk_requests", report.simfs.disk_requests},
        {"merges", report.simfs.merges},
        {"flushes", report.simfs.flushes}}},
      {"virtual_time_ns", report.virtual_time_ns},
      {"real_time_ns", report.real_time_ns},
      {"replayable", report.replayable},
      {"not_replayable_because", report.not_replayable_because},
      {"findings", report.findings},
      {"warnings", report.warnings},
      {"faults", std::move(faults)},
      {"token", report.token},
      {"token_path", report.token_path},
      {"trace_path", report.trace_path},
      {"trace_error", report.trace_error},
      {"killed_by", report.killed_by},
      {"power_cut", report.power_cut},
      {"interim", report.interim},
  };
  // A process may call itself anything, also what is not UTF-8.
  return json.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<RunReport> RunReportFromJson(absl::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("is not a JSON object");
  RunReport report;
  Reader reader(json);
  reader.Read("rank", report.rank);
  reader.Read("command", report.command);
  reader.Read("operations", report.operations);
  reader.Read("retries", report.retries);
  reader.Read("kicks", report.kicks);
  reader.Read("plugs", report.plugs);
  reader.Read("bios", report.bios);
  reader.Read("simfs", report.simfs);
  reader.Read("virtual_time_ns", report.virtual_time_ns);
  reader.Read("real_time_ns", report.real_time_ns);
  reader.Read("replayable", report.replayable);
  reader.Read("not_replayable_because", report.not_replayable_because);
  reader.Read("findings", report.findings);
  reader.Read("warnings", report.warnings);
  reader.Read("faults", report.faults);
  reader.Read("token", report.token);
  reader.Read("token_path", report.token_path);
  reader.Read("trace_path", report.trace_path);
  reader.Read("trace_error", report.trace_error);
  reader.Read("killed_by", report.killed_by);
  reader.Read("power_cut", report.power_cut);
  reader.Read("interim", report.interim);
  if (!reader.status().ok()) return reader.status();
  return report;
}

}  // namespace aiolab
