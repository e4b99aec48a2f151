#include "tools/preload/notes.h"

#include <pthread.h>

#include <algorithm>

#include "tools/preload/scoped_mutex.h"

namespace aiolab::preload {
namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

// Never destroyed: clients do I/O from destructors.
Notes& TheNotes() {
  static Notes* const notes = new Notes;
  return *notes;
}

void AddOnce(const std::string& sentence, std::vector<std::string> Notes::*kind) {
  const ScopedMutex lock(mutex);
  std::vector<std::string>& sentences = TheNotes().*kind;
  if (std::find(sentences.begin(), sentences.end(), sentence) == sentences.end()) sentences.push_back(sentence);
}

}  // namespace

void NotReplayable(const std::string& why) { AddOnce(why, &Notes::not_replayable); }
void AddFinding(const std::string& finding) { AddOnce(finding, &Notes::findings); }
void AddWarning(const std::string& warning) { AddOnce(warning, &Notes::warnings); }

Notes NotesSoFar() {
  const ScopedMutex lock(mutex);
  return TheNotes();
}

void ForgetNotes() {
  pthread_mutex_init(&mutex, nullptr);
  TheNotes() = Notes();
}

}  // namespace aiolab::preload
