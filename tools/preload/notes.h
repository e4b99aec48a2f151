// What a process's report says beside its counts: why the run cannot be replayed, what was found, what the client
// should know. Each sentence once, in the order in which they came.
#ifndef TOOLS_PRELOAD_NOTES_H_
#define TOOLS_PRELOAD_NOTES_H_

#include <string>
#include <vector>

namespace aiolab::preload {

struct Notes {
  std::vector<std::string> not_replayable;
  std::vector<std::string> findings;
  std::vector<std::string> warnings;
};

// From any thread of the client, and from its signal handlers.
void NotReplayable(const std::string& why);
void AddFinding(const std::string& finding);
// What the client should know about how it was run.
void AddWarning(const std::string& warning);

Notes NotesSoFar();

// In the child of fork, which has one thread and nothing to say yet.
void ForgetNotes();

}  // namespace aiolab::preload

#endif  // TOOLS_PRELOAD_NOTES_H_
