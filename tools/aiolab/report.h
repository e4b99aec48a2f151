// What `aiolab run` says when the client has ended.
#ifndef TOOLS_AIOLAB_REPORT_H_
#define TOOLS_AIOLAB_REPORT_H_

#include <map>
#include <string>
#include <vector>

#include "tools/aiolab/client_process.h"
#include "tools/aiolab/run_protocol.h"

namespace aiolab {

// One run, over.
struct RunOutcome {
  RunConfig config;
  std::vector<std::string> program = {"aiolab"};  // how to call this one again
  std::vector<std::string> client;                // argv
  std::string embedded_client;                    // the name of the one that runs if none is named, if it is that one
  ProgramEnd end;                                 // of the last boot
  std::vector<RankFiles> ranks;                   // of every boot, one after the other
  std::vector<std::string> reboots;               // the fault rules that ended boots, the first boot's first
  std::string refusal;                            // why the preload library would not let the client start, or empty
  // With RunConfig::record_writes: the client's standard output, and each rank's write log.
  std::string output;
  std::map<int, std::string> recordings;
};

// The sums over all processes that wrote a report.
RunReport Totals(const RunOutcome& outcome);

// True if the client's own process was ended by a finding in it, or by a power cut; of several boots in the last one.
bool EndedByFinding(const RunOutcome& outcome);
bool EndedByPowerCut(const RunOutcome& outcome);

// What aiolab exits with: kRefusedExitStatus, kFindingExitStatus, kPowerCutExitStatus, or the client's own status as a
// shell would say it.
int ExitStatus(const RunOutcome& outcome);

// For people: several lines, each beginning with "aiolab: ".
std::string TextReport(const RunOutcome& outcome);

// Of that, what the user of another command has to know: what fault rules did, and the warnings.
std::string NotesReport(const RunOutcome& outcome);

// TextReport() as one line of JSON.
std::string JsonReport(const RunOutcome& outcome);

// `words` as a shell would read them back.
std::string ShellQuote(const std::vector<std::string>& words);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_REPORT_H_
